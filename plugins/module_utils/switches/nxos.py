# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco NX-OS: every session is a submode and is born shut; what ERSPAN is sent from is one address for the whole switch. Pure.

Read in Cisco's configuration guides, the DME schema and recorded configurations; not proven on a switch.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import typing as t

from ..settings.model import Refused
from .names import namer, numbers, ports, spans
from .platform import Capabilities, Platform, Timer, options
from .reading import TIMER, commands, held, jobs, lines, number, setting, sources, understood
from .session import DIRECTIONS, Session, normal

CAPABILITIES = Capabilities(
    types={
        "local": options("description", "interfaces", "vlans", "acl", "truncate"),
        "erspan_source": options(
            *("description", "destination_ip", "source_ip", "erspan_id", "vrf", "ttl", "dscp", "header_type", "mtu", "vlans", "acl")
        ),
    },
    numbers=(1, 32),
    required={"erspan_source": ("erspan_id", "vrf")},
    directions={"interface": DIRECTIONS, "vlan": ("rx",)},
    limits={"header_type": (2, 3), "truncate": (64, 10240)},
    reasons={
        "rspan_source": "it has local and ERSPAN sessions",
        "rspan_destination": "it has local and ERSPAN sessions",
        "acl_type": "its access-group has no type",
        "gre_protocol": "ERSPAN II is 0x88be and III is 0x22eb there",
        "sample": "it mirrors every packet",
    },
    exclusive=(("vlan sources", "interface sources"), ("acl", "vlans")),
)

canonical = namer({"Ethernet": "e", "port-channel": "p", "Vlan": "v"})

_OPEN = re.compile(r"monitor session (\d{1,5})(?: type (\S+))?")
_ORIGIN = re.compile(r"monitor erspan origin ip-address (\S+)(?: global)?")
_SOURCE = re.compile(r"source (interface|vlan) (.+?)(?: (rx|tx|both))?")
_TYPES = {None: "local", "local": "local", "erspan-source": "erspan_source", "erspan-destination": "erspan_destination"}
_SETTINGS = {
    "description": "description",
    "header-type": "header_type",
    "erspan-id": "erspan_id",
    "vrf": "vrf",
    "destination ip": "destination_ip",
    "ip ttl": "ttl",
    "ip dscp": "dscp",
    "filter access-group": "acl",
}


def parse(text: str) -> dict[str, Session]:
    """Return the sessions of `show running-config monitor`. The switch's origin is the source_ip of its ERSPAN sessions."""
    found: dict[str, Session] = {}
    inside, origin = None, _origin(text)
    for indent, line in lines(text):
        if match := _OPEN.fullmatch(line):
            inside = match[1]
            unknown = () if match[2] in _TYPES else (f"type {match[2][:40]}",)
            found.setdefault(inside, Session(inside, _TYPES.get(match[2], "local"), enabled=False, unknown=unknown))
        elif inside and indent:
            found[inside] = understood(found[inside], line, _fields)
        else:
            inside = None
    for name, session in found.items():
        found[name] = normal(dataclasses.replace(session, source_ip=origin if session.type == "erspan_source" else None))
    return found


def _origin(text: str) -> str | None:
    found = [setting(f"origin {match[1]}", {"origin": "source_ip"}) for line in commands(text) if (match := _ORIGIN.fullmatch(line))]
    return found[-1]["source_ip"] if found and found[-1] else None


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if line in ("shut", "no shut", "shutdown", "no shutdown"):
        return {"enabled": line.startswith("no")}
    if match := _SOURCE.fullmatch(line):
        return {"sources": session.sources + sources(match[1], match[2], match[3], canonical)}
    if line.startswith("destination interface "):
        return {"interfaces": (*session.interfaces, *ports(line[22:], canonical))}
    if line.startswith("filter vlan "):
        return {"vlans": (*session.vlans, *numbers(line[12:]))}
    if line.startswith("mtu "):
        return {"mtu" if session.type == "erspan_source" else "truncate": number(line[4:])}
    return setting(line, _SETTINGS)


def refuse(want: Session, text: str) -> None:
    """Raise Refused for an ERSPAN session that the switch would keep down, or send from another address than is wished."""
    if want.type != "erspan_source":
        return
    origin = _origin(text)
    if origin is None:
        raise Refused("nxos sends no ERSPAN before it has an origin: type `monitor erspan origin ip-address … global`, which is for all sessions")
    if want.source_ip not in (None, origin):
        raise Refused(f"nxos sends all its ERSPAN sessions from {origin}: leave source_ip out, or change the switch's origin yourself")


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the commands of configuration mode: shut, change, enable."""
    if want is None:
        return [f"no monitor session {have.name}"] if have else []
    old, new = _lines(have) if have else [], _lines(want)
    gone = [f"no {line}" for line in old if line not in new and line.startswith(("source ", "destination interface ", "filter "))]
    come = [line for line in new if line not in old]
    shut = ["shut"] if have and have.enabled and (gone or come or want.enabled is False) else []
    enable = [] if want.enabled is False or (have and have.enabled and not shut) else ["no shut"]
    kind = "" if want.type == "local" else f" type {want.type.replace('_', '-')}"
    inside = [*shut, *gone, *come, *enable]
    return [f"monitor session {want.name}{kind}", *inside, "exit"] if inside else []


def _lines(session: Session) -> list[str]:
    wanted = {word: getattr(session, option) for word, option in _SETTINGS.items()}
    wanted["mtu"] = session.mtu if session.type == "erspan_source" else session.truncate
    found = [f"{word} {value}" for word, value in wanted.items() if value is not None]
    found += [f"filter vlan {spans(session.vlans)}"] if session.vlans else []
    found += [f"source {source.kind} {source.name} {source.direction}" for source in session.sources]
    return found + [f"destination interface {name}" for name in session.interfaces]


def _start(name: str, minutes: int, now: datetime.datetime | None) -> list[str]:
    """A job and a schedule of one time (NX-OS System Management guide, "Configuring the Scheduler").

    It starts at a minute of the switch's clock: the first one that is not too early.
    """
    if now is None:
        raise Refused("the scheduler of nxos needs the switch's clock")
    due = now + datetime.timedelta(minutes=minutes, seconds=59)
    job = [f"scheduler job name {TIMER}{name}", "configure terminal", f"no monitor session {name}", "end-job"]
    schedule = [f"scheduler schedule name {TIMER}{name}", f"job name {TIMER}{name}", f"time start {due:%Y:%m:%d:%H:%M}", "exit"]
    return ["feature scheduler", *job, *schedule]


def _stop(name: str, text: str) -> list[str]:
    return [f"no {line}" for line in held(text, f"scheduler schedule name {TIMER}{name}", f"scheduler job name {TIMER}{name}")]


_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)\.\d+ \S+ \w{3} (\w{3} +\d{1,2} \d{4})")


def _read_clock(text: str) -> datetime.datetime:
    """Return the time that `show clock` prints, e.g. `14:05:33.123 UTC Sun Mar 01 2026`, as the switch means it."""
    for line in commands(text):
        if match := _CLOCK.search(line):
            try:
                return datetime.datetime.strptime(f"{match[2]} {match[1]}", "%b %d %Y %H:%M:%S")
            except ValueError:
                break
    raise Refused(f"nxos did not say what time it is: {text.strip()[:80]!r}")


_JOB = re.compile(rf"scheduler (?:job|schedule) name {TIMER}(\d{{1,5}})")
_TIME = re.compile(r"time .+")

PLATFORM = Platform(
    name="nxos",
    systems=("cisco.nxos.nxos", "nxos"),
    reads=("show running-config monitor",),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    interface=canonical,
    refuse=refuse,
    save="copy running-config startup-config",
    timer=Timer(
        reads=("show running-config | section scheduler",),
        parse=lambda text: jobs(text, _JOB, _TIME),
        start=_start,
        stop=_stop,
        clock="show clock",
        read_clock=_read_clock,
    ),
)
