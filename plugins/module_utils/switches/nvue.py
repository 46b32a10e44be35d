# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA Cumulus by NVUE: sessions 0 to 7, one direction each, changed as a pending configuration that is applied at once. Pure.

Ports and addresses are sets, to which `nv set` adds, so a session is unset and set anew within one pending configuration; the
switch applies only what differs. What failed before its `nv config apply` is still pending, and is taken as a session to redo.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..settings.model import Refused
from .names import ports
from .platform import Capabilities, Platform, options
from .session import Session, Source, normal
from .transcript import documents, said

if t.TYPE_CHECKING:
    from collections.abc import Iterable

CAPABILITIES = Capabilities(
    types={
        "local": options("interfaces", "truncate"),
        "erspan_source": options("destination_ip", "source_ip", "truncate"),
    },
    numbers=(0, 7),
    required={"erspan_source": ("source_ip",)},
    directions={"interface": ("rx", "tx")},
    limits={"truncate": (4, 4088)},
    reasons={
        "direction both of interface sources": "a session has one direction there, so make two sessions",
        "vlan sources": "it mirrors ports only",
        "erspan_id": "its ERSPAN is plain GRE without an id",
        "header_type": "its ERSPAN is plain GRE without a header",
        "vrf": "the collector is reached by the default VRF",
    },
    one_direction=True,
    shared_sources=True,
)

APPLIED = "nv show system port-mirror session --applied -o json"
PENDING = "nv config diff -o commands"
APPLY = "nv config apply -y"
DIRECTIONS = {"ingress": "rx", "egress": "tx"}
KINDS = {"span": "local", "erspan": "erspan_source"}
#: What nv says of a session below span and erspan, and a session has.
FIELDS = frozenset({"destination", "direction", "source-port", "truncate", "enable"})

_OURS = re.compile(r"nv (?:set|unset) system port-mirror session ([0-9]{1,2})\b.*")


def parse(text: str) -> dict[str, Session]:
    """Return the applied sessions; one that has pending changes has no sources, so that it is set anew whatever is wanted."""
    try:
        tree: t.Any = next(iter(documents(said(text, APPLIED))), {})
        found = {name: _session(name, kinds) for name, kinds in tree.items() if kinds}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused(f"nv answers in a form that nobody here knows: look at {APPLIED}") from None
    for name in {match[1] for line in _pending(text) if (match := _OURS.fullmatch(line))}:
        found[name] = dataclasses.replace(found.get(name, Session(name)), sources=())
    return found


def _pending(text: str) -> list[str]:
    return [line.strip() for line in said(text, PENDING).splitlines() if line.strip().startswith(("nv set ", "nv unset "))]


def refuse(want: Session, text: str) -> None:
    """Raise Refused where applying would also apply what is pending elsewhere."""
    foreign = [line for line in _pending(text) if not ((match := _OURS.fullmatch(line)) and match[1] == want.name)]
    if foreign:
        raise Refused(f"other changes are pending ({foreign[0]}): have them applied, or dropped with nv config detach")


def _session(name: str, kinds: dict[str, t.Any]) -> Session:
    word = "erspan" if kinds.get("erspan") else "span"
    values = kinds.get(word) or {}
    where = values.get("destination") or {}
    direction = DIRECTIONS.get(values.get("direction", ""))
    members = [name for text in values.get("source-port") or {} for name in ports(text)]
    far, near = (sorted(where.get(end) or {}) if word == "erspan" else [] for end in ("dest-ip", "source-ip"))
    odd = [*(f"{word} {key}" for key in sorted(values) if key not in FIELDS), *(f"{kind} beside {word}" for kind in sorted(kinds) if kind != word)]
    odd += ["no direction"] if direction is None and members else []
    return normal(Session(
        name, KINDS[word], enabled=values.get("enable", "on") != "off",
        sources=tuple(Source("interface", port, direction or "both") for port in members),
        interfaces=tuple(where) if word == "span" else (),
        destination_ip=far[0] if len(far) == 1 else None, source_ip=near[0] if len(near) == 1 else None,
        truncate=_size(values.get("truncate")), unknown=tuple(odd),
    ))  # fmt: skip


def _size(truncate: dict[str, t.Any] | None) -> int | None:
    size = str((truncate or {}).get("size"))
    return int(size) if size.isdecimal() else None


def render(want: Session | None, have: Session | None) -> list[str]:
    """Return the commands that prepare and apply *want*."""
    if want == have:
        return []
    gone = [f"nv unset system port-mirror session {have.name}"] if have else []
    return [*gone, *(_lines(want) if want else ()), APPLY]


def _lines(want: Session) -> Iterable[str]:
    if want.truncate and want.truncate % 4:
        raise Refused(f"nvue takes truncate as a multiple of 4, not {want.truncate}")
    word = "erspan" if want.type == "erspan_source" else "span"
    head = f"nv set system port-mirror session {want.name} {word}"
    yield f"{head} direction {'ingress' if want.sources[0].direction == 'rx' else 'egress'}"
    yield from (f"{head} source-port {source.name}" for source in want.sources)
    yield from (f"{head} destination {name}" for name in want.interfaces)
    if word == "erspan":
        yield f"{head} destination source-ip {want.source_ip}"
        yield f"{head} destination dest-ip {want.destination_ip}"
    if want.truncate:
        yield f"{head} truncate size {want.truncate}"
    if want.enabled is False:
        yield f"{head} enable off"


PLATFORM = Platform(
    name="nvue",
    systems=("nvue", "cumulus"),
    reads=(APPLIED, PENDING),
    parse=parse,
    render=render,
    caps=CAPABILITIES,
    refuse=refuse,
    save="nv config save",
    host=True,
)
