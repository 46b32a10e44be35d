# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what a switch's command line prints, whatever it is: bounded, and what makes no sense becomes `unknown`. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from .names import MOST, numbers, ports
from .platform import LIMITS, PLAIN
from .session import Session, Source

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: A line longer than this is cut, so that nobody understands it; more than so many such lines tell nothing new.
LONGEST = 4000
MOST_UNKNOWN = 64

#: Names of our jobs on switches begin like this.
TIMER = "wirefleet-"

#: What pagers leave behind: their prompt, and how they wipe it away.
_PAGER = re.compile(r"<?-{2,4} ?More ?-{2,4}>?|(?:\x1b\[[0-9;]{0,8}D|\x08+|\r+) *(?:\x1b\[[0-9;]{0,8}D|\x08+|\r+)|\x1b\[[0-9;?]{0,8}[A-Za-z]|[\x08\r]")


class Line(t.NamedTuple):
    """A line without its indentation, of which *indent* is the width, and with single spaces."""

    indent: int
    text: str


def lines(text: str) -> Iterator[Line]:
    """Yield the lines of *text* that say something, free of carriage returns and of what pagers print."""
    for raw in text.split("\n"):
        line = _PAGER.sub("", raw[: 2 * LONGEST])
        words = " ".join(line.split())
        if words:
            yield Line(len(line) - len(line.lstrip()), words if len(words) <= LONGEST else f"{words[:LONGEST]} …")


def commands(text: str) -> list[str]:
    """Return the lines of *text* without their indentation."""
    return [line.text for line in lines(text)]


def held(text: str, *wanted: str) -> list[str]:
    """Return those of the *wanted* lines that *text* has."""
    present = set(commands(text))
    return [line for line in wanted if line in present]


def understood(session: Session, line: str, fields: Callable[[Session, str], dict[str, t.Any] | None]) -> Session:
    """Return *session* with the *fields* of *line*; a line that has none, or bad ones (ValueError), is kept as unknown.

    What is "not specified" says nothing.
    """
    if line.endswith(" not specified"):
        return session
    try:
        found = fields(session, line)
    except ValueError:
        found = None
    if found and max(len(found.get("sources", ())), len(found.get("interfaces", ()))) > MOST:
        found = None
    return dataclasses.replace(session, **(found if found is not None else strange(session, line)))


def strange(session: Session, line: str) -> dict[str, t.Any]:
    """Return the field with which *line* is kept."""
    return {"unknown": (*session.unknown, line[:200])[:MOST_UNKNOWN]}


def setting(line: str, words: Mapping[str, str]) -> dict[str, t.Any] | None:
    """Return {option: value} of a line that is one of *words*, {word: option}, and a value. Raises ValueError for a bad value."""
    for word, option in words.items():
        if line.startswith(f"{word} "):
            return {option: value(option, line[len(word) + 1 :])}
    return None


def value(option: str, text: str) -> t.Any:
    """Return the value that *text* is for *option*. Raises ValueError."""
    if option in LIMITS:
        return number(text)
    if option in ("destination_ip", "source_ip"):
        return str(ipaddress.ip_address(text))
    if option != "description" and " " in text or not PLAIN.fullmatch(text):
        raise ValueError(f"{text!r} is no {option}")
    return text


def number(text: str) -> int:
    """Return the number that *text* is, decimal or with 0x. Raises ValueError."""
    if not re.fullmatch(r"[0-9]{1,9}|0x[0-9a-fA-F]{1,8}", text):
        raise ValueError(f"{text!r} is no number")
    return int(text, 16 if text.startswith("0x") else 10)


def sources(kind: str, names: str, direction: str | None, canonical: Callable[[str], str]) -> tuple[Source, ...]:
    """Return the sources that `source interface Gi1/0/1 - 2 rx` or `source vlan 20 , 30 - 31` name. Raises ValueError."""
    listed = ports(names, canonical) if kind == "interface" else [str(vlan) for vlan in numbers(names)]
    return tuple(Source(kind, name, direction or "both") for name in listed)


def jobs(text: str, head: re.Pattern[str], when: re.Pattern[str]) -> dict[str, str]:
    """Return {session: when} of our timers: *head* matches a job's first line and has the session, *when* says the time."""
    found: dict[str, str] = {}
    session = None
    for indent, line in lines(text):
        if match := head.fullmatch(line):
            session = match[1]
            found.setdefault(session, "")
        elif session is not None and when.fullmatch(line):
            found[session] = line
        elif not indent:
            session = None
    return found
