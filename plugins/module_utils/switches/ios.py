# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco IOS and IOS-XE: local sessions and RSPAN are flat lines, an ERSPAN session is a submode that is born shut. Pure.

Read in Cisco's configuration guides and recorded configurations; not proven on a switch. `origin ip address … force`, which
changes every session, is never typed.
"""

from __future__ import annotations

import re
import typing as t

from .names import namer, numbers, ports, spans
from .platform import Capabilities, Platform, Timer, options
from .reading import TIMER, jobs, lines, setting, sources, strange, understood
from .session import Session, normal

if t.TYPE_CHECKING:
    import datetime

_FAR = ("destination_ip", "source_ip", "erspan_id", "vrf", "ttl", "dscp", "mtu")
_REASONS = {
    "gre_protocol": "ERSPAN II is 0x88be and III is 0x22eb there",
    "truncate": "it truncates at the mtu of an ERSPAN session",
    "sample": "it mirrors every packet",
    "enabled": "only ERSPAN sessions can be shut",
}
_CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces", "vlans"),
        "rspan_source": options("remote_vlan", "vlans"),
        "rspan_destination": options("remote_vlan", "interfaces"),
        "erspan_source": options("description", "vlans", *_FAR),
        "erspan_destination": options("description", "interfaces", "destination_ip", "erspan_id", "vrf"),
    },
    numbers=(1, 66),
    required={"erspan_source": ("source_ip", "erspan_id"), "erspan_destination": ("destination_ip", "erspan_id")},
    limits={"header_type": (2, 3), "mtu": (64, 9180)},
    reasons={**_REASONS, "acl": "its sessions filter by VLAN only", "header_type": "it sends ERSPAN type II"},
    always_on=frozenset({"local", "rspan_source", "rspan_destination"}),
    exclusive=(("vlan sources", "vlans"), ("acl", "vlans")),
    destinations=64,
)
_XE = _CAPABILITIES._replace(
    types={
        kind: allowed | (options("acl", "acl_type") if kind in ("local", "rspan_source", "erspan_source") else options())
        | (options("header_type") if kind == "erspan_source" else options())
        for kind, allowed in _CAPABILITIES.types.items()
    },
    numbers=(1, 1024),
    reasons=_REASONS,
)  # fmt: skip

canonical = namer(
    {
        "GigabitEthernet": "g",
        "TenGigabitEthernet": "te",
        "TwentyFiveGigE": "twe",
        "TwoGigabitEthernet": "tw",
        "FiveGigabitEthernet": "fi",
        "FortyGigabitEthernet": "fo",
        "HundredGigE": "hu",
        "FastEthernet": "fa",
        "Ethernet": "e",
        "Port-channel": "po",
        "Vlan": "vl",
        "Tunnel": "tu",
    },
    {"fortygige": "FortyGigabitEthernet"},
)

_OPEN = re.compile(r"monitor session (\d{1,5}) type (erspan-source|erspan-destination)")
_FLAT = re.compile(r"monitor session (\d{1,5}) (.+)")
_SOURCE = re.compile(r"source (interface|vlan) (.+?)(?: (rx|tx|both))?")
_DESTINATION = re.compile(r"destination interface (.+?)( encapsulation .+| ingress.*)?")
_REMOTE = re.compile(r"(source|destination) remote vlan (\d{1,4})( reflector-port .+)?")
_ACL = re.compile(r"filter (?:(ip|ipv6|mac) )?access-group (\S+)")
_SETTINGS = {
    "description": "description",
    "header-type": "header_type",
    "erspan-id": "erspan_id",
    "ip address": "destination_ip",
    "origin ip address": "source_ip",
    "ip ttl": "ttl",
    "ip dscp": "dscp",
    "mtu": "mtu",
    "vrf": "vrf",
}
_WORDS = {option: word for word, option in _SETTINGS.items()}


def parse(text: str) -> dict[str, Session]:
    """Return the sessions of `show running-config | section ^monitor session`.

    Shut is what says so: IOS does not print `no shutdown`, and whether IOS-XE does varies.
    """
    found: dict[str, Session] = {}
    inside: str | None = None
    for indent, line in lines(text):
        if match := _OPEN.fullmatch(line):
            inside = match[1]
            found[inside] = Session(inside, match[2].replace("-", "_"), enabled=True)
        elif match := _FLAT.fullmatch(line):
            inside = None
            found[match[1]] = understood(found.get(match[1], Session(match[1], enabled=True)), match[2], _fields)
        elif inside and indent:
            found[inside] = understood(found[inside], line, _fields)
        else:
            inside = None
    return {name: normal(session) for name, session in found.items()}


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if line in ("source", "destination", "exit"):
        return {}
    if line in ("shutdown", "no shutdown"):
        return {"enabled": line != "shutdown"}
    if match := _REMOTE.fullmatch(line):
        found: dict[str, t.Any] = {"type": "rspan_destination" if match[1] == "source" else "rspan_source", "remote_vlan": int(match[2])}
        return {**found, **strange(session, line)} if match[3] else found
    if match := _SOURCE.fullmatch(line):
        return {"sources": session.sources + sources(match[1], match[2], match[3], canonical)}
    if match := _DESTINATION.fullmatch(line):
        found = {"interfaces": (*session.interfaces, *ports(match[1], canonical))}
        return {**found, **strange(session, line)} if match[2] else found
    if match := _ACL.fullmatch(line):
        return {"acl_type": match[1], "acl": match[2]}
    if line.startswith("filter vlan "):
        return {"vlans": (*session.vlans, *numbers(line[12:]))}
    return setting(line, _SETTINGS)


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the commands of configuration mode."""
    if want is None:
        return [f"no monitor session {have.name}"] if have else []
    if want.type.startswith("erspan"):
        return _submode(want, have)
    head = f"monitor session {want.name} "
    gone, new = _difference(want, have)
    return [f"no {head}{line}" for line in gone] + [head + line for line in new]


def _difference(want: Session, have: Session | None) -> tuple[list[str], list[str]]:
    """Return the lines that go, without `no`, and those that come; a source goes without its direction, which means wholly."""
    old, new = _lines(have) if have else [], _lines(want)
    gone = [re.sub(" (rx|tx|both)$", "", line) if line.startswith("source ") else line for line in old if line not in new]
    return gone, [line for line in new if line not in old]


def _lines(session: Session) -> list[str]:
    """Return what can be in a session more than once, or not at all."""
    found = [f"source {source.kind} {source.name} {source.direction}" for source in session.sources]
    found += [f"filter vlan {spans(session.vlans, ' - ', ' , ')}"] if session.vlans else []
    found += [f"filter {session.acl_type + ' ' if session.acl_type else ''}access-group {session.acl}"] if session.acl else []
    found += [f"destination interface {name}" for name in session.interfaces]
    if session.type.startswith("rspan"):
        found.append(f"{'source' if session.type == 'rspan_destination' else 'destination'} remote vlan {session.remote_vlan}")
    return found


def _submode(want: Session, have: Session | None) -> list[str]:
    """Shut, change, enable: nothing is ever sent to an address that is half changed."""
    head = f"monitor session {want.name} type {want.type.replace('_', '-')}"
    gone, new = _difference(want, have)
    near = _settings(want, have, ("description", "header_type"))
    far = _settings(want, have, _FAR)
    far = ["destination" if want.type == "erspan_source" else "source", *far, "exit"] if far else []
    shut = ["shutdown"] if have and have.enabled and (gone or new or near or far or want.enabled is False) else []
    # An ACL lets go only of a session that was shut when its submode was entered.
    again = ["exit", head] if shut and any("access-group" in line for line in gone) else []
    enable = [] if want.enabled is False or (have and have.enabled and not shut) else ["no shutdown"]
    inside = [*shut, *again, *(f"no {line}" for line in gone), *near, *new, *far, *enable]
    return [head, *inside, "exit"] if inside else []


def _settings(want: Session, have: Session | None, names: tuple[str, ...]) -> list[str]:
    """Return the lines of those settings that *have* does not have; the new value replaces the old one."""
    wanted = {name: getattr(want, name) for name in names}
    return [f"{_WORDS[name]} {value}" for name, value in wanted.items() if value is not None and value != getattr(have, name, None)]


def _start(name: str, minutes: int, now: datetime.datetime | None) -> list[str]:
    """An applet of the embedded event manager that counts down and at the end removes itself too.

    `event timer countdown`: Cisco's EEM command reference. `authorization bypass`, since no user is there to be authorized.
    """
    applet = f"{TIMER}{name}"
    actions = ("enable", "configure terminal", f"no monitor session {name}", f"no event manager applet {applet}", "end")
    lines = [f'action {number}.0 cli command "{action}"' for number, action in enumerate(actions, 1)]
    return [f"event manager applet {applet} authorization bypass", f"event timer countdown time {60 * minutes}", *lines, "exit"]


def _stop(name: str, text: str) -> list[str]:
    return [f"no event manager applet {TIMER}{name}"]


_APPLET = re.compile(rf"event manager applet {TIMER}(\d{{1,5}})(?: .*)?")
_COUNTDOWN = re.compile(r"event timer countdown .*")


PLATFORM = Platform(
    name="ios",
    systems=("cisco.ios.ios", "ios"),
    reads=("show running-config | section ^monitor session",),
    parse=parse,
    render=render,
    caps=_CAPABILITIES,
    interface=canonical,
    save="write memory",
    timer=Timer(
        reads=(f"show running-config | section ^event manager applet {TIMER}",),
        parse=lambda text: jobs(text, _APPLET, _COUNTDOWN),
        start=_start,
        stop=_stop,
    ),
)
XE = PLATFORM._replace(name="iosxe", systems=("cisco.iosxe", "iosxe"), caps=_XE)
