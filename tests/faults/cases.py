# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Which faults there are, and where each can be met."""
import os, random, subprocess
import peer
from bench import VFERRY

KINDS = ("kill", "stop", "stall", "err", "refuse", "disconnect")

# How a point is reached that a good run does not pass. Values: what prepares it, and the side whose engine meets it.
RECOVER = {
    "recover-open": ("source-frozen:kill", "a"),
    "recover-discarded": ("source-frozen:kill", "a"),
    "recover-back": ("source-frozen:kill", "a"),
    "recover-restored": ("source-loaded:kill", "a"),
    "recover-gone": ("source-before-gone:kill", "a"),
    "recover-refused": ("destination-granted:kill", "b"),
    "recover-group-open": ("source-group-loaded:kill", "a"),
    "recover-group-decided": ("destination-group-committed:kill", "b"),
    "recover-group-frozen": ("destination-group-committed:kill", "b"),
    "recover-group-refused": ("destination-group-committed:kill", "b"),
    "recover-group-gone": ("source-group-before-gone:kill", "a"),
}
BACK = ("source-back", "source-undo", "destination-undo", "destination-discarded", "destination-refused")
# Points of the hand-off of a group, met only with --together: those on its way back, and those behind which one VF may be Active.
GROUP_BACK = ("destination-group-undo", "destination-group-frozen", "destination-group-refuse", "destination-group-refused",
              "destination-group-discarded")
GROUP_ACTIVE = ("destination-group-one-committed", "destination-group-committed", "destination-group-one-active")
GROUP_BOTH = ("group-before-leader", "group-follow")
# Points that a group passes like a single VF, but for the names above.
SHARED = ("source-offer", "source-accepted", "source-pass-done", "source-stop", "source-stopped", "source-freeze", "source-frozen",
          "source-loaded", "source-frame-came", "destination-frame-came", "destination-loading", "destination-frozen",
          "destination-accept", "destination-staged", "destination-loaded", "destination-before-active", "destination-active",
          "destination-done", "journal-empty", "journal-write", "journal-written", "journal-remove", "lane-command", "lane-answer",
          "lane-say", "chunk-read", "chunk-write")
# Points that either side passes, several times.
BOTH = ("journal-empty", "journal-write", "journal-written", "journal-remove", "lane-command", "lane-answer", "lane-say")
OFTEN = {"journal-write": 8, "journal-written": 8, "journal-remove": 1, "lane-command": 6, "lane-answer": 6, "lane-say": 4,
         "chunk-read": 12, "chunk-write": 12, "source-frame-came": 4, "destination-frame-came": 12}

DEVICE = [f"{what},op={op},at={at}" for op, ats in (("dev_mode_set", (1, 2, 3)), ("dev_ctx_read", (1, 3, 9)),
                                                  ("dev_ctx_write", (1, 4)), ("dev_ctx_discard", (1, 2)),
                                                  ("dev_ctx_size_get", (1, 2, 3)))
          for at in ats for what in ("status=einval", "status=enomem", "eagain=3", "silence", "lost-answer", "slow=300ms",
                                     "garbage-status", "used=garbage", "slow=1500ms")]
DEVICE += [f"{what},at={at}" for at in (1, 4, 9) for what in ("short-read", "odd-read", "context-len=beyond",
                                                              "context-len=garbage", "context-len=8")]
WHEN = ("source-accepted", "source-stopped", "source-frozen", "source-released", "destination-loaded", "destination-granted",
        "destination-active")

GROUP_WHEN = ("source-accepted", "source-stopped", "source-frozen", "source-group-release", "source-group-released",
              "destination-loaded", "destination-group-granted", "destination-group-one-committed", "destination-group-committed",
              "destination-active")


def points():
    """What the linker has collected."""
    done = subprocess.run([VFERRY], env=dict(os.environ, VFERRY_FAULT="list"), text=True, capture_output=True)
    return sorted(set(done.stdout.split())) if done.returncode == 0 else []


def side_of(point):
    if point.startswith("destination") or point == "chunk-write":
        return "b"
    return "a"


def case(group, where, fault, bench="plain", **more):
    return dict(group=group, where=where, fault=fault, bench=bench, **more)


def at_point(point, kind, n=1, side=None, bench="plain"):
    side = side or side_of(point)
    more = {}
    if "group" in point:
        bench = "together refusing" if point in GROUP_BACK else "together"
        more["pause"] = point in GROUP_ACTIVE
    if point in RECOVER:
        more["before"], side = RECOVER[point]
        if point == "recover-restored":
            bench = "clears"
        return case("point", point, kind, bench, side=side, n=1, **more)
    if point in BACK:
        more["gate"] = True
    return case("point", point + (f"@{side}" if point in BOTH + GROUP_BOTH else ""), kind, bench, point=point, side=side, n=n,
                **more)


def found():
    """What the campaign has found: one case for each fault that was mended."""
    return [at_point("destination-activate", "stop"), at_point("destination-granted", "stop"), at_point("destination-done", "kill"),
            at_point("destination-active", "stop"), at_point("journal-remove", "kill", side="b"),
            at_point("lane-command", "err", 3, "b", "refusing"), at_point("lane-answer", "kill", 5, "b", "refusing"),
            at_point("journal-empty", "kill", side="a"), at_point("journal-write", "kill", side="b"),
            at_point("source-back", "kill", bench="clears"), at_point("source-released", "kill", bench="clears"),
            at_point("source-released", "disconnect", bench="clears"),
            case("peer", "forward-RELEASE", "twice", way="forward", kind="RELEASE"),
            case("peer", "forward-DONE", "foreign", way="forward", kind="DONE")]


def groups(known):
    """Each point of a group's hand-off: a death, and one of the other kinds."""
    cases = []
    for number, point in enumerate(point for point in known if "group" in point):
        for side in ("a", "b") if point in GROUP_BOTH else (None,):
            kinds = ("kill", "err") if point in RECOVER else ("kill", ("disconnect", "err", "refuse", "stop")[number % 4])
            cases += [at_point(point, kind, n, side) for kind in kinds
                      for n in ((1, 2) if kind == "kill" and ("-one-" in point or (point, side) == ("group-before-leader", "b")) else (1,))]
    return cases


def every(known):
    """All points once, and one of each other kind of fault."""
    cases = groups(known)
    known = [point for point in known if "group" not in point]
    for point in known:
        for side in ("a", "b") if point in BOTH else (None,):
            for kind in KINDS:
                if kind in ("refuse", "disconnect") and point in RECOVER:
                    continue  # recover has neither
                times = (1, min(3, OFTEN[point])) if point in OFTEN and kind in ("kill", "err", "refuse") else (1,)
                for n in sorted(set(times)):
                    cases.append(at_point(point, kind, n, side))
    for point in known:
        if point.startswith("source-") or point in BACK:
            cases += [at_point(point, kind, bench="clears") for kind in ("kill", "disconnect")]
        if point.startswith("destination-") and point not in ("destination-done", "destination-active"):
            cases.append(at_point(point, "kill", bench="refusing"))
    for kind in ("cut", "reset", "stall", "delay", "flip"):
        for way, at in (("forward", 0), ("forward", 30), ("forward", 900), ("forward", 300000), ("forward", 700000),
                        ("back", 0), ("back", 30), ("back", 300)):
            cases.append(case("network", f"{way}-{at}", kind, way=way, at=at))
    for way, kind, deed in peer.every():
        cases.append(case("peer", f"{way}-{kind}", deed, way=way, kind=kind))
    for who in ("owner", "keeper"):
        for side in ("a", "b"):
            for when in WHEN:
                cases.append(case("death", when, f"{who}-{side}", "mortal", who=who, side=side, point=when))
    for side in ("a", "b"):
        for spec in DEVICE[::7]:
            cases.append(case("device", side, spec, "device", side=side, spec=spec))
        for files in (8, 12, 16, 20, 24):
            cases.append(case("limit", side, f"nofile={files}", side=side, limit=f"--nofile={files}"))
        for mb in (16, 64, 128):
            cases.append(case("limit", side, f"as={mb}M", side=side, limit=f"--as={mb << 20}"))
    for keep in (0, 4096, 8192):
        cases.append(case("disk", "run-b", f"{keep} bytes left", "small", left=keep))
    return cases


def perhaps_together(dice):
    return {"bench": "together", "pause": True} if dice.random() < 0.2 else {}


def drawn(known, seed, count):
    """@count cases by chance, the same for the same seed."""
    dice = random.Random(seed)
    cases = []
    for _ in range(count):
        group = dice.choices(("point", "network", "device", "peer", "death", "limit", "disk"), (56, 12, 12, 10, 4, 4, 2))[0]
        if group == "point":
            point = dice.choice(known)
            kinds = KINDS[:4] if point in RECOVER else KINDS
            side = dice.choice("ab") if point in BOTH + GROUP_BOTH else None
            n = dice.randint(1, OFTEN.get(point, 1))
            bench = dice.choices(("plain", "clears", "refusing"), (7, 2, 2))[0]
            if bench == "plain" and point in SHARED and dice.random() < 0.3:
                cases.append(dict(at_point(point, dice.choice(kinds), dice.randint(1, 2 * OFTEN.get(point, 1)), side, "together"),
                                  pause=True))
            else:
                cases.append(at_point(point, dice.choice(kinds), n, side, "plain" if point in RECOVER else bench))
        elif group == "network":
            way, kind = dice.choice(("forward", "back")), dice.choice(("cut", "reset", "stall", "delay", "flip"))
            at = int(10 ** dice.uniform(0, 6.2 if way == "forward" else 2.8))
            cases.append(case("network", way, kind, way=way, at=at, **perhaps_together(dice)))
        elif group == "peer":
            way, kind, deed = dice.choice(peer.every())
            more = {"nth": dice.randint(1, 8)} if kind == "CONTEXT" and deed in peer.DEEDS else {}
            cases.append(case("peer", f"{way}-{kind}", deed, way=way, kind=kind, **more, **perhaps_together(dice)))
        elif group == "device":
            side, spec = dice.choice("ab"), dice.choice(DEVICE)
            cases.append(case("device", side, spec, "device", side=side, spec=spec))
        elif group == "death":
            together = dice.random() < 0.3
            who, side, when = dice.choice(("owner", "keeper")), dice.choice("ab"), dice.choice(GROUP_WHEN if together else WHEN)
            cases.append(case("death", when, f"{who}-{side}", "mortal together" if together else "mortal", who=who, side=side,
                              point=when))
        elif group == "limit":
            side = dice.choice("ab")
            limit = dice.choice((f"--nofile={dice.randint(4, 40)}", f"--as={dice.randint(8, 256) << 20}"))
            cases.append(case("limit", side, limit.strip("-").split("=")[0], side=side, limit=limit))
        else:
            cases.append(case("disk", "run-b", "full", "small", left=dice.choice((0, 2048, 4096, 8192))))
    return cases
