# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux as a switch: filters of tc that copy every packet of a port to another device, for ERSPAN to a tunnel of our own. Pure.

A session is a number, and the number is where it lies: filters of a preference of its own on the hooks of clsact, marked by a
cookie, and a tunnel device named after it. A filter goes on to the next one (`continue`), so that it ends nobody else's rules;
those of a smaller preference that end a packet's way end it before the mirror. Nothing of it outlives a reboot.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import shlex
import typing as t

from ..settings.model import Refused
from .platform import Capabilities, Platform, options
from .session import DIRECTIONS, OWNER, Session, Source, normal
from .transcript import documents, entries, said

if t.TYPE_CHECKING:
    from collections.abc import Iterable

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces"),
        "erspan_source": options("destination_ip", "source_ip", "erspan_id", "ttl", "dscp", "header_type", "mtu"),
    },
    numbers=(1, 500),
    required={"erspan_source": ("erspan_id",)},
    directions={"interface": DIRECTIONS},
    limits={"header_type": (2, 3)},
    reasons={
        "vlan sources": "it mirrors devices: name a VLAN device as an interface",
        "truncate": "a tunnel cuts frames at its mtu, so say mtu",
    },
    immutable=frozenset({"destination_ip", "source_ip", "erspan_id", "ttl", "dscp", "header_type"}),
    can_disable=False,
    shared_sources=True,
)

LINKS = "ip -d -j link show"
QDISCS = "tc -j qdisc show"
#: Above what people number by hand, below what the kernel gives out (49152 and down).
LOWEST = 20000
HOOKS = ("ingress", "egress")
WAYS = {"rx": (0,), "tx": (1,), "both": (0, 1)}
COOKIE = OWNER.encode().hex()
#: The kernel's erspan_ver: ERSPAN II has 1 in its header, III has 2.
VERSIONS = {2: 1, 3: 2}
SIDES = ("ingress", "egress")

Hook = tuple[str, int]
"""A device and which of HOOKS."""


def tunnel(name: str) -> str:
    return f"wf-erspan{name}"


def preference(name: str, way: int) -> int:
    """Return the preference of session *name* on a hook; the hooks differ, so that no classifier shows one's filters on the other."""
    return LOWEST + 2 * int(name) + way


def more(text: str) -> tuple[str, ...]:
    """Return what shows the filters of every device that has hooks for them."""
    devices = [qdisc["dev"] for qdisc in _json(text, QDISCS) if qdisc.get("kind") == "clsact" and "dev" in qdisc]
    return tuple(shlex.join(["tc", "-j", "filter", "show", "dev", device, hook]) for device in devices for hook in HOOKS)


def _json(text: str, line: str) -> list[dict[str, t.Any]]:
    """Return the objects that the program of *line* printed."""
    found: t.Any = next(iter(documents(said(text, line))), [])
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def parse(text: str) -> dict[str, Session]:
    """Return the sessions within our range of preferences; all other filters are none of them."""
    try:
        found = {session.name: session for link in _json(text, LINKS) if (session := _of_link(link))}
        for hook, rule in _filters(text):
            _add(found, hook, rule)
        return {name: normal(session) for name, session in found.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused("tc or ip answers in a form that nobody here knows: look at tc -j filter show and ip -d -j link show") from None


def _of_link(link: dict[str, t.Any]) -> Session | None:
    """Return the session, without sources yet, that a tunnel of ours stands for."""
    match = re.fullmatch(r"wf-erspan([1-9][0-9]{0,2})", str(link.get("ifname")))
    about = link.get("linkinfo") or {}
    if not match or about.get("info_kind") != "erspan":
        return None
    data = about["info_data"]
    tos = str(data.get("tos", ""))
    return Session(
        match[1], "erspan_source", enabled=True, destination_ip=data.get("remote"), source_ip=data.get("local"),
        erspan_id=int(ipaddress.IPv4Address(data["okey"])), ttl=data.get("ttl") or None,
        dscp=int(tos, 0) >> 2 if tos.startswith("0x") else None, mtu=link.get("mtu"), mine=True,
        header_type=next((header for header, version in VERSIONS.items() if version == data.get("erspan_ver")), None),
        fault=None if "UP" in link.get("flags", ()) else "its tunnel is down",
    )  # fmt: skip


def _filters(text: str) -> Iterable[tuple[Hook, dict[str, t.Any]]]:
    for line, out in entries(text):
        words = shlex.split(line)
        if words[:5] == ["tc", "-j", "filter", "show", "dev"] and len(words) == 7 and words[6] in HOOKS:
            rules: t.Any = next(iter(documents(out)), [])
            yield from (((words[5], HOOKS.index(words[6])), rule) for rule in rules if "options" in rule)


def _add(found: dict[str, Session], hook: Hook, rule: dict[str, t.Any]) -> None:
    """Add *rule*, found on *hook*, to the session whose preference it has."""
    number, way = divmod(int(rule["pref"]) - LOWEST, 2)
    name = str(number)
    if not 1 <= number <= 500:
        return
    session = found.get(name, Session(name, "local", enabled=True, mine=True))
    actions = rule["options"].get("actions", [])
    targets = [action.get("to_dev") for action in actions if action.get("kind") == "mirred" and action.get("mirred_action") == "mirror"]
    plain = len(actions) == len(targets) == 1 and rule.get("kind") == "matchall" and rule.get("protocol") == "all" and way == hook[1]
    own = targets == [tunnel(name)]
    added = () if own else tuple(targets)
    unknown = () if plain and not (added and session.type == "erspan_source") else (f"filter {rule.get('kind')} on {' '.join((hook[0], HOOKS[hook[1]]))}",)
    found[name] = dataclasses.replace(
        session,
        sources=(*session.sources, Source("interface", hook[0], ("rx", "tx")[hook[1]])),
        interfaces=tuple(sorted({*session.interfaces, *added})),
        unknown=session.unknown + unknown,
        mine=session.mine and any(action.get("cookie") == COOKIE for action in actions),
        fault="the device it copies to is gone" if "*" in targets else session.fault,
    )


def refuse(want: Session, text: str) -> None:
    """Raise Refused for a device whose only hook is that of the older ingress qdisc, which clsact cannot join."""
    older = {str(qdisc.get("dev")) for qdisc in _json(text, QDISCS) if qdisc.get("kind") == "ingress"}
    taken = sorted({source.name for source in want.sources} & older)
    if taken:
        raise Refused(f"{taken[0]} has an ingress qdisc, beside which there is no clsact: move its filters to clsact first")


def render(want: Session | None, have: Session | None) -> list[str]:
    if want == have:
        return []
    if want is None:
        return _removed(have) if have else []
    if have and _side(want) != _side(have):
        return _removed(have) + render(want, None)
    old = _hooks(have) if have and have.interfaces == want.interfaces else set()
    stale = sorted(_hooks(have) - (_hooks(want) & old)) if have else []
    fresh = sorted(_hooks(want) - old)
    return [
        *(_unhooked(want.name, hook) for hook in stale),
        *(_device(want, have) if want.type == "erspan_source" else ()),
        *(f"tc qdisc replace dev {device} clsact" for device in sorted({device for device, _way in fresh})),
        *(_hooked(want, hook) for hook in fresh),
    ]


def _hooks(session: Session) -> set[Hook]:
    return {(source.name, way) for source in session.sources for way in WAYS[source.direction]}


def _side(session: Session) -> str | None:
    """Return what a tunnel of type III writes as the direction of all its frames: it has one for all of them."""
    return SIDES[all(source.direction == "tx" for source in session.sources)] if session.header_type == 3 and session.sources else None


def _removed(have: Session) -> list[str]:
    filters = [_unhooked(have.name, hook) for hook in sorted(_hooks(have))]
    return filters + ([f"ip link del dev {tunnel(have.name)}"] if have.type == "erspan_source" else [])


def _unhooked(name: str, hook: Hook) -> str:
    return f"tc filter del dev {hook[0]} {HOOKS[hook[1]]} protocol all pref {preference(name, hook[1])}"


def _hooked(want: Session, hook: Hook) -> str:
    target = tunnel(want.name) if want.type == "erspan_source" else want.interfaces[0]
    rule = f"tc filter add dev {hook[0]} {HOOKS[hook[1]]} protocol all pref {preference(want.name, hook[1])} matchall"
    return f"{rule} action mirred egress mirror dev {target} continue{'' if want.mine is False else f' cookie {COOKIE}'}"


def _device(want: Session, have: Session | None) -> Iterable[str]:
    """Yield what makes the tunnel, or brings the one that is there to the wanted MTU. It speaks no IPv6 of its own."""
    name = tunnel(want.name)
    if have is None:
        ends: list[t.Any] = [*(["local", want.source_ip] if want.source_ip else []), "remote", want.destination_ip]
        ends += ["ttl", want.ttl] if want.ttl else []
        ends += ["tos", f"{want.dscp << 2:#04x}"] if want.dscp is not None else []
        header: list[t.Any] = ["erspan_ver", VERSIONS[want.header_type or 2]]
        header += ["erspan_dir", _side(want) or SIDES[0], "erspan_hwid", 0] if want.header_type == 3 else []
        yield shlex.join(map(str, ["ip", "link", "add", "dev", name, "type", "erspan", "seq", "key", want.erspan_id, *ends, *header]))
    yield f"sysctl -qe -w net.ipv6.conf.{name}.disable_ipv6=1"
    if want.mtu and (have is None or have.mtu != want.mtu):
        yield f"ip link set dev {name} mtu {want.mtu}"
    yield f"ip link set dev {name} up"


PLATFORM = Platform(
    name="tc",
    systems=("tc", "linux"),
    reads=(LINKS, QDISCS),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    refuse=refuse,
    host=True,
    more=more,
)
