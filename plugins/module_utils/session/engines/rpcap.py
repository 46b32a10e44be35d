# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that a switch or another host captures and sends here by RPCAP: Comware's remote capture, libpcap's rpcapd."""

from __future__ import annotations

import signal
import sys
import typing as t

from .base import Engine, Stats, newest
from .tcpdump import MEBI

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from ..spec import Vantage

#: Of rpcapd and of Comware.
DEFAULT_PORT = 2002
_NUMBERS = (
    r"(\d+) packets captured, (\d+) missing"
    r"(?:; the server received (\d+), dropped (\d+) by kernel, (\d+) by interface, sent (\d+))?"
)
_SOURCE = "the RPCAP server, when the capture ended"


class Rpcap(Engine):
    """The client is ours, session/rpcap.py; tcpdump compiles the filter for it."""

    name = "rpcap"
    programs: t.ClassVar[tuple[str, ...]] = ("tcpdump",)
    remote = True
    live_signal = signal.SIGUSR1

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """The program is in the bundle that the supervisor runs from."""
        server = vantage.rpcap
        words = [server["server"], str(server.get("port") or DEFAULT_PORT), server.get("interface") or "", str(vantage.snaplen)]
        return [sys.executable, sys.argv[0], "rpcap", path, *words, vantage.filter]

    def piped(self, vantage: Vantage) -> int:
        return vantage.buffer_mib * MEBI * 3 // 4 if vantage.whole else 0

    def ready(self, text: str) -> bool:
        return "rpcap: listening on " in text

    def statistics(self, text: str) -> Stats:
        """A server whose own number of packets sent is less than what came here did not count."""
        found = newest(_NUMBERS, text)
        if not found:
            return Stats()
        captured, missing = int(found[1]), int(found[2])
        if found[3] is None:
            return Stats(captured, source="our own count; the RPCAP server has said no numbers")
        received, kernel, interface, sent = (int(item) for item in found.groups()[2:])
        fits = captured + missing >= sent and received >= sent and (sent > 0) == (captured > 0)
        if not fits:
            return Stats(captured, received, None, None, False, "the RPCAP server, whose numbers do not fit what it sent")
        return Stats(captured, received, kernel, interface, missing == 0, _SOURCE)

    def version_argv(self, vantage: Vantage) -> list[str]:
        """The client has no version of its own, and the Python that runs it has."""
        return [sys.executable, "--version"]

    def problems(self, vantage: Vantage) -> list[str]:
        return [*super().problems(vantage), *_problems(vantage)]


def _problems(vantage: Vantage) -> Iterator[str]:
    if not vantage.rpcap.get("server"):
        yield f"{vantage.vantage_id}: the engine rpcap has to be told whom to ask: set rpcap.server"
    if vantage.ring or vantage.split:
        yield f"{vantage.vantage_id}: rpcap writes one file: leave ring and split out; pcap_split can cut it afterwards"
