# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arista EOS: named sessions, one setting a line. Its ERSPAN is type I: GRE 0x88be without a header or an id. Pure."""

from __future__ import annotations

import re
import typing as t

from .names import namer, ports
from .platform import Capabilities, Platform, Timer, options
from .reading import TIMER, commands, jobs, number, sources, understood, value
from .session import DIRECTIONS, Session, normal

if t.TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces", "acl", "acl_type", "truncate", "sample"),
        "erspan_source": options("destination_ip", "source_ip", "vrf", "ttl", "dscp", "gre_protocol", "acl", "acl_type", "truncate", "sample"),
    },
    required={"erspan_source": ("source_ip",)},
    directions={"interface": DIRECTIONS},
    can_disable=False,
    reasons={
        "erspan_id": "it sends ERSPAN type I, which has no session id",
        "header_type": "it sends ERSPAN type I, which has no header",
        "vlan sources": "it mirrors interfaces only",
    },
)

canonical = namer({"Ethernet": "e", "Port-Channel": "po", "Vlan": "vl", "Cpu": "cpu"})

_LINE = re.compile(r"monitor session (\S+) (.+)")
_SOURCE = re.compile(r"source (.+?)(?: (rx|tx|both))?")
_ACL = re.compile(r"(ip|ipv6|mac) access-group (\S+)")
_TUNNEL = re.compile(r"destination tunnel mode gre((?: (?:source|destination|ttl|dscp|protocol|vrf) \S+)+)")
_WORDS = {"source": "source_ip", "destination": "destination_ip", "ttl": "ttl", "dscp": "dscp", "protocol": "gre_protocol", "vrf": "vrf"}


def parse(text: str) -> dict[str, Session]:
    """Return the sessions of `show running-config section monitor session`."""
    found: dict[str, Session] = {}
    for line in commands(text):
        match = _LINE.fullmatch(line)
        if match and match[1] != "default":
            found[match[1]] = understood(found.get(match[1], Session(match[1], enabled=True)), match[2], _fields)
    return {name: normal(session) for name, session in found.items()}


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if match := _TUNNEL.fullmatch(line):
        words = match[1].split()
        return {"type": "erspan_source", **{_WORDS[word]: value(_WORDS[word], text) for word, text in zip(words[::2], words[1::2])}}
    if match := _ACL.fullmatch(line):
        return {"acl_type": match[1], "acl": match[2]}
    if match := re.fullmatch(r"truncate(?: size (\d{1,5}))?", line):
        return {"truncate": int(match[1])} if match[1] else None
    if line.startswith("sample "):
        return {"sample": number(line[7:])}
    if line.startswith("source ") and (match := _SOURCE.fullmatch(line)):
        return {"sources": session.sources + sources("interface", match[1], match[2], canonical)}
    if line.startswith("destination ") and not line.startswith("destination tunnel"):
        return {"interfaces": (*session.interfaces, *ports(line.removeprefix("destination "), canonical))}
    return None


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the commands, each of which EOS takes by itself."""
    if want is None:
        return [f"no monitor session {have.name}"] if have else []
    old = _lines(have) if have else []
    new = _lines(want)
    gone = [f"no {line}" for line in _removed(want, have)]
    return gone + [line for line in new if line not in old]


def _removed(want: Session, have: Session | None) -> Iterable[str]:
    """Yield what has to go first; a setting of which there is only one is replaced by typing the new one."""
    if have is None:
        return
    head = f"monitor session {want.name}"
    yield from (f"{head} source {source.name}" for source in have.sources if source not in want.sources)
    yield from (f"{head} destination {name}" for name in have.interfaces if name not in want.interfaces)
    if have.acl and (have.acl, have.acl_type) != (want.acl, want.acl_type):
        yield f"{head} {have.acl_type} access-group {have.acl}"


def _lines(session: Session) -> list[str]:
    """Return *session* as EOS writes it, in the order of its configuration."""
    head = f"monitor session {session.name}"
    lines = [f"{head} {session.acl_type or 'ip'} access-group {session.acl}"] if session.acl else []
    lines += [f"{head} source {source.name} {source.direction}" for source in session.sources]
    lines += [f"{head} destination {name}" for name in session.interfaces]
    if session.destination_ip:
        lines.append(f"{head} destination tunnel mode gre {' '.join(_tunnel(session))}")
    lines += [f"{head} truncate size {session.truncate}"] if session.truncate else []
    lines += [f"{head} sample {session.sample}"] if session.sample else []
    return lines


def _tunnel(session: Session) -> Iterable[str]:
    for word, option in _WORDS.items():
        value = getattr(session, option)
        if value is not None:
            yield f"{word} {value:#06x}" if option == "gre_protocol" else f"{word} {value}"


def _start(name: str, minutes: int, now: datetime.datetime | None) -> list[str]:
    """An event handler whose trigger, on-boot, also comes when its submode is left, and which acts after a delay.

    A handler acts through the shell only, so this is the one line with quotes: the session's name has passed check_name. Arista
    shows this very action (eos.arista.com, "Custom event handler to take action based on interface utilization").
    """
    gone = f"configure\\nno monitor session {name}\\nno event-handler {TIMER}{name}"
    action = f"action bash FastCli -p15 -c $'{gone}'"
    return [f"event-handler {TIMER}{name}", "trigger on-boot", action, f"delay {60 * minutes}", "asynchronous", "exit"]


def _stop(name: str, text: str) -> list[str]:
    return [f"no event-handler {TIMER}{name}"]


_HANDLER = re.compile(rf"event-handler {TIMER}(\S+)")
_DELAY = re.compile(r"delay \d+")

PLATFORM = Platform(
    name="eos",
    systems=("arista.eos.eos", "eos"),
    reads=("show running-config section monitor session",),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    interface=canonical,
    save="copy running-config startup-config",
    timer=Timer(
        reads=(f"show running-config section event-handler {TIMER}",),
        parse=lambda text: jobs(text, _HANDLER, _DELAY),
        start=_start,
        stop=_stop,
    ),
)
