# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of platforms whose sessions are made by programs on the switch itself: read it, and run what was rendered."""

from __future__ import annotations

import shlex
import typing as t

from ..settings.model import Refused
from .transcript import entry

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..host import Host
    from .platform import Platform

#: What a program may take: NVUE applies a configuration in most of a minute.
SECONDS = 120.0


def read(platform: Platform, host: Host) -> str:
    """Return the transcript that *platform* parses. Raises Refused with the words of a program that failed."""
    text = "".join(entry(line, run(host, line)) for line in platform.reads)
    return text + "".join(entry(line, run(host, line)) for line in platform.more(text))


def apply(host: Host, commands: Iterable[str], note: Callable[[str], None] = str) -> None:
    """Run *commands* in their order, telling *note* each one that is done. Raises Refused at the first that fails."""
    for line in commands:
        run(host, line)
        note(line)


def run(host: Host, line: str) -> str:
    """Run the program of *line* without a shell and return what it printed."""
    done = host.run(shlex.split(line), timeout=SECONDS)
    if done.rc:
        raise Refused(f"{line} failed: {done.message}")
    return done.out
