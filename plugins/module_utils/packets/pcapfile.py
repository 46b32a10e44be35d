# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk a capture file as it streams by: is it whole, how many packets, from when to when.

pcap as in draft-ietf-opsawg-pcap, pcapng as in draft-ietf-opsawg-pcapng, ERF as ibdump may write on InfiniBand. Nothing is believed: every length is bounded.
"""

from __future__ import annotations

import struct
import typing as t

MAX_RECORD = 16 << 20
_JOIN = 64 << 10
_NS = 1_000_000_000

PCAP_MAGIC: t.Mapping[bytes, tuple[str, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
_MODIFIED_MAGIC = (b"\x34\xcd\xb2\xa1", b"\xa1\xb2\xcd\x34")
SECTION = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER: t.Mapping[bytes, str] = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_TSRESOL, _TSOFFSET = 9, 14


_LINKTYPE_ERF = 197
_ERF = struct.Struct(">QBBHHH")
_ERF_ETHERNET = (2, 11, 16, 20)
_YEAR_2000 = 946_684_800


class Summary(t.NamedTuple):
    """What a capture file holds. Times in ns since 1970; None where there is no packet that has one.

    *status*: ok | empty (a header, no packet) | truncated (ends in mid-record; what is whole was counted) | unreadable.
    """

    format: str | None
    link_type: int | None
    packets: int
    in_window: int
    first_ns: int | None
    last_ns: int | None
    bytes_captured: int
    bytes_wire: int
    out_of_order: int
    status: str
    reason: str | None


class Window(t.NamedTuple):
    """Between which times, in ns since 1970, a packet counts as inside; both bounds belong to it."""

    t0_ns: int
    t1_ns: int


class Counted(t.NamedTuple):
    """What some bytes of a pcap file hold: *used* bytes are whole records, *problem* says why what follows cannot be one.

    *first* and *last* are the earliest and the latest time, *previous* is that of the last packet; None without packets.
    """

    used: int
    packets: int
    in_window: int
    captured: int
    wire: int
    out_of_order: int
    first: int | None
    last: int | None
    previous: int
    problem: str | None


class Counter(t.Protocol):
    """count_records, or what does the same faster."""

    def __call__(self, view: memoryview, order: str, scale: int, window: Window, previous: int) -> Counted: ...


class _Unreadable(Exception):
    """The bytes cannot be a capture; the message says where and why."""


class Clock(t.NamedTuple):
    """How a file or an interface of it counts time."""

    multiplier: int
    divisor: int
    offset_ns: int

    def ns(self, ticks: int) -> int:
        """Return ns since 1970."""
        return ticks * self.multiplier // self.divisor + self.offset_ns


class Walker:
    """Feed it a file in pieces of any size, then ask for the summary. Without a window every packet counts as inside."""

    def __init__(self, t0_ns: int | None = None, t1_ns: int | None = None, count: Counter | None = None) -> None:
        self._window = Window(t0_ns if t0_ns is not None else -(1 << 63), t1_ns if t1_ns is not None else (1 << 63) - 1)
        self._count_records = count or count_records
        self._pending: bytes | bytearray = b""
        self._offset = 0
        self._step: t.Callable[[memoryview], int] = self._detect
        self._reason: str | None = None
        self._format: str | None = None
        self._link_type: int | None = None
        self._order = "<"
        self._scale = 1000
        self._clocks: list[Clock] = []
        self._packets = self._inside = self._captured = self._wire = self._disorder = 0
        self._first: int | None = None
        self._last: int | None = None
        self._previous = -(1 << 63)

    def feed(self, data: t.Any) -> None:
        """Walk on through *data* (bytes-like). Never raises; what is wrong is in the summary."""
        view = memoryview(data)
        try:
            while len(view) and self._reason is None:
                if self._pending:
                    view = self._finish_pending(view)
                else:
                    self._pending = bytes(view[self._walk(view) :])
                    return
        except _Unreadable as problem:
            self._reason = f"at byte {self._offset}: {problem}"

    def _finish_pending(self, view: memoryview) -> memoryview:
        """Walk the record that began in earlier data, copying no more of *view* than it may take; return what is left."""
        joined = bytearray(self._pending)
        joined += view[:_JOIN]
        done = self._walk(memoryview(joined))
        if done < len(self._pending):
            self._pending = joined[done:]
            return view[_JOIN:]
        left = view[done - len(self._pending) :]
        self._pending = b""
        return left

    def _walk(self, view: memoryview) -> int:
        """Use up every whole record in *view*; return how many bytes that were."""
        done = 0
        while done < len(view):
            used = self._step(view[done:])
            if not used:
                break
            done += used
            self._offset += used
        return done

    def summary(self) -> Summary:
        """Return what has been walked so far, as if the file ended here."""
        status, reason = self._verdict()
        return Summary(
            self._format, self._link_type, self._packets, self._inside, self._first, self._last,
            self._captured, self._wire, self._disorder, status, reason,
        )  # fmt: skip

    def _verdict(self) -> tuple[str, str | None]:
        if self._reason is not None:
            return "unreadable", self._reason
        if self._format is None:
            return "unreadable", f"{len(self._pending)} bytes are no capture file" if self._pending else "the file has no bytes"
        if self._pending:
            return "truncated", f"the last record, at byte {self._offset}, is cut after {len(self._pending)} bytes"
        return ("ok", None) if self._packets else ("empty", None)

    def _detect(self, view: memoryview) -> int:
        """Recognise the file by its first bytes and hand over to the step for its format; uses up the file header."""
        if len(view) < 4:
            return 0
        magic = bytes(view[:4])
        if magic == SECTION:
            self._step = self._pcapng
            return self._pcapng(view)
        if magic in _MODIFIED_MAGIC:
            raise _Unreadable("this is the modified pcap of old Red Hat kernels, which nothing here writes")
        if magic not in PCAP_MAGIC and len(view) < _ERF.size:
            return 0
        if magic not in PCAP_MAGIC and _looks_like_erf(view):
            self._format, self._link_type, self._step = "erf", _LINKTYPE_ERF, self._erf
            return self._erf(view)
        if magic not in PCAP_MAGIC:
            raise _Unreadable(f"it begins with {magic.hex()}, which is neither pcap, pcapng nor ERF")
        if len(view) < 24:
            return 0
        self._format = "pcap"
        self._order, self._scale = PCAP_MAGIC[magic]
        self._link_type = struct.unpack_from(self._order + "I", view, 20)[0] & 0x0FFFFFFF
        self._step = self._pcap
        return 24

    def _pcap(self, view: memoryview) -> int:
        """Use up every whole record in *view*."""
        found = self._count_records(view, self._order, self._scale, self._window, self._previous)
        if found.problem and not found.used:
            raise _Unreadable(found.problem)
        self._packets += found.packets
        self._inside += found.in_window
        self._captured += found.captured
        self._wire += found.wire
        self._disorder += found.out_of_order
        self._previous = found.previous
        for edge in (found.first, found.last):
            self._note_time(edge)
        return found.used

    def _note_time(self, now: int | None) -> None:
        if now is not None:
            self._first = now if self._first is None else min(self._first, now)
            self._last = now if self._last is None else max(self._last, now)

    def _erf(self, view: memoryview) -> int:
        """Use up one record; 0 when it is not all there yet."""
        if len(view) < _ERF.size:
            return 0
        kind, _flags, length, _lost, original = _ERF.unpack_from(view)[1:]
        if length < _ERF.size:
            raise _Unreadable(f"a record of {length} bytes")
        if length > len(view):
            return 0
        ticks = int.from_bytes(view[:8], "little")
        header = _ERF.size + _erf_extensions(view[:length], kind) + (2 if kind & 0x7F in _ERF_ETHERNET else 0)
        self._count(Clock(_NS, 1 << 32, 0), ticks, min(original, max(0, length - header)), original, MAX_RECORD)
        return length

    def _pcapng(self, view: memoryview) -> int:
        """Use up one block; 0 when it is not all there yet."""
        if len(view) < 12:
            return 0
        if view[:4] == SECTION:
            self._begin_section(view)
        kind, total = struct.unpack_from(self._order + "II", view)
        if total < 12 or total % 4 or total > MAX_RECORD:
            raise _Unreadable(f"a block of {total} bytes")
        if total > len(view):
            return 0
        if struct.unpack_from(self._order + "I", view, total - 4)[0] != total:
            raise _Unreadable("a block whose two lengths differ")
        self._format = "pcapng"
        body = view[8 : total - 4]
        try:
            self._block(kind, body)
        except struct.error as short:
            raise _Unreadable(f"a block of type {kind} that is too short") from short
        return total

    def _begin_section(self, view: memoryview) -> None:
        order = BYTE_ORDER.get(bytes(view[8:12]))
        if order is None:
            raise _Unreadable("a section whose byte order cannot be told")
        self._order, self._clocks = order, []

    def _block(self, kind: int, body: memoryview) -> None:
        if kind == _INTERFACE:
            self._interface(body)
        elif kind == _PACKET:
            number, high, low, length, original = struct.unpack_from(self._order + "IIIII", body)
            self._count(self._clock(number), high << 32 | low, length, original, len(body) - 20)
        elif kind == _OLD_PACKET:
            number, _drops, high, low, length, original = struct.unpack_from(self._order + "HHIIII", body)
            self._count(self._clock(number), high << 32 | low, length, original, len(body) - 20)
        elif kind == _SIMPLE_PACKET:
            original = struct.unpack_from(self._order + "I", body)[0]
            self._packets += 1
            self._captured += min(original, len(body) - 4)
            self._wire += original

    def _interface(self, body: memoryview) -> None:
        link_type = struct.unpack_from(self._order + "H", body)[0]
        self._link_type = link_type if self._link_type is None else self._link_type
        self._clocks.append(clock_of(body, self._order))

    def _clock(self, number: int) -> Clock:
        if number >= len(self._clocks):
            raise _Unreadable(f"a packet of interface {number}, of which nothing was said")
        return self._clocks[number]

    def _count(self, clock: Clock, ticks: int, length: int, original: int, room: int) -> None:
        if length > room:
            raise _Unreadable(f"a packet of {length} bytes in a block with room for {room}")
        now = clock.ns(ticks)
        self._packets += 1
        self._captured += length
        self._wire += original
        self._inside += self._window.t0_ns <= now <= self._window.t1_ns
        self._disorder += now < self._previous
        self._previous = now
        self._note_time(now)


def count_records(view: memoryview, order: str, scale: int, window: Window, previous: int) -> Counted:
    """Count the whole records of a pcap file in *view*; a fraction of a second is in *scale* ns. Pure.

    A loop without calls, since it runs once for each packet; wf_count() in hot.py does the same.
    """
    unpack, size, (t0, t1) = struct.Struct(order + "IIII").unpack_from, len(view), window
    at = packets = inside = captured = wire = disorder = 0
    first = last = problem = None
    while at + 16 <= size:
        seconds, fraction, length, original = unpack(view, at)
        if length > MAX_RECORD:
            problem = f"a record of {length} bytes"
            break
        if at + 16 + length > size:
            break
        now = seconds * _NS + fraction * scale
        at += 16 + length
        packets += 1
        captured += length
        wire += original
        inside += t0 <= now <= t1
        disorder += now < previous
        previous = now
        first = now if first is None or now < first else first
        last = now if last is None or now > last else last
    return Counted(at, packets, inside, captured, wire, disorder, first, last, previous, problem)


def clock_of(body: memoryview, order: str) -> Clock:
    """Return how the interface counts time whose description block has *body*."""
    options = dict(_options(body[8:], order))
    resolution = options.get(_TSRESOL, b"\x06")[0] if options.get(_TSRESOL, b"\x06") else 6
    divisor = 1 << (resolution & 0x7F) if resolution & 0x80 else 10 ** (resolution & 0x7F)
    offset = options.get(_TSOFFSET, b"")
    seconds = struct.unpack(order + "q", offset)[0] if len(offset) == 8 else 0
    return Clock(_NS, divisor, seconds * _NS)


def _options(view: memoryview, order: str) -> t.Iterator[tuple[int, bytes]]:
    """Yield (code, value) of a block's options, up to the end mark or to where they stop making sense."""
    at = 0
    while at + 4 <= len(view):
        code, length = struct.unpack_from(order + "HH", view, at)
        if code == 0 or at + 4 + length > len(view):
            return
        yield code, bytes(view[at + 4 : at + 4 + length])
        at += 4 + (length + 3) // 4 * 4


def _looks_like_erf(view: memoryview) -> bool:
    """ERF has no magic: take it for one when its first record is of a known type, of some length, and of this century."""
    kind, length = view[8] & 0x7F, int.from_bytes(view[10:12], "big")
    return 1 <= kind <= 48 and length >= _ERF.size and int.from_bytes(view[4:8], "little") >= _YEAR_2000


def _erf_extensions(record: memoryview, kind: int) -> int:
    """Return the bytes of the extension headers, each of which says in its first bit whether another follows."""
    size = 0
    while kind & 0x80 and _ERF.size + size + 8 <= len(record):
        kind = record[_ERF.size + size]
        size += 8
    return size
