# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts hold, in words: a table of what is open or not collected, its details, and a line on all that is over."""

from __future__ import annotations

import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key, show

from . import progress, units

if t.TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS = ("host", "campaign", "state", "age", "uncollected", "open changes")
ENDED = ("done", "failed", "restored")
MOST_NAMED = 10
NOTHING = "Nothing is armed, changed or left on any of these hosts."

Captures = t.Mapping[str, t.Optional[list[dict[str, t.Any]]]]
"""{host: what capture_info found there, None where it did not answer}."""


def text(captures: Captures, now_ns: int, wanted: str | None = None) -> str:
    """Return what a person reads of all hosts, or of the campaign *wanted* (a name or an id) alone. Pure."""
    held = [(host, capture) for host, found in sorted(captures.items()) for capture in found or []]
    silent = sorted(host for host, found in captures.items() if found is None)
    asked = [(host, capture) for host, capture in held if wanted in (None, capture["campaign"], capture.get("name"))]
    if wanted and not asked:
        return "\n".join([f"No host holds a run of {wanted}. {_names(held)}", *_silence(silent)])
    shown = [(host, capture) for host, capture in asked if wanted or not is_over(capture)]
    over = [(host, capture) for host, capture in asked if not wanted and is_over(capture)]
    parts = [progress.table(COLUMNS, [_line(host, capture, now_ns) for host, capture in shown])] if shown else []
    parts += details(shown)
    rest = _summary(over) + _silence(silent)
    return "\n".join([*parts, *([""] if parts and rest else []), *rest]) or NOTHING


def is_over(capture: Mapping[str, t.Any]) -> bool:
    """Whether a run needs nobody any more: ended, collected and put back. Pure."""
    return capture.get("state") in ENDED and not (capture.get("stored_bytes") or capture.get("open_changes") or capture.get("error"))


def details(shown: list[tuple[str, dict[str, t.Any]]]) -> list[str]:
    """Return a block of lines for each campaign of which there is more to say, once for all hosts of which it is true. Pure."""
    blocks: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for host, capture in shown:
        lines = tuple(_details(capture))
        if lines:
            blocks.setdefault((str(capture["campaign"]), lines), []).append(host)
    found = []
    for (campaign, lines), hosts in blocks.items():
        found += ["", f"{campaign} on {', '.join(hosts)}:", *(f"  {line}" for line in lines)]
    return found


def _details(capture: Mapping[str, t.Any]) -> list[str]:
    lines = [_change(*row) for row in capture.get("open_changes") or []]
    if capture.get("expiry"):
        lines.append(_expiry(capture["expiry"]))
    return lines + ([str(capture["error"])] if capture.get("error") else [])


def _change(key: list[str], before: t.Any, wanted: t.Any, now: t.Any) -> str:
    return str(Change(Key(*key), before, wanted)) + ("" if now == wanted else ", which cannot be seen now" if now is None else f", but it is {show(now)} now")


def _expiry(record: Mapping[str, t.Any]) -> str:
    then = f"the next try is at {units.clock_time(record['next_ns'])}" if record.get("next_ns") else "nobody tries any more: run restore.yml"
    return f"tried in vain to put it back {record.get('tries')} times, {then}: {record.get('error')}"


def _line(host: str, capture: Mapping[str, t.Any], now_ns: int) -> list[str]:
    session = capture.get("session") or {}
    return [
        host,
        str(capture["campaign"]),
        _state(capture, now_ns),
        age(now_ns - session["t0_ns"]) if session.get("t0_ns") else "-",
        units.human(capture.get("stored_bytes")) if capture.get("stored_bytes") else "-",
        str(len(capture.get("open_changes") or [])) if capture.get("open_changes") else "-",
    ]


def _state(capture: Mapping[str, t.Any], now_ns: int) -> str:
    state, heartbeat = str(capture.get("state") or "-"), capture.get("heartbeat") or {}
    if not capture.get("session") and capture.get("deadline"):
        deadline_ns = round(capture["deadline"] * 1e9)
        return f"{state}, {'until' if deadline_ns > now_ns else 'due since'} {units.clock_time(deadline_ns)}"
    if state in ENDED or heartbeat.get("time_left_s") is None:
        return state
    vantages = heartbeat.get("vantages") or []
    sums = {name: sum(vantage.get(name) or 0 for vantage in vantages) for name in ("packets", "drops")}
    words = [f"{count} {name}" for name, count in sums.items() if count]
    return ", ".join([state, f"{max(0, heartbeat['time_left_s']):.0f} s left", *words])


def age(ns: int) -> str:
    """Return how long ago something was, as people say it; a dash for what is still to come. Pure."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if ns >= 2e9 * size:
            return f"{ns / 1e9 / size:.0f} {unit}"
    return "-"


def _summary(over: list[tuple[str, dict[str, t.Any]]]) -> list[str]:
    runs = {str(capture["campaign"]) for _host, capture in over if capture.get("session")}
    if not runs:
        return []
    names = sorted({str(units.name_of(run) or run) for run in runs})
    hosts = len({host for host, capture in over if capture.get("session")})
    count = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return [f"Over, collected and put back: {count} of {', '.join(names)} ({hosts} hosts still remember; -e campaign=NAME shows them)."]


def _silence(silent: list[str]) -> list[str]:
    return [f"No answer from {', '.join(silent)}."] if silent else []


def _names(held: list[tuple[str, dict[str, t.Any]]]) -> str:
    runs = sorted({str(capture["campaign"]) for _host, capture in held}, reverse=True)
    more = f" and {len(runs) - MOST_NAMED} more" if len(runs) > MOST_NAMED else ""
    return f"They hold {', '.join(runs[:MOST_NAMED])}{more}." if runs else "They hold nothing."
