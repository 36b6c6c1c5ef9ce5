# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The guest does not notice: its VF goes from one owner process to another and back while its kernel does checked I/O on it. The
connection is handed over between two messages (vferry-owner --take-over), which stands in for a VMM that connects anew."""
import json, statistics
from guest import HERE, Guest, rig, vfio_user


class Moves(Guest):
    scripts = "moves"
    binds = 0

    def __init__(self, args, version, count):
        super().__init__(args, version)
        self.count = count
        self.moves = []
        self.not_lent = 0
        # With the emulated IOMMU each request costs a message to map and one to unmap: memory that comes and goes, but few requests.
        # The long run is without it.
        if count > 10:
            self.iommu = []

    def owners(self, scratch):
        disk = scratch / "disk.img"
        owners = [rig.Owner(scratch, name, "--take-over", "--context-bytes", "256K", "-v", vfs=1, enabled=True, disk=disk)
                  for name in ("a", "b")]
        for owner in owners:
            scratch.keeper(owner, 1)
        return owners

    def devices(self, owners):
        return vfio_user(owners[0].vf(1), 0x10), ["vferry.vf1=0000:00:10.0"]

    def move(self, scratch, source, target):
        peer = f"tcp:127.0.0.1:{rig.free_port()}"
        hook = f"{HERE}/hand-over {source.dir} 1 {target.dir} 1"
        with open(scratch / "recv.json", "w+") as out, open(scratch / "recv.err", "w+") as err:
            receiver = scratch.start([rig.program("vferry"), "recv", target.address, "--vf", "1", "--from", peer, "--hook", hook, "-o", "json",
                                      "--wait", "--timeout", "60s"],
                                     stdout=out, stderr=err)
            rig.until(lambda: rig.listening(peer) or receiver.poll() is not None, "vferry recv to listen")
            # An owner that is busy with its guest can keep its keeper waiting for longer than a borrower waits. Counted, not hidden.
            for _ in range(6):
                sent = rig.run([rig.program("vferry"), "send", source.address, "--vf", "1", "--to", peer, "-o", "json",
                                "--wait", "--timeout", "60s"], env=scratch.env)
                if sent.returncode != 6 or "has not lent in time" not in sent.stderr:
                    break
                self.not_lent += 1
            if sent.returncode:
                rig.stop(receiver)  # it would wait for another source
            receiver.wait(120)
            scratch.processes.remove(receiver)
            err.seek(0)
            if sent.returncode or receiver.returncode:
                raise AssertionError(f"move {len(self.moves) + 1}: send {sent.returncode}: {sent.stderr} recv {receiver.returncode}: {err.read()}")
        vf = json.loads(sent.stdout)["vfs"][0]
        self.moves.append({"downtime_ns": vf["downtime_ns"], "context_bytes": vf["context_bytes"], "to": target.dir.name})

    def while_it_runs(self, scratch, owners, process):
        rig.until(lambda: "-- io begins" in self.serial.read_text(errors="replace") or process.poll() is not None, "the guest's I/O", 120)
        a, b = owners
        try:
            for _ in range(self.count):
                self.move(scratch, a, b)
                a, b = b, a
        finally:
            process.stdin.write("stop\n")
            process.stdin.flush()

    def read(self, text):
        super().read(text)
        self.result(len(self.moves) == self.count, f"{self.count} moves from one owner process to the other", len(self.moves))
        line = next((line[6:] for line in text.splitlines() if line.startswith('-- io {"')), None)
        if not line or not self.moves:
            return
        io = json.loads(line)
        seen = sorted(io["slow_ns"], reverse=True)[:self.count]
        downtimes = [move["downtime_ns"] for move in self.moves]
        document = {"schema": "vferry.guest_moves", "schema_version": 1, "kernel": self.version, "moves": self.moves, "guest": io}
        (self.args.guest / "log" / f"{self.version}-moves.json").write_text(json.dumps(document, indent=1) + "\n")
        if self.not_lent:
            self.tables.append(f"{self.not_lent} sends found that the keeper did not lend in time, and were begun again")
        self.tables.append(f"{len(self.moves)} moves, {io['requests']} requests of the guest; downtime by vferry: median "
                           f"{statistics.median(downtimes) / 1e6:.1f} ms, longest {max(downtimes) / 1e6:.1f} ms; the guest's slowest requests of "
                           f"one thread: median {statistics.median(seen or [0]) / 1e6:.1f} ms, longest {io['longest_ns'] / 1e6:.1f} ms")
