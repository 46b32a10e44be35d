# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE on the wire: headers as tables, names of opcodes, ICRC, and frames made and read.

InfiniBand Architecture Specification vol. 1 chapter 9, annexes A16 (RoCE v1) and A17 (RoCE v2); the numbers agree with
include/rdma/ib_pack.h and drivers/infiniband/sw/rxe/rxe_hdr.h of Linux.
"""

from __future__ import annotations

import ipaddress
import struct
import typing as t
import zlib

PORT = 4791
ETHERTYPE_V1 = 0x8915
PSN_SPACE = 1 << 24
CNP = 0x81

_VLAN_TYPES = (0x8100, 0x88A8)
_IPV4, _IPV6, _UDP, _IB_TRANSPORT = 0x0800, 0x86DD, 17, 0x1B

SERVICES: t.Mapping[int, str] = {0x00: "RC", 0x20: "UC", 0x40: "RD", 0x60: "UD", 0xA0: "XRC"}
OPERATIONS: t.Mapping[int, str] = {
    0x00: "SEND First",
    0x01: "SEND Middle",
    0x02: "SEND Last",
    0x03: "SEND Last with Immediate",
    0x04: "SEND Only",
    0x05: "SEND Only with Immediate",
    0x06: "WRITE First",
    0x07: "WRITE Middle",
    0x08: "WRITE Last",
    0x09: "WRITE Last with Immediate",
    0x0A: "WRITE Only",
    0x0B: "WRITE Only with Immediate",
    0x0C: "READ Request",
    0x0D: "READ Response First",
    0x0E: "READ Response Middle",
    0x0F: "READ Response Last",
    0x10: "READ Response Only",
    0x11: "ACKNOWLEDGE",
    0x12: "ATOMIC Acknowledge",
    0x13: "CmpSwap",
    0x14: "FetchAdd",
    0x15: "RESYNC",
    0x16: "SEND Last with Invalidate",
    0x17: "SEND Only with Invalidate",
    0x1C: "FLUSH",
    0x1D: "ATOMIC WRITE",
}
_RELIABLE = frozenset(OPERATIONS) - {0x15, 0x1C, 0x1D}
_DATAGRAM = (_RELIABLE | {0x15, 0x1C}) - {0x16, 0x17}
DEFINED: t.Mapping[str, frozenset[int]] = {
    "RC": _RELIABLE | {0x1C, 0x1D},
    "UC": frozenset(range(0x0C)),
    "RD": _DATAGRAM,
    "UD": frozenset((0x04, 0x05)),
    "XRC": _RELIABLE,
}


def opcode_name(opcode: int) -> str:
    """Return what an opcode (0 to 255) is called, for example "RC WRITE First"."""
    if opcode == CNP:
        return "CNP"
    if opcode >= 0xC0:
        return f"manufacturer specific {opcode:#04x}"
    service, operation = SERVICES.get(opcode & 0xE0), opcode & 0x1F
    if service is None or operation not in DEFINED[service]:
        return f"reserved {opcode:#04x}"
    return f"{service} {OPERATIONS[operation]}"


class Bth(t.NamedTuple):
    """Base transport header, the first 12 bytes of every packet; only the receiver's QP is on the wire."""

    opcode: int
    dest_qp: int
    psn: int
    ack_request: bool = False
    pad: int = 0
    solicited: bool = False
    migrated: bool = True
    p_key: int = 0xFFFF
    fecn: bool = False
    becn: bool = False

    def pack(self) -> bytes:
        flags = self.solicited << 7 | self.migrated << 6 | self.pad << 4
        qp = self.fecn << 31 | self.becn << 30 | self.dest_qp
        return _BTH.pack(self.opcode, flags, self.p_key, qp, self.ack_request << 31 | self.psn)

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Bth:
        opcode, flags, p_key, qp, psn = _BTH.unpack_from(data, at)
        return cls(
            opcode, qp & 0xFFFFFF, psn & 0xFFFFFF, bool(psn >> 31), flags >> 4 & 3, bool(flags >> 7),
            bool(flags >> 6 & 1), p_key, bool(qp >> 31), bool(qp >> 30 & 1),
        )  # fmt: skip


class Reth(t.NamedTuple):
    """Where a WRITE or READ goes: address and key in the remote memory, length of the whole message in bytes."""

    address: int
    r_key: int
    length: int

    def pack(self) -> bytes:
        return _RETH.pack(*self)

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Reth:
        return cls(*_RETH.unpack_from(data, at))


class Aeth(t.NamedTuple):
    """Answer of the receiver; `syndrome & 0xe0` is 0x00 ACK, 0x20 RNR NAK, 0x60 NAK."""

    syndrome: int
    msn: int

    def pack(self) -> bytes:
        return _WORD.pack(self.syndrome << 24 | self.msn)

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Aeth:
        word = _WORD.unpack_from(data, at)[0]
        return cls(word >> 24, word & 0xFFFFFF)


class Deth(t.NamedTuple):
    """Datagram header; the only one that names the sender's QP."""

    q_key: int
    source_qp: int

    def pack(self) -> bytes:
        return _DETH.pack(*self)

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Deth:
        q_key, source_qp = _DETH.unpack_from(data, at)
        return cls(q_key, source_qp & 0xFFFFFF)


class Grh(t.NamedTuple):
    """Global route header of RoCE v1 and, but for *next_header*, the header of IPv6; addresses are 16 bytes."""

    traffic_class: int
    flow_label: int
    payload_length: int
    next_header: int
    hop_limit: int
    source: bytes
    destination: bytes

    def pack(self) -> bytes:
        return _GRH.pack(6 << 28 | self.traffic_class << 20 | self.flow_label, *self[2:])

    @classmethod
    def unpack(cls, data: bytes, at: int = 0) -> Grh:
        word, *rest = _GRH.unpack_from(data, at)
        return cls(word >> 20 & 0xFF, word & 0xFFFFF, *rest)


_BTH = struct.Struct(">BBHII")
_RETH = struct.Struct(">QII")
_DETH = struct.Struct(">II")
_GRH = struct.Struct(">IHBB16s16s")
_WORD = struct.Struct(">I")
_UDP_HEADER = struct.Struct(">HHHH")
_IPV4_HEADER = struct.Struct(">BBHHHBBH4s4s")


def icrc(packet: bytes) -> bytes:
    """Return the 4 bytes that end *packet*, which begins at the header of IPv4, IPv6 or GRH and has no ICRC yet.

    What routers may change (and the whole link header) counts as ones.
    """
    masked = bytearray(packet)
    if packet[0] >> 4 == 4:
        transport = (packet[0] & 15) * 4
        routed = [1, 8, 10, 11]
        is_udp = True
    else:
        transport = 40
        masked[0] |= 0x0F
        routed = [1, 2, 3, 7]
        is_udp = packet[6] == _UDP
    if is_udp:
        routed += [transport + 6, transport + 7]
        transport += 8
    for at in (*routed, transport + 4):
        masked[at] = 0xFF
    return zlib.crc32(masked, zlib.crc32(b"\xff" * 8)).to_bytes(4, "little")


class Path(t.NamedTuple):
    """How a packet travels. MACs as "02:…", addresses as text; *version* 1 takes IPv4 addresses as mapped GIDs."""

    source_mac: str
    destination_mac: str
    source: str
    destination: str
    version: int = 2
    vlan: int | None = None
    dscp: int = 0
    ecn: int = 0
    source_port: int = 0xC000
    hop_limit: int = 64


def build(path: Path, bth: Bth, extension: bytes = b"", payload: bytes = b"") -> bytes:
    """Return the Ethernet frame, without FCS; *extension* is the packed headers after the BTH. Pads to 4 bytes."""
    pad = -len(payload) % 4
    transport = bth._replace(pad=pad).pack() + extension + payload + bytes(pad)
    if path.version == 2:
        transport = _UDP_HEADER.pack(path.source_port, PORT, 12 + len(transport), 0) + transport
    ethertype, network = _network(path, len(transport) + 4)
    tag = b"" if path.vlan is None else struct.pack(">HH", _VLAN_TYPES[0], path.vlan)
    link = _mac(path.destination_mac) + _mac(path.source_mac) + tag + ethertype.to_bytes(2, "big")
    return link + network + transport + icrc(network + transport)


def _network(path: Path, length: int) -> tuple[int, bytes]:
    """Return the ethertype and the header in front of *length* bytes."""
    source, destination = ipaddress.ip_address(path.source), ipaddress.ip_address(path.destination)
    traffic_class = path.dscp << 2 | path.ecn
    if path.version == 2 and source.version == 4:
        return _IPV4, _ipv4(traffic_class, length, path.hop_limit, source.packed, destination.packed)
    ethertype, following = (_IPV6, _UDP) if path.version == 2 else (ETHERTYPE_V1, _IB_TRANSPORT)
    return ethertype, Grh(traffic_class, 0, length, following, path.hop_limit, _gid(source), _gid(destination)).pack()


def _ipv4(tos: int, length: int, ttl: int, source: bytes, destination: bytes) -> bytes:
    fields = (0x45, tos, 20 + length, 0, 0x4000, ttl, _UDP)
    total = sum(struct.unpack(">10H", _IPV4_HEADER.pack(*fields, 0, source, destination)))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return _IPV4_HEADER.pack(*fields, ~total & 0xFFFF, source, destination)


def _gid(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bytes:
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


class Packet(t.NamedTuple):
    """A frame that was read. *body* is what follows the BTH, ICRC included unless the snapshot cut it off."""

    version: int
    vlan: int | None
    traffic_class: int
    source: str
    destination: str
    bth: Bth
    body: bytes
    icrc_good: bool | None
    """None where the frame was not captured whole."""


def read(frame: bytes) -> Packet | None:
    """Return the RoCE packet in an Ethernet frame, behind any number of VLAN tags; None when there is none."""
    try:
        return _read(frame)
    except (struct.error, IndexError):
        return None


def _read(frame: bytes) -> Packet | None:
    at, vlan = 12, None
    ethertype = int.from_bytes(frame[at : at + 2], "big")
    while ethertype in _VLAN_TYPES:
        vlan = vlan if vlan is not None else int.from_bytes(frame[at + 2 : at + 4], "big") & 0xFFF
        at += 4
        ethertype = int.from_bytes(frame[at : at + 2], "big")
    start = at + 2
    if ethertype == _IPV4:
        header = _IPV4_HEADER.unpack_from(frame, start)
        network, length, protocol = (header[0] & 15) * 4, header[2], header[6]
        traffic_class, source, destination = header[1], header[8], header[9]
    elif ethertype in (_IPV6, ETHERTYPE_V1):
        grh = Grh.unpack(frame, start)
        network, length, protocol = 40, 40 + grh.payload_length, grh.next_header
        traffic_class, source, destination = grh.traffic_class, grh.source, grh.destination
    else:
        return None
    transport = start + network
    if ethertype != ETHERTYPE_V1:
        if protocol != _UDP or _UDP_HEADER.unpack_from(frame, transport)[1] != PORT:
            return None
        transport += 8
    bth, end = Bth.unpack(frame, transport), start + length
    if end < transport + 16:
        return None
    whole = len(frame) >= end
    return Packet(
        1 if ethertype == ETHERTYPE_V1 else 2, vlan, traffic_class,
        str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination)), bth, frame[transport + 12 : end],
        icrc(frame[start : end - 4]) == frame[end - 4 : end] if whole else None,
    )  # fmt: skip
