# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets of every kind that an index knows, made from the standards and not with the code that is to be tested."""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import RETH, Bth
from ansible_collections.wirefleet.capture.tests.traffic import roce_frames as r

from tests.unit.plugins.module_utils.packets import wrapped as w

MACS = (bytes.fromhex("0242ac110002"), bytes.fromhex("0242ac110003"))
V4, V6 = ("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")
PAYLOAD = bytes(number * 5 & 0xFF for number in range(64))
STAMPS = b"\x01\x01\x08\x0a" + struct.pack("!II", 77, 78)


def tcp(payload: bytes = PAYLOAD, flags: int = 0x18, options: bytes = b"", seq: int = 0xDEADBEEF, ack: int = 0x12345678) -> bytes:
    return struct.pack("!HHIIBBHHH", 40000, 443, seq, ack, (20 + len(options)) << 2, flags, 500, 0xABCD, 0) + options + payload


def udp(payload: bytes = PAYLOAD, sport: int = 5353, dport: int = 53) -> bytes:
    return struct.pack("!HHHH", sport, dport, 8 + len(payload), 0x1111) + payload


def ip4(body: bytes, protocol: int, identification: int = 7, place: int = 0x4000, tos: int = 0x69, ttl: int = 61, options: bytes = b"") -> bytes:
    packet = bytearray(w.ipv4(body, protocol, options, place, V4))
    packet[1], packet[8] = tos, ttl
    packet[4:6] = struct.pack("!H", identification)
    packet[10:12] = b"\0\0"
    total = sum(struct.unpack(f"!{(packet[0] & 15) * 2}H", packet[: (packet[0] & 15) * 4]))
    total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)
    return bytes(packet)


def ip6(body: bytes, following: int, traffic_class: int = 0x69, hops: int = 61) -> bytes:
    ends = b"".join(socket.inet_pton(socket.AF_INET6, end) for end in V6)
    return struct.pack("!IHBB", 6 << 28 | traffic_class << 20 | 0x12345, len(body), following, hops) + ends + body


def bth(opcode: int, psn: int = 0xABCDEF, qp: int = 0x0001AE, flags: int = 0x40, **more: t.Any) -> Bth:
    return Bth(opcode, flags, 0xFFFF, qp, more.pop("ack_request", False), psn, **more)


def v2(header: Bth, rest: bytes, ends: tuple[str, str] = V4, vlan: int | None = None, tos: int = 0x68) -> bytes:
    return r.frame(*MACS, r.packet(*ends, header, rest, tos=tos), vlan)


def deth(qp: int = 0x000321, key: int = 0x80010000) -> bytes:
    return struct.pack("!II", key, qp)


def mad(attribute: int, body: bytes, method: int = 3, management: int = 7) -> bytes:
    return struct.pack("!BBBBHHQHHI", 1, management, 2, method, 0, 0, 99, attribute, 0, 0) + body.ljust(232, b"\0")


def request(ends: tuple[str, str] = V4, qpn: int = 0x1A4, comm: int = 0x19AC2F7A, psn: int = 0x28A538) -> bytes:
    """Return the MAD of a ConnectRequest as RDMA CM makes it for port 18515."""
    body = bytearray(232)
    body[0:4] = struct.pack("!I", comm)
    body[8:16] = bytes.fromhex("00000000 01 06") + struct.pack("!H", 18515)
    body[32:35], body[44:47] = qpn.to_bytes(3, "big"), psn.to_bytes(3, "big")
    body[56:72], body[72:88] = map(r.gid, ends)
    family = 6 if ":" in ends[0] else 4
    addresses = [socket.inet_pton(socket.AF_INET6 if family == 6 else socket.AF_INET, end).rjust(16, b"\0") for end in ends]
    body[140:176] = struct.pack("!BBH", 0, family << 4, 45550) + b"".join(addresses)
    return mad(0x10, bytes(body))


def reply(attribute: int = 0x13, local: int = 5, remote: int = 0x19AC2F7A, qpn: int = 0x1A5, psn: int = 0x111111) -> bytes:
    body = bytearray(232)
    body[0:8] = struct.pack("!II", local, remote)
    if attribute == 0x13:
        body[12:15], body[20:23] = qpn.to_bytes(3, "big"), psn.to_bytes(3, "big")
    if attribute == 0x15:
        body[8:11] = qpn.to_bytes(3, "big")
    if attribute == 0x12:
        body[10:12] = struct.pack("!H", 28)
    return mad(attribute, bytes(body))


def managed(message: bytes, ends: tuple[str, str] = V4) -> bytes:
    return v2(bth(0x64, qp=1), deth(1) + message, ends)


TOA4 = b"\xfe\x08" + struct.pack("!H", 51540) + socket.inet_aton("203.0.113.9")
TOA6 = b"\xfe\x14" + struct.pack("!H", 51540) + socket.inet_pton(socket.AF_INET6, "2001:db8::9")
UOA4 = b"\x1f\x08" + TOA4[2:]
UOA6 = b"\x1f\x14" + TOA6[2:]


def hidden(option: bytes, body: bytes) -> bytes:
    """Return *body*, UDP, behind DPVS's header for options that find no room in IP's."""
    return struct.pack("!BBH", 0x10, 17, 4 + len(option)) + option + body


_EXTENDED = w.extension(tcp(), 6)
_SPLIT = struct.pack("!BBHI", 17, 0, 0 << 3 | 1, 0xCAFE) + udp(), 44

#: What tshark tells the same of.
KNOWN: t.Mapping[str, bytes] = {
    "TCP": w.ethernet(ip4(tcp(), 6)),
    "TCP, timestamps, VLAN": w.ethernet(ip4(tcp(options=STAMPS), 6), tags=((0x8100, 0x2064),)),
    "TCP, SYN, padded": w.ethernet(ip4(tcp(b"", 2), 6, identification=0)) + bytes(6),
    "TCP, IPv6": w.ethernet(ip6(tcp(), 6), 0x86DD),
    "TCP, IPv6, options": w.ethernet(ip6(*_EXTENDED), 0x86DD),
    "UDP": w.ethernet(ip4(udp(), 17)),
    "UDP, QinQ": w.ethernet(ip4(udp(), 17), tags=((0x88A8, 100), (0x8100, 7))),
    "UDP, IPv6": w.ethernet(ip6(udp(), 17), 0x86DD),
    "ICMP": w.ethernet(ip4(struct.pack("!BBHHH", 8, 0, 0xF7FF, 1, 2) + PAYLOAD, 1)),
    "IP in IP": w.ethernet(w.ipv4(ip4(tcp(), 6), 4)),
    "WRITE First": v2(bth(0x06), RETH.pack(1, 2, 4096) + PAYLOAD),
    "WRITE Middle, VLAN": v2(bth(0x07, flags=0x60), PAYLOAD, vlan=6),
    "WRITE Only with immediate": v2(bth(0x0B, ack_request=True), RETH.pack(1, 2, 64) + bytes(4) + PAYLOAD),
    "READ Request": v2(bth(0x0C), RETH.pack(1, 2, 1 << 20)),
    "READ Response First": v2(bth(0x0D), r.aeth(0x1F, 0x123456) + PAYLOAD),
    "ACK": v2(bth(0x11), r.aeth(0x1F, 0xFFFFFF)),
    "NAK, IPv6": v2(bth(0x11), r.aeth(0x60, 3), V6),
    "RNR": v2(bth(0x11), r.aeth(0x2C, 3)),
    "UD SEND": v2(bth(0x64, qp=0x111), deth() + PAYLOAD),
    "UC WRITE": v2(bth(0x2A), RETH.pack(1, 2, 64) + PAYLOAD),
    "CompareSwap": v2(bth(0x13), bytes(28)),
    "RoCE v1": r.frame_v1(*MACS, bth(0x04), PAYLOAD, traffic_class=0x68),
    "RoCE v1, VLAN": r.frame_v1(*MACS, bth(0x11), r.aeth(0x61, 9), vlan=88),
    "REQ": managed(request()),
    "ERSPAN II": w.ethernet(w.ipv4(w.type2(v2(bth(0x07), PAYLOAD), session=77))),
    "ERSPAN III, VLAN inside": w.ethernet(w.ipv4(w.type3(v2(bth(0x07), PAYLOAD, vlan=9), session=78))),
}
#: What tshark shows nothing, or something else of.
OTHERS: t.Mapping[str, bytes] = {
    "CNP": v2(bth(0x81, psn=0, becn=True, qp=0x99), bytes(16)),
    "FECN": v2(bth(0x04, fecn=True), PAYLOAD),
    "RD": v2(bth(0x44), bytes(12) + PAYLOAD),
    "XRC WRITE": v2(bth(0xAA), bytes(4) + RETH.pack(1, 2, 64) + PAYLOAD),
    "FLUSH": v2(bth(0x1C), bytes(4) + RETH.pack(1, 2, 64)),
    "a reserved opcode": v2(bth(0x1F), PAYLOAD),
    "a wrong ICRC": v2(bth(0x07), PAYLOAD)[:-1] + b"\x00",
    "VXLAN": w.ethernet(w.ipv4(udp(struct.pack("!II", 0x08000000, 42 << 8) + w.ethernet(ip4(tcp(), 6)), 5555, 4789), 17)),
    "VXLAN without a network": w.ethernet(w.ipv4(udp(bytes(8) + w.ethernet(ip4(tcp(), 6)), 5555, 4789), 17)),
    "VXLAN with ARP": w.ethernet(w.ipv4(udp(struct.pack("!II", 0x08000000, 42 << 8) + w.ethernet(bytes(46), 0x0806), 5555, 4789), 17)),
    "first fragment": w.ethernet(ip4(udp()[:40], 17, place=0x2000)),
    "later fragment": w.ethernet(ip4(PAYLOAD, 17, place=0x0010)),
    "first fragment, IPv6": w.ethernet(ip6(*_SPLIT), 0x86DD),
    "later fragment, IPv6": w.ethernet(ip6(struct.pack("!BBHI", 17, 0, 8 << 3, 0xCAFE) + PAYLOAD, 44), 0x86DD),
    "authenticated": w.ethernet(ip4(struct.pack("!BBHII", 6, 4, 0, 1, 2) + bytes(12) + tcp(), 51)),
    "TSO": bytes(12) + b"\x08\x00" + ip4(tcp(), 6)[:2] + b"\0\0" + ip4(tcp(), 6)[4:],
    "RoCE, no length": v2(bth(0x07), PAYLOAD)[:16] + b"\0\0" + v2(bth(0x07), PAYLOAD)[18:],
    "TOA": w.ethernet(ip4(tcp(options=TOA4), 6)),
    "TOA, IPv6": w.ethernet(ip4(tcp(options=TOA6), 6)),
    "TOA that is none": w.ethernet(ip4(tcp(options=b"\x08\x0a\xfe\x08\xfe\x14\xfe\x08\xfe\x08\0\0"), 6)),
    "UOA": w.ethernet(ip4(udp(), 17, options=UOA4)),
    "UOA in a header of its own": w.ethernet(ip4(hidden(UOA6, udp()), 248)),
    "UOA in a header of its own, IPv6": w.ethernet(ip6(hidden(UOA6, udp()), 248), 0x86DD),
    "REP": managed(reply()),
    "RTU": managed(reply(0x14)),
    "DREQ": managed(reply(0x15)),
    "REJ": managed(reply(0x12)),
    "REQ, IPv6": managed(request(V6), V6),
    "a MAD of another class": managed(mad(0x10, b"", management=3)),
    "half a MAD": managed(request()[:100]),
    "ARP": w.ethernet(bytes(46), 0x0806),
    "GRE, unknown": w.ethernet(ip4(w.gre(PAYLOAD, 0x1234), 47)),
    "RoCE in Mellanox": w.ethernet(w.ipv4(w.gre(bytes(range(22)) + v2(bth(0x07), PAYLOAD), 0x8949))),
    "mirror of a mirror": w.ethernet(w.ipv4(w.type2(w.ethernet(w.ipv4(w.type3(w.ethernet(ip4(tcp(), 6)), session=3))), session=4))),
    "nothing": b"",
}
FRAMES: t.Mapping[str, bytes] = {**KNOWN, **OTHERS}
