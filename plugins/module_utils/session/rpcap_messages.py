# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of RPCAP, the Remote Capture Protocol, version 0, as libpcap's rpcap-protocol.h defines them. Pure.

All numbers are in network byte order. Nothing that a server sends is believed: every length is bounded.
"""

from __future__ import annotations

import re
import struct
import typing as t

#: Of a reply on the control connection; the longest is a list of interfaces.
LONGEST_REPLY = 1 << 20
#: rpcapd 1.10 writes the length of a packet's message as 16 bits: its headers of 20 bytes and the packet.
MAX_CAPLEN = 65535 - 20
_LONGEST_PACKET = 65535
_LONGEST_WORDS = 300

ERROR, FINDALLIF, OPEN, STARTCAP, PACKET, AUTH, STATS, ENDCAP, CLOSE = 1, 2, 3, 4, 7, 8, 9, 10, 6
_REPLY = 0x80
_PROMISC = 1
_BPF = 1
_NO_AUTHENTICATION = 0

HEADER = struct.Struct(">BBHI")
_STARTCAP = struct.Struct(">IIHHHHI")
_INSTRUCTION = struct.Struct(">HBBI")
_STARTED = struct.Struct(">iHH")
_INTERFACE = struct.Struct(">HHIHH")
_OPENED = struct.Struct(">ii")
_STATS = struct.Struct(">IIII")
_PACKET = struct.Struct(">BBHIIIIII")
_RECORD = struct.Struct("<IIII")
_PCAP = struct.Struct("<IHHiIII")
_ADDRESSES = 4 * 128

#: What libpcap calls by another number in memory than in files.
_LINK_TYPES = {12: 101, 14: 101}
#: By the names that tcpdump has for them, for which it compiles filters.
LINK_NAMES: t.Mapping[int, str] = {1: "EN10MB", 101: "RAW", 113: "LINUX_SLL", 276: "LINUX_SLL2"}

Instruction = t.Tuple[int, int, int, int]  # noqa: UP006 - Python 3.9 evaluates it
"""(code, if true, if false, k) of a BPF program."""


class Broken(Exception):
    """What a server said is no RPCAP, or is a refusal; the message is one sentence."""


class Header(t.NamedTuple):
    type: int
    value: int
    length: int


class Counts(t.NamedTuple):
    """What a server says it counted."""

    received: int
    dropped_interface: int
    dropped_kernel: int
    sent: int


class Taken(t.NamedTuple):
    """*used* bytes were whole messages, which hold *packets*, *records* of a pcap file; *last* is the newest ordinal number.

    *missing* numbers were left out before or among them.
    """

    used: int
    packets: int
    records: list[bytes]
    last: int
    missing: int


def request(kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(0, kind, 0, len(payload)) + payload


def authenticate() -> bytes:
    """Return the request to be let in without authentication, the only one that switches have."""
    return request(AUTH, struct.pack(">HHHH", _NO_AUTHENTICATION, 0, 0, 0))


def open_interface(name: str) -> bytes:
    return request(OPEN, name.encode())


def start(snaplen: int, timeout_ms: int, program: t.Sequence[Instruction]) -> bytes:
    """Return the request to send packets over a second TCP connection, on which the server listens."""
    head = _STARTCAP.pack(snaplen, timeout_ms, _PROMISC, 0, _BPF, 0, len(program))
    return request(STARTCAP, head + b"".join(_INSTRUCTION.pack(*step) for step in program))


def parse_header(data: bytes) -> Header:
    """Raises Broken for what no server of version 0 sends."""
    version, kind, value, length = HEADER.unpack(data)
    if version != 0:
        raise Broken(f"speaks version {version} of RPCAP, and only 0 is known here, or no RPCAP at all")
    if length > LONGEST_REPLY:
        raise Broken(f"announces a message of {length} bytes, which is no RPCAP")
    return Header(kind, value, length)


def check_reply(asked: int, header: Header, payload: bytes) -> None:
    """Raise Broken where the message is not the answer to the request *asked*."""
    if header.type == ERROR:
        raise Broken(f"refuses: {printable(payload)} (error {header.value})")
    if not is_reply(asked, header):
        raise Broken(f"answers request {asked} with message {header.type}")


def is_reply(asked: int, header: Header) -> bool:
    return header.type == asked | _REPLY


def printable(data: bytes) -> str:
    """Return the beginning of what a server calls its reason or its interface, as text of one line."""
    return re.sub(r"[^ -~]+", " ", data[:_LONGEST_WORDS].decode("ascii", "replace")).strip()


def parse_versions(payload: bytes) -> None:
    """Check the answer to authenticate(), which servers before libpcap 1.9 leave empty."""
    if payload[:1] > b"\0":
        raise Broken(f"speaks versions of RPCAP from {payload[0]} on, and only 0 is known here")


def parse_interfaces(count: int, payload: bytes) -> list[str]:
    """Return the names of the *count* interfaces that a server offers."""
    found, at = [], 0
    for _number in range(count):
        if at + _INTERFACE.size > len(payload):
            raise Broken("offers a list of interfaces that ends too early")
        name, description, _flags, addresses, _dummy = _INTERFACE.unpack_from(payload, at)
        at += _INTERFACE.size
        found.append(payload[at : at + name].decode("utf-8", "replace"))
        at += name + description + addresses * _ADDRESSES
    if at > len(payload):
        raise Broken("offers a list of interfaces that ends too early")
    return found


def parse_opened(payload: bytes) -> int:
    """Return the link type as files have it."""
    link = _unpack(_OPENED, payload)[0]
    if not 0 <= link <= 65535:
        raise Broken(f"names the link type {link}, which does not exist")
    return _LINK_TYPES.get(link, link)


def parse_started(payload: bytes) -> int:
    """Return the TCP port on which the server waits to send packets."""
    port = _unpack(_STARTED, payload)[1]
    if not port:
        raise Broken("names no port for the packets")
    return int(port)


def parse_stats(payload: bytes) -> Counts:
    return Counts(*_unpack(_STATS, payload))


def _unpack(shape: struct.Struct, payload: bytes) -> tuple[t.Any, ...]:
    if len(payload) < shape.size:
        raise Broken(f"answers with {len(payload)} bytes where {shape.size} belong")
    return shape.unpack_from(payload)


def parse_program(text: str) -> list[Instruction]:
    """Return the program that `tcpdump -ddd` prints: how many instructions, then one a line."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return [(int(code), int(true), int(false), int(k)) for code, true, false, k in rows]


def everything(snaplen: int) -> list[Instruction]:
    """Return the program that lets each packet through."""
    return [(0x06, 0, 0, snaplen)]


def file_header(link: int, snaplen: int) -> bytes:
    return _PCAP.pack(0xA1B2C3D4, 2, 4, 0, 0, snaplen, link)


def take(data: bytes | bytearray | memoryview, snaplen: int, last: int) -> Taken:
    """Return what of *data* are whole messages with packets, each cut to *snaplen* bytes; *last* is the number before.

    Raises Broken for anything else; what stands before it is lost with it, so callers hand in small pieces.
    """
    records: list[bytes] = []
    at = packets = missing = 0
    while len(data) - at >= _PACKET.size:
        version, kind, _value, length, seconds, micros, captured, wire, number = _PACKET.unpack_from(data, at)
        if version or kind != PACKET or length > _LONGEST_PACKET or captured > length - _PACKET.size + HEADER.size:
            break
        if len(data) - at < HEADER.size + length:
            return Taken(at, packets, records, last, missing)
        begin = at + _PACKET.size
        kept = min(captured, snaplen)
        records += [_RECORD.pack(seconds, micros, kept, max(wire, captured)), bytes(data[begin : begin + kept])]
        missing += _gap(last, number)
        at, packets, last = at + HEADER.size + length, packets + 1, number
    else:
        return Taken(at, packets, records, last, missing)
    if packets:  # the next call, which begins with it, will say so
        return Taken(at, packets, records, last, missing)
    raise Broken(f"sent what is no packet: message {kind} of {length} bytes for {captured} of {wire} bytes")


def _gap(last: int, number: int) -> int:
    """Return how many packets are missing between two ordinal numbers; a server that does not count up tells nothing."""
    gap = (number - last - 1) & 0xFFFFFFFF
    return gap if gap < 1 << 31 else 0
