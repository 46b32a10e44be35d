# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts a capture file into pieces between packets, as it streams by: each is a capture file of its own.

Bytes of packets and time stamps stay as they are. A piece of pcapng begins with its section, the interfaces described so
far, and the names and secrets that packets may need.
"""

from __future__ import annotations

import struct
import typing as t

from .passage import BAD_BLOCK, BAD_LENGTHS, INTERFACE, OLD_PACKET, PACKET, SIMPLE_PACKET, Passage
from .pcapfile import MAX_RECORD, PCAP_MAGIC, Clock, clock_of
from .streams import Damaged

if t.TYPE_CHECKING:
    from collections.abc import Callable

    from .streams import Rehearsal, Sink, Source

NS = 1_000_000_000
NAMES, SECRETS = 4, 10
MAX_PREAMBLE = 64 << 20
#: What each kind of packet block says before its data: interface, time (high, low), bytes captured.
_BLOCKS = {PACKET: "IIII", OLD_PACKET: "HxxIII"}


class Rule(t.NamedTuple):
    """When a new piece begins; None where that does not matter.

    *size*: with the next packet the piece would have more bytes. *seconds*: the next packet lies beyond the current
    interval, which are counted from the first packet on; an earlier one does not go back. *packets*: the piece has so many.
    """

    size: int | None = None
    seconds: float | None = None
    packets: int | None = None

    def ends(self, piece: Piece, size: int, interval: int) -> bool:
        """Whether *piece* ends before a record of *size* bytes from *interval*. Pure."""
        return bool(
            (self.size is not None and piece.packets and piece.size + size > self.size)
            or (self.packets is not None and piece.packets >= self.packets)
            or interval > piece.interval
        )

    def interval(self, since_ns: int) -> int:
        """Return the number of the interval that lies *since_ns* after the first packet. Pure."""
        return 0 if self.seconds is None else since_ns // round(self.seconds * NS)


class Piece:
    """One of the files: its bytes (not compressed), its packets, and their earliest and latest time in ns."""

    def __init__(self, sink: Sink | Rehearsal, interval: int) -> None:
        self.sink = sink
        self.interval = interval
        self.size = self.packets = 0
        self.first_ns: int | None = None
        self.last_ns: int | None = None

    def write(self, data: bytes | memoryview) -> None:
        self.sink.write(data)
        self.size += len(data)

    def note(self, now: int | None) -> None:
        """Count a packet; *now* is None where it has no time."""
        self.packets += 1
        if now is not None:
            self.first_ns = now if self.first_ns is None else min(self.first_ns, now)
            self.last_ns = now if self.last_ns is None else max(self.last_ns, now)


class Split(Passage):
    """One file on its way into pieces. *begin* opens the next piece's sink, *done* is told of each that is complete."""

    def __init__(self, source: Source, rule: Rule, begin: Callable[[], Sink | Rehearsal], done: Callable[[Piece], None]) -> None:
        super().__init__(source)
        self.piece: Piece | None = None
        self._rule, self._begin, self._done = rule, begin, done
        self._preamble = b""
        self._waiting = b""
        self._clocks: list[Clock] = []
        self._is_pcap = False
        self._origin: int | None = None

    def run(self) -> None:
        super().run()
        self.finish()

    def finish(self) -> None:
        """Complete the last piece."""
        done, self.piece = self.piece, None
        if done:
            done.sink.end(None)
            self._done(done)

    def begin_pcap(self, header: bytes) -> None:
        self._is_pcap = True
        self._clocks = [Clock(1, 1, 0)]
        self._scale = PCAP_MAGIC[header[:4]][1]
        self._preamble = header

    def begin_section(self, block: bytes) -> None:
        self._preamble, self._clocks = block, []
        if self.piece:
            self.piece.write(block)

    def block(self, kind: int, block: bytes) -> None:
        if kind == INTERFACE:
            if len(block) < 20:
                raise Damaged(BAD_BLOCK)
            self._clocks.append(clock_of(memoryview(block)[8:-4], self.order))
        if kind in (INTERFACE, NAMES, SECRETS):
            self._preamble += block
        if len(self._preamble) > MAX_PREAMBLE:
            raise Damaged(f"more than {MAX_PREAMBLE >> 20} MiB of descriptions, which each piece would begin with")
        if self.piece:
            self.piece.write(block)
        elif kind not in (INTERFACE, NAMES, SECRETS):
            self._wait(block)

    def packets(self, view: memoryview) -> int:
        """Write the records in *view*, those of a piece with one call."""
        read = self._pcap_record if self._is_pcap else self._pcapng_block
        at = written = 0
        while True:
            try:
                size, now = read(view[at:])
            except Damaged:
                if not at:
                    raise
                break
            if not size:
                break
            if self._is_over(size, now, at - written):
                self._flush(view[written:at])
                written = at
                self._next(now)
            t.cast("Piece", self.piece).note(now)
            at += size
        self._flush(view[written:at])
        return at

    def _pcap_record(self, view: memoryview) -> tuple[int, int | None]:
        """Return the size of the record at the beginning of *view*, 0 where it is not all there, and its time."""
        if len(view) < 16:
            return 0, None
        seconds, fraction, length = struct.unpack_from(self.order + "III", view)
        if length > MAX_RECORD:
            raise Damaged(f"a record of more than {MAX_RECORD} bytes")
        return (16 + length if 16 + length <= len(view) else 0), seconds * NS + fraction * self._scale

    def _pcapng_block(self, view: memoryview) -> tuple[int, int | None]:
        if len(view) < 12:
            return 0, None
        kind, total = struct.unpack_from(self.order + "II", view)
        if kind not in (*_BLOCKS, SIMPLE_PACKET):
            return 0, None
        if total < 12 or total % 4 or total > MAX_RECORD:
            raise Damaged(BAD_BLOCK)
        if total > len(view):
            return 0, None
        if struct.unpack_from(self.order + "I", view, total - 4)[0] != total:
            raise Damaged(BAD_LENGTHS)
        return total, None if kind == SIMPLE_PACKET else self._time(kind, view[8 : total - 4])

    def _time(self, kind: int, body: memoryview) -> int:
        if len(body) < 20:
            raise Damaged("a packet that does not fit its block")
        number, high, low, length = struct.unpack_from(self.order + _BLOCKS[kind], body)
        if length > len(body) - 20:
            raise Damaged("a packet that does not fit its block")
        if number >= len(self._clocks):
            raise Damaged("a packet of an interface of which nothing was said")
        return self._clocks[number].ns(high << 32 | low)

    def _is_over(self, size: int, now: int | None, unwritten: int) -> bool:
        """Whether a new piece begins before a record of *size* bytes; *unwritten* bytes of the current one are not counted yet."""
        return self.piece is None or self._rule.ends(self.piece, unwritten + size, self._interval(now))

    def _interval(self, now: int | None) -> int:
        if now is None or self._origin is None:
            return self.piece.interval if self.piece else 0
        return self._rule.interval(now - self._origin)

    def _next(self, now: int | None) -> None:
        self.finish()
        self._origin = now if self._origin is None else self._origin
        self.piece = Piece(self._begin(), self._interval(now))
        self.piece.write(self._preamble + self._waiting)
        self._waiting = b""

    def _flush(self, view: memoryview) -> None:
        if view and self.piece:
            self.piece.write(view)

    def _wait(self, block: bytes) -> None:
        """Keep for the first piece what comes before the first packet."""
        self._waiting += block
        if len(self._waiting) > MAX_PREAMBLE:
            raise Damaged(f"more than {MAX_PREAMBLE >> 20} MiB before the first packet")
