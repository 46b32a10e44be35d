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
from .pcapfile import BYTE_ORDER, MAX_RECORD, PCAP_MAGIC, SECTION
from .streams import Damaged

if t.TYPE_CHECKING:
    from .mirrors import Stream, StreamId
    from .streams import Sink, Source

BUFFER = 1 << 20
PCAP, PCAPNG = "pcap", "pcapng"
ETHERNET = 1
MAX_INTERFACES = 4096
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_FCS_LENGTH, _PACKET_HASH = 13, 3

#: Why a kernel came back: the next packet is not all there, it has more to do, or a block is no packet. What is above is damage.
MORE, FLUSH, BLOCK = range(3)
DAMAGE = {
    3: f"a record of more than {MAX_RECORD} bytes",
    4: "a block of a length that cannot be",
    5: "a block whose two lengths differ",
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
            if kind not in (_OLD_PACKET, _SIMPLE_PACKET, _PACKET):
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
        if kind == _SIMPLE_PACKET:  # its lengths hang on the interface's snaplen, so that nothing shorter can be put in its place
            self._packets += 1
            self._counts["unknown"] += 1
            self._keep(block)
            return 0
        if len(block) < 32:
            return 6
        number = struct.unpack_from(self._order + ("I" if kind == _PACKET else "H"), block, 8)[0]
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


class Decap:
    """One file on its way from *source* to the frames, the packets that mirror nothing, and the side table."""

    def __init__(self, source: Source, out: Sink, rest: Sink | None, side: Sink | None, kernel: Kernel) -> None:
        self._source, self._out, self._rest, self._side, self._kernel = source, out, rest, side, kernel
        self._step: t.Callable[[memoryview], int] = self._detect
        self._order = "<"
        self._interfaces = 0
        self._offset = 0
        self.damage: str | None = None

    def run(self) -> None:
        """Go through the file to its end or to where it is damaged, which `damage` then describes."""
        if self._side:
            self._side.write((",".join(COLUMNS) + "\n").encode())
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
        return self._pcap_header(view) if len(view) >= 24 else 0

    def _pcap_header(self, view: memoryview) -> int:
        self._order = PCAP_MAGIC[bytes(view[:4])][0]
        # The upper bits tell of a frame check sequence, which no decapsulated frame has.
        link_type = struct.unpack_from(self._order + "I", view, 20)[0] & 0xFFFF
        if link_type not in LINK_TYPES:
            raise Damaged(f"its link type is {link_type}, in which no mirrored frame can be found")
        self._kernel.begin(PCAP, self._order)
        self._kernel.interface(link_type)
        self._out.write(bytes(view[:20]) + struct.pack(self._order + "I", ETHERNET))
        if self._rest:
            self._rest.write(view[:24])
        self._step = self._packets
        return 24

    def _packets(self, view: memoryview) -> int:
        """Hand the packets to the kernel and write what it made of them; return how many bytes that were."""
        batch = self._kernel.run(view)
        for sink, data in ((self._out, batch.out), (self._rest, batch.rest), (self._side, batch.side)):
            if sink and data:
                sink.write(data)
        if batch.why > BLOCK and not batch.used:
            raise Damaged(DAMAGE[batch.why])
        return batch.used

    def _pcapng(self, view: memoryview) -> int:
        if len(view) < 12:
            return 0
        if view[:4] == SECTION:
            return self._other(view)
        kind = struct.unpack_from(self._order + "I", view)[0]
        return self._packets(view) if kind in (_OLD_PACKET, _SIMPLE_PACKET, _PACKET) else self._other(view)

    def _other(self, view: memoryview) -> int:
        """Copy one block that is no packet; 0 when it is not all there yet."""
        if view[:4] == SECTION:
            self._begin_section(view)
        kind, total = struct.unpack_from(self._order + "II", view)
        if total < 12 or total % 4 or total > MAX_RECORD:
            raise Damaged(DAMAGE[4])
        if total > len(view):
            return 0
        block = bytes(view[:total])
        if struct.unpack_from(self._order + "I", block, total - 4)[0] != total:
            raise Damaged(DAMAGE[5])
        if block[:4] == SECTION:
            block = self._section(block)
            self._out.write(block)
        else:
            self._out.write(self._interface(block) if kind == _INTERFACE else block)
        if self._rest:
            self._rest.write(block)
        return total

    def _begin_section(self, view: memoryview) -> None:
        order = BYTE_ORDER.get(bytes(view[8:12]))
        if order is None:
            raise Damaged("a section whose byte order cannot be told")
        self._order = order

    def _section(self, block: bytes) -> bytes:
        """Return the section header without a length, which would no longer be true."""
        if len(block) < 28:
            raise Damaged(DAMAGE[4])
        self._kernel.begin(PCAPNG, self._order)
        self._interfaces = 0
        return block[:16] + b"\xff" * 8 + block[24:]

    def _interface(self, block: bytes) -> bytes:
        """Return the interface as one of Ethernet, where what comes from it can be decapsulated."""
        if len(block) < 20:
            raise Damaged(DAMAGE[4])
        link_type = struct.unpack_from(self._order + "H", block, 8)[0]
        self._interfaces += 1
        if self._interfaces > MAX_INTERFACES:
            raise Damaged(f"more than {MAX_INTERFACES} interfaces")
        self._kernel.interface(link_type)
        if link_type not in LINK_TYPES:
            return block
        body = struct.pack(self._order + "H", ETHERNET) + block[10:16]
        body += without_option(memoryview(block)[16:-4], self._order, _FCS_LENGTH)
        total = struct.pack(self._order + "I", 12 + len(body))
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
