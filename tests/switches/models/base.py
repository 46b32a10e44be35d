# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all switches that are typed at have in common: lines, submodes, the rest of the configuration, and time."""

from __future__ import annotations

import datetime
import re
import typing as t

Both = frozenset({"rx", "tx"})


class Device:
    """The configuration mode of a switch that cannot run here.

    apply(line) takes a line as typed in configuration mode and returns what the switch answers: nothing when it is content. Lines
    that match *asks* are taken as answered with yes; a terminal asks *question* first.
    running() is the whole running configuration, show(command) what a command of `Platform.reads` prints. *mode* is what the
    vendor's prompt says of the submode. elapse(minutes) lets time go by, and jobs of the switch run. Device(text) starts
    from a running configuration.
    """

    #: {submode: ((pattern of a line, method), ...)}; a line that a submode does not know is tried in those around it.
    rules: t.ClassVar[dict[str, tuple[tuple[str, str], ...]]] = {}
    top = "config"
    invalid = "% Invalid input detected at '^' marker."
    comment = "!"
    #: A line of stored configurations after which one is at the top again.
    separator = ""
    interface_words = r"(?:no )?(?:description|switchport|ip|ipv6|mtu|speed|shutdown|channel-group|port|undo|lldp|spanning-tree)\b.*"
    initial = ""
    asks = r"(?!)"
    question = ""

    def __init__(self, text: str = "") -> None:
        self.stack: list[tuple[str, t.Any]] = []
        self.interfaces: dict[str, list[str]] = {}
        self.clock = datetime.datetime(2026, 3, 1, 12, 0, 30, tzinfo=datetime.timezone.utc)
        self.setup()
        #: At start a line means what it means in a stored configuration, where a default may be another.
        self.loading = True
        for line in (text or self.initial).splitlines():
            self.apply(line)
        self.stack, self.loading = [], False

    def setup(self) -> None:
        """Make what the platform keeps."""

    @property
    def mode(self) -> str:
        return self.stack[-1][0] if self.stack else self.top

    @property
    def here(self) -> t.Any:
        """What the submode edits."""
        return self.stack[-1][1]

    def apply(self, line: str) -> str:
        line = " ".join(line.split())
        if line and line == self.separator:
            self.stack = []
            return ""
        if not line or line.startswith(self.comment):
            return ""
        if line in ("exit", "quit"):
            del self.stack[-1:]
            return ""
        if line in ("end", "return"):
            self.stack = []
            return ""
        return self.take(line)

    def take(self, line: str) -> str:
        for depth in range(len(self.stack), -1, -1):
            mode = self.stack[depth - 1][0] if depth else self.top
            for pattern, method in self.rules.get(mode, ()):
                if match := re.fullmatch(pattern, line):
                    del self.stack[depth:]
                    return getattr(self, method)(match) or ""
        return self.invalid

    def enter(self, mode: str, what: t.Any) -> None:
        self.stack.append((mode, what))

    def interface(self, match: re.Match[str]) -> None:
        self.enter("config-if", self.interfaces.setdefault(match[1].replace(" ", ""), []))

    def interface_line(self, match: re.Match[str]) -> None:
        toggle(self.here, match[0])

    def running(self) -> str:
        raise NotImplementedError

    def show(self, command: str) -> str:
        """Print the sections of the configuration that `| section PATTERN` and the like choose, or all of it."""
        pattern = command.partition("section ")[2].strip()
        return "".join(part for part in sections(self.running()) if re.search(pattern, part.splitlines()[0]))

    def operate(self, line: str) -> str:
        """Take a line that is typed outside configuration mode and changes no configuration."""
        return self.invalid

    def elapse(self, minutes: int) -> None:
        """Let *minutes* go by."""
        self.clock += datetime.timedelta(minutes=minutes)

    def batch(self, lines: t.Iterable[str]) -> None:
        """Type *lines* as a job of the switch does, beside whoever is typing."""
        aside, self.stack = self.stack, []
        for line in lines:
            self.apply(line)
        self.stack = aside


def toggle(lines: list[str], line: str) -> None:
    """Keep *line*, or drop what it negates."""
    gone = line.removeprefix("no ").removeprefix("undo ")
    lines[:] = [other for other in lines if other not in (line, gone)]
    if gone == line:
        lines.append(line)


def sections(text: str) -> list[str]:
    """Return the stanzas of *text*: a line and what is indented under it."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(" ") and found:
            found[-1] += line
        elif line.strip() not in ("!", "#"):
            found.append(line)
    return found


def listed(text: str) -> list[str]:
    """Return the members of `Gi1/0/1 - 4 , Gi1/0/7` or `20,30-31`."""
    found = []
    for part in re.split(r"\s*,\s*", text.strip()):
        first, dash, last = re.sub(r"(?<=\d)\s*-\s*(?=\d+$)", "~", part).partition("~")
        head, low = t.cast("re.Match[str]", re.fullmatch(r"(.*?)(\d+)", first)).groups()
        found += [f"{head}{number}" for number in range(int(low), int(last or low) + 1)] if dash else [first]
    return found


def ranges(names: t.Iterable[str], dash: str = "-", comma: str = ",") -> str:
    """Return *names*, or numbers, as the vendor writes them together. The inverse of listed()."""
    found: list[tuple[str, int, int]] = []
    for name in names:
        head, number = t.cast("re.Match[str]", re.fullmatch(r"(.*?)(\d+)", name)).groups()
        if found and found[-1][0] == head and found[-1][2] == int(number) - 1:
            found[-1] = (head, found[-1][1], int(number))
        else:
            found.append((head, int(number), int(number)))
    return comma.join(f"{head}{low}" + (f"{dash}{high}" if high > low else "") for head, low, high in found)


def ways(direction: str | None) -> frozenset[str]:
    return Both if direction in (None, "both") else frozenset({str(direction)})
