# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Huawei VRP: an observe port is global, what is mirrored to it stands within interfaces and VLANs. Pure.

The S series takes lines at once, CloudEngine with a commit and without the word `to`. Read in Huawei's command references;
not proven on a switch. An index is always given: without one the switch would allot another at each repetition.
"""

from __future__ import annotations

import functools
import re
import typing as t

from ..settings.model import Refused
from .names import namer, numbers
from .platform import VIEWS, Capabilities, Platform, options
from .reading import commands, lines, strange, understood
from .session import DIRECTIONS, Session, Source, normal

CAPABILITIES = Capabilities(
    types={"local": options("interfaces"), "rspan_source": options("interfaces", "remote_vlan")},
    numbers=(1, 8),
    required={"rspan_source": ("interfaces",)},
    directions={"interface": DIRECTIONS, "vlan": ("rx",)},
    immutable=frozenset({"interfaces", "remote_vlan"}),
    can_disable=False,
    mixed_sources=True,
    reasons={
        "erspan_source": "no document says reliably how its models are told to",
        "erspan_destination": "no document says reliably how its models are told to",
        "rspan_destination": "there the remote VLAN is an ordinary VLAN with a port in it",
        "description": "an observe port has none",
        "truncate": "only some models cut packets",
        "acl": "packets that an ACL chooses are mirrored by a traffic policy there",
        "vlans": "it mirrors VLANs as sources",
        "timer": "the S series runs no command later, and no document says how an assistant of CloudEngine commits",
    },
)

canonical = namer(
    {"GigabitEthernet": "g", "XGigabitEthernet": "xg", "Ethernet": "e", "Eth-Trunk": "eth-"}, {"ge": "GigabitEthernet", "xge": "XGigabitEthernet"}
)

_OBSERVE = re.compile(r"observe-port (\d{1,5}) (.+)")
_INTERFACE = re.compile(r"(interface|vlan) (\S+)")
_MIRROR = re.compile(r"(?:port-)?mirroring (?:to )?observe-port (\d{1,5}) (both|inbound|outbound)")
_SOURCE = re.compile(r"(interface|vlan) (\S+) (both|inbound|outbound)")
_PORT = re.compile(r"interface (\S+)(?: vlan (\d{1,4}))?( .+)?")
_WAYS = {"inbound": "rx", "outbound": "tx", "both": "both"}


def parse(text: str) -> dict[str, Session]:
    """Return the observe ports, and what is mirrored to them, of the whole of `display current-configuration`."""
    found: dict[str, Session] = {}
    inside = ("", "")
    for indent, line in lines(text):
        if match := _OBSERVE.fullmatch(line):
            found[match[1]] = understood(found.get(match[1], Session(match[1], enabled=True)), match[2], _fields)
        elif (match := _MIRROR.fullmatch(line)) and inside[0]:
            session = found.get(match[1], Session(match[1], enabled=True))
            found[match[1]] = understood(session, f"{' '.join(inside)} {match[2]}", _fields)
        elif match := _INTERFACE.fullmatch(line):
            inside = (match[1], canonical(match[2]))
        elif not indent:
            inside = ("", "")
    return {name: normal(session) for name, session in found.items()}


def _fields(session: Session, line: str) -> dict[str, t.Any] | None:
    if match := _SOURCE.fullmatch(line):
        return {"sources": (*session.sources, Source(match[1], match[2], _WAYS[match[3]]))}
    match = _PORT.fullmatch(line)
    if not match:
        return None
    found: dict[str, t.Any] = {"interfaces": (*session.interfaces, canonical(match[1]))}
    found.update({"type": "rspan_source", "remote_vlan": int(match[2])} if match[2] else {})
    return {**found, **strange(session, line)} if match[3] else found


def refuse(want: Session, text: str) -> None:
    """Raise Refused for a source that is not there: typing its name to mirror it would make it."""
    there: dict[str, set[str]] = {"interface": set(), "vlan": {"1"}}
    for line in commands(text):
        if match := _INTERFACE.fullmatch(line):
            there[match[1]].add(canonical(match[2]))
        elif match := re.fullmatch(r"vlan batch ([\d to]{1,4000})", line):
            there["vlan"].update(_batch(match[1]))
    for source in want.sources:
        if source.name not in there[source.kind]:
            raise Refused(f"the switch has no {source.kind} {source.name}, and would make it if it were mirrored: check its name")


def _batch(text: str) -> list[str]:
    try:
        return [str(vlan) for vlan in numbers(re.sub(r"(?<=\d) (?=\d)", ",", text.strip()), " to ")]
    except ValueError:
        return []


def _render(want: Session | None, have: Session | None, to: str) -> list[str]:
    """Return the commands of system view; *to* is the word, if any, between mirroring and observe-port."""
    session = want or have
    if session is None:
        return []
    old, new = have.sources if have else (), want.sources if want else ()
    gone = [line for source in old if source not in new for line in _mirror(source, session.name, to, "undo ")]
    come = [line for source in new if source not in old for line in _mirror(source, session.name, to)]
    if want is None:
        return [*gone, f"undo observe-port {session.name}"] if session.interfaces else gone
    vlan = f" vlan {want.remote_vlan}" if want.remote_vlan else ""
    observe = [] if have and have.interfaces else [f"observe-port {want.name} interface {name}{vlan}" for name in want.interfaces]
    return [*gone, *observe, *come]


def _mirror(source: Source, name: str, to: str, undo: str = "") -> list[str]:
    ways = {way: word for word, way in _WAYS.items()}
    port = "port-" if source.kind == "interface" else ""
    # CloudEngine wants the direction in undo, the S series takes none.
    way = "" if undo and to else f" {ways[source.direction]}"
    return [f"{source.kind} {source.name}", f"{undo}{port}mirroring {to}observe-port {name}{way}", "quit"]


PLATFORM = Platform(
    name="vrp",
    systems=("wirefleet.capture.vrp", "vrp"),
    reads=("display current-configuration",),
    parse=parse,
    render=functools.partial(_render, to="to "),
    caps=CAPABILITIES,
    interface=canonical,
    refuse=refuse,
    save="save",
    typing=VIEWS._replace(confirm=(r"\[Y/N\]:?", "y")),
)
CLOUDENGINE = PLATFORM._replace(
    name="cloudengine",
    systems=("cloudengine", "community.network.ce", "ce"),
    render=functools.partial(_render, to=""),
    commit="commit",
    typing=PLATFORM.typing._replace(abandon=("clear configuration candidate", "return")),
)
