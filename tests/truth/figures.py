# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a report's page as a browser would, and holds its figures against the files that they name."""

from __future__ import annotations

import json
import pathlib
import typing as t
from html.parser import HTMLParser
from urllib.parse import unquote

FACTORS = {"": 1, "s": 1, "ms": 1e-3, "µs": 1e-6, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}


class Figure(t.NamedTuple):
    source: str
    at: str
    value: t.Any
    shown: str


class Page(HTMLParser):
    """What stands in a page: figures, links, every element by name, every attribute, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.figures: list[Figure] = []
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: dict[str, str | None] | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        found = dict(attrs)
        self._open = found if "data-at" in found else None

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            found, self._open = self._open, None
            self.figures.append(Figure(str(found["data-in"]), str(found["data-at"]), json.loads(str(found["data-value"])), data))

    def links(self) -> list[str]:
        return [unquote(value) for name, value in self.attributes if name == "href"]


def resolve(value: t.Any, at: str) -> t.Any:
    """Return what the JSON pointer *at* means in *value*."""
    for part in at.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part.replace("~1", "/").replace("~0", "~")]
    return value


def wrong(page: Page, folder: pathlib.Path) -> list[str]:
    """Return the figures of a page in *folder* that are not in the file they name, or that show another number than they hold."""
    read = {source: json.loads((folder / source).read_text()) for source in {figure.source for figure in page.figures}}
    return [f"{figure}" for figure in page.figures if figure.value != resolve(read[figure.source], figure.at) or not _shows(figure)]


def _shows(figure: Figure) -> bool:
    """Whether the reader sees the value: a whole number as it is, others rounded and with a unit."""
    if figure.value is None:
        return figure.shown == "–"
    number, _space, unit = figure.shown.replace("\u202f", "").partition(" ")
    if isinstance(figure.value, int) and not unit:
        return int(number) == figure.value
    if unit == "bit/s" or unit.endswith("bit/s"):
        return float(number) >= 0  # made of bytes and of the length of a step
    return abs(float(number) * FACTORS[unit] - figure.value) <= 0.006 * abs(figure.value) + (0.005 if not unit else 1e-9)
