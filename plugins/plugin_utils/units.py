# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Durations, sizes, times and names as a user writes them. All functions are pure."""

from __future__ import annotations

import datetime
import re
import typing as t

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_RUN_ID = re.compile(r"\d{8}T\d{6}Z-(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,62})-[0-9a-f]{6}")


class Unusable(ValueError):
    """A wish that cannot be understood or met; the message is one sentence that says what to write instead."""


def duration(text: t.Any, what: str) -> float:
    """Return the seconds in ``60s``, ``1h30m``, ``250ms`` or a bare number of seconds."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    written = str(text).strip()
    parts = _DURATION.findall(written)
    if parts and _DURATION.sub("", written).strip() == "":
        return sum(float(number) * SECONDS[unit] for number, unit in parts)
    try:
        return float(written)
    except ValueError:
        raise Unusable(f"{what} is {written!r}, which is no duration; write for example 60s, 2h or 1h30m.") from None


def size(text: t.Any, what: str) -> int:
    """Return the bytes in ``2G``, ``512MiB`` or a bare number; factors are powers of 1024."""
    match = _SIZE.fullmatch(str(text).strip())
    if match is None or isinstance(text, bool):
        raise Unusable(f"{what} is {str(text)!r}, which is no size; write for example 500M or 2G.")
    return int(float(match[1]) * FACTORS[match[2].lower()])


def size_or_percent(text: t.Any, what: str) -> tuple[int | None, float | None]:
    """Return (bytes, None) for a size and (None, percent) for a share of the disk."""
    match = _PERCENT.fullmatch(str(text).strip())
    if match is None:
        return size(text, what), None
    percent = float(match[1])
    if percent >= 100:
        raise Unusable(f"{what} is {text}, which leaves nothing for the capture; write less than 100%.")
    return None, percent


def moment(text: t.Any, now_ns: int, what: str) -> int:
    """Return in ns since 1970 an ISO time (UTC unless it names a zone) or a ``+90s`` from now."""
    written = str(text).strip()
    if written.startswith("+"):
        return now_ns + round(duration(written[1:], what) * 1e9)
    try:
        found = datetime.datetime.fromisoformat(written.replace("Z", "+00:00"))
    except ValueError:
        raise Unusable(
            f"{what} is {written!r}, which is no time; write +90s or an ISO time such as 2026-11-23T10:15:00Z."
        ) from None
    aware = found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)
    return round(aware.timestamp()) * 1_000_000_000 + aware.microsecond * 1000


def clock_time(ns: int) -> str:
    """Return *ns* since 1970 as an ISO time in UTC, to the second."""
    return datetime.datetime.fromtimestamp(ns // 1_000_000_000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_name(name: t.Any) -> str:
    """Return *name* if it can be a campaign's name or id: it becomes a folder's name on every host."""
    if not isinstance(name, str) or not _NAME.fullmatch(name[:63]) or len(name) > 100 or ".." in name or "/" in name:
        raise Unusable(
            f"the campaign is called {str(name)!r}; use letters, digits, '.', '_' and '-' only "
            "(no '/', no '..', a letter or digit first)."
        )
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name):
        raise Unusable(f"the campaign is called {name!r}; use letters, digits, '.', '_' and '-' only.")
    return name


def run_id(name: str, now_ns: int, random_hex: str) -> str:
    """Return the id of a run, for example 20261123T101500Z-pfc-storm-3fa9c1."""
    stamp = clock_time(now_ns).replace("-", "").replace(":", "")
    return f"{stamp}-{name}-{random_hex}"


def name_of(run: str) -> str | None:
    """Return the campaign's name inside the id *run*, or None where it is no id."""
    match = _RUN_ID.fullmatch(run)
    return match["name"] if match else None


def human(count: float | None) -> str:
    """Return a number of bytes as people read it; a dash where it is unknown."""
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
