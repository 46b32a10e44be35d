# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror session (SPAN, RSPAN or ERSPAN) as all platforms share it, and what two of them differ in. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ..settings.model import Refused

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TYPES = ("local", "rspan_source", "rspan_destination", "erspan_source", "erspan_destination")
DIRECTIONS = ("rx", "tx", "both")

#: Options of destination.erspan, which are fields of Session under the same names.
ERSPAN = ("destination_ip", "source_ip", "erspan_id", "vrf", "ttl", "dscp", "header_type", "mtu", "gre_protocol")


class Source(t.NamedTuple):
    """What is mirrored: *kind* is interface or vlan, *name* the device's full name or the number as text."""

    kind: str
    name: str
    direction: str = "both"


@dataclasses.dataclass(frozen=True)
class Session:
    """One session. None and () mean "not said": in a wish it is left alone, in a reading the device does not say it."""

    name: str
    type: str = "local"
    description: str | None = None
    enabled: bool | None = None
    sources: tuple[Source, ...] = ()
    interfaces: tuple[str, ...] = ()
    reflector_port: str | None = None
    remote_vlan: int | None = None
    destination_ip: str | None = None
    source_ip: str | None = None
    erspan_id: int | None = None
    vrf: str | None = None
    ttl: int | None = None
    dscp: int | None = None
    header_type: int | None = None
    mtu: int | None = None
    gre_protocol: int | None = None
    vlans: tuple[int, ...] = ()
    acl: str | None = None
    acl_type: str | None = None
    truncate: int | None = None
    sample: int | None = None
    bridge: str | None = None
    #: Lines of the device that belong to the session and that nobody here understands. Such a session is not edited.
    unknown: tuple[str, ...] = ()
    #: In a reading: whether it has our mark; None where the platform has no place for one.
    mine: bool | None = None
    #: In a reading: what the device itself says is wrong with the session, so that it mirrors nothing.
    fault: str | None = None


#: What a session is marked with as ours, where the platform has a place for it.
OWNER = "wirefleet"

#: Everything that can be asked for, in the order of commands.
OPTIONS = tuple(field.name for field in dataclasses.fields(Session) if field.name not in ("name", "type", "unknown", "mine", "fault"))


def said(session: Session) -> dict[str, t.Any]:
    """Return the options that *session* says, {option: value}."""
    return {name: value for name in OPTIONS if (value := getattr(session, name)) not in (None, ())}


def sorted_sources(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return *sources* without repetition; rx and tx of one source are both."""
    found: dict[tuple[str, str], set[str]] = {}
    for source in sources:
        found.setdefault((source.kind, source.name), set()).update(("rx", "tx") if source.direction == "both" else (source.direction,))
    return tuple(Source(*key, "both" if len(ways) == 2 else min(ways)) for key, ways in sorted(found.items()))


def normal(session: Session) -> Session:
    """Return *session* with its lists sorted and its addresses in their shortest form. Raises Refused for a bad address."""
    return dataclasses.replace(
        session,
        sources=sorted_sources(session.sources),
        interfaces=tuple(sorted(set(session.interfaces))),
        vlans=tuple(sorted(set(session.vlans))),
        destination_ip=_address(session.destination_ip),
        source_ip=_address(session.source_ip),
    )


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Refused(f"{text!r} is not an IP address") from None


def complete(want: Session, have: Session | None) -> Session:
    """Return *want* with what it does not say as *have* has it; what another type of session had does not count."""
    if have is None or have.type != want.type:
        return want
    return dataclasses.replace(have, **said(want), unknown=(), mine=None, fault=None)


def differing(want: Session, have: Session) -> frozenset[str]:
    """Return the options, and "type", that *want* says and *have* has otherwise."""
    changed = {name for name, value in said(want).items() if getattr(have, name) != value}
    return frozenset(changed | ({"type"} if want.type != have.type else set()))


def from_options(options: Mapping[str, t.Any]) -> Session:
    """Return the wish in the module's options. Raises Refused for what no platform could mean."""
    destination, chosen = options.get("destination") or {}, options.get("filter") or {}
    erspan = destination.get("erspan") or {}
    interfaces = [*(destination.get("interfaces") or ()), *([destination["interface"]] if destination.get("interface") else ())]
    fields: dict[str, t.Any] = {
        **{name: erspan.get(name) for name in ERSPAN},
        **{name: options.get(name) for name in ("description", "enabled", "truncate", "sample", "bridge")},
        "sources": tuple(_source(source) for source in options.get("sources") or ()),
        "interfaces": tuple(interfaces),
        "reflector_port": destination.get("reflector_port"),
        "remote_vlan": destination.get("remote_vlan"),
        "gre_protocol": _number("gre_protocol", erspan.get("gre_protocol")),
        "vlans": tuple(chosen.get("vlans") or ()),
        "acl": chosen.get("acl"),
        "acl_type": chosen.get("acl_type"),
    }
    return normal(Session(str(options["session"]), options.get("type") or _type_of(destination), **fields))


def _type_of(destination: Mapping[str, t.Any]) -> str:
    if destination.get("erspan"):
        return "erspan_source"
    return "rspan_source" if destination.get("remote_vlan") else "local"


def _number(name: str, text: object) -> int | None:
    """Return *text*, hexadecimal with 0x or decimal, as a number."""
    if text is None:
        return None
    try:
        return int(str(text), 0)
    except ValueError:
        raise Refused(f"{name} {text!r} is not a number: write it as 0x88be or 35006") from None


def _source(options: Mapping[str, t.Any]) -> Source:
    interface, vlan = options.get("interface"), options.get("vlan")
    if (interface is None) == (vlan is None):
        raise Refused("a source is either an interface or a vlan: name exactly one of them")
    kind, name = ("interface", interface) if vlan is None else ("vlan", vlan)
    return Source(kind, str(name), options.get("direction") or "both")


def as_options(session: Session) -> dict[str, t.Any]:
    """Return what the module's user reads: the options that make *session*, `unknown` lines where there are some, and `foreign` where
    the platform has a place for our mark and it is not there.
    """
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in said(session).items()}
    destination: dict[str, t.Any] = {name: values[name] for name in ("interfaces", "reflector_port", "remote_vlan") if name in values}
    if erspan := {name: values[name] for name in ERSPAN if name in values}:
        destination["erspan"] = erspan
    options: dict[str, t.Any] = {
        "session": session.name,
        "type": session.type,
        **{name: values.get(name) for name in ("description", "enabled", "truncate", "sample", "bridge")},
        "sources": [{source.kind: _plain(source), "direction": source.direction} for source in session.sources],
        "destination": destination,
        "filter": {name: values[name] for name in ("vlans", "acl", "acl_type") if name in values},
        "unknown": list(session.unknown),
        "foreign": True if session.mine is False else None,
    }
    return {key: value for key, value in options.items() if value not in (None, [], {})}


def _plain(source: Source) -> str | int:
    return int(source.name) if source.kind == "vlan" and source.name.isdigit() else source.name
