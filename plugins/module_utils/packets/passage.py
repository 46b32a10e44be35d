# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes through a capture file as it streams by, and hands on what it meets: headers, packets, other blocks.

pcap as in draft-ietf-opsawg-pcap, pcapng as in draft-ietf-opsawg-pcapng. Nothing is believed: every length is bounded.
"""

from __future__ import annotations

import struct
import typing as t

from .pcapfile import BYTE_ORDER, MAX_RECORD, PCAP_MAGIC, SECTION
from .streams import Damaged

if t.TYPE_CHECKING:
    from .streams import Source

BUFFER = 1 << 20
INTERFACE, OLD_PACKET, SIMPLE_PACKET, PACKET = 1, 2, 3, 6
BAD_BLOCK, BAD_LENGTHS = "a block of a length that cannot be", "a block whose two lengths differ"


class Passage:
    """One capture file on its way from *source*. What becomes of it is in the methods that raise NotImplementedError."""

    def __init__(self, source: Source) -> None:
        self.order = "<"
        self.damage: str | None = None
        self._source = source
        self._step: t.Callable[[memoryview], int] = self._detect
        self._offset = 0

    def begin_pcap(self, header: bytes) -> None:
        """Take the file header of 24 bytes; *order* and what its magic number says are known."""
        raise NotImplementedError

    def begin_section(self, block: bytes) -> None:
        """Take the header of a pcapng section, whose length is left open."""
        raise NotImplementedError

    def block(self, kind: int, block: bytes) -> None:
        """Take a whole pcapng block that neither begins a section nor holds a packet."""
        raise NotImplementedError

    def packets(self, view: memoryview) -> int:
        """Take the whole packets at the beginning of *view*; return how many bytes they are. Raises Damaged."""
        raise NotImplementedError

    def run(self) -> None:
        """Go through the file to its end or to where it is damaged, which `damage` then describes."""
        buffer, have = bytearray(BUFFER), 0
        try:
            while size := self._source.read_into(memoryview(buffer)[have:]):
                have += size
                used = self._walk(memoryview(buffer)[:have])
                buffer[: have - used] = buffer[used:have]
                have -= used
                if have == len(buffer):
                    buffer = buffer + bytes(len(buffer))  # a new one: views of the old may still be held
            if have or not self._offset:
                raise Damaged(f"the file ends within a record, {have} bytes after its beginning" if have else "there is not one byte")
        except Damaged as damage:
            self.damage = f"at byte {self._offset}: {damage}"

    def _walk(self, view: memoryview) -> int:
        """Use up what is whole in *view*; return how many bytes that were."""
        done = 0
        while done < len(view):
            used = self._step(view[done:])
            if not used:
                break
            done += used
            self._offset += used
        return done

    def _detect(self, view: memoryview) -> int:
        if len(view) < 4:
            return 0
        magic = bytes(view[:4])
        if magic == SECTION:
            self._step = self._pcapng
            return self._pcapng(view)
        if magic not in PCAP_MAGIC:
            raise Damaged(f"it begins with {magic.hex()}, which is neither pcap nor pcapng")
        if len(view) < 24:
            return 0
        self.order = PCAP_MAGIC[magic][0]
        self.begin_pcap(bytes(view[:24]))
        self._step = self.packets
        return 24

    def _pcapng(self, view: memoryview) -> int:
        if len(view) < 12:
            return 0
        if view[:4] == SECTION:
            return self._other(view)
        kind = struct.unpack_from(self.order + "I", view)[0]
        return self.packets(view) if kind in (OLD_PACKET, SIMPLE_PACKET, PACKET) else self._other(view)

    def _other(self, view: memoryview) -> int:
        """Hand on one block that is no packet; 0 when it is not all there yet."""
        if view[:4] == SECTION:
            self._tell_order(view)
        kind, total = struct.unpack_from(self.order + "II", view)
        if total < 12 or total % 4 or total > MAX_RECORD:
            raise Damaged(BAD_BLOCK)
        if total > len(view):
            return 0
        block = bytes(view[:total])
        if struct.unpack_from(self.order + "I", block, total - 4)[0] != total:
            raise Damaged(BAD_LENGTHS)
        if block[:4] != SECTION:
            self.block(kind, block)
        elif total < 28:
            raise Damaged(BAD_BLOCK)
        else:
            # Its length would no longer be true.
            self.begin_section(block[:16] + b"\xff" * 8 + block[24:])
        return total

    def _tell_order(self, view: memoryview) -> None:
        order = BYTE_ORDER.get(bytes(view[8:12]))
        if order is None:
            raise Damaged("a section whose byte order cannot be told")
        self.order = order
