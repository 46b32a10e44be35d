# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One decoder for what is in a packet: which headers, where each begins, and where its contents end.

A step reads one header and says how long it is, what follows, and where the contents end; tables join the steps. A new
protocol is one step and one line in the table of the field that announces it. Lengths are believed only as far as they
shrink what is left, and no step reads beyond what was captured.

Sources: IEEE 802.1Q; RFC 791, 2784, 2890, 7348, 7637, 8200; draft-foschiano-erspan-03; Linux include/net/erspan.h;
InfiniBand Architecture Specification annexes A16 and A17; the LINKTYPE registry of tcpdump.org; DPVS kmod/uoa/uoa.h.
"""

from __future__ import annotations

import struct
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Buffer = t.Union[bytes, bytearray, memoryview]

#: More headers than this have no honest packet; what lies deeper is left alone.
MAX_LAYERS = 32

#: Why decoding ended before the packet did: bytes are missing, it is a part of an IP packet, or nobody knows this form.
SHORT, FRAGMENT, UNKNOWN = "short", "fragment", "unknown"


class Layer(t.NamedTuple):
    """One header: *size* bytes at *at*. *end* is where its contents end on the wire, perhaps beyond what was captured."""

    name: str
    at: int
    size: int
    end: int

    @property
    def inside(self) -> int:
        """Where its contents begin."""
        return self.at + self.size


class Decoded(t.NamedTuple):
    """The headers from the outside in; *stop* is None, SHORT, FRAGMENT or UNKNOWN, and *stopped_at* names the header of which."""

    layers: list[Layer]
    stop: str | None
    stopped_at: str | None


class Stop(Exception):
    """Raised by a step that cannot go on; its argument is SHORT, FRAGMENT or UNKNOWN."""


class Step:
    """How one kind of header is read: *read*(data, at, end) -> (size, next Step or None, end).

    *transport*: what decoding without transports leaves out; *mirror*: right before a mirrored frame.
    """

    __slots__ = ("mirror", "name", "read", "transport")

    def __init__(
        self, name: str, read: Callable[[Buffer, int, int], tuple[int, Step | None, int]], transport: bool = False, mirror: bool = False
    ) -> None:
        self.name, self.read, self.transport, self.mirror = name, read, transport, mirror


_HALF = struct.Struct("!H").unpack_from
_TWO_HALVES = struct.Struct("!HH").unpack_from

# ------------------------------------------------------------------------------------------------------- link layers


def _ethernet(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    return 14, ETHERTYPES.get(_HALF(data, at + 12)[0]), end


def _vlan(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    return 4, ETHERTYPES.get(_HALF(data, at + 2)[0]), end


def _cooked(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """LINKTYPE_LINUX_SLL: what tcpdump -i any writes, with the protocol at the end."""
    return 16, ETHERTYPES.get(_HALF(data, at + 14)[0]), end


def _cooked2(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """LINKTYPE_LINUX_SLL2, with the protocol at the beginning."""
    return 20, ETHERTYPES.get(_HALF(data, at)[0]), end


def _raw(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """IP without anything around it: its version tells which."""
    return 0, {4: IPV4, 6: IPV6}.get(data[at] >> 4), end


# ------------------------------------------------------------------------------------------------------- IP


def _ipv4(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    first, total, fragment = data[at], _HALF(data, at + 2)[0], _HALF(data, at + 6)[0]
    size = (first & 0x0F) * 4
    if first >> 4 != 4 or size < 20 or 0 < total < size:
        raise Stop(UNKNOWN)
    # A length of 0 is what the kernel shows of a packet that the NIC was still to cut into segments.
    end = min(end, at + total) if total else end
    return size, _whole(IP_PROTOCOLS.get(data[at + 9]), fragment & 0x1FFF, fragment & 0x2000), end


def _ipv6(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    if data[at] >> 4 != 6:
        raise Stop(UNKNOWN)
    length = _HALF(data, at + 4)[0]
    return 40, IP_PROTOCOLS.get(data[at + 6]), min(end, at + 40 + length) if length else end


def _extension(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """Hop-by-hop, routing and destination options."""
    return 8 + data[at + 1] * 8, IP_PROTOCOLS.get(data[at]), end


def _authentication(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    return (data[at + 1] + 2) * 4, IP_PROTOCOLS.get(data[at]), end


def _fragment(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    place = _HALF(data, at + 2)[0]
    return 8, _whole(IP_PROTOCOLS.get(data[at]), place & 0xFFF8, place & 1), end


def _option_protocol(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """What DPVS puts between IP and UDP where the client's address does not fit among the IP options."""
    size = _HALF(data, at + 2)[0]
    if size < 4:
        raise Stop(UNKNOWN)
    return size, IP_PROTOCOLS.get(data[at + 1]), end


def _whole(follows: Step | None, offset: int, more: int) -> Step | None:
    """Return what to read next: the first fragment still has the header of a transport, but no whole tunnelled packet."""
    if not offset and (not more or (follows is not None and follows.transport)):
        return follows
    return GRE_FRAGMENT if follows is GRE else OTHER_FRAGMENT


def _piece(_data: Buffer, _at: int, _end: int) -> tuple[int, Step | None, int]:
    raise Stop(FRAGMENT)


# ------------------------------------------------------------------------------------------------------- tunnels

GRE_CHECKSUM, GRE_ROUTING, GRE_KEY, GRE_SEQUENCE = 0x8000, 0x4000, 0x2000, 0x1000


def _gre(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    flags, protocol = _TWO_HALVES(data, at)
    if flags & 7:
        return 4, None, end
    follows = GRE_PROTOCOLS.get(protocol)
    if follows is ERSPAN2 and not flags & GRE_SEQUENCE:
        follows = ERSPAN1
    if flags & GRE_ROUTING:
        if follows is not None and follows.mirror:
            raise Stop(UNKNOWN)
        return 4, None, end
    return 4 + (flags >> 15 << 2) + (flags >> 11 & 4) + (flags >> 10 & 4), follows, end


def _nothing(_data: Buffer, _at: int, end: int) -> tuple[int, Step | None, int]:
    """A mirror without a header of its own: the GRE header is followed by the frame."""
    return 0, ETHERNET, end


def _erspan(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """Types II and III share a GRE protocol at some senders: the version tells which it is."""
    version = data[at] >> 4
    if version == 1:
        return 8, ETHERNET, end
    if version != 2:
        raise Stop(UNKNOWN)
    tail = _HALF(data, at + 10)[0]
    if tail >> 10 & 0x1F:  # the frame type: a bare IP packet is no frame that could be written
        raise Stop(UNKNOWN)
    return 20 if tail & 1 else 12, ETHERNET, end


def _mellanox(_data: Buffer, _at: int, end: int) -> tuple[int, Step | None, int]:
    return 22, ETHERNET, end


# ------------------------------------------------------------------------------------------------------- transports


def _udp(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    port, length = _TWO_HALVES(data, at + 2)
    return 8, UDP_PORTS.get(port), min(end, at + length) if length >= 8 else end


def _tcp(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    size = data[at + 12] >> 4 << 2
    if size < 20:
        raise Stop(UNKNOWN)
    return size, None, end


def _vxlan(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    return 8, ETHERNET if data[at] & 0x08 else None, end


def _grh(data: Buffer, at: int, end: int) -> tuple[int, Step | None, int]:
    """The IPv6-like header of RoCE v1."""
    return 40, BTH if data[at + 6] == 0x1B else None, min(end, at + 40 + _HALF(data, at + 4)[0])


def _bth(_data: Buffer, _at: int, end: int) -> tuple[int, Step | None, int]:
    return 12, None, end


# ------------------------------------------------------------------------------------------------------- tables

ETHERNET, VLAN = Step("ethernet", _ethernet), Step("vlan", _vlan)
COOKED, COOKED2, RAW = Step("cooked", _cooked), Step("cooked2", _cooked2), Step("raw", _raw)
IPV4, IPV6 = Step("ipv4", _ipv4), Step("ipv6", _ipv6)
EXTENSION, AUTHENTICATION = Step("extension", _extension), Step("authentication", _authentication)
OPTION_PROTOCOL = Step("option_protocol", _option_protocol)
FRAGMENT_HEADER, GRE_FRAGMENT, OTHER_FRAGMENT = Step("fragment", _fragment), Step("gre", _piece), Step("piece", _piece)
GRE = Step("gre", _gre)
ERSPAN1, ERSPAN2, ERSPAN3 = (
    Step(name, read, mirror=True) for name, read in (("erspan1", _nothing), ("erspan", _erspan), ("erspan", _erspan))
)
BRIDGED, MELLANOX = Step("bridged", _nothing, mirror=True), Step("mellanox", _mellanox, mirror=True)
UDP, TCP, GRH = Step("udp", _udp, transport=True), Step("tcp", _tcp, transport=True), Step("grh", _grh, transport=True)
VXLAN, BTH = Step("vxlan", _vxlan), Step("bth", _bth)

LINK_TYPES: Mapping[int, Step] = {
    1: ETHERNET, 12: RAW, 14: RAW, 101: RAW, 113: COOKED, 228: IPV4, 229: IPV6, 276: COOKED2,
}  # fmt: skip
ETHERTYPES: Mapping[int, Step] = {
    0x0800: IPV4, 0x86DD: IPV6, 0x8100: VLAN, 0x88A8: VLAN, 0x9100: VLAN, 0x9200: VLAN, 0x8915: GRH,
}  # fmt: skip
IP_PROTOCOLS: Mapping[int, Step] = {
    0: EXTENSION, 4: IPV4, 6: TCP, 17: UDP, 41: IPV6, 43: EXTENSION, 44: FRAGMENT_HEADER, 47: GRE, 51: AUTHENTICATION, 60: EXTENSION,
    248: OPTION_PROTOCOL,
}  # fmt: skip
GRE_PROTOCOLS: Mapping[int, Step] = {
    0x0800: IPV4, 0x86DD: IPV6, 0x88BE: ERSPAN2, 0x22EB: ERSPAN3, 0x6558: BRIDGED, 0x8949: MELLANOX,
}  # fmt: skip
UDP_PORTS: Mapping[int, Step] = {4789: VXLAN, 4791: BTH}


def decode(data: Buffer, wire: int | None = None, first: Step = ETHERNET) -> Decoded:
    """Return the headers of a packet of which *data* was captured and *wire* bytes travelled. Never raises."""
    walked, stop, stopped_at = walk(data, len(data) if wire is None else wire, first)
    return Decoded([Layer(step.name, at, size, end) for step, at, size, end in walked], stop, stopped_at.name if stopped_at else None)


Walked = tuple[Step, int, int, int]
"""A Layer with its Step instead of its name: naming them would cost as much again as finding them."""


def walk(data: Buffer, wire: int, first: Step, transports: bool = True) -> tuple[list[Walked], str | None, Step | None]:
    """Do what `decode` does. Without *transports* go no deeper than IP and GRE, which is all that finding mirrored frames takes."""
    walked: list[Walked] = []
    size, at, step = len(data), 0, t.cast("Step | None", first)
    end = max(size, wire)
    try:
        while step is not None and len(walked) < MAX_LAYERS and (transports or not step.transport):
            length, follows, end = step.read(data, at, end)
            inside = at + length
            if inside > size or inside > end:
                return walked, SHORT, step
            walked.append((step, at, length, end))
            at, step = inside, follows
    except Stop as stop:
        return walked, stop.args[0], step
    except (struct.error, IndexError):
        return walked, SHORT, step
    return walked, None, None
