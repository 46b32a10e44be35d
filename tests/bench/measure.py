# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement is: a command with its time, CPU and memory, and the table that comes of many."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Failed(Exception):
    """A part cannot be measured here; the message says why."""


class Used(t.NamedTuple):
    """What a command took: it and all it waited for. *rss_mib* is the peak of the largest single process."""

    wall_s: float
    cpu_s: float
    rss_mib: float
    out: str


class Table(t.NamedTuple):
    """The result of a part. Rows have as many cells as *columns*; *notes* are sentences; *how* says what was done."""

    part: str
    how: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: list[str]

    def text(self) -> str:
        """Return the table as Markdown that also reads well on a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        shown = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |" for line in lines]
        shown.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([*shown, "", *(f"* {note}" for note in self.notes)])


def used(argv: Sequence[str], environment: Mapping[str, str] | None = None, stdout: t.IO[t.Any] | None = None) -> Used:
    """Run *argv* to its end; raises Failed with its last words. ssh masters that stay behind are not counted."""
    with tempfile.TemporaryFile() as said:
        started = time.monotonic()
        child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=stdout or said, stderr=said, env={**os.environ, **(environment or {})}
        )
        _pid, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        out = said.read().decode(errors="replace")
    if child.returncode:
        raise Failed(f"{' '.join(argv[-4:])[:200]} ended with {child.returncode}:\n{out[-2000:]}")
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out)


def median(values: Iterable[float]) -> float:
    return statistics.median(values)
