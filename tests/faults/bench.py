# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two sides, as two hosts would be: an owner, a keeper and a folder of journals each; and what an operator does after a
mishap. They serve many cases, a VF pair for each."""
import contextlib, json, os, pathlib, signal, socket, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from rig import LIMIT, Owner, Scratch, Standin, free_port, listening, mode_in, program, run, stop

VFERRY = program("vferry")
TIMEOUT = "1s"
CASE_LIMIT = 40.0  # seconds until both engines must have ended by themselves


class Side:
    def __init__(self, bench, name, options, vfs, run_size):
        self.scratch, self.name = bench.scratch, name
        self.options, self.vfs = options, vfs
        self.run = self.scratch / f"run-{name}"
        self.run.mkdir()
        self.mounted = False
        if run_size:
            done = run(["mount", "-t", "tmpfs", "-o", f"size={run_size},mode=0755", "none", self.run])
            if done.returncode:
                raise Skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
            self.mounted = True
        spool = self.scratch / f"spool-{name}"
        spool.mkdir()
        self.env = dict(os.environ, VFERRY_RUN_DIR=str(self.run), VFERRY_SPOOL_DIR=str(spool))
        self.start()

    def start(self):
        options = ("--context-bytes", "512K", "--disk-size", "4M", "--admin-queues", "4", *self.options)
        self.owner = Owner(self.scratch, self.name, *options, vfs=self.vfs, enabled=True, disk=self.scratch / "disk%d.img")
        self.address = self.owner.address
        self.keep()

    def keep(self):
        done = run([VFERRY, "keep", self.address, "--vfs", self.vfs], env=self.env)
        if done.returncode:
            raise AssertionError(f"vferry keep ended with {done.returncode}: {done.stderr}")

    def keeper_pid(self):
        """The keeper is whoever listens in our run folder: looked up by that socket, ended by its id."""
        with contextlib.suppress(OSError):
            for path in (self.run / "keep").glob("*.sock"):
                with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
                    probe.connect(str(path))
                    return int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4], sys.byteorder)
        return None

    def end(self):
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([VFERRY, "keep", self.address, "--stop"], env=self.env, timeout=30, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stop(self.owner.process)
        self.owner.close()
        if self.mounted:
            run(["umount", "-l", self.run])

    def journals(self):
        folder = self.run / "journal"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def mode(self, vf):
        got = run([VFERRY, "-o", "json", "admin", self.address, "mode", "get", "--vf", vf], env=self.env, limit=30)
        if got.returncode:
            return f"exit {got.returncode}: {got.stderr.strip()}"
        return mode_in(json.loads(got.stdout))

    def recover(self, *options, env=None):
        done = run([VFERRY, "-o", "json", "recover", "--timeout", TIMEOUT, *options], env=env or self.env, limit=60)
        return Result(done.returncode, done.stdout, done.stderr)


class Skip(Exception):
    pass


class Bench:
    """Two sides; VFs are used up one by one."""

    def __init__(self, a=(), b=(), vfs=24, run_size=None, each=1):
        self.scratch = Scratch("vff-")
        self.vfs, self.next, self.each = vfs, 1, each
        self.sides = []
        try:
            for name, options in (("a", a), ("b", b)):
                self.sides.append(Side(self, name, options, vfs, run_size if name == "b" else None))
        except BaseException:
            self.end()
            raise
        self.a, self.b = self.sides
        self.spoiled = False

    def take(self):
        """A VF for a case, or the VFs of its group, as --vf takes them."""
        vf, self.next = self.next, self.next + self.each
        return f"{vf}-{vf + self.each - 1}" if self.each > 1 else vf

    def used_up(self):
        return self.spoiled or self.next > self.vfs

    def end(self):
        for side in self.sides:
            side.end()
        self.scratch.end()


def members(vf):
    first, _, last = str(vf).partition("-")
    return range(int(first), int(last or first) + 1)


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        try:
            self.data = json.loads(out) if out.strip() else {}
        except ValueError:
            self.data = {}
        lines = [line for line in err.splitlines() if line.startswith("{")]
        try:
            self.error = json.loads(lines[-1]) if lines else {}
        except ValueError:
            self.error = {}

    def words(self):
        return self.error.get("message", "") or self.err.strip()

    def __str__(self):
        return f"exit {self.status}\n{self.out[:1500]}\n{self.err[:1500]}"


def stopped(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:
        return False


class Move:
    """One move with whatever was asked for in its way."""

    def __init__(self, bench, guest, vf, send=(), recv=(), env_a=None, env_b=None, to=None, limits_a=(), limits_b=(),
                 stop_seconds=1.4):
        self.bench, self.guest, self.vf = bench, guest, vf
        self.port = free_port()
        self.peer = f"tcp:127.0.0.1:{self.port}"
        self.to = to(self.port) if to else self.peer
        self.stop_seconds = stop_seconds
        self.stops = {}
        self.receiver = self.start(bench.b, [*limits_b, VFERRY, "-o", "json", "recv", bench.b.address, "--vf", vf, "--from",
                                             self.peer, "--timeout", TIMEOUT, "--hook-timeout", "2s", *recv], env_b)
        end = time.monotonic() + LIMIT
        while not listening(self.peer) and self.receiver.poll() is None:
            if time.monotonic() > end:
                raise AssertionError("the receiver does not listen")
            time.sleep(0.005)
        self.sender = self.start(bench.a, [*limits_a, VFERRY, "-o", "json", "send", bench.a.address, "--vf", vf, "--to",
                                           self.to, "--timeout", TIMEOUT, "--hook-timeout", "2s", "--chunk", "64K", *send], env_a)

    def start(self, side, command, extra):
        out, err = (open(self.bench.scratch / f"{side.name}-{name}", "w+") for name in ("out", "err"))
        process = self.bench.scratch.start(command, env=dict(side.env, **(extra or {})), stdout=out, stderr=err)
        process.files = (out, err)
        return process

    def watch(self, process):
        """A process that was stopped is continued after a while."""
        if process.poll() is not None:
            return
        now = time.monotonic()
        if stopped(process.pid):
            since = self.stops.setdefault(process.pid, now)
            if now - since > self.stop_seconds:
                process.send_signal(signal.SIGCONT)
                del self.stops[process.pid]

    def wait(self, during=None):
        """Both to their end; what they said, and whether one had to be ended."""
        begin, alone, forced = time.monotonic(), None, []
        while self.sender.poll() is None or self.receiver.poll() is None:
            for process in (self.sender, self.receiver):
                self.watch(process)
            if during:
                during(self)
            now = time.monotonic()
            if self.sender.poll() is not None and self.receiver.poll() is None:
                alone = alone or now
                # A receiver that nobody has offered anything waits for the next source: that is its job.
                if now - alone > (8.0 if self.bench.b.journals() else 2.5) and not self.stops:
                    self.receiver.terminate()
                    alone = now + 1000
            if now - begin > CASE_LIMIT:
                for name, process in (("send", self.sender), ("recv", self.receiver)):
                    if process.poll() is None:
                        forced.append(name)
                        process.kill()
                        process.wait()
            time.sleep(0.01)
        return self.result(self.sender), self.result(self.receiver), forced

    def result(self, process):
        self.bench.scratch.processes.remove(process)
        texts = []
        for file in process.files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Result(process.returncode, *texts)


def settle(bench, move, vf):
    """What an operator does: recover on both sides; while something is open, a receiver that can be asked. The words of
    each try."""
    said = []
    for side in bench.sides:
        if side.journals():
            said.append((side.name, side.recover()))
    for _ in range(3):
        if not any(side.journals() for side in bench.sides):
            break
        receiver = move.start(bench.b, [VFERRY, "-o", "json", "recv", bench.b.address, "--vf", vf, "--from", move.peer,
                                        "--timeout", TIMEOUT], None)
        end = time.monotonic() + 20
        while not listening(move.peer) and receiver.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        if bench.a.journals():
            said.append(("a", bench.a.recover("--peer", move.peer)))
        if receiver.poll() is None:
            receiver.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            receiver.wait(20)
        stop(receiver)
        said.append(("recv", move.result(receiver)))
        if bench.b.journals():
            said.append(("b", bench.b.recover()))
    return said
