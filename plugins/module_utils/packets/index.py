# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes of each packet its row of keys.py: who sent what to whom, and a fingerprint by which to find it again elsewhere.

The fingerprint is made of the innermost IP header without what routers change, and of the 32 bytes behind it without the
checksums of UDP and TCP and the congestion byte of RoCE. 32 bytes, because a capture of 96 bytes a packet still has them
behind two VLAN tags and IPv6, and one of 128 behind ERSPAN. It is two CRC-32, of those bytes and of their mirror image bit by
bit, which is the remainder by a polynomial of degree 64: packets that differ in up to 8 adjacent bytes only never share one,
others share one by a chance of 2^-64. Every Python has CRC-32 (no host in FIPS mode refuses it), and C is done in few cycles.
"""

# Where a branch does, no function is called: min() and max() would cost a packet several percent more.
# ruff: noqa: FURB136, PLR1730

from __future__ import annotations

import struct
import typing as t
import zlib

from .keys import FLAGS, ROW
from .layers import (
    AUTHENTICATION,
    BRIDGED,
    BTH,
    COOKED,
    COOKED2,
    ERSPAN1,
    ERSPAN2,
    ERSPAN3,
    EXTENSION,
    FRAGMENT,
    FRAGMENT_HEADER,
    GRH,
    IPV4,
    IPV6,
    MELLANOX,
    OPTION_PROTOCOL,
    SHORT,
    TCP,
    UDP,
    VLAN,
    VXLAN,
    walk,
)
from .roce import CNP, EXTENSIONS, icrc_holds

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .layers import Step

#: How many bytes behind the IP header the fingerprint covers, and how many of the payload `content`.
COVERED, CONTENT = 32, 24
#: What side.py reads more of: a connection that is set up, and an address that a load balancer hid.
MANAGEMENT, TCP_ADDRESS, IP_ADDRESS = 1, 2, 3
#: The kinds of option in which load balancers hide addresses: TOA among those of TCP, UOA among those of IPv4.
TOA, UOA = 254, 31
_MAD = 256
_DATAGRAM = 0x64
_UNKNOWN_WAY, _RECEIVED, _SENT = 0, 1, 2
_IPV4_MAPPED = bytes(10) + b"\xff\xff"
_NOWHERE = bytes(16)
_NONE = (_NOWHERE, _NOWHERE)

_HALF = struct.Struct("!H").unpack_from
_TWO_HALVES = struct.Struct("!HH").unpack_from
_THREE_HALVES = struct.Struct("!HHH").unpack_from
_WORD = struct.Struct("!I").unpack_from
_TWO_WORDS = struct.Struct("!II").unpack_from

_ACK_REQUEST = FLAGS["ack_request"]
_AETH = FLAGS["aeth"]
_BECN = FLAGS["becn"]
_CONTENT = FLAGS["content"]
_DETH = FLAGS["deth"]
_FECN = FLAGS["fecn"]
_FRAGMENT = FLAGS["fragment"]
_ICRC = FLAGS["icrc"]
_ICRC_VALID = FLAGS["icrc_valid"]
_IDENTIFIED = FLAGS["identified"]
_IP = FLAGS["ip"]
_IPV6 = FLAGS["ipv6"]
_MIRROR = FLAGS["mirror"]
_OUTER = FLAGS["outer"]
_PORTS = FLAGS["ports"]
_RETH = FLAGS["reth"]
_ROCE1 = FLAGS["roce1"]
_ROCE2 = FLAGS["roce2"]
_SHORT = FLAGS["short"]
_TCP = FLAGS["tcp"]
_VLAN = FLAGS["vlan"]


class Note(t.NamedTuple):
    """A packet of which side.py reads more: its place in the batch from 0, which of the *kind*s above, and the bytes that matter."""

    row: int
    kind: int
    data: bytes


class Headers:
    """Where in one packet the innermost frame and its headers lie; None where there is none. What is not set is as here."""

    #: Where the innermost frame begins.
    base = 0
    #: The outermost and the innermost IP header or GRH as (Step, place, end as it says itself), the former where there are two.
    outer: tuple[Step, int, int] | None = None
    ip: tuple[Step, int, int] | None = None
    vlan = session = -1
    #: Where what IP carries begins, and the number of its protocol; where a fragment header begins.
    behind = protocol = 0
    pieces: int | None = None
    #: Where options lie in which an address may be hidden: those of IPv4, or DPVS's own header.
    hidden: tuple[int, int] | None = None
    transport: tuple[Step, int] | None = None
    bth: int | None = None
    #: Where the contents of the last header that is known begin, and where they end as the headers of this packet say
    #: themselves: what is around them may have cut them, as a switch that truncates what it mirrors does.
    inside = own_end = 0

    def __init__(self, end: int) -> None:
        #: Where the innermost frame and the contents of the last header end at the latest.
        self.frame_end = self.end = end


def _ip(found: Headers, step: Step, data: bytes, at: int, size: int, end: int) -> None:
    if found.ip:
        found.outer, found.pieces, found.hidden = found.outer or found.ip, None, None
    if step is IPV4:
        own = _HALF(data, at + 2)[0]
    else:
        own = _HALF(data, at + 4)[0]
        own += 40 if own or step is GRH else 0
    found.own_end = at + own if own else end
    found.ip, found.behind = (step, at, found.own_end), at + size
    found.protocol = data[at + (9 if step is IPV4 else 6)]
    if size > 20 and step is IPV4:
        found.hidden = at + 20, at + size


def _more_ip(found: Headers, step: Step, data: bytes, at: int, size: int, _end: int) -> None:
    """A header between IP and what it carries."""
    found.behind = at + size
    found.protocol = data[at + 1 if step is OPTION_PROTOCOL else at]
    if step is FRAGMENT_HEADER:
        found.pieces = at
    elif step is OPTION_PROTOCOL:
        found.hidden = at + 4, at + size


def _transport(found: Headers, step: Step, data: bytes, at: int, _size: int, _end: int) -> None:
    found.transport = (step, at)
    if step is UDP:
        length = _HALF(data, at + 4)[0]
        if 8 <= length < found.own_end - at:
            found.own_end = at + length


def _bth(found: Headers, _step: Step, _data: bytes, at: int, _size: int, _end: int) -> None:
    found.bth = at


def _vlan(found: Headers, _step: Step, data: bytes, at: int, _size: int, _end: int) -> None:
    if found.vlan < 0:
        found.vlan = _HALF(data, at)[0] & 0x0FFF


def _frame(found: Headers, step: Step, data: bytes, at: int, size: int, end: int) -> None:
    """A frame begins within a tunnel or a mirror: what was found until now is around it."""
    if step is VXLAN and not data[at] & 0x08:
        return
    found.outer = found.outer or found.ip
    found.ip = found.transport = found.bth = found.hidden = found.pieces = None
    found.vlan = -1
    found.behind = found.protocol = found.own_end = 0
    if step.mirror:
        found.base, found.frame_end = at + size, end
    if size and step.name == "erspan":
        found.session = _HALF(data, at + 2)[0] & 0x03FF


_READ: Mapping[Step, Callable[[Headers, Step, bytes, int, int, int], None]] = {
    **dict.fromkeys((IPV4, IPV6, GRH), _ip),
    **dict.fromkeys((EXTENSION, AUTHENTICATION, FRAGMENT_HEADER, OPTION_PROTOCOL), _more_ip),
    **dict.fromkeys((UDP, TCP), _transport),
    **dict.fromkeys((VXLAN, ERSPAN1, ERSPAN2, ERSPAN3, BRIDGED, MELLANOX), _frame),
    BTH: _bth,
    VLAN: _vlan,
}


def headers(data: bytes, wire: int, first: Step | None) -> tuple[Headers, int]:
    """Return where everything lies in a packet, and the flags `short` and `fragment` as far as decoding came upon them. Pure."""
    size = len(data)
    found = Headers(max(size, wire))
    walked, stop, stopped_at = walk(data, wire, first) if first else ([], None, None)
    for step, at, length, end in walked:
        found.inside, found.end = at + length, end
        read = _READ.get(step)
        if read:
            read(found, step, data, at, length, end)
    at = found.inside
    if stop == SHORT and stopped_at is TCP and at + 20 <= min(size, found.end):
        found.transport, found.inside = (TCP, at), at + (data[at + 12] >> 4 << 2)
    return found, _SHORT if stop == SHORT else _FRAGMENT if stop == FRAGMENT else 0


def direction_of(data: bytes, first: Step | None) -> int:
    """Return which way a packet went as a cooked capture says in its own header."""
    if first is COOKED and len(data) >= 16:
        return _SENT if data[0] == 0 and data[1] == 4 else _RECEIVED
    if first is COOKED2 and len(data) >= 20:
        return _SENT if data[10] == 4 else _RECEIVED
    return _UNKNOWN_WAY


def row(t_ns: int, direction: int, data: bytes, wire: int, first: Step | None) -> tuple[bytes, int, int, bytes | None]:
    """Return the row of one packet (`number` and `occurrence` are 0), its flags, and what is to be noted of it: kind and bytes.

    *direction*: 0 where the capture's format does not say. A *first* of None is a link type that cannot be read. Pure.
    """
    found, flags = headers(data, wire, first)
    size, base = len(data), found.base
    captured = (size if size < found.frame_end else found.frame_end) - base
    ends, outer = addresses(data, found.ip), _NONE
    if found.outer:
        outer, flags = addresses(data, found.outer), flags | _OUTER
    if found.vlan >= 0:
        flags |= _VLAN
    if found.session >= 0:
        flags |= _MIRROR
    more, traffic_class, ttl, ip_id = ip_fields(data, found)
    flags |= more
    sport = dport = seq = ack = tcp_flags = 0
    if found.transport:
        sport, dport, seq, ack, tcp_flags = transport_fields(data, *found.transport)
        flags |= _PORTS | _TCP if found.transport[0] is TCP else _PORTS
    rdma, behind_bth = _NO_RDMA, 0
    if found.bth is not None:
        more, rdma, behind_bth = rdma_fields(data, found)
        flags |= more
    payload = payload_of(data, found, behind_bth)
    content = 0
    if payload:
        start = found.inside if found.bth is None else found.bth + 12 + behind_bth
        stop = start + (payload if payload < CONTENT else CONTENT)
        if stop <= size and stop <= found.end:
            content, flags = zlib.crc32(data[start:stop]), flags | _CONTENT
    mark, distinct = fingerprint(data, found, flags, tcp_flags, payload)
    if distinct:
        flags |= _IDENTIFIED
    kind, noted = note(data, found, rdma)
    dest_qp, src_qp, psn, msn, dma_length, opcode, syndrome = rdma
    packed = ROW.pack(
        t_ns, mark, *ends, *outer, 0, 0, captured if captured > 0 else 0, found.frame_end - base, flags, seq, ack,
        dest_qp, src_qp, psn, msn, dma_length, content, sport, dport, payload if payload < 0xFFFF else 0xFFFF,
        found.vlan if flags & _VLAN else 0, found.session if flags & _MIRROR else 0,
        ip_id, traffic_class >> 2, traffic_class & 3, ttl, found.protocol, tcp_flags, opcode, syndrome,
        direction or direction_of(data, first),
    )  # fmt: skip
    return packed, flags, kind, noted


def addresses(data: bytes, ip: tuple[Step, int, int] | None) -> tuple[bytes, bytes]:
    """Return source and destination of a header, 16 bytes each."""
    if ip is None:
        return _NONE
    step, at, _end = ip
    if step is IPV4:
        return _IPV4_MAPPED + data[at + 12 : at + 16], _IPV4_MAPPED + data[at + 16 : at + 20]
    return data[at + 8 : at + 24], data[at + 24 : at + 40]


def ip_fields(data: bytes, found: Headers) -> tuple[int, int, int, int]:
    """Return flags, type of service or traffic class, TTL, and identification."""
    if found.ip is None:
        return 0, 0, 0, 0
    step, at, _end = found.ip
    flags = _IP
    if found.pieces is not None and _HALF(data, found.pieces + 2)[0] & 0xFFF9:
        flags |= _FRAGMENT
    if step is IPV4:
        identification, place = _TWO_HALVES(data, at + 4)
        return flags | _FRAGMENT if place & 0x3FFF else flags, data[at + 1], data[at + 8], identification
    return flags | _IPV6, (data[at] & 15) << 4 | data[at + 1] >> 4, data[at + 7], 0


_TCP_FIELDS = struct.Struct("!HHIIxB").unpack_from


def transport_fields(data: bytes, step: Step, at: int) -> tuple[int, int, int, int, int]:
    """Return the ports, and of TCP sequence, acknowledgement and flags."""
    if step is TCP:
        return _TCP_FIELDS(data, at)
    sport, dport = _TWO_HALVES(data, at)
    return sport, dport, 0, 0, 0


_NO_RDMA = (0, 0, 0, 0, 0, 0, 0)


def rdma_fields(data: bytes, found: Headers) -> tuple[int, tuple[int, int, int, int, int, int, int], int]:
    """Return flags, (dest_qp, src_qp, psn, msn, dma_length, opcode, syndrome), and the bytes of headers behind the BTH."""
    at: int = found.bth  # type: ignore[assignment]
    opcode, (qp, psn) = data[at], _TWO_WORDS(data, at + 4)
    flags = _ROCE2 if found.transport else _ROCE1
    if qp >> 30:
        flags |= (_FECN if qp >> 31 else 0) | (_BECN if qp >> 30 & 1 else 0)
    if psn >> 31:
        flags |= _ACK_REQUEST
    syndrome = msn = dma_length = src_qp = 0
    size, aeth, reth, deth = EXTENSIONS[opcode]
    at += 12
    if at + size > min(len(data), found.end):
        flags |= _SHORT
    elif size:
        if aeth is not None:
            word = _WORD(data, at + aeth)[0]
            syndrome, msn, flags = word >> 24, word & 0xFFFFFF, flags | _AETH
        if reth is not None:
            dma_length, flags = _WORD(data, at + reth + 12)[0], flags | _RETH
        if deth is not None:
            src_qp, flags = _WORD(data, at + deth + 4)[0] & 0xFFFFFF, flags | _DETH
    whole = _protected(data, found)
    if whole is not None:
        flags |= _ICRC | (_ICRC_VALID if icrc_holds(whole) else 0)
    return flags, (qp & 0xFFFFFF, src_qp, psn & 0xFFFFFF, msn, dma_length, opcode, syndrome), size


def _protected(data: bytes, found: Headers) -> bytes | None:
    """Return what the ICRC is computed of and itself, None where that is not known to be whole and in one piece."""
    step, at, own_end = found.ip  # type: ignore[misc]
    bth: int = found.bth  # type: ignore[assignment]
    if own_end > len(data) or own_end != found.end or own_end < bth + 16 or found.pieces is not None:
        return None
    if step is IPV4:
        total, _identification, place = _THREE_HALVES(data, at + 2)
        holds = total and not place & 0x3FFF and bth == at + (data[at] & 15) * 4 + 8
    elif step is IPV6:
        holds = _HALF(data, at + 4)[0] and data[at + 6] == 17 and bth == at + 48
    else:
        holds = data[at] >> 4 == 6 and bth == at + 40
    return data[at:own_end] if holds else None


def payload_of(data: bytes, found: Headers, behind_bth: int) -> int:
    """Return how many bytes lie behind the last header that is known, without padding and ICRC."""
    if found.ip is None:
        return 0
    if found.bth is None:
        size = found.own_end - found.inside
    else:
        size = found.own_end - found.bth - 12 - behind_bth - 4 - (data[found.bth + 1] >> 4 & 3)
    return size if size > 0 else 0


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(covered: bytes) -> int:
    """Return the 64 bits that stand for *covered*."""
    return zlib.crc32(covered) << 32 | zlib.crc32(covered.translate(_REVERSED)[::-1])


def _mask(header: bytes, *zeroed: int) -> int:
    behind = bytearray(b"\xff" * COVERED)
    for place in zeroed:
        behind[place] = 0
    return int.from_bytes(header + behind, "big")


#: What stays of the IP header: not type of service, "do not fragment", TTL and checksum; not traffic class, flow label and hop limit.
_STAYS4 = bytes.fromhex("ff00 ffff ffff 3fff 00ff 0000") + b"\xff" * 8
_STAYS6 = bytes.fromhex("f0000000 ffff ff00") + b"\xff" * 32
_MASKS: Mapping[tuple[bool, str], int] = {
    (four, kind): _mask(_STAYS4 if four else _STAYS6, *zeroed)
    for four in (True, False)
    for kind, zeroed in (("udp", (6, 7)), ("roce2", (6, 7, 12)), ("tcp", (16, 17)), ("roce1", (4,)), ("other", ()))
}


def fingerprint(data: bytes, found: Headers, flags: int, tcp_flags: int, payload: int) -> tuple[int, bool]:
    """Return the packet's fingerprint, and whether it tells the packet from its neighbours."""
    if found.ip is None:
        return checksum(data[found.inside : min(found.inside + COVERED, found.end)].ljust(COVERED, b"\0")), False
    step, at, own_end = found.ip
    size = 20 if step is IPV4 else 40
    wanted = own_end - found.behind
    if wanted > COVERED:
        wanted = COVERED
    behind = data[found.behind : min(found.behind + wanted, found.end)]
    mask = _MASKS[step is IPV4, _kind(found)]
    stays = (int.from_bytes(data[at : at + size] + behind.ljust(COVERED, b"\0"), "big") & mask).to_bytes(size + COVERED, "big")
    if found.pieces is not None:
        stays += data[found.pieces : found.pieces + 8]
    complete = len(behind) == wanted and (not flags & _SHORT or found.transport is not None or found.bth is not None)
    return checksum(stays), complete and _is_distinct(data, found, tcp_flags, payload, wanted)


def _kind(found: Headers) -> str:
    if found.bth is not None:
        return "roce2" if found.transport else "roce1"
    if found.transport is None:
        return "other"
    return "tcp" if found.transport[0] is TCP else "udp"


def _is_distinct(data: bytes, found: Headers, tcp_flags: int, payload: int, covered: int) -> bool:
    """Whether something counts up in the packet: an identification, a sequence number that moves, or 16 bytes of whatever it is."""
    step, at, _end = found.ip  # type: ignore[misc]
    if (step is IPV4 and _HALF(data, at + 4)[0]) or found.pieces is not None:
        return True
    if found.bth is not None:
        return data[found.bth] != CNP
    if found.transport and found.transport[0] is TCP:
        # An ACK without data or timestamps looks like the one before it.
        return bool(payload or tcp_flags & 7 or data[found.transport[1] + 12] >> 4 >= 8)
    return covered >= 16


def note(data: bytes, found: Headers, rdma: tuple[int, ...]) -> tuple[int, bytes | None]:
    """Return what side.py is to read: which kind, and the bytes of it; 0 where there is nothing."""
    if found.bth is not None:
        if rdma[0] == 1 and rdma[5] == _DATAGRAM:
            return MANAGEMENT, data[found.bth + 20 : min(found.bth + 20 + _MAD, found.end)]
        return 0, None
    if found.transport and found.transport[0] is TCP:
        options = data[found.transport[1] + 20 : min(found.inside, found.end)]
        if TOA in options:
            return TCP_ADDRESS, options
    if found.hidden:
        return IP_ADDRESS, data[slice(*found.hidden)]
    return 0, None
