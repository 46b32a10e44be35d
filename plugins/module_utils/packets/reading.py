# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the packets of a capture file one by one, pcap or pcapng, for whoever wants to look into them."""

from __future__ import annotations

import struct
import typing as t

from .passage import BAD_BLOCK, INTERFACE, OLD_PACKET, PACKET, SIMPLE_PACKET, Passage
from .pcapfile import MAX_RECORD, PCAP_MAGIC, Clock, clock_of
from .streams import Damaged, Source

if t.TYPE_CHECKING:
    from collections.abc import Callable

_NS = 1_000_000_000
#: What each kind of packet block says before its data: interface, time (high, low), bytes captured and on the wire.
_BLOCKS = {PACKET: "IIIII", OLD_PACKET: "HxxIIII"}


class Packet(t.NamedTuple):
    """A packet as captured. *data* is valid until the next one is read; *wire* is how long it was, *t_ns* since 1970."""

    t_ns: int
    link_type: int
    wire: int
    data: memoryview


class Reading(Passage):
    """One file on its way to *each*, which takes a Packet. Packets without a time (simple packet blocks) are left out."""

    def __init__(self, source: Source, each: Callable[[Packet], None]) -> None:
        super().__init__(source)
        self._each = each
        self._interfaces: list[tuple[Clock, int]] = []
        self._scale: int | None = None

    def begin_pcap(self, header: bytes) -> None:
        self._scale = PCAP_MAGIC[header[:4]][1]
        self._interfaces = [(Clock(1, 1, 0), struct.unpack_from(self.order + "I", header, 20)[0] & 0x0FFFFFFF)]

    def begin_section(self, block: bytes) -> None:
        self._interfaces = []

    def block(self, kind: int, block: bytes) -> None:
        if kind == INTERFACE:
            if len(block) < 20:
                raise Damaged(BAD_BLOCK)
            link_type = struct.unpack_from(self.order + "H", block, 8)[0]
            self._interfaces.append((clock_of(memoryview(block)[8:-4], self.order), link_type))

    def packets(self, view: memoryview) -> int:
        read = self._block_at if self._scale is None else self._record_at
        at = 0
        try:
            while size := read(view, at):
                at += size
        except Damaged:
            if not at:
                raise
        return at

    def _record_at(self, view: memoryview, at: int) -> int:
        """Hand on the record at *at* of a pcap file; return its size, 0 where it is not all there."""
        if at + 16 > len(view):
            return 0
        seconds, fraction, length, wire = struct.unpack_from(self.order + "IIII", view, at)
        if length > MAX_RECORD:
            raise Damaged(f"a record of {length} bytes")
        end = at + 16 + length
        if end > len(view):
            return 0
        now = seconds * _NS + fraction * t.cast("int", self._scale)
        self._each(Packet(now, self._interfaces[0][1], wire, view[at + 16 : end]))
        return end - at

    def _block_at(self, view: memoryview, at: int) -> int:
        """Do the same for a block of a pcapng file; 0 also where it holds no packet."""
        if at + 12 > len(view):
            return 0
        kind, total = struct.unpack_from(self.order + "II", view, at)
        if kind not in (*_BLOCKS, SIMPLE_PACKET):
            return 0
        if total < (16 if kind == SIMPLE_PACKET else 32) or total % 4 or total > MAX_RECORD:
            raise Damaged(BAD_BLOCK)
        if at + total > len(view):
            return 0
        if kind == SIMPLE_PACKET:
            return total
        number, high, low, length, wire = struct.unpack_from(self.order + _BLOCKS[kind], view, at + 8)
        if number >= len(self._interfaces) or length > total - 32:
            raise Damaged(BAD_BLOCK)
        clock, link_type = self._interfaces[number]
        self._each(Packet(clock.ns(high << 32 | low), link_type, wire, view[at + 28 : at + 28 + length]))
        return total


def read(path: str, each: Callable[[Packet], None]) -> str | None:
    """Hand every packet of the file *path*, plain or compressed, to *each*; return why reading ended early, else None."""
    source = Source(path)
    try:
        reading = Reading(source, each)
        reading.run()
        return reading.damage
    finally:
        source.close()
