# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrored frames as switches wrap them, made from the drafts and not with the decoder that is to be tested."""

from __future__ import annotations

import socket
import struct
import typing as t

NS = 1_000_000_000
SINCE = 1_795_428_900
OUTER_MACS = bytes.fromhex("0242ac110002") + bytes.fromhex("0242ac110003")


def inner(first_byte: int = 0x10, size: int = 64) -> bytes:
    """Return an Ethernet frame with IPv4 and UDP to a MAC that begins with *first_byte*."""
    payload = bytes(number * 7 & 0xFF for number in range(size - 42))
    udp = struct.pack("!HHHH", 5000, 6000, 8 + len(payload), 0) + payload
    mac = bytes([first_byte]) + bytes.fromhex("22334455660a0b0c0d0e0f")
    return mac + b"\x08\x00" + ipv4(udp, protocol=17, ends=("192.0.2.1", "192.0.2.2"))


def ethernet(body: bytes, ethertype: int = 0x0800, tags: t.Sequence[tuple[int, int]] = (), macs: bytes = OUTER_MACS) -> bytes:
    """Return a frame; *tags* are (TPID, TCI) from the outside in."""
    kinds = [tpid for tpid, _tci in tags] + [ethertype]
    tagged = b"".join(struct.pack("!HH", tci, kind) for (_tpid, tci), kind in zip(tags, kinds[1:]))
    return macs + struct.pack("!H", kinds[0]) + tagged + body


def ipv4(
    body: bytes, protocol: int = 47, options: bytes = b"", place: int = 0x4000, ends: tuple[str, str] = ("10.9.0.1", "10.9.0.2")
) -> bytes:
    size = 20 + len(options)
    ends_ = b"".join(map(socket.inet_aton, ends))
    head = struct.pack("!BBHHHBBH", 0x40 | size // 4, 0, size + len(body), 7, place, 64, protocol, 0) + ends_ + options
    total = sum(struct.unpack(f"!{size // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + head[12:] + body


def ipv6(body: bytes, following: int = 47) -> bytes:
    ends = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    return struct.pack("!IHBB", 6 << 28, len(body), following, 64) + ends + body


def extension(body: bytes, following: int, kind: int = 60) -> tuple[bytes, int]:
    """Return *body* behind a header of destination options (or another *kind*), and the number of that header."""
    return struct.pack("!BBBB4x", following, 0, 1, 4) + body, kind


def gre(body: bytes, protocol: int, sequence: int | None = None, key: int | None = None, checksum: bool = False) -> bytes:
    flags = (0x8000 if checksum else 0) | (0x2000 if key is not None else 0) | (0x1000 if sequence is not None else 0)
    fields = b"".join(struct.pack("!I", field) for field in (key, sequence) if field is not None)
    if checksum:
        whole = struct.pack("!HHI", flags, protocol, 0) + fields + body
        total = sum(struct.unpack(f"!{(len(whole) + 1) // 2}H", whole + bytes(len(whole) % 2)))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        fields = struct.pack("!HH", ~total & 0xFFFF, 0) + fields
    return struct.pack("!HH", flags, protocol) + fields + body


def erspan2(frame: bytes, session: int = 100, vlan: int = 7, cos: int = 3, index: int = 5, cut: int = 0) -> bytes:
    return struct.pack("!II", 1 << 28 | vlan << 16 | cos << 13 | 3 << 11 | cut << 10 | session, index) + frame


def erspan3(
    frame: bytes, session: int = 200, vlan: int = 9, stamp: int = 0xDEADBEEF, egress: int = 1, unit: int = 1, platform: bytes = b""
) -> bytes:
    tail = 0x1234 << 16 | 1 << 15 | 5 << 4 | egress << 3 | unit << 1 | bool(platform)
    return struct.pack("!III", 2 << 28 | vlan << 16 | 2 << 13 | session, stamp, tail) + platform + frame


def type1(frame: bytes, **words: t.Any) -> bytes:
    return gre(frame, 0x88BE, **words)


def type2(frame: bytes, sequence: int = 1, key: int | None = None, checksum: bool = False, **words: t.Any) -> bytes:
    return gre(erspan2(frame, **words), 0x88BE, sequence, key, checksum)


def type3(frame: bytes, sequence: int = 1, key: int | None = None, checksum: bool = False, **words: t.Any) -> bytes:
    return gre(erspan3(frame, **words), 0x22EB, sequence, key, checksum)


def fragments(packet: bytes, size: int = 48) -> list[bytes]:
    """Cut an IPv4 packet without options into frames with *size* bytes of its contents each."""
    body = packet[20:]
    pieces = [(at, body[at : at + size]) for at in range(0, len(body), size)]
    return [ethernet(ipv4(piece, packet[9], place=at // 8 | (0x2000 if at + size < len(body) else 0))) for at, piece in pieces]


PLATFORM = bytes.fromhex("0c00000102030405")


def variants(frame: bytes) -> dict[str, bytes]:
    """Return *frame* wrapped in every way that must be undone."""
    v4, v6 = 0x0800, 0x86DD
    qinq = ((0x88A8, 0x2005), (0x8100, 0x0064))
    return {
        "type I": ethernet(ipv4(type1(frame))),
        "type I, key": ethernet(ipv4(type1(frame, key=77))),
        "type I, checksum and key": ethernet(ipv4(type1(frame, key=77, checksum=True))),
        "type II": ethernet(ipv4(type2(frame))),
        "type II, key": ethernet(ipv4(type2(frame, key=1 << 31))),
        "type II, checksum": ethernet(ipv4(type2(frame, checksum=True))),
        "type II, checksum and key": ethernet(ipv4(type2(frame, key=5, checksum=True))),
        "type II, truncated bit": ethernet(ipv4(type2(frame[:40], cut=1))),
        "type II, frame check sequence": ethernet(ipv4(type2(frame + b"\xaa\xbb\xcc\xdd"))),
        "type II, outer VLAN": ethernet(ipv4(type2(frame)), tags=((0x8100, 100),)),
        "type II, outer QinQ": ethernet(ipv4(type2(frame)), tags=qinq),
        "type II, IPv4 options": ethernet(ipv4(type2(frame), options=b"\x94\x04\x00\x00" + bytes([1, 1, 1, 0]))),
        "type II, IPv6": ethernet(ipv6(type2(frame)), v6),
        "type II, IPv6 extensions": ethernet(ipv6(*extension(*extension(type2(frame), 47), 0)), v6),
        "type II, padded outside": ethernet(ipv4(type2(frame)), v4) + bytes(9),
        "type III": ethernet(ipv4(type3(frame))),
        "type III, ingress": ethernet(ipv4(type3(frame, egress=0, unit=0))),
        "type III, sub-header": ethernet(ipv4(type3(frame, platform=PLATFORM))),
        "type III, sub-header, key": ethernet(ipv4(type3(frame, platform=PLATFORM, key=9))),
        "type III, outer VLAN, IPv6": ethernet(ipv6(type3(frame)), v6, tags=((0x8100, 100),)),
        "type III, not numbered": ethernet(ipv4(gre(erspan3(frame), 0x22EB))),
        "type III under the number of type II": ethernet(ipv4(gre(erspan3(frame), 0x88BE, 1))),
        "type II under the number of type III": ethernet(ipv4(gre(erspan2(frame), 0x22EB, 1))),
        "bridged, checksum, key and sequence": ethernet(ipv4(gre(frame, 0x6558, 5, 6, True))),
        "bridged": ethernet(ipv4(gre(frame, 0x6558))),
        "bridged, key": ethernet(ipv4(gre(frame, 0x6558, key=25944))),
        "Mellanox": ethernet(ipv4(gre(bytes(range(22)) + frame, 0x8949))),
        "type II in type II": ethernet(ipv4(type2(ethernet(ipv4(type2(frame, sequence=9, session=3))), sequence=8, session=4))),
        "type III in type I": ethernet(ipv4(type1(ethernet(ipv4(type3(frame, platform=PLATFORM)))))),
    }


def pcap(frames: t.Iterable[bytes], order: str = "<", nano: bool = False, link: int = 1, snap: int = 262144, more: int = 0) -> bytes:
    """Return a file in which packet n is *more* bytes longer on the wire than *snap* or itself and comes n ms after SINCE."""
    out = struct.pack(order + "IHHiIII", 0xA1B23C4D if nano else 0xA1B2C3D4, 2, 4, 0, 0, snap, link)
    for number, frame in enumerate(frames):
        stamp = number * 1_000_000 + 123_456
        out += struct.pack(order + "IIII", SINCE, stamp if nano else stamp // 1000, len(frame[:snap]), len(frame) + more) + frame[:snap]
    return out


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + total + body + total


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(order: str = "<", nano: bool = False, link: int = 1, options: bytes = b"") -> bytes:
    end = struct.pack(order + "HH", 0, 0)
    return block(1, struct.pack(order + "HHI", link, 0, 262144) + option(9, bytes([9 if nano else 6]), order) + options + end, order)


def section(order: str = "<", length: int = -1) -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, length), order)


def packet(frame: bytes, stamp: int, order: str = "<", number: int = 0, more: int = 0, snap: int = 262144, options: bytes = b"") -> bytes:
    body = frame[:snap] + bytes(-len(frame[:snap]) % 4)
    head = struct.pack(order + "IIIII", number, stamp >> 32, stamp & 0xFFFFFFFF, len(frame[:snap]), len(frame) + more)
    return block(6, head + body + options, order)


def pcapng(
    frames: t.Iterable[bytes], order: str = "<", nano: bool = False, link: int = 1, snap: int = 262144, more: int = 0, options: bytes = b""
) -> bytes:
    unit = NS if nano else 1_000_000
    out = section(order) + interface(order, nano, link)
    for number, frame in enumerate(frames):
        stamp = SINCE * unit + (number * 1_000_000 + 123_456) * unit // NS
        out += packet(frame, stamp, order, more=more, snap=snap, options=options)
    return out
