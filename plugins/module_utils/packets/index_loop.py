# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Goes through a capture file packet by packet and hands the rows of keys.py on, a batch at a time."""

from __future__ import annotations

import struct
import typing as t
from collections import Counter

from .decap import BLOCK, DAMAGE, MAX_INTERFACES, MORE, PCAP, PCAPNG
from .index import Note, row
from .keys import FLAGS
from .layers import LINK_TYPES
from .passage import BAD_BLOCK, INTERFACE, OLD_PACKET, PACKET, SIMPLE_PACKET, Passage
from .pcapfile import MAX_RECORD, PCAP_MAGIC, Clock, clock_of
from .streams import Damaged

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .layers import Step
    from .streams import Source

_NS = 1_000_000_000
#: Nothing counts time more finely; a clock that says it does is damaged.
FINEST = 1 << 60
_WAY = 2


class Interface(t.NamedTuple):
    """Where packets come from. *clock*: of a pcap file Clock(1, 1, 0). A *snaplen* of 0 is none."""

    link_type: int
    clock: Clock
    snaplen: int


class Batch(t.NamedTuple):
    """What a kernel made of the first *used* bytes that it was given, and *why* it stopped there: as in decap.py."""

    used: int
    why: int
    rows: t.Any
    notes: list[Note]


class Totals(t.NamedTuple):
    """Packets, how many of them have a link type that cannot be read, their bytes, how many are older than the one before, the
    earliest and the latest time (None without), and of each flag how many packets have it."""

    packets: int
    foreign: int
    captured: int
    wire: int
    out_of_order: int
    first_ns: int | None
    last_ns: int | None
    flags: dict[str, int]


class Kernel(t.Protocol):
    """The loop over packets, in Python or in C."""

    loop: str

    def begin(self, kind: str, order: str, scale: int) -> None:
        """A file or a section begins: *order* is < or >; a fraction of a second has *scale* ns in a pcap file."""

    def interface(self, interface: Interface) -> None:
        """Packets of one more interface will come."""

    def run(self, view: memoryview) -> Batch:
        """Go through the packets in *view*."""

    def totals(self) -> Totals:
        """Return the counts so far."""


class PythonKernel:
    """The loop over packets that works everywhere."""

    loop = "python"

    def __init__(self) -> None:
        self._kind, self._order, self._scale = PCAP, "<", 1000
        self._interfaces: list[tuple[Step | None, Clock, int]] = []
        self._flags: Counter[int] = Counter()
        self._foreign = self._captured = self._wire = self._disorder = 0
        self._first: int | None = None
        self._last = -(1 << 63) - 1
        self._previous = -(1 << 63)
        self._rows: list[bytes] = []
        self._notes: list[Note] = []

    def begin(self, kind: str, order: str, scale: int) -> None:
        self._kind, self._order, self._scale, self._interfaces = kind, order, scale, []

    def interface(self, interface: Interface) -> None:
        self._interfaces.append((LINK_TYPES.get(interface.link_type), interface.clock, interface.snaplen))

    def run(self, view: memoryview) -> Batch:
        self._rows, self._notes = [], []
        used, why = self._pcap(view) if self._kind == PCAP else self._pcapng(view)
        return Batch(used, why, b"".join(self._rows), self._notes)

    def totals(self) -> Totals:
        packets = sum(self._flags.values())
        flags = {name: sum(many for flags, many in self._flags.items() if flags & bit) for name, bit in FLAGS.items()}
        last = None if self._first is None else self._last
        return Totals(packets, self._foreign, self._captured, self._wire, self._disorder, self._first, last, flags)

    def _pcap(self, view: memoryview) -> tuple[int, int]:
        unpack, size, at = struct.Struct(self._order + "IIII").unpack_from, len(view), 0
        first, scale = self._interfaces[0][0], self._scale
        while at + 16 <= size:
            seconds, fraction, captured, wire = unpack(view, at)
            if captured > MAX_RECORD:
                return at, 3
            end = at + 16 + captured
            if end > size:
                break
            self._add(seconds * _NS + fraction * scale, 0, bytes(view[at + 16 : end]), wire, first)
            at = end
        return at, MORE

    def _pcapng(self, view: memoryview) -> tuple[int, int]:
        begin, size, at = struct.Struct(self._order + "II"), len(view), 0
        while at + 12 <= size:
            kind, total = begin.unpack_from(view, at)
            if kind not in (OLD_PACKET, SIMPLE_PACKET, PACKET):
                return at, BLOCK
            if total < 12 or total % 4 or total > MAX_RECORD:
                return at, 4
            if at + total > size:
                break
            block = view[at : at + total]
            if struct.unpack_from(self._order + "I", block, total - 4)[0] != total:
                return at, 5
            damage = self._simple(block) if kind == SIMPLE_PACKET else self._block(kind, block)
            if damage:
                return at, damage
            at += total
        return at, MORE

    def _block(self, kind: int, block: memoryview) -> int:
        """Handle one block with a packet; return what is wrong with it, or 0."""
        if len(block) < 32:
            return 6
        number = struct.unpack_from(self._order + ("I" if kind == PACKET else "H"), block, 8)[0]
        high, low, captured, wire = struct.unpack_from(self._order + "IIII", block, 12)
        if number >= len(self._interfaces):
            return 7
        if captured > len(block) - 32:
            return 6
        first, clock, _snaplen = self._interfaces[number]
        options = block[28 + (captured + 3) // 4 * 4 : -4]
        self._add(_wrapped(clock.ns(high << 32 | low)), self._way(options), bytes(block[28 : 28 + captured]), wire, first)
        return 0

    def _way(self, options: memoryview) -> int:
        """Return which way the packet went as an option of its block says."""
        at = 0
        while at + 4 <= len(options):
            code, length = struct.unpack_from(self._order + "HH", options, at)
            if not code or at + 4 + length > len(options):
                return 0
            if code == _WAY and length == 4:
                way = struct.unpack_from(self._order + "I", options, at + 4)[0] & 3
                return way if way < 3 else 0
            at += 4 + (length + 3) // 4 * 4
        return 0

    def _simple(self, block: memoryview) -> int:
        """Handle a packet that has neither a time nor an interface: it is of the first one."""
        if len(block) < 16:
            return 6
        if not self._interfaces:
            return 7
        wire = struct.unpack_from(self._order + "I", block, 8)[0]
        first, _clock, snaplen = self._interfaces[0]
        captured = min(wire, len(block) - 16, snaplen or wire)
        self._add(None, 0, bytes(block[12 : 12 + captured]), wire, first)
        return 0

    def _add(self, t_ns: int | None, direction: int, data: bytes, wire: int, first: Step | None) -> None:
        packed, flags, kind, noted = row(t_ns or 0, direction, data, wire, first)
        if noted is not None:
            self._notes.append(Note(len(self._rows), kind, noted))
        self._rows.append(packed)
        self._flags[flags] += 1
        self._foreign += first is None
        self._captured += len(data)
        self._wire += wire
        if t_ns is None:
            return
        if t_ns < self._previous:
            self._disorder += 1
            self._first = min(t.cast("int", self._first), t_ns)
        self._previous = t_ns
        if t_ns > self._last:
            self._last = t_ns
            self._first = t_ns if self._first is None else self._first


def _wrapped(t_ns: int) -> int:
    """Return a time in the 64 bits that a row has for it, as a nonsensical one may have more."""
    return (t_ns + (1 << 63)) % (1 << 64) - (1 << 63)


class Index(Passage):
    """One file on its way from *source* into rows, of which *take* is handed each batch."""

    def __init__(self, source: Source, kernel: Kernel, take: Callable[[Batch], None]) -> None:
        super().__init__(source)
        self._kernel, self._take = kernel, take
        self._interfaces = 0
        self._seen: dict[tuple[int, int], None] = {}

    def link_types(self) -> list[int]:
        """Return the link types that were announced, each once."""
        return list(dict.fromkeys(link_type for link_type, _snaplen in self._seen))

    def snaplen(self) -> int | None:
        """Return the smallest snap length that was announced; None without."""
        return min((snaplen for _link_type, snaplen in self._seen if snaplen), default=None)

    def begin_pcap(self, header: bytes) -> None:
        # The upper bits tell of a frame check sequence, which no header announces.
        snaplen, link_type = struct.unpack_from(self.order + "II", header, 16)
        self._kernel.begin(PCAP, self.order, PCAP_MAGIC[header[:4]][1])
        self._add(Interface(link_type & 0xFFFF, Clock(1, 1, 0), snaplen))

    def begin_section(self, block: bytes) -> None:
        self._kernel.begin(PCAPNG, self.order, 1)
        self._interfaces = 0

    def block(self, kind: int, block: bytes) -> None:
        if kind != INTERFACE:
            return
        if len(block) < 20:
            raise Damaged(BAD_BLOCK)
        link_type, snaplen = struct.unpack_from(self.order + "HxxI", block, 8)
        clock = clock_of(memoryview(block)[8:-4], self.order)
        if clock.divisor > FINEST:
            raise Damaged("an interface that counts time more finely than any clock does")
        self._interfaces += 1
        if self._interfaces > MAX_INTERFACES:
            raise Damaged(f"more than {MAX_INTERFACES} interfaces")
        self._add(Interface(link_type, clock, snaplen))

    def packets(self, view: memoryview) -> int:
        """Hand the packets to the kernel and its rows on."""
        batch = self._kernel.run(view)
        if batch.used:
            self._take(batch)
        elif batch.why > BLOCK:
            raise Damaged(DAMAGE[batch.why])
        return batch.used

    def _add(self, interface: Interface) -> None:
        self._kernel.interface(interface)
        if len(self._seen) < MAX_INTERFACES:
            self._seen[interface.link_type, interface.snaplen] = None
