# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge of platforms whose sessions are made by programs on the switch itself: read it, and run what was rendered."""

from __future__ import annotations

import shlex
import time
import typing as t

from ..settings.model import Refused
from .transcript import entry

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ..host import Host
    from .platform import Platform

#: What a program may take: NVUE applies a configuration in most of a minute.
SECONDS = 120.0
#: What a switch may take to bring a session up: SONiC looks for the way to the collector first.
SETTLE_SECONDS = 10.0


def read(platform: Platform, host: Host) -> str:
    """Return the transcript that *platform* parses. Raises Refused with the words of a program that failed."""
    text = "".join(entry(line, run(host, line)) for line in platform.reads)
    return text + "".join(entry(line, run(host, line)) for line in platform.more(text))


def apply(host: Host, commands: Iterable[str]) -> None:
    """Run *commands* in their order. Raises Refused at the first that fails."""
    for line in commands:
        run(host, line)


def settle(platform: Platform, host: Host, names: Collection[str]) -> None:
    """Wait until the switch finds no fault with the sessions *names*. Raises Refused with its words when it goes on to.

    Some programs are content with what their daemon cannot do: ovs-vsctl ends with 0 when a tunnel is refused.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    while faults := _faults(platform, host, names):
        if time.monotonic() >= deadline:
            raise Refused("; ".join(faults))
        time.sleep(0.5)


def _faults(platform: Platform, host: Host, names: Collection[str]) -> list[str]:
    sessions = platform.parse(read(platform, host))
    return [f"session {name} of {platform.name} mirrors nothing: {sessions[name].fault}" for name in names if name in sessions and sessions[name].fault]


def run(host: Host, line: str) -> str:
    """Run the program of *line* without a shell and return what it printed."""
    done = host.run(shlex.split(line), timeout=SECONDS)
    if done.rc:
        raise Refused(f"{line} failed: {done.message}")
    return done.out
