# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE headers as tables, the names of opcodes and syndromes, and the invariant CRC.

Sources: InfiniBand Architecture Specification vol. 1 chapter 9, annexes A16 (RoCE) and A17 (RoCEv2); Linux
include/rdma/ib_pack.h and drivers/infiniband/sw/rxe/rxe_hdr.h.
"""

from __future__ import annotations

import socket
import struct
import typing as t
import zlib

PORT = 4791
PSN_MODULUS = 1 << 24
CNP = 0x81

BTH = struct.Struct("!BBHII")
RETH = struct.Struct("!QII")
AETH = struct.Struct("!I")
DETH = struct.Struct("!II")

_TRANSPORTS: t.Mapping[int, str] = {0x00: "RC", 0x20: "UC", 0x40: "RD", 0x60: "UD", 0xA0: "XRC"}
_OPERATIONS: t.Mapping[int, str] = {
    0x00: "SEND First", 0x01: "SEND Middle", 0x02: "SEND Last", 0x03: "SEND Last with Immediate", 0x04: "SEND Only",
    0x05: "SEND Only with Immediate", 0x06: "WRITE First", 0x07: "WRITE Middle", 0x08: "WRITE Last",
    0x09: "WRITE Last with Immediate", 0x0A: "WRITE Only", 0x0B: "WRITE Only with Immediate", 0x0C: "READ Request",
    0x0D: "READ Response First", 0x0E: "READ Response Middle", 0x0F: "READ Response Last", 0x10: "READ Response Only",
    0x11: "ACKNOWLEDGE", 0x12: "ATOMIC ACKNOWLEDGE", 0x13: "CmpSwap", 0x14: "FetchAdd",
    0x16: "SEND Last with Invalidate", 0x17: "SEND Only with Invalidate", 0x1C: "FLUSH", 0x1D: "ATOMIC WRITE",
}  # fmt: skip
_RELIABLE = frozenset(_OPERATIONS) - {0x1C, 0x1D}
_DEFINED: t.Mapping[int, frozenset[int]] = {
    0x00: frozenset(_OPERATIONS),
    0x20: frozenset(range(0x0C)),
    0x40: _RELIABLE - {0x16, 0x17} | {0x1C},
    0x60: frozenset((0x04, 0x05)),
    0xA0: _RELIABLE,
}
#: Bytes of the headers between BTH and payload, by operation; UD adds a DETH to each, XRC an XRCETH to each request.
_EXTENSIONS: t.Mapping[int, int] = {
    0x03: 4, 0x05: 4, 0x06: 16, 0x09: 4, 0x0A: 16, 0x0B: 20, 0x0C: 16, 0x0D: 4, 0x0F: 4, 0x10: 4, 0x11: 4, 0x12: 12, 0x13: 28,
    0x14: 28, 0x16: 4, 0x17: 4, 0x1C: 20, 0x1D: 16,
}  # fmt: skip
_RESPONSES = range(0x0D, 0x13)
ICRC_SIZE = 4
_NAK_CODES: t.Mapping[int, str] = {
    0x60: "PSN sequence error", 0x61: "invalid request", 0x62: "remote access error", 0x63: "remote operational error",
    0x64: "invalid RD request",
}  # fmt: skip


class Extension(t.NamedTuple):
    """The extended headers of an opcode: their bytes together, and where in them AETH, RETH and DETH begin; None without."""

    size: int = 0
    aeth: int | None = None
    reth: int | None = None
    deth: int | None = None


def _extension(opcode: int) -> Extension:
    transport, operation = opcode & 0xE0, opcode & 0x1F
    if operation not in _DEFINED.get(transport, ()):
        return Extension()
    answers = 0x0D <= operation <= 0x12
    before = _BEFORE.get((transport, answers), ())
    sizes = [*before, *_BEHIND.get(operation, ())]
    at = {name: sum(size for _name, size in sizes[:place]) for place, (name, _size) in enumerate(sizes)}
    return Extension(sum(size for _name, size in sizes), at.get("aeth"), at.get("reth"), at.get("deth"))


_AETH, _RETH, _DETH = ("aeth", 4), ("reth", 16), ("deth", 8)
#: What a transport puts right behind the BTH: (transport, whether it is an answer). RDETH and XRCETH have 4 bytes.
_BEFORE: t.Mapping[tuple[int, bool], tuple[tuple[str, int], ...]] = {
    (0x40, False): (("rdeth", 4), _DETH), (0x40, True): (("rdeth", 4),), (0x60, False): (_DETH,), (0xA0, False): (("xrceth", 4),),
}  # fmt: skip
#: What an operation adds: immediate data, AtomicETH, AtomicAckETH, IETH and FETH beside those.
_BEHIND: t.Mapping[int, tuple[tuple[str, int], ...]] = {
    0x03: (("immediate", 4),), 0x05: (("immediate", 4),), 0x06: (_RETH,), 0x09: (("immediate", 4),), 0x0A: (_RETH,),
    0x0B: (_RETH, ("immediate", 4)), 0x0C: (_RETH,), 0x0D: (_AETH,), 0x0F: (_AETH,), 0x10: (_AETH,), 0x11: (_AETH,),
    0x12: (_AETH, ("atomic_ack", 8)), 0x13: (("atomic", 28),), 0x14: (("atomic", 28),), 0x16: (("ieth", 4),), 0x17: (("ieth", 4),),
    0x1C: (("feth", 4), _RETH), 0x1D: (_RETH,),
}  # fmt: skip
EXTENSIONS = tuple(map(_extension, range(256)))


class Bth(t.NamedTuple):
    """The base transport header. *psn* and *dest_qp* are 24 bits wide."""

    opcode: int
    flags: int
    partition: int
    dest_qp: int
    ack_request: bool
    psn: int
    becn: bool = False
    fecn: bool = False


def parse_bth(data: t.Any, offset: int = 0) -> Bth:
    """Return the header at *offset*; raises struct.error where *data* is too short."""
    opcode, flags, partition, qp, psn = BTH.unpack_from(data, offset)
    return Bth(opcode, flags, partition, qp & 0xFFFFFF, bool(psn >> 31), psn & 0xFFFFFF, bool(qp >> 30 & 1), bool(qp >> 31))


def opcode_name(opcode: int) -> str:
    """Return for example RC WRITE First; CNP for 0x81."""
    if opcode == CNP:
        return "CNP"
    if opcode >= 0xC0:
        return f"manufacturer specific {opcode:#04x}"
    transport, operation = opcode & 0xE0, opcode & 0x1F
    if operation not in _DEFINED.get(transport, ()):
        return f"reserved {opcode:#04x}"
    return f"{_TRANSPORTS[transport]} {_OPERATIONS[operation]}"


def extension_size(opcode: int) -> int | None:
    """Return how many bytes of headers follow the BTH; None where that is not defined, or not known here (RD)."""
    transport, operation = opcode & 0xE0, opcode & 0x1F
    if operation not in _DEFINED.get(transport, ()) or transport == 0x40:
        return None
    shared = DETH.size if transport == 0x60 else 4 if transport == 0xA0 and operation not in _RESPONSES else 0
    return _EXTENSIONS.get(operation, 0) + shared


def padding(flags: int) -> int:
    """Return how many bytes pad the payload to a multiple of four, which *flags* of the BTH say."""
    return flags >> 4 & 3


def syndrome_name(syndrome: int) -> str:
    """Return what an AETH syndrome byte says."""
    kind = syndrome & 0xE0
    if kind == 0x00:
        return "ACK"
    if kind == 0x20:
        return "RNR NAK"
    return f"NAK, {_NAK_CODES.get(syndrome, f'reserved code {syndrome & 0x1F}')}" if kind == 0x60 else "reserved"


_ONES = zlib.crc32(b"\xff" * 8)


def icrc(packet: bytes) -> bytes:
    """Return the 4 bytes of the invariant CRC of a packet from its IP header or GRH to the end of its payload.

    Fields that routers may change count as ones: type of service, TTL, IP and UDP checksums, and the congestion byte.
    """
    is_ipv4 = packet[0] >> 4 == 4
    is_udp = is_ipv4 or packet[6] == socket.IPPROTO_UDP
    size = (packet[0] & 0x0F) * 4 if is_ipv4 else 40
    end = size + (13 if is_udp else 5)
    masked = bytearray(packet[:end])
    if is_ipv4:
        masked[1] = masked[8] = masked[10] = masked[11] = 0xFF
    else:
        masked[0] |= 0x0F
        masked[1] = masked[2] = masked[3] = masked[7] = 0xFF
    if is_udp:
        masked[size + 6] = masked[size + 7] = 0xFF
    masked[-1] = 0xFF
    return zlib.crc32(memoryview(packet)[end:], zlib.crc32(masked, _ONES)).to_bytes(4, "little")


def icrc_holds(packet: bytes) -> bool:
    """Whether *packet*, from its IP header or GRH to the ICRC and no further, was not altered on its way."""
    return icrc(packet[:-4]) == packet[-4:]
