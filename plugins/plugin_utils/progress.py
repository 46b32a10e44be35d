# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a running campaign is: records that the waiting task writes, and the table that people see."""

from __future__ import annotations

import json
import os
import typing as t

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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
    for vantage in heartbeat.get("vantages") or [{"vantage_id": host}]:
        found.append(
            Row(
                str(vantage.get("vantage_id")),
                str(vantage.get("state") or heartbeat.get("state")),
                heartbeat.get("time_left_s"),
                vantage.get("packets"),
                vantage.get("bytes"),
                vantage.get("drops"),
            )
        )
    return found


def cells(row: Row) -> list[str]:
    left = "-" if row.left_s is None else f"{max(0.0, row.left_s):.0f} s"
    return [row.vantage, row.state, left, _count(row.packets), units.human(row.bytes), _count(row.drops)]


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
