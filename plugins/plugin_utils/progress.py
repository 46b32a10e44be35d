# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a running campaign is: records that the waiting task writes, and the table that people see."""

from __future__ import annotations

import collections
import json
import os
import typing as t

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: How often the callback looks for records, and how long the waiting task stays after the last one so that it is seen.
POLL_S, LINGER_S = 0.2, 0.4
#: No name is cut to fewer letters.
SHORTEST = 12
HEADINGS = ("vantage", "state", "left", "packets", "bytes", "drops")


class Row(t.NamedTuple):
    """What a table says of one vantage; None where it is unknown."""

    vantage: str
    state: str
    left_s: float | None
    packets: int | None
    bytes: int | None
    drops: int | None


def path(folder: str) -> str:
    """Return where the waiting task of this ansible-playbook leaves its records."""
    return os.path.join(folder, "wirefleet-progress.ndjson")


def record(rows: Iterable[Row]) -> str:
    return json.dumps({"rows": list(rows)}) + "\n"


def parse(line: str) -> list[Row]:
    """Return the rows of one record; empty for a line that is not whole yet."""
    try:
        return [Row(*row) for row in json.loads(line)["rows"]]
    except (ValueError, KeyError, TypeError):
        return []


def rows(host: str, heartbeat: Mapping[str, t.Any] | None) -> list[Row]:
    """Return a row per vantage in a host's heartbeat; one for the host where it does not answer."""
    if heartbeat is None:
        return [Row(host, "no answer", None, None, None, None)]
    found = []
    # A session that failed before its engines began leaves its vantages armed for ever.
    failed = "failed" if heartbeat.get("state") == "failed" else None
    for vantage in heartbeat.get("vantages") or [{"vantage_id": host}]:
        found.append(
            Row(
                str(vantage.get("vantage_id")),
                str(failed or vantage.get("state") or heartbeat.get("state")),
                None if failed else heartbeat.get("time_left_s"),
                vantage.get("packets"),
                vantage.get("bytes"),
                vantage.get("drops"),
            )
        )
    return found


def cells(row: Row) -> list[str]:
    left = "-" if row.left_s is None else f"{max(0.0, row.left_s):.0f} s"
    return [row.vantage, row.state, left, _count(row.packets), units.human(row.bytes), _count(row.drops)]


def fitted(rows: Sequence[Row], columns: int, lines: int) -> list[str]:
    """Return a table of at most *lines* lines of *columns* letters: long names lose their middle, the usual states their rows. Pure."""
    states = collections.Counter(row.state for row in rows)
    shown, hidden = list(rows), []
    if len(rows) + 1 > lines:
        unusual = sorted(rows, key=lambda row: states[row.state])
        shown, hidden = unusual[: max(1, lines - 2)], unusual[max(1, lines - 2) :]
    found = table(HEADINGS, [cells(row) for row in shown]).splitlines()
    excess = max(map(len, found)) - columns
    if excess > 0:
        width = max(len(row.vantage) for row in shown) - excess
        found = table(HEADINGS, [[shortened(row.vantage, width), *cells(row)[1:]] for row in shown]).splitlines()
    if hidden:
        counts = collections.Counter(row.state for row in hidden)
        found.append(f"... and {len(hidden)} more: " + ", ".join(f"{count} {state}" for state, count in counts.most_common()))
    return [line[:columns] for line in found]


def shortened(text: str, width: int) -> str:
    """Return *text* without its middle where it is longer than *width*: the host's name begins it, the device's ends it. Pure."""
    width = max(width, SHORTEST)
    return text if len(text) <= width else f"{text[: (width - 2) // 2]}..{text[-((width - 1) // 2) :]}"


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return an aligned table: texts to the left, what begins with a digit or dash to the right."""
    widths = [max(len(line[column]) for line in (headings, *lines)) for column in range(len(headings))]
    right = [all(line[column][:1] in "0123456789-+" for line in lines) for column in range(len(headings))]

    def one(line: Sequence[str]) -> str:
        parts = [
            text.rjust(width) if is_right else text.ljust(width) for text, width, is_right in zip(line, widths, right)
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([one(headings), *map(one, lines)])


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
