# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a capture must end before its time. Pure."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from .spec import Limits, Session


class Progress(t.NamedTuple):
    """What a capture holds by now; packets is None where the engine does not say."""

    bytes: int
    packets: int | None


def reached(limits: Limits, progress: Progress) -> str | None:
    """Return the stop_reason `bytes` or `packets` when *progress* is at a limit, else None."""
    if limits.bytes is not None and progress.bytes >= limits.bytes:
        return "bytes"
    if limits.packets is not None and (progress.packets or 0) >= limits.packets:
        return "packets"
    return None


def together(parts: list[Progress]) -> Progress:
    known = [part.packets for part in parts if part.packets is not None]
    return Progress(sum(part.bytes for part in parts), sum(known) if known else None)


def floor_bytes(limits: Limits, size: int) -> int:
    """Return how many bytes of a disk of *size* must stay free."""
    return max(limits.min_free_bytes or 0, int(size * (limits.min_free_percent or 0) / 100))


def budget(session: Session) -> int | None:
    """Return the bytes that the session may at most write, or None where nothing but free disk bounds it."""
    parts = [_vantage_budget(vantage.limits.bytes, vantage.ring) for vantage in session.vantages]
    total = sum(part for part in parts if part is not None) if None not in parts else None
    bounds = [bound for bound in (total, session.limits.bytes) if bound is not None]
    return min(bounds) if bounds else None


def index_bytes(captured: int) -> int:
    """Return the bytes that an index of *captured* bytes has at most.

    Measured: 33 bytes for a packet of 54 bytes, 70 in the file, of which nothing repeats. Usual traffic makes a tenth or less.
    """
    return captured // 2


def _vantage_budget(limit: int | None, ring: t.Any) -> int | None:
    bounds = [bound for bound in (limit, ring and ring.files * ring.file_bytes) if bound]
    return min(bounds) if bounds else None
