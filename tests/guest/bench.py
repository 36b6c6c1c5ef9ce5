# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a command costs over each way to an owner, as ratios: under an emulated processor nothing else means anything."""
import json, statistics
from guest import Guest, rig, vfio_user


class Bench(Guest):
    scripts = "bench"
    binds = 0

    def owners(self, scratch):
        slow = next((word[8:] for word in self.args.set if word.startswith("service=")), "0us")
        return [rig.Owner(scratch, "a", "--vf-enable-sticky", "--context-bytes", "8M", "--service-time", slow, "-v", vfs=2, enabled=True)]

    def devices(self, owners):
        return vfio_user(owners[0].dir / "pf0.sock", 0x10), ["vferry.pf=0000:00:10.0"] + [f"vferry.{word}" for word in self.args.set]

    def read(self, text):
        super().read(text)
        rates, cpu = {}, {}
        for line in text.splitlines():
            if not line.startswith("-- bench "):
                continue
            way, row = line[9:].split(" ", 1)
            row = json.loads(row)
            if "ours_seconds" in row:  # a context, pipelined, and one chunk at a time
                for name, side in ((way, "ours"), (f"{way}-one-at-a-time", "plain")):
                    rates.setdefault(name, []).append(row[f"{side}_bytes"] / row[f"{side}_seconds"])
            else:
                rates.setdefault(way, []).append(row["commands"] / row["seconds"])
                cpu.setdefault(way, []).append(row["cpu_seconds"] / row["commands"])
        for name, values in rates.items():
            base = rates.get("vfio-context" if "context" in name else "synchronous")
            if not base:
                continue
            ratios = [value / other for value, other in zip(values, base)]
            words = f"{name:32} {statistics.median(ratios):6.2f} ({min(ratios):.2f} to {max(ratios):.2f}) times "
            words += "vfio's context bytes a second" if "context" in name else "synchronous commands a second"
            if name in cpu:
                words += f"; {statistics.median(cpu[name]) / statistics.median(cpu['synchronous']):.2f} of its CPU a command"
            self.tables.append(words)
        self.result("uring-cmd-8" in rates and "synchronous" in rates, "ways were measured")
