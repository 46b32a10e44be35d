# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SONiC: the table MIRROR_SESSION of CONFIG_DB, written by `config mirror_session`, which checks what it is given. Pure.

Nothing is edited: a session that exists is refused with exit code 0, so whatever changes is removed and added. Sources of a
session share one direction. An argument that comes before the sources cannot be left out: DSCP and TTL then have SONiC's own
defaults, and the GRE protocol has to be said, since its default is another one on Mellanox.
"""

from __future__ import annotations

import dataclasses
import shlex
import typing as t

from ..settings.model import Refused
from .names import namer
from .platform import Capabilities, Platform, options
from .session import DIRECTIONS, OPTIONS, Session, Source, normal
from .transcript import documents, said

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces"),
        "erspan_source": options("destination_ip", "source_ip", "ttl", "dscp", "gre_protocol"),
    },
    name=r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}",
    required={"erspan_source": ("source_ip", "gre_protocol")},
    directions={"interface": DIRECTIONS},
    limits={"ttl": (0, 255)},
    reasons={
        "erspan_id": "its sessions have no id",
        "header_type": "the ASIC decides which header it writes",
        "vrf": "the collector is reached by the default VRF",
        "sample": "only its newest releases can, and their way is not known here yet",
        "truncate": "only its newest releases can, and their way is not known here yet",
        "vlan sources": "it mirrors ports and port channels only",
    },
    immutable=frozenset(OPTIONS),
    can_disable=False,
    one_direction=True,
    shared_sources=True,
)

CONFIG = "sonic-cfggen -d --var-json MIRROR_SESSION"
STATE = shlex.join(["sonic-db-dump", "-n", "STATE_DB", "-k", "MIRROR_SESSION_TABLE*", "-y"])
DSCP, TTL, QUEUE = 8, 255, "0"
#: Fields of a row that a session has, and those whose value means nothing.
FIELDS = frozenset({"type", "src_ip", "dst_ip", "gre_type", "dscp", "ttl", "dst_port", "src_port", "direction"})
NOTHING = {"queue": QUEUE, "policer": "", "sample_rate": "0", "truncate_size": "0"}

canonical = namer({"Ethernet": "e", "PortChannel": "po"})


def parse(text: str) -> dict[str, Session]:
    """Return the sessions of CONFIG_DB, with what STATE_DB says of those that are not active."""
    try:
        rows: t.Any = next(iter(documents(said(text, CONFIG))), {})
        states: t.Any = next(iter(documents(said(text, STATE))), {})
        return {name: _session(name, row, states.get(f"MIRROR_SESSION_TABLE|{name}")) for name, row in rows.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused("sonic-cfggen answers in a form that nobody here knows: look at sonic-cfggen -d --var-json MIRROR_SESSION") from None


def _session(name: str, row: dict[str, str], state: dict[str, t.Any] | None) -> Session:
    status = (state or {}).get("value", {}).get("status")
    direction = row.get("direction", "both").lower()
    ports = [port for port in row.get("src_port", "").split(",") if port]
    session = Session(
        name,
        "local" if row.get("type", "ERSPAN").upper() == "SPAN" else "erspan_source",
        enabled=True,
        sources=tuple(Source("interface", port, direction if direction in DIRECTIONS else "both") for port in ports),
        interfaces=(row["dst_port"],) if row.get("dst_port") else (),
        destination_ip=row.get("dst_ip"),
        source_ip=row.get("src_ip"),
        ttl=_number(row.get("ttl")),
        dscp=_number(row.get("dscp")),
        gre_protocol=_number(row.get("gre_type")),
        fault=f"STATE_DB says {status}: the collector needs a route and a resolved neighbour" if status == "inactive" else None,
    )
    odd = {key: value for key, value in row.items() if key not in FIELDS and str(value) != NOTHING.get(key)}
    return normal(dataclasses.replace(session, unknown=tuple(f"{key} {value}" for key, value in sorted(odd.items()))))


def _number(text: t.Any) -> int | None:
    return None if text in (None, "") else int(str(text), 0)


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the removal of what there is and the making of what is wanted."""
    if want == have:
        return []
    gone = [f"config mirror_session remove {have.name}"] if have else []
    return gone + ([shlex.join(_added(want))] if want else [])


def _added(want: Session) -> list[str]:
    ports, direction = ",".join(source.name for source in want.sources), want.sources[0].direction
    if want.type == "local":
        return ["config", "mirror_session", "span", "add", want.name, *want.interfaces, ports, direction]
    ends = [str(want.source_ip), str(want.destination_ip)]
    numbers = [str(DSCP if want.dscp is None else want.dscp), str(TTL if want.ttl is None else want.ttl), str(want.gre_protocol), QUEUE]
    return ["config", "mirror_session", "erspan", "add", want.name, *ends, *numbers, ports, direction]


PLATFORM = Platform(
    name="sonic",
    systems=("sonic",),
    reads=(CONFIG, STATE),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    interface=canonical,
    save="config save -y",
    host=True,
)
