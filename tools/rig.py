# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What system tests, the demo and the bench share: TAP, processes that are ended by their id, owner devices and
stand-ins. Every wait is bounded."""
import ctypes, json, os, pathlib, select, signal, socket, subprocess, sys, tempfile, time, traceback

LIMIT = 120.0  # seconds; for waits that end much sooner when all is well

# A shell starts what runs in the background with SIGINT ignored, and every child of ours would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Tap:
    """with Tap() as tap: tap.ok(...). Ends the process with the right status."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, *details):
        self.count += 1
        self.failed += not good
        print(f"{'' if good else 'not '}ok {self.count} - {name}", flush=True)
        if not good:
            for detail in details:
                for line in str(detail).splitlines():
                    print(f"# {line}", flush=True)
        return good

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def run(self, *tests):
        """Each test is a function of this object; an exception fails it and the next goes on."""
        for test in tests:
            try:
                test(self)
            except Exception:
                self.ok(False, f"{test.__name__}: {test.__doc__ or 'no exception'}", traceback.format_exc())
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


def build():
    return pathlib.Path(os.environ.get("VFERRY_BUILD", "build")).resolve()


def program(name):
    return str(build() / name)


def until(condition, what, limit=LIMIT):
    """Wait for a condition; an AssertionError names what never came."""
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {limit:.0f} s for {what}")
        time.sleep(0.01)
    return value


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end_with_parent():
    """For a child: SIGTERM when whoever started it dies, however it dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


class Scratch:
    """A folder, and processes that are gone when it is left. Sockets fit into sun_path there."""

    def __init__(self, prefix="vferry-"):
        self.holder = tempfile.TemporaryDirectory(prefix=prefix)
        self.path = pathlib.Path(self.holder.name)
        self.processes = []
        self.env = dict(os.environ, VFERRY_RUN_DIR=str(self.path / "run"))
        (self.path / "run").mkdir()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def __str__(self):
        return str(self.path)

    def __truediv__(self, name):
        return self.path / name

    def start(self, command, **options):
        options.setdefault("env", self.env)
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("preexec_fn", end_with_parent)
        # A signal that ends this program must not come between a child's start and its place in the list.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            process = subprocess.Popen([str(word) for word in command], text=True, errors="replace", **options)
            self.processes.append(process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return process

    def keeper(self, owner, vfs):
        """A keeper for an owner, its VFs enabled. It detaches, and is stopped at the end."""
        result = run([program("vferry"), "keep", owner.address, "--vfs", vfs], env=self.env)
        if result.returncode:
            raise AssertionError(f"vferry keep ended with {result.returncode}: {result.stderr}")
        self.keep(owner.address)

    def keep(self, address):
        """A keeper that somebody else starts outlives them: it is to be stopped at the end."""
        self.processes.append(Keeper(self, address))

    def end(self):
        for process in reversed(self.processes):
            stop(process)
        self.processes.clear()
        self.holder.cleanup()


def stop(process, limit=20.0):
    """SIGTERM, then SIGKILL, by its id."""
    if isinstance(process, Keeper):
        return process.stop()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()
    return process.returncode


class Keeper:
    def __init__(self, scratch, address):
        self.scratch, self.address = scratch, address

    def stop(self):
        subprocess.run([program("vferry"), "keep", self.address, "--stop"], env=self.scratch.env, timeout=30,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Owner:
    """A software owner device in a folder of its own."""

    def __init__(self, scratch, name, *options, vfs=8, enabled=False, disk=None):
        self.dir = scratch / name
        self.dir.mkdir(exist_ok=True)
        self.address = f"vfio-user:{self.dir}/pf0.sock"
        self.vfs = vfs
        command = [program("vferry-owner"), "--socket-dir", self.dir, "--vfs", vfs, *options]
        if enabled:
            command.append("--vfs-enabled")
        if disk:
            command += ["--disk", disk]
        self.log = open(scratch / f"{name}.log", "w+")
        self.process = scratch.start(command, stdout=subprocess.PIPE, stderr=self.log)
        line = read_line(self.process.stdout)
        if not line.startswith("ready"):
            self.log.seek(0)
            raise AssertionError(f"vferry-owner did not say ready: {line!r} {self.log.read()}")

    def vf(self, number):
        return f"{self.dir}/vf{number}.sock"

    def close(self):
        """Its files; the process is the scratch's."""
        self.log.close()
        self.process.stdout.close()


def read_line(pipe, limit=LIMIT):
    """A line from a pipe, or what there was when it ended."""
    end = time.monotonic() + limit
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0, end - time.monotonic()))
        if not ready:
            raise AssertionError(f"no line within {limit:.0f} s, only {text!r}")
        byte = os.read(pipe.fileno(), 1)
        if not byte:
            break
        text += byte
    return text.decode(errors="replace")


class Standin:
    """vferry-standin with a control socket."""

    def __init__(self, scratch, vfs, *options, name="standin"):
        self.scratch, self.name = scratch, name
        self.control = str(scratch / f"{name}.ctl")
        self.out = open(scratch / f"{name}.json", "w+")
        self.log = open(scratch / f"{name}.log", "w+")
        command = [program("vferry-standin"), "--control", self.control, "-o", "json", "-v", *options]
        for vf in vfs if isinstance(vfs, list) else [vfs]:
            command += ["--vf", vf]
        self.process = scratch.start(command, stdout=self.out, stderr=self.log)

    def tell(self, *words):
        """A command on the control socket; its JSON answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(LIMIT)
            connection.connect(self.control)
            connection.sendall((" ".join(str(word) for word in words) + "\n").encode())
            text = b""
            while part := connection.recv(65536):
                text += part
        answer = json.loads(text)
        if isinstance(answer, dict) and answer.get("ok") is False:
            raise AssertionError(answer["error"])
        return answer

    def wait(self, *states, limit=LIMIT):
        """Until every guest is in one of the states. One that failed is an error with its words."""

        def there():
            if self.process.poll() is not None:
                raise AssertionError(f"the stand-in ended: {self.words()}")
            try:
                now = [vf["state"] for vf in self.tell("status")]
            except (FileNotFoundError, ConnectionRefusedError):
                return False  # it does not listen yet
            if "failed" in now and "failed" not in states:
                raise AssertionError(f"a guest failed: {self.words()}")
            return all(state in states for state in now)

        until(there, f"guests to be {' or '.join(states)}", limit)

    def errors(self):
        """How many, or that it has ended."""
        try:
            return sum(vf["io_errors"] for vf in self.tell("status"))
        except OSError:
            return True

    def words(self):
        self.log.seek(0)
        return self.log.read()

    def close(self):
        """Its files; the process is the scratch's."""
        self.out.close()
        self.log.close()

    def end(self, limit=LIMIT):
        """Stop, read back; the report and the exit status."""
        if self.process.poll() is None:
            try:
                self.tell("stop")
            except OSError:
                pass  # it has ended meanwhile
        return self.report(limit)

    def report(self, limit=LIMIT):
        status = self.process.wait(limit)
        self.out.seek(0)
        text = self.out.read()
        if not text:
            raise AssertionError(f"no report, status {status}: {self.words()}")
        return json.loads(text), status


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(peer):
    """Does anybody listen at tcp:127.0.0.1:PORT? Looked up, not connected to: a receiver takes one connection."""
    port = f":{int(peer.rsplit(':', 1)[1]):04X} "
    with open("/proc/net/tcp") as table:
        return any(port in line and line.split()[3] == "0A" for line in table)


def run(command, env=None, limit=LIMIT, **options):
    """A program to its end, with its output."""
    return subprocess.run([str(word) for word in command], env=env, timeout=limit, text=True, errors="replace",
                          stdin=subprocess.DEVNULL, capture_output=True, **options)


MODES = {0: "active", 1: "stop", 2: "freeze"}


def mode_in(document):
    """The first member called mode, wherever it stands."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "mode":
                return value if isinstance(value, str) else MODES.get(value, value)
        for value in document.values():
            if (found := mode_in(value)) is not None:
                return found
    if isinstance(document, list):
        for value in document:
            if (found := mode_in(value)) is not None:
                return found
    return None
