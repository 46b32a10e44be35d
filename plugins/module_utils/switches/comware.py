# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""H3C and HPE Comware 7: mirroring groups, whose ports are printed within the interfaces wherever they were typed. Pure.

Read in H3C's configuration guides and command references and in recorded configurations; not proven on a switch.
"""

from __future__ import annotations

import re
import typing as t

from .names import namer, numbers
from .platform import VIEWS, Capabilities, Platform, Timer, options
from .reading import TIMER, held, jobs, lines, sources, strange, understood, value
from .session import Session, Source, normal

if t.TYPE_CHECKING:
    import datetime

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces"),
        "rspan_source": options("interfaces", "reflector_port", "remote_vlan"),
        "rspan_destination": options("interfaces", "remote_vlan"),
        "erspan_source": options("interfaces", "destination_ip", "source_ip", "dscp", "vrf"),
    },
    numbers=(1, 15),
    required={"erspan_source": ("interfaces", "source_ip")},
    either={"rspan_source": ("interfaces", "reflector_port")},
    exclusive=(("interfaces", "reflector_port"),),
    can_disable=False,
    reasons={
        "erspan_id": "its monitor port has no session id",
        "header_type": "its monitor port has no header type",
        "ttl": "its monitor port has no ttl",
        "mtu": "its monitor port has no mtu",
        "gre_protocol": "its monitor port sends GRE 0x88be",
        "description": "a mirroring group has none",
        "acl": "packets that an ACL chooses are mirrored by a QoS policy there",
        "vlans": "it mirrors VLANs as sources",
    },
)
_KINDS = {"local": "local", "remote-source": "rspan_source", "remote-destination": "rspan_destination"}
_WAYS = {"inbound": "rx", "outbound": "tx", "both": "both"}
_WORDS = {"destination-ip": "destination_ip", "source-ip": "source_ip", "dscp": "dscp", "vrf-instance": "vrf"}

canonical = namer(
    {
        "GigabitEthernet": "g",
        "Ten-GigabitEthernet": "te",
        "Twenty-FiveGigE": "twe",
        "FortyGigE": "fo",
        "HundredGigE": "hu",
        "Bridge-Aggregation": "b",
    },
    {"xge": "Ten-GigabitEthernet", "ge": "GigabitEthernet", "wge": "Twenty-FiveGigE", "fge": "FortyGigE", "hge": "HundredGigE",
     "bagg": "Bridge-Aggregation"},
)  # fmt: skip

_INTERFACE = re.compile(r"interface (\S+)(?: .*)?")
_LINE = re.compile(r"mirroring-group (\d{1,5}) (.+)")
_KIND = re.compile(r"(local|remote-source|remote-destination)( sampler .+)?")
_VLANS = re.compile(r"mirroring-vlan ([\d to]+) (both|inbound|outbound)")
_END = re.compile(r"monitor-(?:port|egress)((?: (?:destination-ip|source-ip|dscp|vrf-instance) \S+)*)( .+)?")


def parse(text: str) -> dict[str, Session]:
    """Return the groups of the whole of `display current-configuration`: what is in them stands within the interfaces."""
    found: dict[str, Session] = {}
    interface = ""
    for indent, line in lines(text):
        if match := _LINE.fullmatch(line):
            session = found.get(match[1], Session(match[1], enabled=True))
            found[match[1]] = understood(session, f"{interface} {match[2]}" if interface else match[2], _fields)
        elif match := _INTERFACE.fullmatch(line):
            interface = canonical(match[1])
        elif not indent:
            interface = ""
    return {name: normal(session) for name, session in found.items()}


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if match := _KIND.fullmatch(line):
        kind = {"type": session.type if session.destination_ip else _KINDS[match[1]]}
        return {**kind, **strange(session, line)} if match[2] else kind
    if match := re.fullmatch(r"remote-probe vlan (\d{1,4})", line):
        return {"remote_vlan": int(match[1])}
    if match := _VLANS.fullmatch(line):
        vlans = numbers(re.sub(r"(?<=\d) (?=\d)", ",", match[1]), " to ")
        return {"sources": session.sources + tuple(Source("vlan", str(vlan), _WAYS[match[2]]) for vlan in vlans)}
    interface, rest = (line.split(" ", 1) + [""])[:2]
    if match := re.fullmatch(r"mirroring-port (both|inbound|outbound)", rest):
        return {"sources": session.sources + sources("interface", interface, _WAYS[match[1]], canonical)}
    if rest == "reflector-port":
        return {"reflector_port": interface}
    if match := _END.fullmatch(rest):
        words = match[1].split()
        tunnel = {_WORDS[word]: value(_WORDS[word], text) for word, text in zip(words[::2], words[1::2])}
        end = {"interfaces": (*session.interfaces, interface), **({"type": "erspan_source", **tunnel} if tunnel else {})}
        return {**end, **strange(session, line)} if match[2] else end
    return None


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the commands of system view."""
    if want is None:
        return [f"undo mirroring-group {have.name}"] if have else []
    head = f"mirroring-group {want.name}"
    old, new = _lines(have) if have else {}, _lines(want)
    gone = [f"undo {head} {key}" for line, key in old.items() if line not in new]
    return ([] if have else [f"{head} {_kind(want)}"]) + gone + [f"{head} {line}" for line in new if line not in old]


def _kind(session: Session) -> str:
    return next((word for word, kind in _KINDS.items() if kind == session.type), "local")


def _lines(session: Session) -> dict[str, str]:
    """Return {line: what is left of it after `undo`}, in the order of typing."""
    ways = {way: word for word, way in _WAYS.items()}
    found = {f"remote-probe vlan {vlan}": f"remote-probe vlan {vlan}" for vlan in (session.remote_vlan,) if vlan}
    end = "monitor-egress" if session.type == "rspan_source" else "monitor-port"
    tunnel = "".join(f" {word} {getattr(session, option)}" for word, option in _WORDS.items() if getattr(session, option) is not None)
    found.update({f"{end} {name}{tunnel}": f"{end} {name}" for name in session.interfaces})
    if session.reflector_port:
        found[f"reflector-port {session.reflector_port}"] = f"reflector-port {session.reflector_port}"
    for source in session.sources:
        key = f"mirroring-{'port' if source.kind == 'interface' else 'vlan'} {source.name}"
        found[f"{key} {ways[source.direction]}"] = key
    return found


def loses(goal: Session, have: Session | None, text: str) -> list[str] | None:
    """Return the settings of the port that is to become a reflector port: the switch resets it to factory settings."""
    if goal.reflector_port is None or (have is not None and have.reflector_port == goal.reflector_port):
        return None
    interface, found = "", []
    for indent, line in lines(text):
        if match := _INTERFACE.fullmatch(line):
            interface = canonical(match[1])
        elif not indent:
            interface = ""
        elif interface == goal.reflector_port and not _LINE.fullmatch(line) and line != "port link-mode bridge":
            found.append(line)
    return found


def _start(name: str, minutes: int, now: datetime.datetime | None) -> list[str]:
    """A job, and a schedule that runs it once after a delay (HPE 5510 HI Fundamentals, "Scheduling a task").

    The schedule has the roles of whoever makes it, asks nothing, and stays behind when it is done.
    """
    job = [f"scheduler job {TIMER}{name}", "command 1 system-view", f"command 2 undo mirroring-group {name}", "quit"]
    delay = f"time once delay {minutes // 60:02}:{minutes % 60:02}"
    return [*job, f"scheduler schedule {TIMER}{name}", f"job {TIMER}{name}", delay, "quit"]


def _stop(name: str, text: str) -> list[str]:
    return [f"undo {line}" for line in held(text, f"scheduler schedule {TIMER}{name}", f"scheduler job {TIMER}{name}")]


_QUESTION = r"Continue\? ?\[Y/N\]:?"
_TYPING = VIEWS._replace(
    asks=((r"mirroring-group \d+ reflector-port \S+", _QUESTION, "y"),),
    chatter=rf"This operation may delete all settings made on the interface\.\s*{_QUESTION}\s*[yY]?",
)

_JOB = re.compile(rf"scheduler (?:job|schedule) {TIMER}(\d{{1,5}})")
_TIME = re.compile(r"time .+")

PLATFORM = Platform(
    name="comware",
    systems=("wirefleet.capture.comware", "comware"),
    reads=("display current-configuration",),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    interface=canonical,
    loses=loses,
    save="save force",
    typing=_TYPING,
    timer=Timer(
        reads=("display current-configuration",),
        parse=lambda text: jobs(text, _JOB, _TIME),
        start=_start,
        stop=_stop,
        minutes=(1, 5999),
    ),
)
