# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP through a load balancer in full NAT: other addresses, ports and numbers behind it, and the client's address in the option TOA."""

from __future__ import annotations

import dataclasses
import socket
import struct

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth

from .world import MACS, Packet, World

VIRTUAL, LOCAL, REAL = "192.0.2.80", "198.51.100.1", "198.51.100.80"
SYN, ACK, DATA = 0x02, 0x10, 0x18
_NONE = Bth(0, 0, 0, 0, False, 0)
_TOA = struct.Struct("!BBH4s")


def client_of(number: int) -> tuple[str, int]:
    """Return the client of connection *number*: three hosts, of which each has many ports."""
    return f"203.0.113.{1 + number % 3}", 40000 + number


def local_port(number: int) -> int:
    return 1025 + number * 7


def moved(number: int) -> tuple[int, int]:
    """Return by how much the balancer moves the client's and the server's numbers, across zero as well."""
    return (0xFFFFF000 + number * 977) % (1 << 32), number * 31


@dataclasses.dataclass
class Segment(Packet):
    """A TCP packet of connection *connection*, which is before the balancer or, *far*, behind it. *first*: it gets the option there."""

    connection: int = 0
    far: bool = False
    flags: int = DATA
    seq: int = 0
    ack: int = 0
    first: bool = False

    def frame(self) -> bytes:
        client, port = client_of(self.connection)
        ends = ((LOCAL, local_port(self.connection)), (REAL, 8080)) if self.far else ((client, port), (VIRTUAL, 80))
        (src, sport), (dst, dport) = ends if self.forward else ends[::-1]
        shift = moved(self.connection) if self.far else (0, 0)
        mine, theirs = shift if self.forward else shift[::-1]
        options = _TOA.pack(254, 8, port, socket.inet_aton(client)) if self.first and self.far else b""
        acknowledged = (self.ack + theirs) % (1 << 32) if self.flags & ACK else 0
        tcp = struct.pack("!HHIIBBHHH", sport, dport, (self.seq + mine) % (1 << 32), acknowledged, (20 + len(options)) << 2, self.flags, 500, 0, 0)
        body = tcp + options + self.rest
        head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0x4000, self.ttl, 6, 0, *map(socket.inet_aton, (src, dst)))
        return MACS[0] + MACS[1] + b"\x08\x00" + head + body


@dataclasses.dataclass
class Datagram(Segment):
    """UDP of connection *connection*; the *first* one gets the option UOA in its IPv4 header behind the balancer."""

    def frame(self) -> bytes:
        client, port = client_of(self.connection)
        ends = ((LOCAL, local_port(self.connection)), (REAL, 5353)) if self.far else ((client, port), (VIRTUAL, 53))
        (src, sport), (dst, dport) = ends if self.forward else ends[::-1]
        options = _TOA.pack(31, 8, port, socket.inet_aton(client)) if self.first and self.far else b""
        body = struct.pack("!HHHH", sport, dport, 8 + len(self.rest), 0) + self.rest
        fields = (0x45 + len(options) // 4, 0, 20 + len(options) + len(body), 0, 0x4000, self.ttl, 17, 0, *map(socket.inet_aton, (src, dst)))
        return MACS[0] + MACS[1] + b"\x08\x00" + struct.pack("!BBHHHBBH4s4s", *fields) + options + body


def send_datagrams(world: World, connections: int = 6, each: int = 40) -> None:
    for number in range(connections):
        for step in range(each):
            forward, data = step % 2 == 0, struct.pack("!HH", number, step) * 10
            packet = Datagram(0, number * 3e-4 + step * 1e-3, forward, "", "", _NONE, data, connection=number, far=not forward, seq=40 * step, first=step == 0)
            world.send(packet)


def translate(packet: Packet) -> None:
    """Be the balancer on a wire."""
    if isinstance(packet, Segment):
        packet.far = not packet.far


def send(world: World, connections: int = 12, each: int = 40, option: bool = True, at: int = 2) -> None:
    """Open *connections* and send *each* packets with data there and back; without *option* as if all had begun long ago.

    Packet *at* has the option: 2 is the first with data, 0 the SYN, which has it where DPVS runs with toa_mode.
    """
    for number in range(connections):
        t_s, seq, ack = number * 3e-4, 1000 * number, 5000 * number
        for step, (forward, flags) in enumerate(((True, SYN), (False, SYN | ACK), *((way, DATA) for _n in range(each) for way in (True, False)))):
            data = b"" if flags & SYN else struct.pack("!HH", number, step) * 10
            ours, theirs = (seq, ack) if forward else (ack, seq)
            if option or not flags & SYN:
                first = option and step == at
                world.send(
                    Segment(0, t_s, forward, "", "", _NONE, data, connection=number, far=not forward, flags=flags, seq=ours, ack=theirs, first=first)
                )
            step_by = len(data) or 1
            seq, ack = (seq + step_by, ack) if forward else (seq, ack + step_by)
            t_s += 1e-3


def listing(numbers: range) -> str:
    """Return what `ipvsadm -lnc` says of connections *numbers*."""
    line = "[1]tcp 90s    TCP_EST     {}:{} {}:80 {}:{} {}:8080\n"
    return "".join(line.format(*client_of(number), VIRTUAL, LOCAL, local_port(number), REAL) for number in numbers)


def lost(packet: Packet) -> bool:
    """Every ninth packet with data, but never the one with the option."""
    return isinstance(packet, Segment) and bool(packet.rest) and not packet.first and (packet.seq // 40 + packet.connection) % 9 == 4
