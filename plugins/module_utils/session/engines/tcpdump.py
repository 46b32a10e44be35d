# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcpdump on a network interface, and on an RDMA device where its libpcap can."""

from __future__ import annotations

import os
import signal
import typing as t

from .base import Engine, Stats, megabytes, newest

if t.TYPE_CHECKING:
    from ..spec import Vantage

MEBI = 1 << 20
#: One number per line at the end, all in one line after SIGUSR1; older ones lack the last.
_NUMBERS = (
    r"(\d+) packets? captured[,\n]\s*(\d+) packets? received by filter[,\n]\s*(\d+) packets? dropped by kernel"
    r"(?:[,\n]\s*(\d+) packets? dropped by interface)?"
)


def file_options(vantage: Vantage, path: str) -> list[str]:
    """Return the options that write, rotate and name files.

    -G needs a time in the name, else each file overwrites the last; it rotates only when a packet comes, which is
    harmless for splitting, and it is never used to stop.
    """
    if vantage.ring:
        return ["-C", megabytes(vantage.ring.file_bytes), "-W", str(vantage.ring.files), "-w", path]
    options = []
    if vantage.split and vantage.split.bytes:
        options += ["-C", megabytes(vantage.split.bytes)]
    if vantage.split and vantage.split.seconds:
        options += ["-G", str(round(vantage.split.seconds))]
        path = os.path.join(os.path.dirname(path), "%s.pcap")
    return [*options, "-w", path]


class Tcpdump(Engine):
    name = "tcpdump"
    programs: t.ClassVar[tuple[str, ...]] = ("tcpdump",)
    live_signal = signal.SIGUSR1

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """-Z root: else it becomes another user, who may not create the ring's next file in a folder of root's."""
        command = ["tcpdump", "-i", vantage.capture_on, "-n", "-Z", "root", "-s", str(vantage.snaplen), *self.tuning(vantage)]
        return [*command, *file_options(vantage, path), *(["--", vantage.filter] if vantage.filter else [])]

    def tuning(self, vantage: Vantage) -> list[str]:
        return ["-B", str((vantage.buffer_mib * MEBI - self.piped(vantage)) // 1024), "--time-stamp-precision=nano"]

    def piped(self, vantage: Vantage) -> int:
        """Whole packets go through a pipe, with three quarters of the memory behind it, unless tcpdump rotates its files."""
        return vantage.buffer_mib * MEBI * 3 // 4 if vantage.whole and not (vantage.ring or vantage.split) else 0

    def ready(self, text: str) -> bool:
        return "listening on " in text

    def statistics(self, text: str) -> Stats:
        found = newest(_NUMBERS, text)
        if not found:
            return Stats()
        captured, received, kernel, interface = (None if item is None else int(item) for item in found.groups())
        return Stats(captured, received, kernel, interface, True, "tcpdump, from the kernel's packet socket")


class TcpdumpRdma(Tcpdump):
    """libpcap has a fixed buffer of 128 packets here, microseconds, and answers 0 drops whatever was lost."""

    name = "tcpdump_rdma"
    on_rdma = True

    def tuning(self, vantage: Vantage) -> list[str]:
        return []

    def statistics(self, text: str) -> Stats:
        said = super().statistics(text)
        if said.captured is None:
            return said
        return Stats(said.captured, said.received, None, None, False, "libpcap cannot count drops on an RDMA device")
