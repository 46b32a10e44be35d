# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repeated packets: which of the copies at one vantage is which at the next.

Copies of a packet (a retransmission, a network's duplicate) have one fingerprint and are told apart by their occurrence. That
is right where every vantage saw as many. Where one saw fewer, the numbers behind the missing copy are wrong, and the
stamps decide instead.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Sequence

#: Copies of one packet that are compared by stamps; beyond that by number.
MANY = 64


class Copy(t.NamedTuple):
    """One sighting: its stamp in seconds on the common clock, and what else is known of it."""

    t_s: float
    cell: t.Any


Row = dict[int, Copy]


def align(earlier: Sequence[float], later: Sequence[float], delay_s: float) -> list[int | None]:
    """Return for each stamp of *later* the place in *earlier* that it belongs to, in order and at most once each; None for none.

    Of all ways to leave out the surplus, the one whose delays lie nearest to *delay_s*. Both are sorted.
    """
    if len(earlier) == len(later) or min(len(earlier), len(later)) == 0 or max(len(earlier), len(later)) > MANY:
        return [place if place < len(earlier) else None for place in range(len(later))]
    swap = len(earlier) < len(later)
    few, many = (earlier, later) if swap else (later, earlier)
    sign = 1 if swap else -1
    cost = [[abs(sign * (b - a) - delay_s) for b in many] for a in few]
    chosen = _cheapest(cost)
    if not swap:
        return list(chosen)
    where = {place: number for number, place in enumerate(chosen)}
    return [where.get(place) for place in range(len(later))]


def _cheapest(cost: Sequence[Sequence[float]]) -> list[int]:
    """Return rising columns, one for each row, whose costs add up to the least."""
    rows, columns = len(cost), len(cost[0])
    infinite = float("inf")
    best = [[infinite] * (columns + 1) for _row in range(rows)] + [[0.0] * (columns + 1)]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - (rows - row), -1, -1):
            best[row][column] = min(best[row][column + 1], cost[row][column] + best[row + 1][column + 1])
    found, column = [], 0
    for row in range(rows):
        while best[row][column] == best[row][column + 1] and column + 1 <= columns - (rows - row):
            column += 1
        found.append(column)
        column += 1
    return found


def regroup(seen: t.Mapping[int, Sequence[Copy]], order: Sequence[int], delays: t.Mapping[tuple[int, int], float]) -> list[tuple[Row, int]]:
    """Return (row, place where the copy came into being or -1) for the copies of one packet, *seen* by place in time's order.

    *order* is the places as the packet passes them. A copy too many at a place came into being on the way there when the
    copy it doubles was seen before that place, within the time in which no host repeats a packet.
    """
    rows: list[tuple[Row, int]] = []
    for place in order:
        copies = seen.get(place, ())
        known = sorted((_latest(row, order, place), number) for number, (row, _born) in enumerate(rows))
        shift = [stamp + _delay(delays, near, place) for (stamp, near), _number in known]
        places = align(shift, [copy.t_s for copy in copies], 0.0)
        placed = [(copy, None if at is None else known[at][1]) for at, copy in zip(places, copies)]
        for copy, number in placed:
            if number is not None:
                rows[number][0][place] = copy
        doubled = [rows[number][0][place].t_s for _copy, number in placed if number is not None]
        rows += [({place: copy}, _born(copy, place, doubled)) for copy, number in placed if number is None]
    return rows


#: Sooner than this after the first copy, a second one is the network's and not its sender's.
DUPLICATE_S = 0.001


def _born(copy: Copy, place: int, doubled: Sequence[float]) -> int:
    return place if any(abs(copy.t_s - stamp) <= DUPLICATE_S for stamp in doubled) else -1


def _latest(row: Row, order: Sequence[int], place: int) -> tuple[float, int]:
    """Return the stamp of the sighting nearest before *place* on the way, and where it was."""
    before = [near for near in order[: order.index(place)] if near in row]
    return row[before[-1]].t_s, before[-1]


def _delay(delays: t.Mapping[tuple[int, int], float], near: int, place: int) -> float:
    return delays.get((near, place), 0.0)
