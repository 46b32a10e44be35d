# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What few packets say and no row has room for: RDMA connections being set up, and clients that a load balancer hides.

Sources: InfiniBand Architecture Specification vol. 1 sections 12.6 (CM) and 13.4.2 (MAD), annex A11 (IP addresses in private
data); Linux include/rdma/ibta_vol1_c12.h; DPVS include/ipvs/proto_tcp.h and kmod/uoa/uoa.h.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from .index import IP_ADDRESS, MANAGEMENT, TCP_ADDRESS, TOA, UOA
from .keys import Key

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Rows that are kept of a capture; what comes later is counted.
MAX_ROWS = 65_536

_CM_CLASS, _SEND = 0x07, 0x03
_MESSAGES: t.Mapping[int, str] = {0x10: "REQ", 0x12: "REJ", 0x13: "REP", 0x14: "RTU", 0x15: "DREQ", 0x16: "DREP"}
#: A service id that begins so is a port of RDMA CM; what follows is the port space and the port.
_IP_SERVICE = bytes.fromhex("0000000001")
_SPACES: t.Mapping[int, str] = {0x01: "sdp", 0x02: "ipoib", 0x06: "tcp", 0x11: "udp", 0x3F: "ib"}
_WORD = struct.Struct("!I").unpack_from
_HALF = struct.Struct("!H").unpack_from


def row(kind: int, data: bytes, key: Key) -> dict[str, t.Any] | None:
    """Return what a packet's noted bytes say, None where they are nothing of that kind. Pure."""
    said = _SAID[kind](data)
    if said is None:
        return None
    about = {"number": key.number, "t_ns": key.t_ns, "src": address(key.src), "dst": address(key.dst)}
    ports = {} if kind == MANAGEMENT else {"sport": key.sport, "dport": key.dport}
    return {**about, **ports, **said}


def _connection(data: bytes) -> dict[str, t.Any] | None:
    """Read a MAD of the connection manager: 24 bytes of MAD header, then the message."""
    if len(data) < 24 + 232 or data[1] != _CM_CLASS or data[3] & 0x7F != _SEND:
        return None
    name = _MESSAGES.get(_HALF(data, 16)[0])
    if name is None:
        return None
    body = data[24:]
    said = {"kind": name, "local_comm_id": _WORD(body, 0)[0]}
    if name == "REQ":
        return {**said, **_request(body)}
    said["remote_comm_id"] = _WORD(body, 4)[0]
    if name == "REP":
        said.update(local_qpn=_three(body, 12), starting_psn=_three(body, 20))
    elif name == "DREQ":
        said["remote_qpn"] = _three(body, 8)
    elif name == "REJ":
        said["reason"] = _HALF(body, 10)[0]
    return said


def _request(body: bytes) -> dict[str, t.Any]:
    said: dict[str, t.Any] = {
        "local_qpn": _three(body, 32),
        "starting_psn": _three(body, 44),
        "local_gid": address(body[56:72]),
        "remote_gid": address(body[72:88]),
        "service_id": body[8:16].hex(),
    }
    if body[8:13] == _IP_SERVICE and body[140] == 0 and body[141] >> 4 in (4, 6):
        said.update(_ip_service(body))
    return said


def _ip_service(body: bytes) -> dict[str, t.Any]:
    """Read the addresses that RDMA CM puts before the private data of a request."""
    from_, to = body[144:160], body[160:176]
    if body[141] >> 4 == 4:
        from_, to = (bytes(10) + b"\xff\xff" + end[12:] for end in (from_, to))
    return {
        "port_space": _SPACES.get(body[13], str(body[13])),
        "ip_src": address(from_),
        "ip_dst": address(to),
        "ip_sport": _HALF(body, 142)[0],
        "ip_dport": _HALF(body, 14)[0],
    }


def _three(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 3], "big")


def _toa(options: bytes) -> dict[str, t.Any] | None:
    return _client("toa", options, TOA)


def _uoa(options: bytes) -> dict[str, t.Any] | None:
    return _client("uoa", options, UOA)


def _client(name: str, options: bytes, wanted: int) -> dict[str, t.Any] | None:
    """Find the option *wanted* among those of TCP or IPv4, which have one form: kind and length, but for 0 and 1."""
    at = 0
    while at + 2 <= len(options) and options[at]:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1]
        if options[at] == wanted and size in (8, 20) and at + size <= len(options):
            packed = options[at + 4 : at + size]
            mapped = bytes(10) + b"\xff\xff" + packed if size == 8 else packed
            return {"kind": name, "client": address(mapped), "client_port": _HALF(options, at + 2)[0]}
        if size < 2:
            return None
        at += size
    return None


_SAID: Mapping[int, Callable[[bytes], dict[str, t.Any] | None]] = {MANAGEMENT: _connection, TCP_ADDRESS: _toa, IP_ADDRESS: _uoa}


def address(packed: bytes) -> str:
    """Return 16 bytes as text, IPv4 where they are a mapped address."""
    if packed[:12] == bytes(10) + b"\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)
