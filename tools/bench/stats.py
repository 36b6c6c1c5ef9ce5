# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What a row of pairs says, and how sure it is."""
import math, pathlib, statistics


def interval(values):
    """(low, high): the median lies between them with a probability of at least 0.95, whatever the values are distributed like: order
    statistics, by the binomial distribution. None below six values, which cannot say so."""
    values = sorted(values)
    count = len(values)
    outside, rank = 0.0, 0
    for k in range(count // 2):
        outside += math.comb(count, k) / 2 ** count
        if outside > 0.025:
            break
        rank = k + 1
    return (values[rank - 1], values[count - rank]) if rank else None


def verdict(aim, more, bounds):
    """"met", "missed", or "undecided": the interval holds values on both sides of the aim."""
    if aim is None or bounds is None:
        return None
    worse, better = bounds if more else reversed(bounds)
    meets = lambda value: value >= aim if more else value <= aim
    return "met" if meets(worse) else "undecided" if meets(better) else "missed"


def cpu_of(pid):
    """CPU seconds of all threads that the process has, to the nanosecond."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue  # a thread that has just ended
    return total / 1e9


def cpu_ratio(rows):
    """Median of A's CPU seconds a byte over B's, with its interval; None when a side did not count them."""
    per_byte = lambda row, side: row.get(f"{side}_cpu_seconds", 0) / row[f"{side}_bytes"] if row.get(f"{side}_bytes") else 0
    pairs = [(per_byte(row, "ours"), per_byte(row, "plain")) for row in rows]
    if not pairs or not all(a and b for a, b in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    bounds = interval(ratios)
    return {"median": round(statistics.median(ratios), 4), "interval_95": bounds and [round(bound, 4) for bound in bounds]}
