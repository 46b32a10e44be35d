# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network devices that the kernel makes when asked: ERSPAN tunnels, which take a mirror off and show its frames."""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..packets.overhead import ETHERNET, largest_frame
from .link_text import FIELDS, KINDS, Link, argvs, parse_links
from .model import Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

NAME = re.compile(r"[^\s/:%\x00-\x20]{1,15}")
#: What the tunnels' modules make by themselves when they are loaded; nobody can have these names.
FALLBACKS = ("gre0", "gretap0", "erspan0", "ip6gre0", "ip6tnl0")
USUAL_MTU = 1500
#: encap_limit, an option header that the kernel puts into each IPv6 packet of a tunnel unless told otherwise.
_ENCAP_LIMIT = 8
#: Field, the versions that have it, the range of its values.
_RANGES = (
    ("key", (1, 2), 1, 1023),
    ("index", (1,), 0, 0xFFFFF),
    ("hwid", (2,), 0, 63),
    ("ttl", (0, 1, 2), 0, 255),
    ("tos", (0, 1, 2), 0, 255),
)
_DEFAULTS = {"index": 0, "hwid": 0, "ttl": 64, "tos": 0}


class LinkDevice(Kind):
    """Key ("link", device, "device"); value a mapping as in link_text, or None.

    A wish may leave out all but `version`, `key` and `local`. A device keeps an MTU that nothing is said about.
    """

    name = "link"
    follows = ("module",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        links = read_links(host)
        found = links.get(scope)
        return Reading({"device": found.device if found else None}, {"links": links})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        links: Mapping[str, Link] = reading.facts["links"]
        return {name: _resolved(scope, wish, links) for name, wish in wanted.items()}

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        return [argv for name, value in wanted.items() for argv in argvs(scope, value, current[name])]


def read_links(host: Host) -> dict[str, Link]:
    done = host.run(["ip", "-d", "-j", "link", "show"])
    try:
        return parse_links(done.out)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(f"the network devices could not be read ({done.command}: {done.message}): install iproute2 5.0 or later") from None


def _resolved(name: str, wish: Value, links: Mapping[str, Link]) -> Value:
    there = links.get(name)
    _refuse_name(name, there)
    if wish is None:
        return None
    device = complete(name, wish)
    if there and not device["mtu"]:
        device["mtu"] = there.device["mtu"]
    if device["dev"] and device["dev"] not in links:
        raise Refused(f"{name}: there is no network device {device['dev']}")
    _refuse_same_ends(name, device, links)
    has_ipv6 = any(link.addresses_itself for link in links.values())
    return {**device, "addrgenmode": "none" if has_ipv6 else None, "mtu": device["mtu"] or default_mtu(device, links)}


def _refuse_name(name: str, there: Link | None) -> None:
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise Refused(f"{name!r} cannot be the name of a network device: use 1 to 15 letters, digits, '-' or '_'")
    if name in FALLBACKS:
        raise Refused(f"{name} is made by the kernel when it loads the tunnels' module, and belongs to it: choose another name")
    if there and there.device["kind"] not in KINDS:
        raise Refused(f"{name} is a device of another kind ({there.device['kind'] or 'not a tunnel'}): choose another name")
    if there and there.unknown:
        raise Refused(
            f"{name} has settings that could not be put back ({', '.join(there.unknown)}): choose another name, or remove it yourself"
        )


def _refuse_same_ends(name: str, device: Mapping[str, t.Any], links: Mapping[str, Link]) -> None:
    """The kernel finds a packet's tunnel by its ends and key, so two tunnels cannot have the same."""
    ends = ("kind", "key", "local", "remote", "dev")
    for other, link in links.items():
        if other != name and all(link.device.get(field) == device[field] for field in ends):
            raise Refused(
                f"{name}: {other} already receives session {show_session(device)} from {device['remote'] or 'anywhere'}: use it, or remove it"
            )


def show_session(device: Mapping[str, t.Any]) -> str:
    return "of type I" if device["key"] is None else str(device["key"])


def default_mtu(device: Mapping[str, t.Any], links: Mapping[str, Link]) -> int:
    """Return the MTU of the tunnel, which is without Ethernet header: what fits into the network below it."""
    below = links[device["dev"]].device["mtu"] if device["dev"] else USUAL_MTU
    ipv6 = device["kind"] == "ip6erspan"
    return largest_frame(below, device["version"], ipv6) - ETHERNET - (_ENCAP_LIMIT if ipv6 else 0)


def complete(name: str, wish: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return *wish* with all FIELDS, `mtu` None where it was not said. Pure; raises Refused for what no kernel could make."""
    version = wish.get("version")
    if version not in (0, 1, 2):
        raise Refused(f"{name}: ERSPAN has the types I, II and III, which are versions 0, 1 and 2, not {version!r}")
    ends = {end: _address(name, end, wish.get(end)) for end in ("local", "remote")}
    if ends["local"] is None:
        raise Refused(f"{name}: local is needed, the address of this host to which the switch sends its mirror")
    versions = {ipaddress.ip_address(text).version for text in ends.values() if text}
    if len(versions) > 1:
        raise Refused(f"{name}: local {ends['local']} and remote {ends['remote']} are not of the same IP version")
    ipv6 = versions == {6}
    if ipv6 and not version:
        raise Refused(f"{name}: the kernel takes type I over IPv4 only: capture the outer packets and use pcap_decap")
    device = {
        "kind": "ip6erspan" if ipv6 else "erspan",
        "version": version,
        **ends,
        "dev": wish.get("dev"),
        "receive_in_order": False,
        "addrgenmode": None,
    }
    device.update({field: _ranged(name, field, versions_, wish.get(field), version, low, high) for field, versions_, low, high in _RANGES})
    if version and device["key"] is None:
        raise Refused(f"{name}: type {'I' * (version + 1)} needs the session's number as key")
    device["direction"] = _direction(name, version, wish.get("direction"))
    device.update(mtu=_mtu(name, wish.get("mtu")), up=bool(wish.get("up", True)))
    return {field: device[field] for field in FIELDS}


def _address(name: str, end: str, text: str | None) -> str | None:
    if not text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Refused(f"{name}: {end} is an IP address, not {text!r}") from None
    if address.is_multicast or address.is_unspecified:
        raise Refused(f"{name}: {end} must be the address of one host, which {text} is not")
    return str(address)


def _ranged(name: str, field: str, versions: tuple[int, ...], value: t.Any, version: int, low: int, high: int) -> int | None:
    if version not in versions:
        if value is not None:
            raise Refused(f"{name}: ERSPAN type {'I' * (version + 1)} has no {field}: leave it out, or choose another type")
        return None
    if value is None:
        return _DEFAULTS.get(field)  # a key has none
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Refused(f"{name}: {field} is a number from {low} to {high}, not {value!r}")
    return value


def _direction(name: str, version: int, value: t.Any) -> str | None:
    if version != 2:
        if value is not None:
            raise Refused(f"{name}: only ERSPAN type III has a direction: leave it out")
        return None
    if value not in (None, "ingress", "egress"):
        raise Refused(f"{name}: direction is ingress or egress, not {value!r}")
    return t.cast("str", value or "ingress")


def _mtu(name: str, value: t.Any) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 68 <= value <= 65535):
        raise Refused(f"{name}: mtu is a number from 68 to 65535, not {value!r}")
    return value
