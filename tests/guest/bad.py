# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Devices that do not answer, one that can reset a queue and one that cannot, and that lie, under the kernel module."""
from guest import Guest, rig, vfio_user

FAULTS = ["--fault", "silence,op=dev_ctx_size_get", "--fault", "used=100000,op=dev_ctx_fields_query"]


class Bad(Guest):
    scripts = "bad"
    binds = 0

    def owners(self, scratch):
        return [rig.Owner(scratch, name, "--vf-enable-sticky", "--context-bytes", "256K", "-v", *FAULTS, *options, vfs=2, enabled=True)
                for name, options in (("a", []), ("b", ["--no-ring-reset"]))]

    def devices(self, owners):
        a, b = owners
        return ([*vfio_user(a.dir / "pf0.sock", 0x10), *vfio_user(b.dir / "pf0.sock", 0x11)],
                ["vferry.pf=0000:00:10.0", "vferry.pf_b=0000:00:11.0"])
