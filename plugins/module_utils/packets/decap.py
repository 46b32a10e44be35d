# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes what switches wrote around mirrored frames off a capture file, as it streams by.

Time stamps, format, resolution and byte order stay as they are, so that nothing is lost in converting. pcap as in
draft-ietf-opsawg-pcap, pcapng as in draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import struct
import typing as t

from .layers import LINK_TYPES
from .mirrors import COLUMNS, MAX_DEPTH, Found, Streams, find, report, row
from .passage import BAD_BLOCK, BAD_LENGTHS, INTERFACE, OLD_PACKET, PACKET, SIMPLE_PACKET, Passage
from .pcapfile import MAX_RECORD
from .streams import Damaged

if t.TYPE_CHECKING:
    from .mirrors import Stream, StreamId
    from .streams import Sink, Source

PCAP, PCAPNG = "pcap", "pcapng"
ETHERNET = 1
MAX_INTERFACES = 4096
_FCS_LENGTH, _PACKET_HASH = 13, 3

#: Why a kernel came back: the next packet is not all there, it has more to do, or a block is no packet. What is above is damage.
MORE, FLUSH, BLOCK = range(3)
DAMAGE = {
    3: f"a record of more than {MAX_RECORD} bytes",
    4: BAD_BLOCK,
    5: BAD_LENGTHS,
    6: "a packet that does not fit its block",
    7: "a packet of an interface of which nothing was said",
}


class Batch(t.NamedTuple):
    """What a kernel made of the first *used* bytes that it was given, and *why* it stopped there."""

    used: int
    why: int
    out: t.Any
    rest: t.Any
    side: t.Any


class Totals(t.NamedTuple):
    """Packets read, frames written, and what the other packets were; *left_out*: headers of more streams than are told apart."""

    packets: int
    frames: int
    other: int
    short: int
    fragments: int
    unknown: int
    left_out: int


class Wanted(t.NamedTuple):
    """What is wanted beside the frames, and how many mirrors within mirrors are undone."""

    rest: bool = False
    side: bool = False
    depth: int = MAX_DEPTH


class Kernel(t.Protocol):
    """The loop over packets, in Python or in C."""

    loop: str

    def begin(self, kind: str, order: str) -> None:
        """A file or a section begins: *order* is < or >."""

    def interface(self, link_type: int) -> None:
        """Packets of one more link type will come."""

    def run(self, view: memoryview) -> Batch:
        """Go through the packets in *view*."""

    def totals(self) -> Totals:
        """Return the counts so far."""

    def streams(self) -> list[tuple[StreamId, Stream]]:
        """Return what is known of each stream so far."""


class PythonKernel:
    """The loop over packets that works everywhere."""

    loop = "python"

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._streams = Streams()
        self._packets = self._frames = 0
        self._counts = {None: 0, "short": 0, "fragment": 0, "unknown": 0}
        self._order, self._kind = "<", PCAP
        self._links: list[int] = []
        self._out: list[t.Any] = []
        self._rest: list[t.Any] = []
        self._side: list[str] = []

    def begin(self, kind: str, order: str) -> None:
        self._kind, self._order, self._links = kind, order, []

    def interface(self, link_type: int) -> None:
        self._links.append(link_type)

    def run(self, view: memoryview) -> Batch:
        self._out, self._rest, self._side = [], [], []
        used, why = self._pcap(view) if self._kind == PCAP else self._pcapng(view)
        return Batch(used, why, b"".join(self._out), b"".join(self._rest), "".join(self._side).encode())

    def totals(self) -> Totals:
        other, short, fragments, unknown = self._counts.values()
        return Totals(self._packets, self._frames, other, short, fragments, unknown, self._streams.left_out)

    def streams(self) -> list[tuple[StreamId, Stream]]:
        return self._streams.items()

    def _pcap(self, view: memoryview) -> tuple[int, int]:
        header, size, at = struct.Struct(self._order + "8sII"), len(view), 0
        while at + 16 <= size:
            stamp, captured, wire = header.unpack_from(view, at)
            if captured > MAX_RECORD:
                return at, 3
            end = at + 16 + captured
            if end > size:
                break
            found = self._find(view[at + 16 : end], wire, self._links[0])
            if found:
                self._out += (header.pack(stamp, found.stop - found.start, found.wire), view[at + 16 + found.start : at + 16 + found.stop])
            elif self._wanted.rest:
                self._rest.append(view[at:end])
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
            damage = self._block(kind, view[at : at + total])
            if damage:
                return at, damage
            at += total
        return at, MORE

    def _block(self, kind: int, block: memoryview) -> int:
        """Handle one block with a packet; return what is wrong with it, or 0."""
        if struct.unpack_from(self._order + "I", block, len(block) - 4)[0] != len(block):
            return 5
        if kind == SIMPLE_PACKET:  # its lengths hang on the interface's snaplen, so that nothing shorter can be put in its place
            self._packets += 1
            self._counts["unknown"] += 1
            self._keep(block)
            return 0
        if len(block) < 32:
            return 6
        number = struct.unpack_from(self._order + ("I" if kind == PACKET else "H"), block, 8)[0]
        captured, wire = struct.unpack_from(self._order + "II", block, 20)
        if number >= len(self._links):
            return 7
        if captured > len(block) - 32:
            return 6
        found = self._find(block[28 : 28 + captured], wire, self._links[number])
        if found:
            self._out.append(self._shortened(block, captured, found))
        else:
            self._keep(block)
        return 0

    def _shortened(self, block: memoryview, captured: int, found: Found) -> bytes:
        """Return *block* with nothing but the frame in it. A hash of the packet is left out, being that of another."""
        data = bytes(block[28 + found.start : 28 + found.stop])
        data += bytes(-len(data) % 4)
        tail = without_option(block[28 + captured + -captured % 4 : -4], self._order, _PACKET_HASH)
        total = struct.pack(self._order + "I", 32 + len(data) + len(tail))
        lengths = struct.pack(self._order + "II", found.stop - found.start, found.wire)
        return b"".join((block[:4], total, block[8:20], lengths, data, tail, total))

    def _keep(self, block: memoryview) -> None:
        if self._wanted.rest:
            self._rest.append(block)

    def _find(self, data: memoryview, wire: int, link_type: int) -> Found | None:
        """Look for a mirrored frame, and account for what was found."""
        self._packets += 1
        first = LINK_TYPES.get(link_type)
        found = find(data, wire, first, self._wanted.depth) if first else None
        if not isinstance(found, Found):
            self._counts[found] += 1
            return None
        self._frames += 1
        for depth, mirror in enumerate(found.mirrors):
            stream = self._streams.count(mirror, depth, found.wire)
            if self._wanted.side:
                self._side.append(row(self._packets, self._frames, depth, stream, mirror, data))
        return found


def without_option(view: memoryview, order: str, unwanted: int) -> bytes:
    """Return a block's options but the *unwanted* one, up to the end mark or to where they stop making sense."""
    kept, at = [], 0
    while at + 4 <= len(view):
        code, length = struct.unpack_from(order + "HH", view, at)
        end = at + 4 + (length + 3) // 4 * 4
        if end > len(view):
            break
        if code != unwanted:
            kept.append(view[at:end])
        at = end
        if not code:
            break
    return b"".join(kept)


class Decap(Passage):
    """One file on its way from *source* to the frames, the packets that mirror nothing, and the side table."""

    def __init__(self, source: Source, out: Sink, rest: Sink | None, side: Sink | None, kernel: Kernel) -> None:
        super().__init__(source)
        self._out, self._rest, self._side, self._kernel = out, rest, side, kernel
        self._interfaces = 0

    def run(self) -> None:
        if self._side:
            self._side.write((",".join(COLUMNS) + "\n").encode())
        super().run()

    def begin_pcap(self, header: bytes) -> None:
        # The upper bits tell of a frame check sequence, which no decapsulated frame has.
        link_type = struct.unpack_from(self.order + "I", header, 20)[0] & 0xFFFF
        if link_type not in LINK_TYPES:
            raise Damaged(f"its link type is {link_type}, in which no mirrored frame can be found")
        self._kernel.begin(PCAP, self.order)
        self._kernel.interface(link_type)
        self._out.write(header[:20] + struct.pack(self.order + "I", ETHERNET))
        if self._rest:
            self._rest.write(header)

    def packets(self, view: memoryview) -> int:
        """Hand the packets to the kernel and write what it made of them."""
        batch = self._kernel.run(view)
        for sink, data in ((self._out, batch.out), (self._rest, batch.rest), (self._side, batch.side)):
            if sink and data:
                sink.write(data)
        if batch.why > BLOCK and not batch.used:
            raise Damaged(DAMAGE[batch.why])
        return batch.used

    def begin_section(self, block: bytes) -> None:
        self._kernel.begin(PCAPNG, self.order)
        self._interfaces = 0
        for sink in filter(None, (self._out, self._rest)):
            sink.write(block)

    def block(self, kind: int, block: bytes) -> None:
        self._out.write(self._interface(block) if kind == INTERFACE else block)
        if self._rest:
            self._rest.write(block)

    def _interface(self, block: bytes) -> bytes:
        """Return the interface as one of Ethernet, where what comes from it can be decapsulated."""
        if len(block) < 20:
            raise Damaged(DAMAGE[4])
        link_type = struct.unpack_from(self.order + "H", block, 8)[0]
        self._interfaces += 1
        if self._interfaces > MAX_INTERFACES:
            raise Damaged(f"more than {MAX_INTERFACES} interfaces")
        self._kernel.interface(link_type)
        if link_type not in LINK_TYPES:
            return block
        body = struct.pack(self.order + "H", ETHERNET) + block[10:16]
        body += without_option(memoryview(block)[16:-4], self.order, _FCS_LENGTH)
        total = struct.pack(self.order + "I", 12 + len(body))
        return block[:4] + total + body + total


def summary(kernel: Kernel, damage: str | None, reason: str | None = None) -> dict[str, t.Any]:
    """Return what a run came to. *complete*: the input was whole, and no mirror was left undone.

    *loop* is c or python; *reason* says why it is not c.
    """
    totals = kernel.totals()
    return {
        "complete": damage is None and not totals.short + totals.fragments + totals.unknown,
        **totals._asdict(),
        "damage": damage,
        "loop": kernel.loop,
        "loop_reason": reason,
        "streams": [report(number, *item) for number, item in enumerate(kernel.streams())],
    }
