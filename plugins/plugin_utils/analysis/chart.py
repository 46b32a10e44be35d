# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drawings of report.html, as SVG that stands in the page. Pure."""

from __future__ import annotations

import typing as t

from .markup import bound, figure, safe

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Sizes of the path's drawing, which is as wide as a narrow phone; of the others only the proportions count.
WIDE, BOX, GAP, EDGE = 340, 40, 96, 10
CHART_WIDE, CHART_HIGH = 600, 80
#: So many letters fit into a box.
FITS = 38


def path(report: Mapping[str, t.Any]) -> str:
    """Return the vantages of the path, one below the other, with what was lost between neighbours in both directions."""
    found = report["path"]
    order, hops = found["order"], found["hops"]
    if not order:
        return ""
    high = len(order) * BOX + (len(order) - 1) * GAP + 2
    parts = [_box(name, number * (BOX + GAP)) for number, name in enumerate(order)]
    place = {name: number for number, name in enumerate(order)}
    for number, hop in enumerate(hops):
        one, other = place[hop["from"]], place[hop["to"]]
        if abs(one - other) == 1:
            parts.append(_arrow(hop, number, min(one, other) * (BOX + GAP) + BOX, other > one))
    return f'<svg class="path" viewBox="0 0 {WIDE} {high}" role="img" aria-label="The path, and what was lost on each hop">{"".join(parts)}</svg>'


def _box(name: str, top: int) -> str:
    shown = name if len(name) <= FITS else name[: FITS - 1] + "…"
    return (
        f'<g class="box"><title>{safe(name)}</title><rect x="{EDGE}" y="{top + 1}" width="{WIDE - 2 * EDGE}" height="{BOX}" rx="7"/>'
        f'<text x="{WIDE / 2}" y="{top + BOX / 2 + 5}" text-anchor="middle">{safe(shown)}</text></g>'
    )


def _arrow(hop: Mapping[str, t.Any], number: int, top: int, down: bool) -> str:
    lost, at = hop["lost_in_network"], f"/path/hops/{number}"
    x = EDGE + 14 if down else WIDE / 2 + 10
    begin, end = (top + 6, top + GAP - 5) if down else (top + GAP - 5, top + 6)
    middle = top + GAP / 2
    lines = [
        ("strong", f"lost {bound(f'{at}/lost_in_network', lost, 'tspan')}"),
        ("", f"of {figure(f'{at}/packets', hop['packets'], tag='tspan')} {'forward' if down else 'back'}"),
        ("", f"capture lost {figure(f'{at}/lost_in_capture', hop['lost_in_capture'], tag='tspan')}" if hop["lost_in_capture"] else ""),
    ]
    words = "".join(f'<text class="{kind}" x="{x + 12}" y="{middle - 6 + 17 * row}">{text}</text>' for row, (kind, text) in enumerate(lines) if text)
    back = -9 if down else 9
    tip = f'<polygon points="{x},{end} {x - 5},{end + back} {x + 5},{end + back}"/>'
    return f'<g class="{_kind(lost)}"><line x1="{x}" y1="{begin}" x2="{x}" y2="{end + back}"/>{tip}{words}</g>'


def _kind(lost: Mapping[str, int]) -> str:
    return "bad" if lost["min"] else "warn" if lost["max"] else "good"


def area(values: Sequence[int], top: int | None = None) -> str:
    """Return values over time as an area of steps. *top* is the value at the upper edge, else the largest."""
    high = max(top or 0, *values, 1)
    step = CHART_WIDE / max(len(values), 1)
    points = "".join(f"H{step * number:.4g}V{CHART_HIGH * (1 - value / high):.4g}" for number, value in enumerate(values))
    return _chart(f'<path class="area" d="M0 {CHART_HIGH}{points}H{CHART_WIDE}V{CHART_HIGH}z"/>', "Bytes over time")


def bars(values: Sequence[int]) -> str:
    """Return how many were lost over time, as bars."""
    high, step = max(*values, 1, 1), CHART_WIDE / max(len(values), 1)
    parts = (
        f'<rect x="{step * number:.4g}" y="{CHART_HIGH * (1 - value / high):.4g}" width="{max(step * 0.9, 1):.4g}" height="{CHART_HIGH * value / high:.4g}"/>'
        for number, value in enumerate(values)
        if value
    )
    return _chart(f'<g class="bars">{"".join(parts)}</g>', "Packets lost over time")


def _chart(inside: str, label: str) -> str:
    return f'<svg class="chart" viewBox="0 0 {CHART_WIDE} {CHART_HIGH}" preserveAspectRatio="none" role="img" aria-label="{label}">{inside}</svg>'
