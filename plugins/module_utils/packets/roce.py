# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE headers as tables, the names of opcodes and syndromes, the invariant CRC, and frames made of them.

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
_NAK_CODES: t.Mapping[int, str] = {
    0x60: "PSN sequence error", 0x61: "invalid request", 0x62: "remote access error", 0x63: "remote operational error",
    0x64: "invalid RD request",
}  # fmt: skip


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

    def pack(self) -> bytes:
        congestion = self.fecn << 31 | self.becn << 30
        return BTH.pack(self.opcode, self.flags, self.partition, congestion | self.dest_qp, self.ack_request << 31 | self.psn)


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


def syndrome_name(syndrome: int) -> str:
    """Return what an AETH syndrome byte says."""
    kind = syndrome & 0xE0
    if kind == 0x00:
        return "ACK"
    if kind == 0x20:
        return "RNR NAK"
    return f"NAK, {_NAK_CODES.get(syndrome, f'reserved code {syndrome & 0x1F}')}" if kind == 0x60 else "reserved"


def aeth(syndrome: int, msn: int) -> bytes:
    return AETH.pack(syndrome << 24 | msn & 0xFFFFFF)


def icrc(packet: bytes) -> bytes:
    """Return the 4 bytes of the invariant CRC of a packet from its IP header or GRH to the end of its payload.

    Fields that routers may change count as ones: type of service, TTL, IP and UDP checksums, and the congestion byte.
    """
    masked = bytearray(packet)
    if masked[0] >> 4 == 4:
        header = (masked[0] & 0x0F) * 4
        masked[1] = masked[8] = 0xFF
        masked[10:12] = b"\xff\xff"
    else:
        header = 40
        masked[0] |= 0x0F
        masked[1:4] = b"\xff\xff\xff"
        masked[7] = 0xFF
    if masked[0] >> 4 == 4 or masked[6] == socket.IPPROTO_UDP:
        masked[header + 6 : header + 8] = b"\xff\xff"
        header += 8
    masked[header + 4] = 0xFF
    return struct.pack("<I", zlib.crc32(bytes(masked), zlib.crc32(b"\xff" * 8)))


def icrc_holds(packet: bytes) -> bool:
    """Whether *packet*, from its IP header or GRH to the ICRC and no further, was not altered on its way."""
    return icrc(packet[:-4]) == packet[-4:]


def packet(source: str, target: str, bth: Bth, rest: bytes = b"", source_port: int = 49152, tos: int = 0, ttl: int = 64) -> bytes:
    """Return a RoCEv2 packet from the IP header to the ICRC. *rest* is extended headers and payload, padded by the caller."""
    body = bth.pack() + rest
    udp = struct.pack("!HHHH", source_port, PORT, 8 + len(body) + 4, 0)
    header = _ipv6 if ":" in source else _ipv4
    whole = header(source, target, len(udp) + len(body) + 4, tos, ttl) + udp + body
    return whole + icrc(whole)


def _ipv4(source: str, target: str, length: int, tos: int, ttl: int) -> bytes:
    fields = (0x45, tos, 20 + length, 0, 0x4000, ttl, socket.IPPROTO_UDP, 0, socket.inet_aton(source), socket.inet_aton(target))
    header = bytearray(struct.pack("!BBHHHBBH4s4s", *fields))
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)
    return bytes(header)


def _ipv6(source: str, target: str, length: int, tos: int, ttl: int) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
    return struct.pack("!IHBB", 6 << 28 | tos << 20, length, socket.IPPROTO_UDP, ttl) + ends


def gid(address: str) -> bytes:
    """Return the 16 bytes under which RoCE knows an IPv4 (mapped) or IPv6 address."""
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return bytes(10) + b"\xff\xff" + socket.inet_aton(address)


def frame(target_mac: bytes, source_mac: bytes, ip_packet: bytes, vlan: int | None = None) -> bytes:
    """Return the Ethernet frame around *ip_packet*, with an inline tag where *vlan* is given."""
    tag = struct.pack("!HH", 0x8100, vlan) if vlan is not None else b""
    return target_mac + source_mac + tag + (b"\x86\xdd" if ip_packet[0] >> 4 == 6 else b"\x08\x00") + ip_packet


def frame_v1(target_mac: bytes, source_mac: bytes, bth: Bth, rest: bytes = b"", vlan: int | None = None, traffic_class: int = 0) -> bytes:
    """Return a RoCE v1 frame between GIDs of zeros: GRH, BTH, *rest* and ICRC."""
    body = bth.pack() + rest
    grh = struct.pack("!IHBB", 6 << 28 | traffic_class << 20, len(body) + 4, 0x1B, 1) + bytes(32)
    body += icrc(grh + body)
    tag = struct.pack("!HH", 0x8100, vlan) if vlan is not None else b""
    return target_mac + source_mac + tag + b"\x89\x15" + grh + body


def write_message(first_psn: int, packets: int, dest_qp: int, payload: bytes) -> t.Iterator[tuple[Bth, bytes]]:
    """Yield (BTH, rest) of the *packets* of one RC WRITE; PSNs wrap at 24 bits and the last asks for an ACK."""
    reth = RETH.pack(0x7F0000000000, 0x1234, len(payload) * packets)
    for number in range(packets):
        last = number == packets - 1
        opcode = 0x0A if packets == 1 else 0x06 if number == 0 else 0x08 if last else 0x07
        bth = Bth(opcode, 0x40, 0xFFFF, dest_qp, last, (first_psn + number) % PSN_MODULUS)
        yield bth, (reth if number == 0 else b"") + payload
