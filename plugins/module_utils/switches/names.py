# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How switches write interfaces and lists of them. Pure."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: More members than a chassis has ports would be a misread line.
MOST = 4096

_NAME = re.compile(r"([A-Za-z][A-Za-z-]*?)\s*(\d[\d/.:]*)")


def namer(full: Mapping[str, str], aliases: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return what turns a name as people or `show` write it into the configuration's own.

    *full* has for each full name its shortest abbreviation, *aliases* the full names of words that are no abbreviation; both
    in lower case. What matches nothing stays as it is: the switch knows, and reading back shows it.
    """

    def canonical(name: str) -> str:
        match = _NAME.fullmatch(name.strip())
        if not match:
            return name.strip()
        word = match[1].lower()
        if aliases and word in aliases:
            return f"{aliases[word]}{match[2]}"
        for long, short in full.items():
            if long.lower().startswith(word) and word.startswith(short):
                return f"{long}{match[2]}"
        return f"{match[1]}{match[2]}"

    return canonical


def ports(text: str, canonical: Callable[[str], str] = str) -> list[str]:
    """Return the interfaces of a list such as `Gi1/0/1 - 4 , Gi1/0/7`, `Ethernet3, Ethernet5`, `Ethernet10-15`.

    Raises ValueError for what is no such list.
    """
    found: list[str] = []
    for part in re.split(r"\s*,\s*", text.strip()):
        first, dash, last = (word.strip() for word in part.partition("-")) if re.search(r"\d\s*-\s*\S*\d$", part) else (part, "", "")
        if not first or " " in re.sub(r"([A-Za-z])\s+(\d)", r"\1\2", first):
            raise ValueError(f"{text!r} is no list of interfaces")
        found += [canonical(name) for name in (_between(first, last) if dash else [first])]
        if len(found) > MOST:
            raise ValueError(f"{text[:40]!r} lists more interfaces than a switch has")
    return found


def _between(first: str, last: str) -> list[str]:
    """Return the names from *first* to *last*, of which the latter may be a number only."""
    head, start = _split(first)
    tail, end = _split(last)
    if tail and tail != head and not head.endswith(tail):
        raise ValueError(f"{first} to {last} is no range")
    if not 0 <= end - start < MOST:
        raise ValueError(f"{first} to {last} is no range")
    return [f"{head}{number}" for number in range(start, end + 1)]


def _split(name: str) -> tuple[str, int]:
    match = re.fullmatch(r"(.*?)(\d{1,9})", name.strip())
    if not match:
        raise ValueError(f"{name!r} ends in no number")
    return match[1], int(match[2])


def numbers(text: str, dash: str = "-") -> list[int]:
    """Return the numbers of a list such as `20 , 30 - 31`. Raises ValueError for what is no such list."""
    found: list[int] = []
    for part in re.split(r"\s*,\s*", text.strip()):
        first, _dash, last = (word.strip() for word in part.partition(dash))
        low, high = int(first), int(last or first)
        if not 0 <= high - low < MOST:
            raise ValueError(f"{part!r} is no range")
        found += range(low, high + 1)
        if len(found) > MOST:
            raise ValueError(f"{text[:40]!r} lists more numbers than there are VLANs")
    return found


def spans(values: Iterable[int], dash: str = "-", comma: str = ",") -> str:
    """Return *values* as the shortest list of ranges. The inverse of numbers()."""
    runs: list[list[int]] = []
    for value in sorted(set(values)):
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return comma.join(str(low) if low == high else f"{low}{dash}{high}" for low, high in runs)
