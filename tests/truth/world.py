# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network whose faults are known: packets pass vantages, which write real pcap files by clocks that are off by a known amount."""

from __future__ import annotations

import dataclasses
import pathlib
import random
import struct
import typing as t

from tests.traffic.roce_frames import frame, packet

if t.TYPE_CHECKING:
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth

START_NS = 1_795_428_900_000_000_000
MACS = (bytes.fromhex("020000000001"), bytes.fromhex("020000000002"))
_RECORD = struct.Struct("<IIII")


@dataclasses.dataclass
class Spot:
    """A vantage. Its clock shows offset_s + t x (1 + skew); *loses* are the shares of packets that its capture drops."""

    name: str
    offset_s: float = 0.0
    skew: float = 0.0
    opened_s: float = -1.0
    closed_s: float = 1e6
    loses: float = 0.0
    jump: tuple[float, float] | None = None
    burst: tuple[float, float] | None = None
    sees: t.Callable[[Packet], bool] = lambda packet: True
    #: What the capture says it dropped; None: what it did drop.
    admits: int | None = None
    trustworthy: bool = True
    filter: str = ""
    #: The mirror says that it sends one packet in so many.
    sampled: int | None = None

    def proves(self, packet: Packet) -> bool:
        """Whether it means anything that the packet is not seen here."""
        return self.sees(packet) and not self.sampled

    def stamp(self, t_s: float) -> int:
        jumped = self.jump[1] if self.jump and t_s >= self.jump[0] else 0.0
        return START_NS + round((self.offset_s + t_s * (1 + self.skew) + jumped) * 1e9)


@dataclasses.dataclass
class Wire:
    """Between two spots. Shares are of packets; *drops* decides for one packet. *slow* are (share, seconds) of late packets."""

    delay_s: float = 20e-6
    jitter_s: float = 10e-6
    loss: float = 0.0
    drops: t.Callable[[Packet], bool] = lambda packet: False
    duplicates: float = 0.0
    slow: tuple[float, float] = (0.0, 0.0)
    marks: float = 0.0
    dscp: int | None = None
    routed: bool = False
    vlan: int | None = None
    #: Changes a packet that passes, as a load balancer does.
    translate: t.Callable[[Packet], None] = lambda packet: None


@dataclasses.dataclass
class Packet:
    """One packet on its way: *forward* along the spots or against them. Copies that the network makes have a *number* of their own."""

    number: int
    t_s: float
    forward: bool
    source: str
    target: str
    bth: Bth
    rest: bytes = b""
    port: int = 49152
    tos: int = 0x02 | 26 << 2
    ttl: int = 64
    vlan: int | None = None
    #: Where the network made it of another, as an index of spots.
    born: int | None = None

    def frame(self) -> bytes:
        return frame(*MACS, packet(self.source, self.target, self.bth, self.rest, self.port, self.tos, self.ttl), self.vlan)


class Truth(t.NamedTuple):
    """What became of one packet: when it was at each spot (by index), where it was captured, and behind which spot it was lost."""

    packet: Packet
    arrived: dict[int, float]
    captured: dict[int, int]
    lost_after: int | None


class World:
    """Spots in a row, wires between them, and what was sent."""

    #: How long captures are open before and after all traffic, unless a spot says otherwise.
    quiet_s = 0.02

    def __init__(self, spots: list[Spot], wires: list[Wire], seed: int) -> None:
        self.spots, self.wires, self.chance = spots, wires, random.Random(seed)
        self.truths: list[Truth] = []
        self._sightings: list[list[tuple[float, int, bytes]]] = [[] for _spot in spots]
        self._taken: list[set[int]] = [set() for _spot in spots]
        self.dropped = [0] * len(spots)

    def send(self, packet: Packet) -> None:
        line = range(len(self.spots)) if packet.forward else range(len(self.spots) - 1, -1, -1)
        self._travel(dataclasses.replace(packet), list(line), packet.t_s, None)

    def _travel(self, packet: Packet, line: list[int], t_s: float, born: int | None) -> None:
        packet.born = born
        packet.number = len(self.truths)
        truth = Truth(packet, {}, {}, None)
        self.truths.append(truth)
        for at, place in enumerate(line):
            truth.arrived[place] = t_s
            self._capture(truth, place, t_s)
            if at + 1 == len(line):
                return
            wire = self.wires[min(place, line[at + 1])]
            if self.chance.random() < wire.loss or wire.drops(packet):
                self.truths[packet.number] = truth._replace(lost_after=place)
                return
            self._rewrite(packet, wire)
            t_s += wire.delay_s + self.chance.expovariate(1 / wire.jitter_s)
            if self.chance.random() < wire.slow[0]:
                t_s += wire.slow[1] * self.chance.random()
            if self.chance.random() < wire.duplicates:
                self._travel(dataclasses.replace(packet), line[at + 1 :], t_s + 5e-6, line[at + 1])

    def _rewrite(self, packet: Packet, wire: Wire) -> None:
        if self.chance.random() < wire.marks:
            packet.tos |= 0x03
        if wire.dscp is not None and packet.forward:
            packet.tos = packet.tos & 0x03 | wire.dscp << 2
        packet.ttl -= wire.routed
        wire.translate(packet)
        packet.vlan = wire.vlan if wire.vlan is not None else packet.vlan

    def _capture(self, truth: Truth, place: int, t_s: float) -> None:
        spot = self.spots[place]
        if not spot.opened_s <= t_s <= spot.closed_s or not spot.sees(truth.packet):
            return
        if self.chance.random() < spot.loses or (spot.burst and spot.burst[0] <= t_s < spot.burst[1]):
            self.dropped[place] += 1
            return
        stamp = spot.stamp(t_s)
        while stamp in self._taken[place]:
            stamp += 1
        self._taken[place].add(stamp)
        truth.captured[place] = stamp
        self._sightings[place].append((t_s, stamp, truth.packet.frame()))

    def write(self, folder: pathlib.Path, snaplen: int = 128) -> list[pathlib.Path]:
        """Write one pcap file of nanoseconds for each spot, in the order in which packets arrived, as a kernel does."""
        paths = []
        for number, (spot, sightings) in enumerate(zip(self.spots, self._sightings)):
            path = folder / f"{number}-{spot.name}.pcap"
            with open(path, "wb") as file:
                file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snaplen, 1))
                for _t_s, stamp, data in sorted(sightings):
                    stored = data[:snaplen]
                    file.write(_RECORD.pack(*divmod(stamp, 1_000_000_000), len(stored), len(data)) + stored)
            paths.append(path)
        return paths
