# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch: rows of Mirror on a bridge. ERSPAN is a tunnel port of our own that a mirror sends to. Pure.

Whatever changes is one transaction, and the datapath's flows are purged after it: releases before 2.17.12, 3.0.8, 3.1.6, 3.2.4,
3.3.3 and 3.4.0 keep live traffic on the mirrors of before, and removing a mirror does not reach it in any release.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shlex
import typing as t

from ..settings.model import Refused
from .platform import Capabilities, Platform, options
from .session import DIRECTIONS, OWNER, Session, Source, normal
from .transcript import documents, said

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces", "bridge", "description", "vlans", "truncate"),
        "rspan_source": options("remote_vlan", "bridge", "description", "vlans", "truncate"),
        "erspan_source": options("destination_ip", "source_ip", "erspan_id", "ttl", "dscp", "header_type", "bridge", "description", "vlans"),
    },
    required={"local": ("bridge",), "rspan_source": ("bridge",), "erspan_source": ("bridge", "erspan_id")},
    directions={"interface": DIRECTIONS, "vlan": ("both",)},
    limits={"header_type": (2, 3), "truncate": (14, 65535)},
    reasons={
        "truncate": "its snaplen would cut the tunnel's packets, not the frames in them",
        "mtu": "a packet that does not fit the way to the collector vanishes there without a count",
    },
    immutable=frozenset({"bridge"}),
    can_disable=False,
    exclusive=(("vlan sources", "vlans"),),
    shared_sources=True,
)

#: One command, so that the tables are of one moment. Mirror is read whole: newer releases have a column more.
READ = shlex.join(
    "ovs-vsctl --timeout=10 --format=json -- --columns=name,mirrors list Bridge -- list Mirror"
    " -- --columns=_uuid,name,interfaces list Port -- --columns=_uuid,name,type,options,error list Interface".split()
)
PURGE = "ovs-appctl revalidator/purge"
#: Values of erspan_ver: ERSPAN II has 1 in its header, III has 2.
VERSIONS = {2: "1", 3: "2"}
#: Options of the tunnel that no session has: the index of type II, direction and hardware id of type III, and their defaults.
SILENT = frozenset({"erspan_idx", "erspan_dir", "erspan_hwid"})

Row = dict[str, t.Any]


def tunnel(name: str) -> str:
    """Return the name of the tunnel port of session *name*, within the 15 characters that Linux allows."""
    return f"er-{name}" if len(name) <= 12 else f"er-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def parse(text: str) -> dict[str, Session]:
    """Return the mirrors of all bridges."""
    try:
        tables = [_rows(document) for document in documents(said(text, READ))]
        if len(tables) < 4:
            return {}
        return _sessions(*tables[:4])
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise Refused("ovs-vsctl answers in a form that nobody here knows: compare its tables with ovs-vswitchd.conf.db(5)") from None


def _sessions(bridges: list[Row], mirrors: list[Row], ports: list[Row], interfaces: list[Row]) -> dict[str, Session]:
    devices = {row["_uuid"]: row for row in interfaces}
    members = {row["_uuid"]: (row["name"], devices.get(_one(row["interfaces"]), {})) for row in ports}
    homes = {mirror: row["name"] for row in bridges for mirror in _many(row["mirrors"])}
    found: dict[str, Session] = {}
    for row in mirrors:
        session = _session(row, homes.get(row["_uuid"]), members)
        if session.name in found:
            session = dataclasses.replace(session, unknown=(*session.unknown, "another mirror of the same name"))
        found[session.name] = session
    return found


def _rows(table: Mapping[str, t.Any]) -> list[Row]:
    """Return the rows of a table as ovs-vsctl writes it in JSON, {column: value}, a UUID as its text."""
    return [{head: _atom(value) for head, value in zip(table["headings"], row)} for row in table["data"]]


def _atom(value: t.Any) -> t.Any:
    return value[1] if isinstance(value, list) and value[0] == "uuid" else value


def _many(value: t.Any) -> list[t.Any]:
    """Return the members of a set, which is written as its only member where it has one."""
    return [_atom(item) for item in value[1]] if isinstance(value, list) and value[0] == "set" else [value]


def _one(value: t.Any) -> t.Any:
    return next(iter(_many(value)), None)


def _session(row: Row, bridge: str | None, members: Mapping[str, tuple[str, Row]]) -> Session:
    """Return the session of a *row* of Mirror. *members* has for each port's UUID its name and its interface."""
    ways = {way: [members[port][0] for port in _many(row[f"select_{way}_port"]) if port in members] for way in ("src", "dst")}
    sources = [Source("interface", name, direction) for way, direction in (("src", "rx"), ("dst", "tx")) for name in ways[way]]
    vlans, notes = tuple(_many(row["select_vlan"])), dict(row["external_ids"][1])
    everything = row["select_all"] is True
    if everything and vlans and not sources:
        sources, vlans, everything = [Source("vlan", str(vlan)) for vlan in vlans], (), False
    port, device = members.get(_one(row["output_port"]), (None, {}))
    remote_vlan, snaplen = _one(row["output_vlan"]), _one(row["snaplen"])
    unknown = [*(["select_all"] if everything else []), *([f"filter {row['filter']}"] if _one(row.get("filter", ["set", []])) else [])]
    session = Session(
        str(row["name"]), "rspan_source" if remote_vlan is not None and port is None else "local", bridge=bridge, enabled=True,
        sources=tuple(sources), vlans=vlans, truncate=snaplen, remote_vlan=remote_vlan, description=notes.get("description"),
        interfaces=(port,) if port else (), unknown=tuple(unknown), mine=notes.get("owner") == OWNER,
        fault=_fault(port, remote_vlan, device),
    )  # fmt: skip
    return normal(_tunnelled(session, port, device) if device.get("type") == "erspan" else session)


def _fault(port: str | None, remote_vlan: int | None, device: Row) -> str | None:
    if port is None and remote_vlan is None:
        return "it has no output"
    error = _one(device.get("error", ["set", []]))
    return str(error) if error else None


def _tunnelled(session: Session, port: str | None, device: Row) -> Session:
    """Return *session* as one that ends in the ERSPAN tunnel *device*."""
    left = dict(device["options"][1])
    version, tos, ttl = left.pop("erspan_ver", ""), left.pop("tos", None), left.pop("ttl", None)
    ends = left.pop("remote_ip", None), left.pop("local_ip", None)
    key = left.pop("key", None)
    unknown = [f"option {name}={value}" for name, value in sorted(left.items()) if name not in SILENT]
    theirs = (port,) if port and port != tunnel(session.name) else ()
    unknown += [f"output port {name}" for name in theirs]
    unknown += [f"option {name}={value}" for name, value in (("key", key), ("tos", tos), ("ttl", ttl)) if _number(value) is None and value]
    dscp = _number(tos)
    return dataclasses.replace(
        session, type="erspan_source", interfaces=theirs, destination_ip=ends[0], source_ip=ends[1], erspan_id=_number(key),
        header_type=next((header for header, value in VERSIONS.items() if value == version), None),
        dscp=None if dscp is None else dscp >> 2, ttl=_number(ttl), unknown=(*session.unknown, *unknown),
    )  # fmt: skip


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 0)
    except ValueError:
        return None


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return one transaction, and the purge that makes the running flows follow it."""
    if want == have:
        return []
    if want is not None:
        return [_transaction(_reach(want, have)), PURGE]
    return [_transaction(_gone(have)), PURGE] if have else []


def _transaction(actions: Iterable[list[str]]) -> str:
    return shlex.join(["ovs-vsctl", "--timeout=10", *(word for action in actions for word in ("--", *action))])


def _gone(have: Session) -> Iterable[list[str]]:
    """Yield what removes *have*; the port of a tunnel that is not ours stays."""
    yield ["--id=@m", "get", "Mirror", have.name]
    yield ["remove", "Bridge", str(have.bridge), "mirrors", "@m"]
    if _own_port(have) and have.mine is not False:
        yield _without_port(have)


def _without_port(session: Session) -> list[str]:
    return ["--if-exists", "del-port", str(session.bridge), tunnel(session.name)]


def _own_port(session: Session) -> bool:
    """Whether the tunnel of *session* is called as ours are; the port of a mirror that was made by others is among its interfaces."""
    return session.type == "erspan_source" and not session.interfaces


def _reach(want: Session, have: Session | None) -> Iterable[list[str]]:
    """Yield what makes *want*: its tunnel port if it has one of ours, and all columns of its mirror."""
    ways = {way: [s.name for s in want.sources if s.kind == "interface" and s.direction in (way, "both")] for way in ("rx", "tx")}
    output = tunnel(want.name) if _own_port(want) else next(iter(want.interfaces), None)
    if _own_port(want):
        yield ["--may-exist", "add-port", str(want.bridge), tunnel(want.name), *_port(want)]
    handles = {name: f"@p{number}" for number, name in enumerate(sorted({*ways["rx"], *ways["tx"], *([output] if output else [])}))}
    for name, handle in handles.items():
        yield [f"--id={handle}", "get", "Port", name]
    columns = [
        f"select_src_port={_set(handles[name] for name in ways['rx'])}",
        f"select_dst_port={_set(handles[name] for name in ways['tx'])}",
        *_vlans(want),
        f"output_port={handles[output] if output else '[]'}",
        f"output_vlan={want.remote_vlan or '[]'}",
        f"snaplen={want.truncate or '[]'}",
        *_notes(want),
    ]
    if have:
        yield ["set", "Mirror", want.name, *columns]
        if want.mine is False:
            yield ["remove", "Mirror", want.name, "external_ids", "owner"]
        if _own_port(have) and not _own_port(want):
            yield _without_port(have)
        return
    yield ["--id=@m", "create", "Mirror", f"name={want.name}", *columns]
    yield ["add", "Bridge", str(want.bridge), "mirrors", "@m"]


def _set(items: Iterable[t.Any]) -> str:
    return ",".join(str(item) for item in items) or "[]"


def _vlans(want: Session) -> list[str]:
    whole = [source.name for source in want.sources if source.kind == "vlan"]
    return [f"select_all={'true' if whole else 'false'}", f"select_vlan={_set(whole or want.vlans)}"]


def _notes(want: Session) -> list[str]:
    described = [f'external_ids:description="{want.description}"'] if want.description else []
    return [*([] if want.mine is False else [f"external_ids:owner={OWNER}"]), *described]


def _port(want: Session) -> list[str]:
    """Return the words that follow add-port: the whole of the tunnel's options, so that none of before is left."""
    values: dict[str, t.Any] = {
        "remote_ip": want.destination_ip, "local_ip": want.source_ip, "key": want.erspan_id, "ttl": want.ttl,
        "tos": None if want.dscp is None else want.dscp << 2, "erspan_ver": VERSIONS[want.header_type or 2],
    }  # fmt: skip
    if want.header_type == 3:
        values["erspan_dir"] = int(all(source.direction == "tx" for source in want.sources))
    inside = ",".join(f"{name}={value}" for name, value in values.items() if value is not None)
    return ["--", "set", "Interface", tunnel(want.name), "type=erspan", f"options={{{inside}}}", f"external_ids:owner={OWNER}"]


PLATFORM = Platform(
    name="ovs",
    systems=("ovs", "openvswitch"),
    reads=(READ,),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    host=True,
    finish=(PURGE,),
)
