# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch's own capture is that it serves by RPCAP. Pure."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .platform import Typing

#: Where an RPCAP server listens that was told no port.
DEFAULT_PORT = 2002


class Capture(t.NamedTuple):
    """*direction* is what the switch receives there (rx), sends (tx), or both; *port* None leaves the switch's default."""

    interface: str
    direction: str = "rx"
    port: int | None = None


class Running(t.NamedTuple):
    """A capture that a switch shows: *file* is where it writes, "" where it writes none and so may be a remote one."""

    file: str = ""


class RemoteCapture(t.NamedTuple):
    """What a platform of that name types. *reads* print what *parse* takes; *hint* says why a switch may not know them."""

    platform: str
    reads: tuple[str, ...]
    parse: Callable[[str], Running | None]
    start: Callable[[Capture], list[str]]
    stop: Callable[[], list[str]]
    interface: Callable[[str], str]
    typing: Typing
    hint: str = ""
