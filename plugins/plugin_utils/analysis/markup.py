# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML in small pieces. Pure. Whatever comes from a capture or a host goes through `safe`, and nothing else is trusted to be text.

A figure carries the file and the JSON pointer that it came from (`data-in`, `data-at`) and its value (`data-value`), so that a page can be
held against its sources.
"""

from __future__ import annotations

import html
import json
import typing as t
import unicodedata
from urllib.parse import quote

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

REPORT = "report.json"
#: Longer texts of captures and hosts are cut.
LONGEST = 400
NOTHING = "–"
#: So many vantages are named one by one.
SOME = 12


def plain(value: t.Any) -> str:
    """Return *value* as one line of text that cannot steer a terminal, turn the direction of reading, or be endless."""
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    words = words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
    return "".join("\ufffd" if unicodedata.category(letter)[0] == "C" else letter for letter in words)


def safe(value: t.Any) -> str:
    return html.escape(plain(value))


def figure(at: str, value: t.Any, shown: str | None = None, source: str = REPORT, tag: str = "data") -> str:
    """Return one figure. *at* is its JSON pointer in *source*; None is shown as a dash."""
    words = NOTHING if value is None else shown if shown is not None else grouped(value)
    return f'<{tag} data-in="{safe(source)}" data-at="{safe(at)}" data-value="{safe(json.dumps(value))}">{safe(words)}</{tag}>'


def bound(at: str, value: Mapping[str, int], tag: str = "data") -> str:
    """Return [min, max] of something that is known as a bound."""
    return f"[{figure(f'{at}/min', value['min'], tag=tag)}, {figure(f'{at}/max', value['max'], tag=tag)}]"


def grouped(value: t.Any) -> str:
    """Return a whole number in groups of three, told apart by narrow spaces that do not break."""
    return f"{value:,}".replace(",", "\u202f") if isinstance(value, int) and not isinstance(value, bool) else str(value)


def seconds(value: float | None) -> str:
    """Return a time in the unit that suits it."""
    if value is None:
        return NOTHING
    size = abs(value)
    unit, factor = ("s", 1) if size >= 1 else ("ms", 1e3) if size >= 1e-3 else ("µs", 1e6)
    return f"{value * factor:.3g} {unit}" if size < 1000 else f"{value:.0f} s"


def scaled(value: float | None, unit: str) -> str:
    """Return a number with a decimal prefix."""
    if value is None:
        return NOTHING
    for prefix in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.3g} {prefix}{unit}"
        value /= 1000
    return f"{value:.3g} T{unit}"


def link(path: str, words: str | None = None) -> str:
    """Return a link to a file of the evidence, *path* relative to the page."""
    return f'<a href="{html.escape(quote(path, safe="/._-~"))}">{safe(words or path)}</a>'


def pill(kind: str, words: str) -> str:
    """Return a coloured word; *kind* is good, warn or bad."""
    return f'<span class="pill {kind}">{safe(words)}</span>'


def end(found: Mapping[str, t.Any]) -> str:
    """Return one end of a connection in words."""
    address, port, pair = found["address"] or "?", found["port"], found["qp"]
    return plain(f"{address} QP {pair:#x}" if pair is not None else f"{address} port {port}" if port is not None else address)


def limits(reasons: Sequence[Mapping[str, t.Any]]) -> list[tuple[str, str]]:
    """Return (whom it is about, sentence) of what limits an answer, each sentence once."""
    subjects: dict[str, list[str]] = {}
    for reason in reasons:
        subjects.setdefault(reason["text"], []).extend([reason["subject"]] if reason["subject"] else [])
    return [(_some(names), text) for text, names in subjects.items()]


def _some(names: Sequence[str]) -> str:
    more = len(names) - SOME
    return ", ".join(map(plain, names[:SOME])) + (f" and {more} more" if more > 0 else "")


def listed(items: Iterable[str], kind: str = "") -> str:
    """Return a list of pieces of HTML; nothing for none."""
    rows = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="{kind}">{rows}</ul>' if rows else ""


class Cell(t.NamedTuple):
    """A cell: HTML, and what rows are sorted by where that is not its text."""

    html: str
    key: float | str | None = None


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], name: str = "") -> str:
    """Return a table, on a narrow screen a card for each row. A name makes it one that sorts and filters."""
    head = "".join(f'<th scope="col">{safe(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(map(_cell, columns, row))}</tr>" for row in rows)
    sorts = f' id="{safe(name)}" data-sorts' if name else ""
    return f'<div class="scroll"><table{sorts}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(column: str, cell: str | Cell) -> str:
    text, key = cell if isinstance(cell, Cell) else (cell, None)
    sort = "" if key is None else f' data-key="{safe(key)}"'
    number = ' class="number"' if isinstance(key, (int, float)) else ""
    return f'<td data-label="{safe(column)}"{sort}{number}><div>{text}</div></td>'
