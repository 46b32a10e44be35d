# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares clocks by the packets that two vantages both saw. Pure; times are seconds as numpy arrays.

What vantage B stamps minus what A stamps is B's offset plus the delay, or minus it for packets that go from B to A. Delays
are positive, so the offset lies between the upper envelope of the one and the lower envelope of the other, which is a
bound, not a guess. Both envelopes drift by the skew.
"""

from __future__ import annotations

import typing as t

from .model import FORWARD, REVERSE

try:
    import numpy as np
except ImportError:
    np = None

BINS = 64
#: A bin with fewer packets says little of the smallest delay.
FEW = 8
#: What jumps less is put down to queues.
JUMP_S = 0.005
#: Directions of one conversation whose delays differ by less are not told apart.
SAME_S = 1e-6


class Sample(t.NamedTuple):
    """Packets that A and B both saw: their stamps, and which conversation (a number) and way (+1, -1) within it they are."""

    a: t.Any
    b: t.Any
    talk: t.Any
    way: t.Any


class Jump(t.NamedTuple):
    t_s: float
    by_s: float


class Comparison(t.NamedTuple):
    """B's clock against A's. offset(t) = *offset_s* + *skew* x t + the jumps up to t, t by A's clock.

    *ways* says for (conversation, way) whether it goes from A to B (+1) or from B to A (-1). *delay_s* is half of what the
    smallest delays there and back take together. Without traffic both ways *error_s* is None, and *offset_s* holds the
    smallest delay too.
    """

    offset_s: float
    skew: float
    jumps: tuple[Jump, ...]
    error_s: float | None
    residual_s: float
    delay_s: float | None
    samples: int
    ways: t.Mapping[tuple[int, int], int]


def compare(sample: Sample, known: tuple[float, float] | None = None) -> Comparison | None:
    """Return B's clock against A's; None without a common packet. *known*: an offset and its error from elsewhere."""
    if not len(sample.a):
        return None
    order = np.argsort(sample.a, kind="stable")
    sample = Sample(*(column[order] for column in sample))
    delta = sample.b - sample.a
    jumps = find_jumps(sample.a, delta)
    delta = delta - jump_sum(jumps, sample.a)
    groups = _groups(sample)
    skew = _skew(sample.a, delta, groups)
    level = delta - skew * sample.a
    ways, certain = _ways(groups, level, known)
    there = _mask(groups, ways, FORWARD, len(level))
    back = ~there
    return _placed(sample.a, level, there, back, certain, Comparison(0.0, skew, jumps, None, 0.0, None, len(level), ways))


def _placed(a: t.Any, level: t.Any, there: t.Any, back: t.Any, certain: bool, found: Comparison) -> Comparison:
    low = _envelope(level[there]) if there.any() else None
    high = -_envelope(-level[back]) if back.any() else None
    residual = max(_roughness(a[mask], sign * level[mask]) for mask, sign in ((there, 1), (back, -1)) if mask.any())
    if low is None or high is None:
        edge = t.cast("float", low if high is None else high)
        return found._replace(offset_s=edge, residual_s=residual)
    half = (low - high) / 2
    error = max(half, 0.0) + residual if certain else None
    return found._replace(offset_s=float(low + high) / 2, error_s=error, residual_s=residual, delay_s=float(max(half, 0.0)))


def jump_sum(jumps: t.Sequence[Jump], times: t.Any) -> t.Any:
    """Return by how much all jumps before each of *times* moved the clock."""
    moved = np.zeros(len(times))
    for jump in jumps:
        moved[times >= jump.t_s] += jump.by_s
    return moved


def find_jumps(times: t.Any, delta: t.Any) -> tuple[Jump, ...]:
    """Find where *delta* moves by more than JUMP_S and more than it usually does, and stays there. *times* are sorted."""
    runs = _runs(times)
    if len(runs) < 4:
        return ()
    levels = np.array([np.median(delta[run]) for run in runs])
    spread = np.array([np.quantile(delta[run], 0.9) - np.quantile(delta[run], 0.1) for run in runs])
    steps = np.diff(levels)
    usual = max(JUMP_S, 8 * float(np.median(np.abs(steps))), 4 * float(np.median(spread)))
    found: list[Jump] = []
    for place in np.flatnonzero(np.abs(steps) > usual):
        window = slice(runs[max(place - 1, 0)].start, runs[min(place + 2, len(runs) - 1)].stop)
        jump = _exact(times[window], delta[window], usual)
        if jump and (not found or jump.t_s > found[-1].t_s):
            found.append(jump)
    return tuple(found)


def _exact(times: t.Any, delta: t.Any, usual: float) -> Jump | None:
    """Return the one place that splits *delta* into two levels best."""
    size = len(delta)
    if size < 6:
        return None
    total, head = delta.sum(), np.cumsum(delta)[2:-3]
    count = np.arange(3, size - 2)
    gain = head**2 / count + (total - head) ** 2 / (size - count)
    split = int(count[np.argmax(gain)])
    near = 16
    by = float(np.median(delta[split : split + near]) - np.median(delta[max(split - near, 0) : split]))
    return Jump(float(times[split]), by) if abs(by) > usual else None


def _runs(times: t.Any) -> list[slice]:
    """Cut into up to BINS runs of equally many packets, at least FEW each."""
    count = max(1, min(BINS, len(times) // FEW))
    edges = np.linspace(0, len(times), count + 1).astype(int)
    return [slice(int(begin), int(end)) for begin, end in zip(edges, edges[1:])]


def _groups(sample: Sample) -> dict[tuple[int, int], t.Any]:
    """Return the places of each (conversation, way), which are each in order of time."""
    code = sample.talk.astype(np.int64) * 2 + (sample.way > 0)
    order = np.argsort(code, kind="stable")
    found = code[order]
    cuts = np.flatnonzero(np.diff(found)) + 1
    return {(int(code[part[0]] >> 1), 1 if code[part[0]] & 1 else -1): part for part in np.split(order, cuts) if len(part)}


def _skew(times: t.Any, delta: t.Any, groups: t.Mapping[tuple[int, int], t.Any]) -> float:
    """Return the drift in seconds per second: the median slope between lower, and between upper, envelopes of the groups."""
    slopes, weights = [], []
    for places in sorted(groups.values(), key=len, reverse=True)[:16]:
        if len(places) < 4 * FEW:
            break
        for sign in (1, -1):
            found = _slope(times[places], sign * delta[places])
            if found is not None:
                slopes.append((found[0] * sign, found[1]))
    if not slopes:
        return 0.0
    best = min(rough for _slope_, rough in slopes)
    weights = [slope for slope, rough in slopes if rough <= 2 * best + 1e-9]
    return float(np.median(weights))


def _slope(times: t.Any, values: t.Any) -> tuple[float, float] | None:
    """Return the Theil-Sen slope of the smallest values in each run, and how far they lie from its line."""
    x, y = _floor(times, values)
    if len(x) < 4:
        return None
    i, j = np.triu_indices(len(x), 1)
    apart = x[j] - x[i]
    good = apart > (x[-1] - x[0]) / 4
    if not good.any():
        return None
    slope = float(np.median((y[j] - y[i])[good] / apart[good]))
    rest = y - slope * x
    return slope, float(np.median(np.abs(rest - np.median(rest))))


def _floor(times: t.Any, values: t.Any) -> tuple[t.Any, t.Any]:
    """Return time and value of the smallest value in each run."""
    places = [run.start + int(np.argmin(values[run])) for run in _runs(times) if run.stop > run.start]
    return times[places], values[places]


def _ways(
    groups: t.Mapping[tuple[int, int], t.Any], level: t.Any, known: tuple[float, float] | None
) -> tuple[dict[tuple[int, int], int], bool]:
    """Say which way each group goes, and whether that is certain. Of two ways of one conversation, the later at B leads to B."""
    middle = {group: float(np.median(level[places])) for group, places in groups.items()}
    ways: dict[tuple[int, int], int] = {}
    for talk in {talk for talk, _way in groups}:
        one, other = middle.get((talk, 1)), middle.get((talk, -1))
        if one is not None and other is not None and abs(one - other) > SAME_S:
            ways[talk, 1], ways[talk, -1] = (FORWARD, REVERSE) if one > other else (REVERSE, FORWARD)
    ends = {way: [middle[group] for group, found in ways.items() if found == way] for way in (FORWARD, REVERSE)}
    certain = bool(ways)
    for group in groups:
        if group not in ways:
            ways[group] = _nearest(middle[group], ends, known)
    return ways, certain


def _nearest(middle: float, ends: t.Mapping[int, list[float]], known: tuple[float, float] | None) -> int:
    if ends[FORWARD] and ends[REVERSE]:
        distance = {way: min(abs(middle - end) for end in ends[way]) for way in ends}
        return FORWARD if distance[FORWARD] <= distance[REVERSE] else REVERSE
    if known and middle - known[0] < -known[1]:
        return REVERSE
    return FORWARD


def _mask(groups: t.Mapping[tuple[int, int], t.Any], ways: t.Mapping[tuple[int, int], int], way: int, size: int) -> t.Any:
    mask = np.zeros(size, dtype=bool)
    for group, places in groups.items():
        mask[places] = ways[group] == way
    return mask


def _envelope(values: t.Any) -> float:
    """Return the lower edge: of many values a little above the smallest, so that one wrong stamp does not decide."""
    return float(np.quantile(values, min(0.001, 1 / len(values))))


def _roughness(times: t.Any, values: t.Any) -> float:
    _x, y = _floor(times, values)
    return float(np.median(np.abs(y - np.median(y))))
