# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Juniper Junos on switches (ELS and Evolved): analyzers, as statements that are set, deleted and committed together. Pure.

Read in Juniper's documentation and recorded configurations; not proven on a switch.
"""

from __future__ import annotations

import re
import typing as t

from .names import numbers
from .platform import Capabilities, Platform, Timer, Typing, options
from .reading import TIMER, commands, number, strange, understood, value
from .session import Session, Source, normal

if t.TYPE_CHECKING:
    import datetime

_ONLY_ADDRESS = "an analyzer knows only where to send: the switch chooses the rest"

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces"),
        "rspan_source": options("remote_vlan"),
        "erspan_source": options("destination_ip"),
    },
    name=r"[A-Za-z][A-Za-z0-9_-]{0,63}",
    directions={"interface": ("rx", "tx", "both"), "vlan": ("rx",)},
    reasons={
        "rspan_destination": "there the remote VLAN is an ordinary VLAN with a port in it",
        **dict.fromkeys(("source_ip", "erspan_id", "vrf", "ttl", "dscp", "header_type", "gre_protocol", "mtu"), _ONLY_ADDRESS),
        "truncate": "only port-mirroring instances with a firewall filter cut packets",
        "sample": "only port-mirroring instances with a firewall filter sample",
        "acl": "only port-mirroring instances follow a firewall filter",
    },
    mixed_sources=True,
)

_HEAD = "forwarding-options analyzer"
_SET = re.compile(rf"set {_HEAD} (\S+)(?: (.+))?")
_OFF = re.compile(rf"deactivate {_HEAD} (\S+)(?: (.+))?")
_INPUT = re.compile(r"input (ingress|egress) (interface|vlan) (\S+)")
_OUTPUT = re.compile(r"output (interface|vlan|ip-address) (\S+)(?: no-tag)?")
_WAYS = {"ingress": "rx", "egress": "tx"}


def canonical(name: str) -> str:
    """Return *name* with its unit: an analyzer has logical interfaces."""
    name = name.strip()
    return name if "." in name or not re.fullmatch(r"[a-z]+-?[0-9/:]+", name) else f"{name}.0"


def parse(text: str) -> dict[str, Session]:
    """Return the sessions of `show configuration forwarding-options analyzer | display set`."""
    found: dict[str, Session] = {}
    for line in commands(text):
        match = _SET.fullmatch(line) or _OFF.fullmatch(line)
        if match:
            session = found.get(match[1], Session(match[1], enabled=True))
            rest = (match[2] or "") if line.startswith("set ") else f"deactivate {match[2] or ''}".strip()
            found[match[1]] = understood(session, rest, _fields)
    return {name: normal(session) for name, session in found.items()}


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if not line:
        return {}
    if line == "deactivate":
        return {"enabled": False}
    if match := _INPUT.fullmatch(line):
        name = canonical(match[3]) if match[2] == "interface" else match[3]
        return {"sources": (*session.sources, Source(match[2], name, _WAYS[match[1]]))}
    if match := _OUTPUT.fullmatch(line):
        return {**_output(session, match[1], match[2]), **(strange(session, line) if line.endswith(" no-tag") else {})}
    return None


def _output(session: Session, kind: str, text: str) -> dict[str, t.Any]:
    if kind == "interface":
        return {"type": "local", "interfaces": (*session.interfaces, canonical(text))}
    if kind == "vlan":
        return {"type": "rspan_source", "remote_vlan": numbers(text)[0]}
    return {"type": "erspan_source", "destination_ip": value("destination_ip", text)}


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the statements of one commit."""
    if want is None:
        return [f"delete {_HEAD} {have.name}"] if have else []
    head = f"{_HEAD} {want.name}"
    old, new = _lines(have) if have else [], _lines(want)
    # Of an output there is one, so that setting it replaces it; and what is never empty keeps its being deactivated.
    gone = [f"delete {head} {line}" for line in old if line not in new and line.startswith("input ")]
    come = [f"set {head} {line}" for line in new if line not in old]
    enabled = have is None or have.enabled is not False
    state = [] if enabled == (want.enabled is not False) else [f"{'deactivate' if enabled else 'activate'} {head}"]
    return come + gone + state


def _lines(session: Session) -> list[str]:
    found = []
    for way, direction in _WAYS.items():
        chosen = [source for source in session.sources if source.direction in (direction, "both")]
        found += [f"input {way} {source.kind} {source.name}" for source in chosen]
    found += [f"output interface {name}" for name in session.interfaces]
    found += [f"output vlan {session.remote_vlan}"] if session.remote_vlan else []
    return found + ([f"output ip-address {session.destination_ip}"] if session.destination_ip else [])


def _start(name: str, minutes: int, now: datetime.datetime | None) -> list[str]:
    """An event that comes every so many seconds, and a policy which at the first of them removes session, event and itself.

    `generate-event … time-interval` (60 to 2592000 seconds, ten events at most) and `change-configuration`: Juniper's
    Automation Scripting guide, "Generate Internal Events to Trigger Event Policies".
    """
    job = f"{TIMER}{name}"
    policy = f"set event-options policy {job}"
    gone = (f"{_HEAD} {name}", f"event-options policy {job}", f"event-options generate-event {job}")
    commands = [f'{policy} then change-configuration commands "delete {statement}"' for statement in gone]
    return [f"set event-options generate-event {job} time-interval {60 * minutes}", f"{policy} events {job}", *commands]


def _stop(name: str, text: str) -> list[str]:
    both = [f"event-options {what} {TIMER}{name}" for what in ("policy", "generate-event")]
    return [f"delete {path}" for path in both if any(line.startswith(f"set {path} ") for line in commands(text))]


_JOB = re.compile(rf"set event-options (?:policy|generate-event) {TIMER}([A-Za-z][A-Za-z0-9_-]{{0,63}})(?: time-interval (\d+))?(?: .*)?")


def _timers(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in commands(text):
        if match := _JOB.fullmatch(line):
            found[match[1]] = f"time-interval {number(match[2][:9])}" if match[2] else found.get(match[1], "")
    return found


PLATFORM = Platform(
    name="junos",
    systems=("junipernetworks.junos.junos", "junos"),
    reads=("show configuration forwarding-options analyzer | display set",),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    interface=canonical,
    commit="commit",
    # Exclusive, since a commit would make somebody else's unfinished changes effective too.
    typing=Typing(("configure exclusive",), ("exit",), ("rollback 0", "exit"), r"\[edit[^\]]*\]|commit complete|load complete"),
    timer=Timer(reads=("show configuration event-options | display set",), parse=_timers, start=_start, stop=_stop),
)
