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

from .layers import MIRROR_NAMES, Decoded, Layer, decode

if t.TYPE_CHECKING:
    from .layers import Buffer, Step

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

_GRE = struct.Struct("!HH").unpack_from
_WORD = struct.Struct("!I").unpack_from
_TWO_WORDS = struct.Struct("!II").unpack_from
_THREE_WORDS = struct.Struct("!III").unpack_from


class Mirror(t.NamedTuple):
    """One header around a mirrored frame; None where this type has no such field.

    *source* and *target* are 4 or 16 bytes. *fields* are the texts of the columns from session to platform, less key and sequence.
    """

    type: str
    source: bytes
    target: bytes
    session: int | None
    key: int | None
    sequence: int | None
    fields: tuple[str, ...]


class Found(t.NamedTuple):
    """Where the innermost mirrored frame lies in a packet: captured bytes [start, stop), *wire* bytes long when it travelled."""

    start: int
    stop: int
    wire: int
    mirrors: list[Mirror]


def find(data: Buffer, wire: int, first: Step, depth: int = MAX_DEPTH) -> Found | str | None:
    """Return the frame that *data* mirrors; None where it mirrors none, and why where it does but cannot be undone."""
    decoded = decode(data, wire, first, transports=False)
    places = [place for place, layer in enumerate(decoded.layers) if layer.name in MIRROR_NAMES][:depth]
    if not places:
        return _why_not(decoded)
    last = decoded.layers[places[-1]]
    stop = max(last.inside, min(len(data), last.end))
    return Found(last.inside, stop, last.end - last.inside, [_mirror(data, decoded.layers, place) for place in places])


def _why_not(decoded: Decoded) -> str | None:
    concerns_us = decoded.stopped_at == "gre" or decoded.stopped_at in MIRROR_NAMES
    return decoded.stop if concerns_us else None


def _mirror(data: Buffer, layers: list[Layer], place: int) -> Mirror:
    gre, header = layers[place - 1], layers[place]
    key, sequence = _key_and_sequence(data, gre)
    source, target = _ends(data, layers, place - 2)
    name, session, fields = _READERS[header.name](data, header)
    return Mirror(name, source, target, session, key, sequence, fields)


def _key_and_sequence(data: Buffer, gre: Layer) -> tuple[int | None, int | None]:
    flags, at = _GRE(data, gre.at)[0], gre.at + 4
    at += 4 if flags & 0x8000 else 0
    key = _WORD(data, at)[0] if flags & 0x2000 else None
    at += 4 if flags & 0x2000 else 0
    return key, _WORD(data, at)[0] if flags & 0x1000 else None


def _ends(data: Buffer, layers: list[Layer], place: int) -> tuple[bytes, bytes]:
    """Return both addresses of the IP header at or before *place*: extension headers may lie between it and GRE."""
    while layers[place].name not in ("ipv4", "ipv6"):
        place -= 1
    at, size, begin = layers[place].at, *((4, 12) if layers[place].name == "ipv4" else (16, 8))
    return bytes(data[at + begin : at + begin + size]), bytes(data[at + begin + size : at + begin + 2 * size])


Read = tuple[str, t.Optional[int], tuple[str, ...]]
"""The name of the type, the session, and the columns from session to platform, less sequence and key."""

_NOTHING = ("",) * 12


def _erspan(data: Buffer, header: Layer) -> Read:
    if header.size == 8:
        word, index = _TWO_WORDS(data, header.at)
        vlan, cos, en, cut, session = _common(word)
        return "erspan2", session, (str(session), vlan, cos, en, "", cut, "", str(index & 0xFFFFF), "", "", "", "")
    word, stamp, tail = _THREE_WORDS(data, header.at)
    vlan, cos, bso, cut, session = _common(word)
    platform = bytes(data[header.at + 12 : header.at + 20]).hex() if header.size == 20 else ""
    side = (DIRECTIONS[tail >> 3 & 1], "", str(stamp), GRANULARITIES[tail >> 1 & 3], str(tail >> 16))
    return "erspan3", session, (str(session), vlan, cos, "", bso, cut, *side, platform)


def _common(word: int) -> tuple[str, str, str, str, int]:
    return str(word >> 16 & 0xFFF), str(word >> 13 & 7), str(word >> 11 & 3), str(word >> 10 & 1), word & 0x3FF


def _bare(name: str) -> t.Callable[[Buffer, Layer], Read]:
    return lambda _data, _header: (name, None, _NOTHING)


_READERS: t.Mapping[str, t.Callable[[Buffer, Layer], Read]] = {
    "erspan": _erspan, "erspan1": _bare("erspan1"), "bridged": _bare("bridged"), "mellanox": _bare("mellanox"),
}  # fmt: skip


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
    """What tells streams apart."""

    source: bytes
    target: bytes
    type: str
    session: int | None
    key: int | None
    depth: int


class Streams:
    """All streams of a run, in the order in which they appeared."""

    def __init__(self) -> None:
        self._numbers: dict[StreamId, int] = {}
        self._streams: list[Stream] = []
        self.left_out = 0

    def count(self, mirror: Mirror, depth: int, wire: int) -> int | None:
        """Account for one packet; return the number of its stream, None where there are too many."""
        name = StreamId(mirror.source, mirror.target, mirror.type, mirror.session, mirror.key, depth)
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
        return list(zip(self._numbers, self._streams))


def row(packet: int, frame: int, depth: int, stream: int | None, mirror: Mirror) -> str:
    """Return the line of the side table for one mirror header; the columns are COLUMNS."""
    before = f"{packet},{frame},{depth},{_text(stream)},{mirror.type},"
    *fields, platform = mirror.fields
    return f"{before}{','.join(fields)},{_text(mirror.sequence)},{_text(mirror.key)},{platform}\n"


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


def report(number: int, name: StreamId, stream: Stream) -> dict[str, t.Any]:
    """Return what the summary says of a stream. *missing* is None where the sender does not number its copies."""
    numbered = stream.first is not None and not (stream.late and stream.late == stream.packets - 1)
    return {
        "stream": number,
        "source": _address(name.source),
        "target": _address(name.target),
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
