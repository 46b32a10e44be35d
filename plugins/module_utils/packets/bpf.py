# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE in the language of pcap-filter(7): names that engineers use become expressions that also match VLAN-tagged frames.

Offsets: InfiniBand Architecture Specification vol. 1 (BTH, AETH) and annexes A16, A17. `udp[]` never looks into IPv6, and
`ether[]` is absolute, so that each encapsulation needs an expression of its own; `vlan` shifts every offset after it but
`ether[]`, so that the tagged branch stands last.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import typing as t

PORT = 4791
ETHERTYPE = 0x8915
RC_VERBS: t.Mapping[str, tuple[int, int]] = {
    "send": (0x00, 0x05),
    "write": (0x06, 0x0B),
    "read": (0x0C, 0x10),
    "ack": (0x11, 0x11),
    "atomic": (0x12, 0x14),
}


class BadFilter(ValueError):
    """One sentence that says what to write instead."""


class Transport(t.NamedTuple):
    """One way in which RoCE is carried: what tells it, and where BTH and IP header are from its base."""

    name: str
    match: str
    base: str
    bth: int
    tag_shift: int
    traffic_class: str

    def at(self, offset: int, size: int = 1, tagged: bool = False) -> str:
        """Return the expression for *size* bytes at *offset* into the BTH."""
        position = self.bth + offset + (self.tag_shift if tagged else 0)
        return f"{self.base}[{position}]" if size == 1 else f"{self.base}[{position}:{size}]"


V2_IPV4 = Transport("rocev2", f"udp dst port {PORT}", "udp", 8, 0, "ip")
V2_IPV6 = Transport("rocev2", f"ip6 proto 17 and ip6[42:2] = {PORT}", "ip6", 48, 0, "ip6")
V1 = Transport("rocev1", f"ether proto {ETHERTYPE:#x}", "ether", 54, 4, "grh")
TRANSPORTS = (V2_IPV4, V2_IPV6, V1)
#: What terms that are not about RoCE choose from when no other term is about it.
ANY_TRAFFIC = (Transport("", "ip", "", 0, 0, "ip"), Transport("", "ip6", "", 0, 0, "ip6"), V1)

Term = t.Callable[[Transport, bool], str]
"""Returns the condition for a transport, untagged or with an inline tag; "" where it asks nothing."""


def _number(name: str, value: t.Any, highest: int) -> int:
    try:
        number = value if isinstance(value, int) and not isinstance(value, bool) else int(str(value), 0)
    except ValueError:
        number = -1
    if not 0 <= number <= highest:
        raise BadFilter(f"{name} is a number from 0 to {highest:#x}, not {value!r}")
    return number


def _opcode(condition: str) -> t.Callable[[t.Any], Term]:
    return lambda _value: lambda transport, tagged: condition.format(op=transport.at(0, tagged=tagged), syn=transport.at(12, tagged=tagged))


def _qp(value: t.Any) -> Term:
    number = _number("qp", value, 0xFFFFFF)
    return lambda transport, tagged: f"{transport.at(4, 4, tagged)} & 0x00ffffff = {number:#x}"


def _connection(value: t.Any) -> Term:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise BadFilter(f"connection takes the QP numbers of both ends, for example [0x1a4, 0x1ae], not {value!r}")
    ends = [_qp(end) for end in value]
    return lambda transport, tagged: "(" + " or ".join(end(transport, tagged) for end in ends) + ")"


def _verb(value: t.Any) -> Term:
    verbs = value if isinstance(value, (list, tuple)) else [value]
    if not verbs or any(not isinstance(verb, str) or verb not in RC_VERBS for verb in verbs):
        raise BadFilter(f"verb is one of {', '.join(RC_VERBS)}, or a list of them, not {value!r}")

    def term(transport: Transport, tagged: bool) -> str:
        op = transport.at(0, tagged=tagged)
        ranges = [f"({op} >= {low:#x} and {op} <= {high:#x})" for low, high in (RC_VERBS[verb] for verb in verbs)]
        return "(" + " or ".join(ranges) + ")"

    return term


def _dscp(value: t.Any) -> Term:
    number = _number("dscp", value, 63)
    return lambda transport, tagged: {
        "ip": f"(ip[1] & 0xfc) = {number << 2:#x}",
        "ip6": f"(ip6[0:2] & 0x0fc0) = {number << 6:#x}",
        "grh": f"(ether[{18 if tagged else 14}:2] & 0x0fc0) = {number << 6:#x}",
    }[transport.traffic_class]


def _ecn_ce(_value: t.Any) -> Term:
    return lambda transport, tagged: {
        "ip": "(ip[1] & 0x03) = 3",
        "ip6": "(ip6[0:2] & 0x0030) = 0x30",
        "grh": f"(ether[{18 if tagged else 14}:2] & 0x0030) = 0x30",
    }[transport.traffic_class]


def _host(value: t.Any) -> Term:
    try:
        address = ipaddress.ip_address(str(value))
    except ValueError:
        raise BadFilter(f"host is an IPv4 or IPv6 address, not {value!r}") from None
    return _ends(f"host {address}", ipaddress.ip_network(address))


def _net(value: t.Any) -> Term:
    try:
        network = ipaddress.ip_network(str(value))
    except ValueError:
        raise BadFilter(f"net is a network without host bits, for example 10.78.0.0/24, not {value!r}") from None
    return _ends(f"net {network}", network)


def _ends(words: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> Term:
    """Either end is in *network*: *words* for IP, the GIDs at 8 and 24 of the GRH for RoCE v1."""
    family = "ip" if network.version == 4 else "ip6"

    def term(transport: Transport, tagged: bool) -> str:
        if transport.traffic_class == "grh":
            grh = 18 if tagged else 14
            return f"(({_gid_in(network, grh + 8)}) or ({_gid_in(network, grh + 24)}))"
        return words if transport.traffic_class == family else NEVER

    return term


def _gid_in(network: ipaddress.IPv4Network | ipaddress.IPv6Network, at: int) -> str:
    """Return the condition that the GID at *at* is in *network*; IPv4 addresses are mapped, ::ffff:a.b.c.d."""
    ones = (1 << 128) - 1
    first, mask = int(network.network_address), int(network.netmask)
    if network.version == 4:
        first, mask = 0xFFFF << 32 | first, ones >> 32 << 32 | mask
    words = []
    for number, shift in enumerate((96, 64, 32, 0)):
        wanted, bits = first >> shift & 0xFFFFFFFF, mask >> shift & 0xFFFFFFFF
        if bits:
            words.append(f"ether[{at + 4 * number}:4]{'' if bits == 0xFFFFFFFF else f' & {bits:#x}'} = {wanted:#x}")
    return " and ".join(words) or f"ether proto {ETHERTYPE:#x}"


def _port(value: t.Any) -> Term:
    number = _number("port", value, 0xFFFF)
    return lambda transport, _tagged: NEVER if transport.traffic_class == "grh" else f"port {number}"


def _everything(_value: t.Any) -> Term:
    return lambda _transport, _tagged: ""


#: Marks a transport that a term rules out.
NEVER = "never"

_NAK = "({op} & 0x1f) = 0x11 and {op} < 0xc0"
TERMS: t.Mapping[str, t.Callable[[t.Any], Term]] = {
    "roce": _everything,
    "rocev1": _everything,
    "rocev2": _everything,
    "cnp": _opcode("{op} = 0x81"),
    "nak": _opcode(_NAK + " and ({syn} & 0xe0) = 0x60"),
    "rnr": _opcode(_NAK + " and ({syn} & 0xe0) = 0x20"),
    "nak_any": _opcode(_NAK + " and {syn} & 0x20 != 0"),
    "seq_nak": _opcode(_NAK + " and {syn} = 0x60"),
    "cm": lambda _value: lambda transport, tagged: (
        f"{transport.at(0, tagged=tagged)} = 0x64 and {transport.at(4, 4, tagged)} & 0x00ffffff = 1"
    ),
    "opcode": lambda value: _opcode(f"{{op}} = {_number('opcode', value, 0xFF):#x}")(value),
    "qp": _qp,
    "connection": _connection,
    "verb": _verb,
    "dscp": _dscp,
    "ecn_ce": _ecn_ce,
    "host": _host,
    "net": _net,
    "port": _port,
}
MODIFIERS = ("vlan",)
_WITH_VALUE = ("opcode", "qp", "connection", "verb", "dscp", "host", "net", "port", "vlan")
NOT_ABOUT_ROCE = frozenset(("dscp", "ecn_ce", "host", "net", "port", "vlan"))


def build(wishes: t.Mapping[str, t.Any]) -> str:
    """Return the filter in which all of *wishes* hold, for example {"qp": 0x1ae, "dscp": 26}. Raises BadFilter."""
    wishes = {name: value for name, value in wishes.items() if value is not None and value is not False}
    for name in wishes:
        if name not in TERMS and name not in MODIFIERS:
            raise BadFilter(_unknown(name))
        if name not in _WITH_VALUE and wishes[name] is not True:
            raise BadFilter(f"{name} takes no value but true, not {wishes[name]!r}")
    if list(wishes) == ["vlan"]:
        return f"vlan {_number('vlan', wishes['vlan'], 4094)}"
    if not wishes:
        raise BadFilter("a filter without terms would match everything: leave the filter out instead")
    terms = [TERMS[name](value) for name, value in wishes.items() if name in TERMS]
    untagged, tagged = _branch(wishes, terms, False), _branch(wishes, terms, True)
    if not untagged:
        raise BadFilter(f"nothing can match {', '.join(wishes)} together: they belong to different encapsulations")
    if "vlan" in wishes:
        return f"vlan {_number('vlan', wishes['vlan'], 4094)} and ({_joined(tagged)})"
    return f"{_joined(untagged)} or (vlan and ({_joined(tagged)}))"


def _branch(wishes: t.Mapping[str, t.Any], terms: t.Sequence[Term], tagged: bool) -> list[str]:
    """Return the alternatives, one for each kind of traffic that *wishes* allow."""
    only = {name for name in ("rocev1", "rocev2") if name in wishes}
    found = []
    for transport in ANY_TRAFFIC if NOT_ABOUT_ROCE.issuperset(wishes) else TRANSPORTS:
        conditions = [term(transport, tagged) for term in terms]
        if NEVER not in conditions and only in ({transport.name}, set()):
            found.append(" and ".join([transport.match, *filter(None, conditions)]))
    return found


def _joined(alternatives: t.Sequence[str]) -> str:
    return " or ".join(f"({alternative})" for alternative in alternatives)


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(str(name), [*TERMS, *MODIFIERS], n=1)
    hint = f"did you mean {close[0]!r}" if close else f"there are {', '.join((*TERMS, *MODIFIERS))}"
    return f"there is no filter {name!r}: {hint}"


def expand(filter_: str | t.Mapping[str, t.Any]) -> str:
    """Return the pcap filter for a mapping, for one of our names, or for text that is a pcap filter already."""
    if isinstance(filter_, str):
        word = filter_.strip()
        if word in TERMS and word in _WITH_VALUE:
            raise BadFilter(f"{word} needs a value: write a mapping, for example {{{word!r}: …}}")
        return build({word: True}) if word in TERMS else word
    return build(filter_)


def lacks_vlan_branch(expression: str) -> bool:
    """Whether *expression* can never match a frame whose VLAN tag is inline (files, RDMA devices, ibdump)."""
    return bool(expression.strip()) and not re.search(r"\bvlan\b", expression)
