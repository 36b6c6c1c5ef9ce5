# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A device that does not answer, and one that lies, under the kernel module."""
from guest import Guest, rig


class Bad(Guest):
    scripts = "bad"
    binds = 0

    def owners(self, scratch):
        return [rig.Owner(scratch, "a", "--vf-enable-sticky", "--context-bytes", "256K", "-v", "--fault", "silence,op=dev_ctx_size_get",
                          "--fault", "used=100000,op=dev_ctx_fields_query", vfs=2, enabled=True)]
