# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The kernel module in a guest of its own: both owners' PFs, a VF with I/O of the guest's kernel, an igb for SR-IOV. The guest asks the
host on a second serial line to hand the VF's connection over, as the VMM would connect anew."""
import socket, subprocess
from guest import HERE, Guest, rig, vfio_user


class Module(Guest):
    scripts = "module"
    binds = 3  # both PFs, and one that is found again

    def owners(self, scratch):
        disk = scratch / "disk%d.img"
        return [rig.Owner(scratch, name, "--take-over", "--vf-enable-sticky", "--disk-size", "32M", "--context-bytes", "1M", "-v", vfs=2,
                          enabled=True, disk=disk) for name in ("a", "b")]

    def devices(self, owners):
        a, b = owners
        self.line = a.dir / "line.sock"
        options = [*vfio_user(a.dir / "pf0.sock", 0x10), *vfio_user(a.vf(1), 0x11), *vfio_user(b.dir / "pf0.sock", 0x12),
                   "-serial", f"unix:{self.line},server=on,wait=off",
                   "-device", "pcie-root-port,id=port1,chassis=1,addr=5.0", "-device", "igb,id=igb,bus=port1,addr=0.0"]
        names = ["vferry.pf=0000:00:10.0", "vferry.vf1=0000:00:11.0", "vferry.pf_b=0000:00:12.0", "vferry.igb=0000:01:00.0"]
        return options, names + [f"vferry.{word}" for word in self.args.set]

    def while_it_runs(self, scratch, owners, process):
        rig.until(lambda: self.line.exists() or process.poll() is not None, "the second serial line", 60)
        if process.poll() is not None:
            return
        dirs = {owner.dir.name: owner.dir for owner in owners}
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(self.line))
            line.settimeout(self.args.limit)
            # QEMU closes it at its end.
            for words in line.makefile():
                _, source, target = words.split()
                done = subprocess.run([HERE / "hand-over", dirs[source], "1", dirs[target], "1"], text=True, stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                line.sendall(f"{'ok' if done.returncode == 0 else done.stdout.strip() or 'failed'}\n".encode())
