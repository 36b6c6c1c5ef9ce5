# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""A kernel in QEMU: its devices, its serial line, its log."""
import pathlib, re, subprocess, sys, time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
import rig

BOOT = "console=ttyS0 panic=-1 no_timer_check quiet loglevel=3 intel_iommu=on iommu=nopt"
IOMMU = ["-device", "intel-iommu,intremap=on,caching-mode=on"]
# 6.12's own admin queue, which a driver of the PF sets up, allocates under a spinlock: lockdep says so once and then watches no more.
DEBUG = " initcall_blacklist=virtio_blk_init"
LINE = re.compile(r"^(not )?ok\b\s*\d*\s*-\s*(.*)$")
BAD = re.compile(r"BUG:|WARNING:|Oops|DMAR:.*[Ff]ault|DMAR: DRHD: handling fault|Call Trace|I/O error|"
                 r"blocked for more than|KASAN|admin command error")
# Kernels from 6.13 on ask each device with an admin queue for capabilities, and a device of the draft refuses that: one line each time
# that a driver binds the PF.
CAPABILITY_QUERY = re.compile(r"^\[ *[\d.]+\] virtio_blk virtio\d+: admin command error: status\(0x16\) qualifier\(0x4\)$")


def vfio_user(socket, slot):
    """A QEMU option: the function behind a socket, at 0000:00:SLOT.0."""
    return ["-device", f'{{"driver":"vfio-user-pci","x-msg-timeout":60000,"addr":"{slot:x}.0","socket":{{"path":"{socket}","type":"unix"}}}}']


class Guest:
    """The scripts of tests/guest/in, with two owners."""

    scripts = "in"
    binds = 2  # how often virtio_blk binds a PF
    iommu = IOMMU

    def __init__(self, args, version):
        self.args, self.version = args, version
        self.files = args.guest / version
        self.results, self.tables, self.log, self.words = [], [], [], []
        self.took = 0

    def result(self, good, name, words=""):
        self.results.append(("passed" if good else "failed", name, ""))
        if not good and words:
            self.words.append(f"{name}: {words}")

    def at_least(self, *version):
        return tuple(int(n) for n in re.findall(r"\d+", self.version)[:2]) >= version

    def owners(self, scratch):
        # The second one takes its time, so that a guest waits for its interrupts.
        return [rig.Owner(scratch, name, "--vf-enable-sticky", "--disk-size", "32M", "--context-bytes", "1M", "-v", *options, vfs=2, enabled=True)
                for name, options in (("a", []), ("b", ["--service-time", "2ms"]))]

    def devices(self, owners):
        """(QEMU options, names for the guest)"""
        options, names, slot = [], [], 0x10
        for suffix, owner in zip(("", "_b"), owners):
            for function in ["pf"] + [f"vf{n}" for n in range(1, owner.vfs + 1)]:
                options += vfio_user(owner.dir / ("pf0.sock" if function == "pf" else f"{function}.sock"), slot)
                names.append(f"vferry.{function}{suffix}=0000:00:{slot:02x}.0")
                slot += 1
        # SR-IOV as the kernel sees it: QEMU hides that of a vfio-user device.
        options += ["-device", "pcie-root-port,id=port1,chassis=1,addr=5.0", "-device", "igb,id=igb,bus=port1,addr=0.0"]
        # Two that share an IOMMU group, for they stand behind one bridge.
        options += ["-device", "pcie-pci-bridge,id=bridge,addr=6.0", "-device", "edu,bus=bridge,addr=1.0",
                    "-device", "virtio-rng-pci,bus=bridge,addr=2.0"]
        return options, [*names, "vferry.igb=0000:01:00.0", "vferry.edu=0000:02:01.0", "vferry.rng=0000:02:02.0"]

    def begin(self, scratch, owners, programs):
        """QEMU, its serial line in self.serial."""
        options, names = self.devices(owners)
        initrd = scratch / "initrd"
        with open(initrd, "wb") as out:
            # The last one says what may be done with the root folder.
            for part in (self.files / "modules.cpio", self.files / "kmod.cpio", programs):
                if part.exists():
                    out.write(part.read_bytes())
        command = [self.args.guest / "qemu/run", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
                   "-M", "q35,kernel-irqchip=split,memory-backend=mem0", "-m", "768M", "-smp", "2",
                   "-object", "memory-backend-memfd,id=mem0,size=768M,share=on",
                   "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max,-la57",
                   *self.iommu, *options,
                   "-kernel", self.files / "vmlinux", "-initrd", initrd, "-append", " ".join([BOOT + (DEBUG if self.version.startswith("debug") else ""), f"vferry.limit={self.args.limit - 20}", *names])]
        self.serial = scratch / "serial"
        with open(self.serial, "w") as out:
            return scratch.start(command, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)

    def while_it_runs(self, scratch, owners, process):
        """What the host does meanwhile."""

    def boot(self, scratch, programs):
        owners = self.owners(scratch)
        process = self.begin(scratch, owners, programs)
        try:
            self.while_it_runs(scratch, owners, process)
            process.wait(self.args.limit)
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            self.result(False, "the guest and the host got along", str(error))
            process.kill()
            process.wait()
        for owner in owners:
            self.result(owner.process.poll() is None, "the owner lives", owner.process.returncode)
            owner.log.seek(0)
            self.words += [f"owner: {line}" for line in owner.log.read().splitlines()]

    def read(self, text):
        inside, complete = False, False
        for line in text.splitlines():
            if line == "-- log begins":
                inside = True
            elif line == "-- log ends":
                inside, complete = False, True
            elif inside:
                self.log.append(line)
            elif match := LINE.match(line):
                name, _, why = match.group(2).partition(" # SKIP")
                self.results.append(("failed" if match.group(1) else "skipped" if why else "passed", name.strip(), why.strip(" :")))
            elif line.startswith("# table"):
                self.tables.append(line[8:])
        self.result(complete, "the guest came to its end")
        self.read_log()

    def read_log(self):
        expected = [line for line in self.log if CAPABILITY_QUERY.match(line)]
        bad = [line for line in self.log if BAD.search(line) and line not in expected]
        self.result(not bad, "the kernel's log is clean", "; ".join(bad[:10]))
        wanted = self.binds if self.at_least(6, 13) else 0
        if not self.args.only:
            self.result(len(expected) == wanted, f"lines about a refused capability query: {wanted}", len(expected))

    def run(self, programs):
        begin = time.monotonic()
        with rig.Scratch() as scratch:
            self.boot(scratch, programs)
            text = self.serial.read_text(errors="replace").replace("\r", "")
        self.read(text)
        self.took = time.monotonic() - begin
        log = self.args.guest / "log" / f"{self.version}-{self.scripts}.log"
        log.write_text("\n".join([text, *self.words, ""]))
        return self

    def show(self):
        name = self.version.split("+")[0].split("-")[0]
        for state, text, why in self.results:
            print(f"{state:8}{name}: {text}{f' ({why})' if why else ''}")
        for row in self.tables:
            print(f"        {name}: {row}")
        if any(state == "failed" for state, _, _ in self.results):
            print("\n".join(f"#       {words}" for words in self.words))
        print(f"        {name}: {self.took:.0f} s, {self.args.guest}/log/{self.version}-{self.scripts}.log", flush=True)
