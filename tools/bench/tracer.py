# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What being watched costs: a move with the tracer attached beside one without, and the tracer beside a bpftrace
script that shows the same table."""
import contextlib, json, os, pathlib, shutil, signal, subprocess, time

import rig
from stats import cpu_of

COMMANDS = 50021
WATCHED_SECONDS = 150

# bpftrace 0.17 reads six arguments of a probe: it can take the end from its own clock, and has neither bytes nor the split.
SCRIPT = """
usdt:%s:vferry:admin_complete {
  $op = arg1 & 0xffff; $latency = nsecs - arg5;
  @count[pid, $op] = count(); @max[pid, $op] = max($latency);
  @latency[pid, $op] = hist($latency); @status[pid, $op, arg3 & 0xffff] = count();
}
usdt:%s:vferry:mode { printf("%%llu %%d vf %%d %%d -> %%d in %%d\\n", nsecs, pid, arg1, arg2, arg3, arg5 - arg4); }
interval:s:1 { print(@count); print(@max); print(@latency); print(@status); }
BEGIN { printf("ready\\n"); }
"""


def programs():
    """BPF programs by id: (runs, nanoseconds)."""
    text = subprocess.run(["bpftool", "prog", "show", "-j"], capture_output=True, text=True, check=True).stdout
    return {p["id"]: (p.get("run_cnt", 0), p.get("run_time_ns", 0)) for p in json.loads(text or "[]")}


@contextlib.contextmanager
def statistics_of_bpf():
    path = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = path.read_text()
    path.write_text("1")
    try:
        yield
    finally:
        path.write_text(before)


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024
    return 0


def ours(scratch):
    """The tracer as a user starts it; seconds until its first line."""
    begin = time.monotonic()
    process = scratch.start([rig.program("vferry"), "trace", "--see", "engine", "1"], stdout=subprocess.PIPE)
    rig.read_line(process.stdout)
    took = time.monotonic() - begin
    drain(process)
    return process, took


def drain(process):
    """Its output goes nowhere, so that it never waits for us."""
    process.sink = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)


def theirs(scratch, helper):
    begin = time.monotonic()
    process = scratch.start(["bpftrace", "-e", SCRIPT % (helper, helper)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    line = " "
    while line and "ready" not in line:
        line = rig.read_line(process.stdout)
    if not line:
        raise AssertionError("bpftrace did not start")
    took = time.monotonic() - begin
    drain(process)
    return process, took


def measured(scratch, owner, helper, start):
    before = programs()
    process, took = start(scratch)
    new = programs().keys() - before.keys()
    cpu = cpu_of(process.pid)
    done = rig.run([helper, owner.address, 1, COMMANDS], env=scratch.env)
    if done.returncode:
        raise AssertionError(f"commands: {done.stderr}")
    time.sleep(1.2)  # one more table
    cpu = cpu_of(process.pid) - cpu
    now = programs()
    bpf = sum(now[i][1] for i in new if i in now) / 1e9
    memory = resident(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    process.sink.wait(60)
    return {"bpf": bpf, "cpu": cpu, "start": took, "rss": memory}


def bench_cost(args):
    """Per command: the programs' own run time by the kernel's BPF statistics, and the tracer's CPU. The trap is the same for both."""
    if not shutil.which("bpftrace"):
        raise AssertionError("bpftrace is not installed")
    helper = rig.build() / "tests/helpers/commands"
    rows = []
    with rig.Scratch("vferry-bench-") as scratch, statistics_of_bpf():
        owner = rig.Owner(scratch, "o", vfs=4)
        scratch.keeper(owner, 4)
        for number in range(max(args.pairs, 5)):
            a = measured(scratch, owner, helper, ours)
            b = measured(scratch, owner, helper, lambda s: theirs(s, helper))
            rows.append({
                "name": "trace-cost", "pair": number, "commands": COMMANDS,
                "ours_bytes": 0, "plain_bytes": 0, "ours_seconds": a["bpf"] + a["cpu"], "plain_seconds": b["bpf"] + b["cpu"],
                "ours_bpf_ns": a["bpf"] * 1e9 / COMMANDS, "plain_bpf_ns": b["bpf"] * 1e9 / COMMANDS,
                "ours_cpu_ns": a["cpu"] * 1e9 / COMMANDS, "plain_cpu_ns": b["cpu"] * 1e9 / COMMANDS,
                "ours_start_seconds": a["start"], "plain_start_seconds": b["start"],
                "ours_rss_bytes": a["rss"], "plain_rss_bytes": b["rss"]})
    return rows


def half(scratch, sides, move_once, watched):
    """A move to and one back, with the tracer attached or without: seconds, bytes and CPU of both, and the tracer's own CPU."""
    process = ours(scratch)[0] if watched else None
    before = cpu_of(process.pid) if process else 0
    moves = [move_once(scratch, *sides), move_once(scratch, *reversed(sides))]
    own = cpu_of(process.pid) - before if process else 0
    if process:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        process.sink.wait(60)
    return [sum(move[key] for move in moves) for key in ("ours_seconds", "ours_bytes", "ours_cpu_seconds")] + [own]


def bench_watched(args, move_once):
    """Moves with the tracer attached and without, in the order A B B A, so that a drift of the machine falls on both; two pairs of neighbours a
    round. As many as fit into WATCHED_SECONDS, not fewer than 20."""
    rows = []
    with rig.Scratch("vferry-bench-") as scratch:
        sides = [rig.Owner(scratch, name, "--context-bytes", "512M", vfs=1) for name in ("a", "b")]
        for owner in sides:
            scratch.keeper(owner, 1)
        for watched in (True, False):  # by then all memory has been touched
            half(scratch, sides, move_once, watched)
        end = time.monotonic() + WATCHED_SECONDS
        while len(rows) < max(args.pairs, 20) or time.monotonic() < end:
            halves = [(watched, half(scratch, sides, move_once, watched)) for watched in (True, False, False, True)]
            for pair in (halves[:2], halves[2:]):
                row = {"name": "traced", "pair": len(rows)}
                for watched, values in pair:
                    which = "ours" if watched else "plain"
                    row |= zip((f"{which}_seconds", f"{which}_bytes", f"{which}_cpu_seconds", f"{which}_tracer_cpu_seconds"), values)
                rows.append(row)
    return rows


def bench_idle(args):
    """A probe that nobody has attached to, beside the same loop without it."""
    helper = rig.build() / "tests/helpers/probes"
    rows = []
    for number in range(max(args.pairs, 10)):
        done = rig.run([helper])
        values = json.loads(done.stdout)
        rows.append({"name": "probe-idle", "pair": number, "ours_bytes": 0, "plain_bytes": 0,
                     "ours_seconds": values["with_probe_ns"] / 1e9, "plain_seconds": values["without_ns"] / 1e9,
                     "probe_ns": values["with_probe_ns"] - values["without_ns"]})
    return rows
