# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios of the truth test send: RoCE with its acknowledgements, and plain datagrams."""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import AETH, PSN_MODULUS, RETH, Bth

from tests.traffic.roce_frames import aeth, write_message

from .world import Packet, World

A, B = "10.78.0.2", "10.78.0.3"
QP_A, QP_B = 0x1A4, 0x1AE
ACK, NAK, RNR = 0x00, 0x60, 0x20


def request(bth: Bth, rest: bytes, t_s: float, **fields: t.Any) -> Packet:
    return Packet(0, t_s, True, A, B, bth, rest, **fields)


def answer(psn: int, msn: int, syndrome: int, t_s: float, opcode: int = 0x11, rest: bytes = b"", qp: int = QP_A) -> Packet:
    return Packet(0, t_s, False, B, A, Bth(opcode, 0x40, 0xFFFF, qp, False, psn % PSN_MODULUS), aeth(syndrome, msn) + rest)


def writes(world: World, messages: int, each: int = 8, first_psn: int = 0xFFF000, gap_s: float = 100e-6, start_s: float = 0.0, acks: bool = True) -> None:
    """Send *messages* WRITEs of *each* packets, and the ACK of each message; PSNs wrap on the way."""
    t_s, psn = start_s, first_psn
    for message in range(messages):
        for bth, rest in write_message(psn % PSN_MODULUS, each, QP_B, struct.pack("!I", message) * 16):
            world.send(request(bth, rest, t_s))
            t_s += gap_s * (0.5 + world.chance.random())
        psn += each
        if acks:
            world.send(answer(psn - 1, message, ACK, t_s + 60e-6))


def go_back(world: World, t_s: float, first_psn: int, lost: int, packets: int, gap_s: float = 20e-6) -> float:
    """Send one message of *packets* from *first_psn*, a NAK for PSN number *lost* of it, and all from there again; returns the time."""
    whole = list(write_message(first_psn, packets, QP_B, struct.pack("!I", first_psn) * 16))
    for bth, rest in whole:
        world.send(request(bth, rest, t_s))
        t_s += gap_s
    world.send(answer(first_psn + lost, 0, NAK, t_s))
    t_s += 200e-6
    for bth, rest in whole[lost:]:
        world.send(request(bth, rest, t_s))
        t_s += gap_s
    world.send(answer(first_psn + packets - 1, 1, ACK, t_s + 50e-6))
    return t_s + 300e-6


def read(world: World, t_s: float, psn: int, responses: int, size: int = 64) -> None:
    """Send a READ request and what it asks for."""
    world.send(request(Bth(0x0C, 0x40, 0xFFFF, QP_B, True, psn), RETH.pack(0x1000, 1, responses * size), t_s))
    for number in range(responses):
        opcode = 0x10 if responses == 1 else 0x0D if number == 0 else 0x0F if number == responses - 1 else 0x0E
        payload = struct.pack("!I", psn + number) * (size // 4)
        head = AETH.pack(0) if opcode != 0x0E else b""
        bth = Bth(opcode, 0x40, 0xFFFF, QP_A, False, (psn + number) % PSN_MODULUS)
        world.send(Packet(0, t_s + 50e-6 + number * 5e-6, False, B, A, bth, head + payload))


def cnp(world: World, t_s: float) -> None:
    """Send the notification with which the responder answers a congestion mark."""
    world.send(Packet(0, t_s, False, B, A, Bth(0x81, 0x40, 0xFFFF, QP_A, False, 0, True), bytes(16)))


__all__ = ["ACK", "NAK", "QP_A", "QP_B", "RNR", "A", "B", "answer", "cnp", "go_back", "read", "request", "writes"]
