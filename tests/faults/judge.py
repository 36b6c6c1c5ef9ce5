# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The invariants, after a fault and after recover."""
import json, time
from bench import members, settle
from rig import stop, until


def gone(case):
    """The side whose owner lost its state: its copy is gone, whatever else happens."""
    return case["side"] if case["group"] == "death" else None


def settled(bench, case, move, vf, said, wrong):
    lost = gone(case)
    if lost:
        side = getattr(bench, lost)
        if case["who"] == "owner":
            stop(side.owner.process)
            for _ in range(100):
                if side.keeper_pid() is None:
                    break
                time.sleep(0.05)
            side.start()
        else:
            until(lambda: side.keeper_pid() is None, "the keeper's end")
            side.keep()
    said += settle(bench, move, vf)
    if lost and getattr(bench, lost).journals():
        # Said by name first; only then, told to, deleted.
        text = " ".join(result.out + result.err for _, result in said)
        if "epoch" not in text and "last boot" not in text:
            wrong.append("a journal of a copy that is gone was not called so")
        said.append((lost, getattr(bench, lost).recover("--abort")))
        said += settle(bench, move, vf)


def unreturnable(bench, said):
    """The named exception: a device whose READ clears, and an engine that died before all that it gave was kept."""
    return any("it must be reset" in result.out for _, result in said)


def statuses(case, sent, received, place, wrong):
    if sent.status == 0 and place != "b":
        wrong.append(f"send exits 0, but the VF is Active at {place}")
    if received.status == 0 and place != "b":
        wrong.append(f"recv exits 0, but the VF is Active at {place}")
    if sent.status in (1, 3, 5, 6, 130) and place == "b":
        wrong.append(f"send exits {sent.status} (taken back), but the destination has the VF")
    if received.status in (1, 3, 5, 6, 130) and place == "b":
        wrong.append(f"recv exits {received.status} (refused), but the destination has the VF")
    for name, result in (("send", sent), ("recv", received)):
        if result.status > 0 and not result.words():
            wrong.append(f"{name} exits {result.status} without a word")
        # A limit so low that the loader gives up before the program begins.
        never_ran = case["group"] == "limit" and result.status == 127 and "loading shared libraries" in result.err
        if result.status not in (0, 1, 3, 5, 6, 7, 130, 143, -9) and not never_ran:
            wrong.append(f"{name} ends with status {result.status}")


def mode_of(side, vf):
    """Of a group: the one that all are in, or all that there are."""
    return " and ".join(sorted({side.mode(one) for one in members(vf)}))


def judge(bench, case, guest, move, vf, sent, received, forced, said, met):
    """What is wrong, and the outcome in a few words."""
    wrong = []
    lost = gone(case) if met else None
    for name in forced:
        wrong.append(f"{name} did not end by itself")
    if lost or not met and case["group"] == "death":
        settled(bench, case if met else dict(case, group="none"), move, vf, said, wrong)
    else:
        said += settle(bench, move, vf)
    journals = bench.a.journals() + bench.b.journals()
    kept = unreturnable(bench, said)
    if journals and not kept:
        wrong.append(f"journals are left: {journals}")
    mode_a, mode_b = mode_of(bench.a, vf), mode_of(bench.b, vf)
    place = "a" if mode_a == "active" else "b"
    ends = f"send {sent.status}, recv {received.status}"
    if kept:
        bench.spoiled = True
        guest.process.kill()
        guest.process.wait()
        outcome = f"kept images lost ({ends})"
        if mode_a == "active":
            wrong.append("the source is Active without what it had read")
    elif lost:
        # Where the copy was lost, the guest's device is: only modes and journals can be looked at.
        guest.process.kill()
        guest.process.wait()
        outcome = f"copy at {lost} gone ({ends})"
        if lost == "b" and mode_a not in ("active", "freeze"):
            wrong.append(f"the source's VF is {mode_a}")
    else:
        if case.get("pause"):
            guest.tell("resume")
        # What a refused group's VF had taken over stays there, in Freeze.
        rests = ("freeze", "active and freeze") if bench.each > 1 and place == "a" else ()
        if mode_a not in ("active", "freeze") or mode_b not in ("active", *rests):
            wrong.append(f"modes: source {mode_a}, destination {mode_b}")
        statuses(case, sent, received, place, wrong)
        io(guest, place, wrong)
        outcome = f"{'moved' if place == 'b' else 'taken back'} ({ends})"
    point = case.get("point", "")
    if kept and point.startswith(("source-", "recover-")) and point != "source-frame-came":
        wrong.append("the keeper holds all that the device gave, and it was not put back")
    if wrong:
        wrong.append(f"send: {sent}\nrecv: {received}\n" + "\n".join(f"recover {side}: {result}" for side, result in said)
                     + f"\nmodes {mode_a} {mode_b}")
    return wrong, outcome


def io(guest, place, wrong):
    """The guest goes on where its VF is, and every block is there."""
    try:
        before = [vf["io"] for vf in guest.tell("status")]
        until(lambda: all(vf["io"] > then + 20 for vf, then in zip(guest.tell("status"), before)), "I/O to go on", 30)
        report, status = guest.end(60)
        served = [vf["io_after"] for vf in report["vfs"]]
        after = min(served) if place == "b" else max(served)
        if status or not report["verified"]:
            wrong.append(f"the stand-in: exit {status}, {json.dumps(report)[:1500]}\n{guest.words()[-1000:]}")
        elif (after > 0) != (place == "b"):
            wrong.append(f"modes say that the VF is at {place}, but {after} requests were served by the destination")
    except Exception as why:
        wrong.append(f"the guest: {type(why).__name__}: {why}\n{guest.words()[-1500:]}")
        if guest.process.poll() is None:
            guest.process.kill()
            guest.process.wait()
    finally:
        if guest.process in guest.scratch.processes:
            guest.scratch.processes.remove(guest.process)
