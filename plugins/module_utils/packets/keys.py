# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row that stands for one packet when captures are compared: 152 bytes, little-endian, one layout everywhere.

Hosts write it with `struct`, the controller reads it as one numpy dtype (`numpy.dtype(DTYPE)`), and Parquet has a column of
each name. A field that a packet does not have is 0 in the row; the bit in *flags* that FIELDS names for it says whether it
is there, and Parquet has null where it is not.
"""

from __future__ import annotations

import struct
import typing as t

#: What is true of the packet; the fields below name the bit that says whether they mean anything.
FLAGS: t.Mapping[str, int] = {
    name: 1 << bit
    for bit, name in enumerate(
        (
            "ip",  # it has an IP header, or the GRH of RoCE v1, that could be read
            "ipv6",  # which is IPv6 or a GRH; IPv4 addresses are written as ::ffff:a.b.c.d
            "vlan",  # the frame (of a mirrored packet, the mirrored frame) is tagged
            "ports",  # UDP or TCP whose header was captured, but perhaps for TCP's options
            "tcp",
            "roce1",
            "roce2",
            "aeth",
            "reth",
            "deth",
            "ack_request",
            "becn",
            "fecn",
            "icrc",  # the packet was captured whole, so that its ICRC could be computed
            "icrc_valid",
            "fragment",  # a part of an IP packet; without a port unless it is the first
            "short",  # it was cut before the headers ended
            "outer",  # it came within a tunnel or a mirror: outer addresses are there
            "mirror",  # it came within a mirror that has a session id
            "identified",  # the fingerprint covers what tells this packet from its neighbours; else only its headers' looks
            "content",  # there is a payload, and its first bytes were captured
        )
    )
}


class Field(t.NamedTuple):
    """One column: its name, its code for struct, the flag that says whether it is there (None: always), what it is."""

    name: str
    code: str
    flag: str | None
    text: str


FIELDS = (
    Field("t_ns", "q", None, "time in the capture, nanoseconds since 1970"),
    Field("fingerprint", "Q", None, "what no router changes: not TTL, MAC, VLAN, DSCP, ECN, checksums, nor what snaplen cuts"),
    Field("src", "16s", "ip", "source address, the innermost"),
    Field("dst", "16s", "ip", "destination address, the innermost"),
    Field("outer_src", "16s", "outer", "source address, the outermost"),
    Field("outer_dst", "16s", "outer", "destination address, the outermost"),
    Field("number", "I", None, "place in the vantage's capture, from 1, over all its files"),
    Field("occurrence", "I", None, "how many packets with this fingerprint this vantage had before, from 0"),
    Field("captured", "I", None, "bytes in the capture; of a mirrored packet, of the mirrored frame"),
    Field("wire", "I", None, "bytes on the wire; of a mirrored packet, of the mirrored frame"),
    Field("flags", "I", None, "the sum of FLAGS"),
    Field("seq", "I", "tcp", "TCP sequence number"),
    Field("ack", "I", "tcp", "TCP acknowledgement number"),
    Field("dest_qp", "I", "roce", "destination queue pair, 24 bits"),
    Field("src_qp", "I", "deth", "source queue pair, 24 bits"),
    Field("psn", "I", "roce", "packet sequence number, 24 bits"),
    Field("msn", "I", "aeth", "message sequence number, 24 bits"),
    Field("dma_length", "I", "reth", "bytes that a WRITE or READ asks for"),
    Field("content", "I", "content", "CRC-32 of the first 24 bytes of payload, which stays where addresses and ports are translated"),
    Field("sport", "H", "ports", "source port"),
    Field("dport", "H", "ports", "destination port"),
    Field("payload", "H", "ip", "bytes behind the last header that is known, without padding and ICRC, as its headers say"),
    Field("vlan", "H", "vlan", "VLAN id of the outermost tag"),
    Field("mirror", "H", "mirror", "ERSPAN session id, the innermost"),
    Field("ip_id", "H", "ip", "IPv4 identification; 0 for IPv6"),
    Field("dscp", "B", "ip", "differentiated services code point"),
    Field("ecn", "B", "ip", "0 not capable, 1 and 2 capable, 3 congestion experienced"),
    Field("ttl", "B", "ip", "time to live or hop limit"),
    Field("protocol", "B", "ip", "IP protocol number of the transport"),
    Field("tcp_flags", "B", "tcp", "FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128"),
    Field("opcode", "B", "roce", "BTH opcode, transport and operation"),
    Field("syndrome", "B", "aeth", "AETH syndrome"),
    Field("direction", "B", None, "0 unknown, 1 received, 2 sent by the host, as the capture says"),
)

ROW = struct.Struct("<" + "".join(field.code for field in FIELDS))

_NUMPY = {"q": "<i8", "Q": "<u8", "I": "<u4", "H": "<u2", "B": "u1", "16s": "V16"}

#: What numpy.dtype() takes.
DTYPE: t.Mapping[str, t.Any] = {
    "names": [field.name for field in FIELDS],
    "formats": [_NUMPY[field.code] for field in FIELDS],
    "itemsize": ROW.size,
}


class Key(t.NamedTuple):
    """One row, field by field; `ROW.pack(*key)` is its bytes."""

    t_ns: int
    fingerprint: int
    src: bytes
    dst: bytes
    outer_src: bytes
    outer_dst: bytes
    number: int
    occurrence: int
    captured: int
    wire: int
    flags: int
    seq: int
    ack: int
    dest_qp: int
    src_qp: int
    psn: int
    msn: int
    dma_length: int
    content: int
    sport: int
    dport: int
    payload: int
    vlan: int
    mirror: int
    ip_id: int
    dscp: int
    ecn: int
    ttl: int
    protocol: int
    tcp_flags: int
    opcode: int
    syndrome: int
    direction: int


def present(flag: str | None, flags: int) -> bool:
    """Whether a field that depends on *flag* is there in a row with *flags*. `roce` is either version of it."""
    if flag is None:
        return True
    wanted = FLAGS["roce1"] | FLAGS["roce2"] if flag == "roce" else FLAGS[flag]
    return bool(flags & wanted)
