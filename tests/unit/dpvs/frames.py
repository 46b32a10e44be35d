# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A frame of each sort, from 192.0.2.1 to 192.0.2.9, and a way to send some."""

from __future__ import annotations

import struct

from tests.dpvs.place import run

_MACS = bytes.fromhex("02000000000902000000 0001".replace(" ", ""))
_ADDRESSES = bytes((192, 0, 2, 1, 192, 0, 2, 9))


def _packet(protocol: int, body: bytes) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0)
    return _MACS + b"\x08\x00" + head + _ADDRESSES + body


UDP = _packet(17, struct.pack("!HHHH", 5000, 4789, 26, 0) + b"a datagram, udp.. ")
TCP = _packet(6, struct.pack("!HHIIBBHHH", 5001, 80, 7, 0, 0x50, 2, 1024, 0, 0) + b"a segment of tcp")
ICMP = _packet(1, struct.pack("!BBHI", 8, 0, 0, 1) + b"an echo request, icmp...")
ARP = _MACS + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + _MACS[6:] + _ADDRESSES[:4] + bytes(6) + _ADDRESSES[4:] + bytes(18)

_SEND = """
import socket, sys
near, far = (socket.socket(socket.AF_PACKET, socket.SOCK_RAW) for _end in range(2))
near.bind((sys.argv[1], 0))
far.bind((sys.argv[2], 3))
far.settimeout(60)
left = [bytes.fromhex(frame) for frame in sys.argv[3:]]
for frame in left:
    near.send(frame)
while left:
    frame = far.recv(2048)
    left = [one for one in left if one != frame]
"""


def send(netns: str, interface: str, frames: list[bytes]) -> None:
    """Send *frames*, each another one, and return once they came out at the far end, when whoever is to have a copy was given it."""
    far = {"w0": "w1", "w1": "w0"}[interface]
    done = run("python3", "-c", _SEND, interface, far, *(frame.hex() for frame in frames), netns=netns, timeout=120)
    assert done.returncode == 0, done.stderr
