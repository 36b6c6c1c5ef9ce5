# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Two software owners, and what goes on between them: what the tests of vferry send and recv share."""
import json, os, pathlib, subprocess, sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from rig import Owner, mode_in, program, run, until

VFERRY = program("vferry")


class Pair:
    """Two owners, and sends and recvs between them."""

    def __init__(self, scratch, vfs=2, a=(), b=(), context="2M", disk=False):
        self.scratch = scratch
        options = ("--context-bytes", context)
        self.a = Owner(scratch, "a", *options, *a, vfs=vfs, enabled=True, disk=scratch / "disk%d.img" if disk else None)
        self.b = Owner(scratch, "b", *options, *b, vfs=vfs, enabled=True, disk=scratch / "disk%d.img" if disk else None)
        for owner in (self.a, self.b):
            scratch.keeper(owner, vfs)
        self.peers = 0

    def recv(self, peer, vf="1", *options, timeout="20s", **how):
        command = [VFERRY, "-o", "json", "recv", self.b.address, "--vf", vf, "--from", peer, "--timeout", timeout, *options]
        process = self.scratch.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
        return process

    def send(self, peer, vf="1", *options, limit=120, **how):
        return result(run([VFERRY, "-o", "json", "send", self.a.address, "--vf", vf, "--to", peer, "--timeout", "20s",
                           *options], env=self.scratch.env, limit=limit, **how))

    def send_start(self, peer, vf="1", *options, timeout="20s", **how):
        command = [VFERRY, "-o", "json", "send", self.a.address, "--vf", vf, "--to", peer, "--timeout", timeout, *options]
        return self.scratch.start(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)

    def socket(self):
        self.peers += 1
        return f"unix:{self.scratch}/p{self.peers}.sock"

    def there(self, peer):
        path = peer.removeprefix("unix:")

        def listens():
            # The path is there before anybody listens.
            with open("/proc/net/unix") as table:
                return any(line.split()[7:] == [path] and int(line.split()[3], 16) & 0x10000 for line in table)

        until(listens, f"{peer} to be listened on")

    def move(self, vf="1", to=None, send=(), recv=()):
        """One move over a unix socket; both results."""
        peer = self.socket()
        receiver = self.recv(peer, to or vf, *recv)
        self.there(peer)
        sent = self.send(peer, vf, *send)
        return sent, end(receiver)

    def mode(self, owner, vf=1):
        got = run([VFERRY, "-o", "json", "admin", owner.address, "mode", "get", "--vf", vf], env=self.scratch.env)
        if got.returncode:
            return f"exit {got.returncode}: {got.stderr}"
        return mode_in(json.loads(got.stdout))

    def journals(self):
        folder = self.scratch / "run" / "journal"
        return sorted(path.name.split(".", 1)[1] for path in folder.iterdir()) if folder.is_dir() else []

    def recover(self, *options):
        return result(run([VFERRY, "-o", "json", "recover", "--timeout", "5s", *options], env=self.scratch.env))


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err
        self.data = json.loads(out) if out.strip() else {}
        lines = [line for line in err.splitlines() if line.startswith("{")]
        self.error = json.loads(lines[-1]) if lines else {}

    def __str__(self):
        return f"exit {self.status}\n{self.out[:2000]}\n{self.err[:2000]}"

    def vf(self, n=0):
        return (self.data.get("vfs") or self.error.get("vfs"))[n]


def result(process):
    return Result(process.returncode, process.stdout, process.stderr)


def end(process, limit=60):
    out, err = process.communicate(timeout=limit)
    return Result(process.returncode, out, err)


def good(sent, received, vfs=1):
    return (sent.status == 0 and received.status == 0
            and all(sent.vf(n)["outcome"] == "moved" and received.vf(n)["outcome"] == "moved" for n in range(vfs)))
