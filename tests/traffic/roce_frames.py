# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE packets and frames as bytes, for what the tests and the demo send: the other direction of packets/roce.py."""

from __future__ import annotations

import socket
import struct
import typing as t

if t.TYPE_CHECKING or __package__:
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import AETH, BTH, PORT, PSN_MODULUS, RETH, Bth, icrc
else:
    # Beside roce.py on a host of the lab.
    from roce import AETH, BTH, PORT, PSN_MODULUS, RETH, Bth, icrc


def pack(bth: Bth) -> bytes:
    congestion = bth.fecn << 31 | bth.becn << 30
    return BTH.pack(bth.opcode, bth.flags, bth.partition, congestion | bth.dest_qp, bth.ack_request << 31 | bth.psn)


def aeth(syndrome: int, msn: int) -> bytes:
    return AETH.pack(syndrome << 24 | msn & 0xFFFFFF)


def packet(source: str, target: str, bth: Bth, rest: bytes = b"", source_port: int = 49152, tos: int = 0, ttl: int = 64) -> bytes:
    """Return a RoCEv2 packet from the IP header to the ICRC. *rest* is extended headers and payload, padded by the caller."""
    body = pack(bth) + rest
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
    body = pack(bth) + rest
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
