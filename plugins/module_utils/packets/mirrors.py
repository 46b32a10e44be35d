# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch wrote around a mirrored frame, row by row, and which copies never arrived.

Source: draft-foschiano-erspan-03 for types I to III, RFC 2890 for key and sequence of GRE.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from .layers import GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE, IPV4, IPV6, walk

if t.TYPE_CHECKING:
    from .layers import Buffer, Step, Walked

#: Mirrors of mirrors are undone to this depth.
MAX_DEPTH = 8
#: Streams that are told apart; those beyond are decapsulated but not accounted for.
MAX_STREAMS = 4096
#: A number that is behind by no more than this comes late; by more, the sender has begun anew.
LATE = 4096

COLUMNS = (
    "packet", "frame", "depth", "stream", "type", "session", "vlan", "cos", "en", "bso", "truncated", "direction", "index",
    "timestamp", "granularity", "sgt", "sequence", "key", "platform",
)  # fmt: skip
GRANULARITIES = ("100us", "100ns", "ieee1588", "user")
DIRECTIONS = ("ingress", "egress")

_HALF = struct.Struct("!H").unpack_from
_WORD = struct.Struct("!I").unpack_from
_TWO_WORDS = struct.Struct("!II").unpack_from
_THREE_WORDS = struct.Struct("!III").unpack_from


class Mirror(t.NamedTuple):
    """One header around a mirrored frame; None where this type has no such field.

    *ends* are the addresses of source and target, 4 or 16 bytes each; the header itself has *size* bytes at *at*.
    """

    type: str
    ends: bytes
    session: int | None
    key: int | None
    sequence: int | None
    at: int
    size: int


class Found(t.NamedTuple):
    """Where the innermost mirrored frame lies in a packet: captured bytes [start, stop), *wire* bytes long when it travelled."""

    start: int
    stop: int
    wire: int
    mirrors: list[Mirror]


def find(data: Buffer, wire: int, first: Step, depth: int = MAX_DEPTH) -> Found | str | None:
    """Return the frame that *data* mirrors; None where it mirrors none, and why where it does but cannot be undone."""
    walked, stop, stopped_at = walk(data, wire, first, transports=False)
    mirrors: list[Mirror] = []
    start = end = 0
    for place, (step, at, size, last) in enumerate(walked):
        if step.mirror and len(mirrors) < depth:
            mirrors.append(_mirror(data, walked, place))
            start, end = at + size, last
    if mirrors:
        return Found(start, max(start, min(len(data), end)), end - start, mirrors)
    return stop if stopped_at is not None and (stopped_at.mirror or stopped_at.name == "gre") else None


def _mirror(data: Buffer, walked: list[Walked], place: int) -> Mirror:
    step, at, size, _end = walked[place]
    gre = walked[place - 1][1]
    flags = _HALF(data, gre)[0]
    key = sequence = session = None
    gre += 8 if flags & GRE_CHECKSUM else 4
    if flags & GRE_KEY:
        key = _WORD(data, gre)[0]
        gre += 4
    if flags & GRE_SEQUENCE:
        sequence = _WORD(data, gre)[0]
    if size and step.name == "erspan":
        session = _HALF(data, at + 2)[0] & 0x3FF
    return Mirror(_name(step, size), _ends(data, walked, place - 2), session, key, sequence, at, size)


def _name(step: Step, size: int) -> str:
    return step.name if step.name != "erspan" else "erspan2" if size == 8 else "erspan3"


def _ends(data: Buffer, walked: list[Walked], place: int) -> bytes:
    """Return both addresses of the IP header at or before *place*: extension headers may lie between it and GRE."""
    while True:
        step, at, _size, _end = walked[place]
        if step is IPV4:
            return bytes(data[at + 12 : at + 20])
        if step is IPV6:
            return bytes(data[at + 8 : at + 40])
        place -= 1


class Stream:
    """One sender's copies to one receiver under one session: how many, and by their numbers how many are missing."""

    def __init__(self) -> None:
        self.packets = self.bytes = self.skipped = self.gaps = self.late = self.restarts = 0
        self.first: int | None = None
        self.next = 0

    def count(self, wire: int, sequence: int | None) -> None:
        self.packets += 1
        self.bytes += wire
        if sequence is None:
            return
        if self.first is None:
            self.first = self.next = sequence
        ahead = (sequence - self.next) & 0xFFFFFFFF
        if ahead > 0x7FFFFFFF and 0x100000000 - ahead <= LATE:
            self.late += 1
            return
        if ahead > 0x7FFFFFFF:
            self.restarts += 1
        elif ahead:
            self.gaps += 1
            self.skipped += ahead
        self.next = (sequence + 1) & 0xFFFFFFFF


class StreamId(t.NamedTuple):
    """What tells streams apart; *ends* as in Mirror."""

    ends: bytes
    type: str
    session: int | None
    key: int | None
    depth: int


class Streams:
    """All streams of a run, in the order in which they appeared."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[t.Any, ...], int] = {}
        self._streams: list[Stream] = []
        self.left_out = 0

    def count(self, mirror: Mirror, depth: int, wire: int) -> int | None:
        """Account for one packet; return the number of its stream, None where there are too many."""
        name = (mirror.ends, mirror.type, mirror.session, mirror.key, depth)
        number = self._numbers.get(name)
        if number is None:
            if len(self._streams) == MAX_STREAMS:
                self.left_out += 1
                return None
            number = self._numbers[name] = len(self._streams)
            self._streams.append(Stream())
        self._streams[number].count(wire, mirror.sequence)
        return number

    def items(self) -> list[tuple[StreamId, Stream]]:
        return [(StreamId(*name), stream) for name, stream in zip(self._numbers, self._streams)]


def row(packet: int, frame: int, depth: int, stream: int | None, mirror: Mirror, data: Buffer) -> str:
    """Return the line of the side table for one mirror header in *data*; the columns are COLUMNS."""
    cells, platform = _NOTHING, ""
    if mirror.type == "erspan2":
        cells = _cells2(*_TWO_WORDS(data, mirror.at))
    elif mirror.type == "erspan3":
        cells = _cells3(*_THREE_WORDS(data, mirror.at))
        platform = bytes(data[mirror.at + 12 : mirror.at + mirror.size]).hex()
    return f"{packet},{frame},{depth},{_text(stream)},{mirror.type},{cells},{_text(mirror.sequence)},{_text(mirror.key)},{platform}\n"


#: The cells from session to sgt of a type without a header of its own.
_NOTHING = "," * 10


def _cells2(word: int, index: int) -> str:
    common = f"{word & 0x3FF},{word >> 16 & 0xFFF},{word >> 13 & 7},{word >> 11 & 3},,{word >> 10 & 1}"
    return f"{common},,{index & 0xFFFFF},,,"


def _cells3(word: int, stamp: int, tail: int) -> str:
    common = f"{word & 0x3FF},{word >> 16 & 0xFFF},{word >> 13 & 7},,{word >> 11 & 3},{word >> 10 & 1}"
    return f"{common},{DIRECTIONS[tail >> 3 & 1]},,{stamp},{GRANULARITIES[tail >> 1 & 3]},{tail >> 16}"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def report(number: int, name: StreamId, stream: Stream) -> dict[str, t.Any]:
    """Return what the summary says of a stream. *missing* is None where the sender does not number its copies."""
    numbered = stream.first is not None and not (stream.late and stream.late == stream.packets - 1)
    return {
        "stream": number,
        "source": _address(name.ends[: len(name.ends) // 2]),
        "target": _address(name.ends[len(name.ends) // 2 :]),
        "type": name.type,
        "session": name.session,
        "key": name.key,
        "depth": name.depth,
        "packets": stream.packets,
        "bytes": stream.bytes,
        "sequence_first": stream.first,
        "sequence_last": (stream.next - 1) & 0xFFFFFFFF if stream.first is not None else None,
        "gaps": stream.gaps if numbered else None,
        "missing": max(0, stream.skipped - stream.late) if numbered else None,
        "late": stream.late if numbered else None,
        "restarts": stream.restarts if numbered else None,
    }


def _address(packed: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
