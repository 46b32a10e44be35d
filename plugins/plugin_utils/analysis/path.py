# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order packets pass the vantages, which way each conversation goes, and all stamps on one clock. Pure but for numpy."""

from __future__ import annotations

import typing as t

from . import clock
from .model import FORWARD, REVERSE

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Pairs = Mapping[tuple[int, int], clock.Comparison]

#: Vantages whose delays differ by less than this are not put in order by them.
SAME_S = 1e-6
#: Fewer common packets than this compare no clocks.
FEW = 8


class Time(t.NamedTuple):
    """How to turn a vantage's stamp into the reference's: (stamp - offset_s - jumps before it) / (1 + skew); seconds since the epoch.

    Each jump is (from this stamp on, by how much).
    """

    method: str
    offset_s: float = 0.0
    skew: float = 0.0
    jumps: tuple[tuple[float, float], ...] = ()
    error_s: float | None = 0.0
    residual_s: float | None = 0.0
    samples: int = 0

    @property
    def known(self) -> bool:
        return self.method != "none"

    def sql(self, column: str, epoch_ns: int) -> str:
        """Return the expression for the seconds on the reference's clock of the stamp in *column*."""
        stamp = f"(({column} - {epoch_ns}) * 1e-9)"
        moved = "".join(f" - CASE WHEN {stamp} >= {at!r} THEN {by!r} ELSE 0 END" for at, by in self.jumps)
        return f"(({stamp} - {self.offset_s!r}{moved}) / {1 + self.skew!r})"

    def doubtful(self, column: str, epoch_ns: int) -> str:
        """Return the condition that a stamp came twice, because the clock jumped back over it."""
        stamp = f"(({column} - {epoch_ns}) * 1e-9)"
        return " OR ".join(f"{stamp} BETWEEN {at + by!r} AND {at!r}" for at, by in self.jumps if by < 0) or "FALSE"

    def seconds(self, t_ns: int, epoch_ns: int) -> float:
        stamp = (t_ns - epoch_ns) * 1e-9
        return (stamp - self.offset_s - sum(by for at, by in self.jumps if stamp >= at)) / (1 + self.skew)


class Path(t.NamedTuple):
    """Places in the order of the forward direction; *certain* is False where it could be another."""

    order: tuple[int, ...]
    source: str
    certain: bool
    reason: str | None = None


def infer(places: Sequence[int], pairs: Pairs, ttl: Mapping[tuple[int, int], float], busiest: tuple[int, int] | None) -> Path:
    """Return the order of *places*. *pairs* compares clocks of (one, other), one < other; *ttl* is how much TTL falls between them.

    Delays there and back place the vantages on a line; where they cannot, TTL does. *busiest* is the (conversation, way) that
    counts as forward.
    """
    if len(places) < 2:
        return Path(tuple(places), "none", True)
    far = {pair: found.delay_s for pair, found in pairs.items() if found.delay_s is not None}
    complete = all((one, other) in far for at, one in enumerate(places) for other in places[at + 1 :])
    by_ttl = _by_ttl(places, ttl)
    if complete and len(places) > 2:
        order, certain = _line(places, far)
        if not certain and by_ttl:
            order, certain = by_ttl, True
    elif by_ttl:
        return Path(tuple(by_ttl), "inferred", True)
    else:
        order, certain = list(places), complete
    if not complete:
        order = _by_offsets(places, pairs)
        return Path(tuple(order), "inferred", False, "the vantages saw traffic in one direction only, so the order is a guess: declare campaign_path")
    turned = _turn(order, pairs, busiest)
    words = None if certain else "vantages are too near each other to tell their order: declare campaign_path"
    return Path(tuple(turned), "inferred", certain, words)


def _line(places: Sequence[int], far: Mapping[tuple[int, int], float]) -> tuple[list[int], bool]:
    def between(one: int, other: int) -> float:
        return 0.0 if one == other else far[min(one, other), max(one, other)]

    start, _end = max(far, key=lambda pair: far[pair])
    order = sorted(places, key=lambda place: between(start, place))
    steps = [between(start, place) for place in order]
    return order, all(after - before > SAME_S for before, after in zip(steps, steps[1:]))


def _turn(order: list[int], pairs: Pairs, busiest: tuple[int, int] | None) -> list[int]:
    """Turn the line so that the busiest direction goes forward."""
    one, other = order[0], order[-1]
    found = pairs.get((min(one, other), max(one, other)))
    way = found.ways.get(busiest) if found and busiest is not None else None
    if way is None:
        return order
    leads_up = way == FORWARD
    return order if leads_up == (one < other) else order[::-1]


def _by_ttl(places: Sequence[int], ttl: Mapping[tuple[int, int], float]) -> list[int] | None:
    """Order by how far TTL has fallen, where that is different at every vantage."""
    fallen = {places[0]: 0.0}
    for place in places[1:]:
        if (places[0], place) not in ttl:
            return None
        fallen[place] = ttl[places[0], place]
    order = sorted(places, key=lambda place: fallen[place])
    apart = [fallen[after] - fallen[before] for before, after in zip(order, order[1:])]
    return order if all(step > 0.5 for step in apart) else None


def _by_offsets(places: Sequence[int], pairs: Pairs) -> list[int]:
    """Order by first-seen times as the clocks say them."""
    late = {place: pairs[places[0], place].offset_s if (places[0], place) in pairs else 0.0 for place in places}
    return sorted(places, key=lambda place: late[place])


def ways_on(path: Sequence[int], pairs: Pairs) -> dict[tuple[int, int], int]:
    """Return FORWARD or REVERSE for each (conversation, way) that two vantages of *path* both saw; the best comparison decides."""
    at = {place: number for number, place in enumerate(path)}
    found: dict[tuple[int, int], int] = {}
    ranked = sorted(pairs.items(), key=lambda item: (item[1].error_s is None, -item[1].samples))
    for (one, other), comparison in ranked:
        if one in at and other in at:
            sign = 1 if at[one] < at[other] else -1
            for group, way in comparison.ways.items():
                found.setdefault(group, way * sign)
    for talk, way in list(found):
        found.setdefault((talk, -way), -found[talk, way])
    return found


def timeline(path: Sequence[int], pairs: Pairs, outside: Callable[[int], Time]) -> dict[int, Time]:
    """Return how to read each vantage's clock on that of path[0]; *outside* gives it where no common packet does."""
    times = {path[0]: Time("reference")} if path else {}
    while True:
        reach = [
            (found.samples, near, place)
            for (one, other), found in pairs.items()
            for near, place in ((one, other), (other, one))
            if near in times and place not in times and place in path and found.samples >= FEW
        ]
        if not reach:
            break
        _samples, near, place = max(reach, key=lambda item: (item[1] == path[0], item[0]))
        one, other = min(near, place), max(near, place)
        step = _step(pairs[one, other], backwards=near == other)
        times[place] = _composed(times[near], step)
    for place in path:
        times.setdefault(place, outside(place))
    return times


def _step(found: clock.Comparison, backwards: bool) -> Time:
    method = "both_directions" if found.error_s is not None else "one_direction"
    if not backwards:
        jumps = tuple((jump.t_s + found.offset_s, jump.by_s) for jump in found.jumps)
        return Time(method, found.offset_s, found.skew, jumps, found.error_s, found.residual_s, found.samples)
    scale = 1 + found.skew
    jumps = tuple((jump.t_s, -jump.by_s) for jump in found.jumps)
    return Time(method, -found.offset_s / scale, -found.skew / scale, jumps, found.error_s, found.residual_s, found.samples)


def _composed(near: Time, step: Time) -> Time:
    """Return the clock that *step* describes against one that *near* describes, against the reference."""
    if near.method == "reference":
        return step
    error = None if near.error_s is None or step.error_s is None else near.error_s + step.error_s
    method = step.method if near.method == "both_directions" else near.method
    jumps = step.jumps + tuple((at + step.offset_s, by) for at, by in near.jumps)
    offset = near.offset_s * (1 + step.skew) + step.offset_s
    residual = (near.residual_s or 0.0) + (step.residual_s or 0.0)
    return Time(method, offset, near.skew + step.skew * (1 + near.skew), jumps, error, residual, step.samples)


def route(order: Sequence[int], at: int, near: int, way: int) -> list[tuple[int, int, str]]:
    """Return the legs (from, to, kind) of a flow that was seen at the places in the bits of *at*. Pure.

    *near* has the places that saw anything between the same two hosts. kind: `follow` where the flow was seen at both ends,
    `bypass` where it was seen further on but not there, `beyond` to the farthest place where those hosts were heard and it was not.
    """
    line = list(order) if way == FORWARD else list(order)[::-1]
    seen = [place for place in line if at >> place & 1]
    if not seen:
        return []
    legs = [(one, other, "follow") for one, other in zip(seen, seen[1:])]
    last = line.index(seen[-1])
    for number, place in enumerate(line[:last]):
        before = [other for other in line[:number] if at >> other & 1]
        if before and near >> place & 1 and not at >> place & 1:
            legs.append((before[-1], place, "bypass"))
    beyond = [place for place in line[last + 1 :] if near >> place & 1]
    return [*legs, (seen[-1], beyond[-1], "beyond")] if beyond else legs


__all__ = ["FORWARD", "REVERSE", "Path", "Time", "infer", "route", "timeline", "ways_on"]
