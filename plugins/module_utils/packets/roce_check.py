# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a capture hold what was sent? Compares RoCE packets with what perftest says of its tests. Pure.

A test is one pair of reliable queue pairs. Its packets are told by both addresses and the destination queue pair; where the
numbers of an earlier test come again, by time. Sources: InfiniBand Architecture Specification vol. 1, 9.7 (PSNs, ACK, READ).
"""

from __future__ import annotations

import struct
import typing as t

from . import roce
from .layers import LINK_TYPES, decode

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .layers import Layer
    from .reading import Packet

#: Operations (opcode without its transport) that carry each verb's data, and those of them that end a message.
DATA: t.Mapping[str, frozenset[int]] = {
    "send": frozenset((0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x16, 0x17)),
    "write": frozenset(range(0x06, 0x0C)),
    "read": frozenset(range(0x0D, 0x11)),
}
LAST = frozenset((0x02, 0x03, 0x04, 0x05, 0x16, 0x17, 0x08, 0x09, 0x0A, 0x0B, 0x0F, 0x10))
READ_REQUEST, ACKNOWLEDGE = 0x0C, 0x11
_ADDRESSES: t.Mapping[str, tuple[int, int]] = {"ipv4": (12, 4), "ipv6": (8, 16), "grh": (8, 16)}
_HALF_CIRCLE = roce.PSN_MODULUS // 2


class Roce(t.NamedTuple):
    """What counts of one RoCE packet. Addresses as GIDs of 16 bytes; *payload* in bytes, without headers, padding and ICRC."""

    t_ns: int
    source: bytes
    target: bytes
    dscp: int
    bth: roce.Bth
    payload: int


class End(t.NamedTuple):
    """One side of a test: its GID and its queue pair."""

    gid: bytes
    qp: int


class Sent(t.NamedTuple):
    """What perftest says of one test: who sent *messages* of *size* bytes by *verb* (send, write, read), and when it began here.

    For read the client asks and the server sends. *dscp* is what was asked for, None where nothing was.
    """

    verb: str
    size: int
    messages: int
    client: End
    server: End
    dscp: int | None
    began_ns: int


class Psns:
    """Packet sequence numbers as they come, 24 bits wide: which are missing in between, and how often one came again."""

    def __init__(self) -> None:
        self.repeated = 0
        self.gaps: list[tuple[int, int]] = []
        self._first = self._next = 0
        self._begun = False

    @property
    def missing(self) -> int:
        return sum(end - begin for begin, end in self.gaps)

    def take(self, psn: int) -> bool:
        """Return whether *psn* is new. Numbers are counted on from the first, so that they do not wrap here."""
        if not self._begun:
            self._begun, self._first, self._next = True, psn, psn
        step = (psn - self._next) % roce.PSN_MODULUS
        if step >= _HALF_CIRCLE:
            return self._late(self._next + step - roce.PSN_MODULUS)
        if step:
            self.gaps.append((self._next, self._next + step))
        self._next += step + 1
        return True

    def _late(self, at: int) -> bool:
        if at < self._first:
            self.gaps += [(at + 1, self._first)] if at + 1 < self._first else []
            self._first = at
            return True
        for number, (begin, end) in enumerate(self.gaps):
            if begin <= at < end:
                self.gaps[number : number + 1] = [piece for piece in ((begin, at), (at + 1, end)) if piece[0] < piece[1]]
                return True
        self.repeated += 1
        return False


class Tally:
    """What one vantage saw of one test: each message and byte once, however often it was sent."""

    def __init__(self, test: Sent) -> None:
        self.test = test
        self.packets = self.messages = self.payload = self.acks = self.naks = 0
        self.data, self.requests = Psns(), Psns()
        self.asked = 0
        self.dscps: dict[int, int] = {}
        self.strangers: dict[str, int] = {}

    def take(self, packet: Roce, forward: bool) -> None:
        """Count a packet of this test; *forward* is from the client to the server."""
        self.packets += 1
        self.dscps[packet.dscp] = self.dscps.get(packet.dscp, 0) + 1
        operation, reads = packet.bth.opcode & 0x1F, self.test.verb == "read"
        if forward != reads and operation in DATA[self.test.verb]:
            if self.data.take(packet.bth.psn):
                self.messages += operation in LAST
                self.payload += packet.payload
        elif forward and reads and operation == READ_REQUEST:
            self._ask(packet.bth.psn)
        elif not forward and operation == ACKNOWLEDGE:
            self.acks += 1
        elif packet.bth.opcode != roce.CNP:
            name = roce.opcode_name(packet.bth.opcode)
            self.strangers[name] = self.strangers.get(name, 0) + 1

    def _ask(self, psn: int) -> None:
        """Count a READ request. Each takes as many PSNs as its response has packets; one that is behind the last is a repetition."""
        ahead = self.requests.take(psn)
        self.requests.gaps.clear()
        self.asked += ahead


class Watch:
    """Give it every packet of one host; afterwards it has a Tally for each of the *tests*, in their order."""

    def __init__(self, tests: Iterable[Sent]) -> None:
        self.tallies = [Tally(test) for test in tests]
        self._watched: dict[tuple[bytes, bytes, int], list[tuple[int, Tally, bool]]] = {}
        for tally in sorted(self.tallies, key=lambda tally: tally.test.began_ns, reverse=True):
            one, other = tally.test.client, tally.test.server
            for sender, receiver, forward in ((one, other, True), (other, one, False)):
                entry = (tally.test.began_ns, tally, forward)
                self._watched.setdefault((sender.gid, receiver.gid, receiver.qp), []).append(entry)

    def __call__(self, packet: Packet) -> None:
        found = roce_packet(packet)
        if found is None:
            return
        for began_ns, tally, forward in self._watched.get((found.source, found.target, found.bth.dest_qp), ()):
            if began_ns <= found.t_ns:
                tally.take(found, forward)
                return


def roce_packet(packet: Packet) -> Roce | None:
    """Return what is RoCE in *packet*, RoCE v1 or v2, tagged or not; None where nothing is, or too little was captured."""
    first = LINK_TYPES.get(packet.link_type)
    layers = decode(packet.data, packet.wire, first).layers if first else []
    if len(layers) < 3 or layers[-1].name != "bth":
        return None
    network, own = layers[-2] if layers[-2].name == "grh" else layers[-3], layers[-1]
    if network.name not in _ADDRESSES:
        return None
    at, size = network.at + _ADDRESSES[network.name][0], _ADDRESSES[network.name][1]
    source, target = (_gid(bytes(packet.data[start : start + size])) for start in (at, at + size))
    bth = roce.parse_bth(packet.data, own.at)
    return Roce(packet.t_ns, source, target, _dscp(packet.data, network), bth, _payload(bth, own))


def _gid(address: bytes) -> bytes:
    return address if len(address) == 16 else bytes(10) + b"\xff\xff" + address


def _dscp(data: t.Any, network: Layer) -> int:
    return data[network.at + 1] >> 2 if network.name == "ipv4" else struct.unpack_from("!H", data, network.at)[0] >> 6 & 0x3F


def _payload(bth: roce.Bth, own: Layer) -> int:
    headers = roce.extension_size(bth.opcode)
    return 0 if headers is None else max(0, own.end - own.inside - headers - roce.padding(bth.flags) - roce.ICRC_SIZE)


def problems(tally: Tally) -> list[str]:
    """Return what one vantage's capture lacks of a test, a sentence each; empty where it holds what was sent. Pure."""
    test, found = tally.test, []
    if not tally.packets:
        return ["it captured no packet of this test"]
    if tally.messages != test.messages:
        found.append(f"it has {tally.messages} of {test.messages} messages")
    if tally.payload != test.messages * test.size:
        found.append(f"it has {tally.payload} of {test.messages * test.size} bytes")
    if test.verb == "read" and tally.asked != test.messages:
        found.append(f"it has {tally.asked} of {test.messages} READ requests")
    if tally.data.missing:
        begin = tally.data.gaps[0][0] % roce.PSN_MODULUS
        found.append(f"{tally.data.missing} packets are missing between others, the first with PSN {begin:#08x}")
    if test.dscp is not None and set(tally.dscps) - {test.dscp}:
        wrong = {dscp: count for dscp, count in tally.dscps.items() if dscp != test.dscp}
        found.append(f"{sum(wrong.values())} packets have DSCP {_listed(wrong)} instead of {test.dscp}")
    if tally.strangers:
        counts = ", ".join(f"{name} ({count})" for name, count in sorted(tally.strangers.items()))
        found.append(f"there are packets that no RDMA {test.verb.upper()} makes: {counts}")
    return found


def _listed(values: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(values)))
