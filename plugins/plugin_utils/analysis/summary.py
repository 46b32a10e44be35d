# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.md: the answer as text that reads well as it is, and better as Markdown. Pure."""

from __future__ import annotations

import re
import typing as t

from .markup import NOTHING, end, limits, plain, scaled, seconds

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Connections that lost something, the worst first.
SHOWN = 20
# An underscore inside a word is one, as is "!" without a bracket behind it.
_STEERS = re.compile(r"([\\`*\[\]<>|~&]|(?<![A-Za-z0-9_])_|_(?![A-Za-z0-9_]))")


def text(report: Mapping[str, t.Any]) -> str:
    """Return report.md of what report.json (report.schema.json) says."""
    return "\n\n".join(_parts(report)) + "\n"


def _parts(report: Mapping[str, t.Any]) -> Iterator[str]:
    yield f"# {quoted(report['campaign'] or 'Captures that belong to no campaign')}"
    first, *others = report["verdict"]["sentences"]
    yield f"**{quoted(first)}**"
    yield from map(quoted, others)
    if report["verdict"]["reasons"]:
        limited = limits(report["verdict"]["reasons"])
        yield "What limits this answer:\n\n" + "\n".join(f"- {quoted(names) + ': ' if names else ''}{quoted(said)}" for names, said in limited)
    if report["path"]["hops"]:
        yield "## The path"
        yield _table(("from", "to", "packets", "lost in network", "lost in capture", "unknown", "delay"), map(_hop, report["path"]["hops"]))
    if report["vantages"]:
        yield "## The vantages"
        yield _table(("vantage", "packets", "bytes", "drops", "clock"), map(_vantage, report["vantages"]))
    lossy = [row for row in report["connections"]["rows"] if any(hop["lost_in_network"]["max"] for hop in row["loss"])]
    if lossy:
        yield f"## Connections that lost packets\n\n{len(lossy)} did, of {report['connections']['total']}."
        yield _table(("kind", "a", "b", "packets", "lost"), map(_connection, lossy[:SHOWN]))
    yield "More in [report.html](report.html), all in [report.json](report.json)."


def quoted(value: t.Any) -> str:
    """Return *value* as one line in which nothing steers Markdown."""
    return _STEERS.sub(r"\\\1", plain(value))


def bound(value: Mapping[str, int]) -> str:
    return f"[{value['min']}, {value['max']}]"


def _hop(hop: Mapping[str, t.Any]) -> Sequence[t.Any]:
    delay = seconds(hop["delay"]["median_s"]) if hop["delay"] else NOTHING
    return (quoted(hop["from"]), quoted(hop["to"]), hop["packets"], bound(hop["lost_in_network"]), hop["lost_in_capture"], hop["unknown"], delay)


def _vantage(entry: Mapping[str, t.Any]) -> Sequence[t.Any]:
    drops, clock = entry["drops"], entry["clock"]
    lost = f"{_known(drops['count'])}{'' if drops['trustworthy'] else ', which cannot be trusted'}"
    offset = NOTHING if clock["offset_s"] is None else f"{seconds(clock['offset_s'])} ± {seconds(clock['error_s'])}"
    return (quoted(entry["vantage"]), _known(entry["packets"]), scaled(entry["bytes_wire"], "B"), lost, offset)


def _connection(row: Mapping[str, t.Any]) -> Sequence[t.Any]:
    lost = "; ".join(f"{bound(hop['lost_in_network'])} {quoted(hop['from'])} to {quoted(hop['to'])}" for hop in row["loss"] if hop["lost_in_network"]["max"])
    return (row["kind"], quoted(end(row["a"])), quoted(end(row["b"])), row["packets"], lost)


def _known(value: t.Any) -> str:
    return NOTHING if value is None else str(value)


def _table(columns: Sequence[str], rows: t.Iterable[Sequence[t.Any]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
