# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrored packets that a device receives end after the capture has seen them, so that the kernel does not answer them by ICMP.

A filter of tc in BPF needs neither nftables nor an action module, and packet sockets see what comes before it.
"""

from __future__ import annotations

import json
import typing as t

from .model import Gone, Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

#: Where our filter stands among those of others; the number is how it is known again.
PREFERENCE = 47147
_SHOT, _NEXT = 2, 0xFFFFFFFF
#: (code, if true, if false, k): protocol 47 in IPv4 or IPv6 is dropped, all else left to the next filter.
PROGRAM = (
    (0x28, 0, 0, 12), (0x15, 0, 2, 0x0800), (0x30, 0, 0, 23), (0x05, 0, 0, 2), (0x15, 0, 3, 0x86DD), (0x30, 0, 0, 20),
    (0x15, 0, 1, 47), (0x06, 0, 0, _SHOT), (0x06, 0, 0, _NEXT),
)  # fmt: skip


class TcDrop(Kind):
    """Key ("tc_drop", device, "gre"); value whether received GRE is dropped. The name `clsact` is the qdisc that filters hang on."""

    name = "tc_drop"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        qdiscs = _ask(host, "qdisc", "show", "dev", scope)
        filters = [_ask(host, "filter", "show", "dev", scope, side) for side in ("ingress", "egress")] if has_clsact(qdiscs) else []
        values = {"gre": any(map(is_ours, filters[0])) if filters else False, "clsact": has_clsact(qdiscs)}
        taken = any(row.get("pref") == PREFERENCE and "options" in row and not is_ours(row) for rows in filters[:1] for row in rows)
        return Reading(values, {"taken": taken, "ingress": any(row.get("kind") == "ingress" for row in qdiscs)})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        if reading.facts["taken"]:
            raise Refused(f"{scope} has a tc filter of somebody else with preference {PREFERENCE}: give that another one")
        if reading.facts["ingress"]:
            raise Refused(f"{scope} has the qdisc ingress, which clsact would replace with all its filters: let its owner use clsact")
        for name, wish in wanted.items():
            if name != "gre" or not isinstance(wish, bool):
                raise Refused(f"{name} {wish!r}: what tc can drop here is gre, true or false")
        return dict(wanted)

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        found = []
        if wanted.get("gre"):
            code = ",".join([str(len(PROGRAM)), *(" ".join(map(str, step)) for step in PROGRAM)])
            found.append(["tc", "qdisc", "replace", "dev", scope, "clsact"])
            found.append([*_place("add", scope), "protocol", "all", "bpf", "da", "bytecode", code])
        elif "gre" in wanted:
            found.append(_place("delete", scope))
        if wanted.get("clsact") is False:
            found.append(["tc", "qdisc", "delete", "dev", scope, "clsact"])
        return found

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        """The qdisc goes only when it is empty: others may have hung their filters on it meanwhile."""
        if wanted.get("clsact") is False and "gre" not in wanted:
            filters = [row for side in ("ingress", "egress") for row in _ask(host, "filter", "show", "dev", scope, side)]
            if filters:
                raise Refused(f"{scope} keeps its qdisc clsact: filters of somebody else are on it")
        super().write(host, scope, wanted, current)


def _place(verb: str, device: str) -> list[str]:
    return ["tc", "filter", verb, "dev", device, "ingress", "pref", str(PREFERENCE)]


def _ask(host: Host, *words: str) -> list[dict[str, t.Any]]:
    done = host.run(["tc", "-j", *words])
    if "Cannot find device" in done.err:
        raise Gone(f"there is no network device {words[3]!r}")
    try:
        rows = json.loads(done.out or "[]")
    except ValueError:
        rows = None
    if done.rc or not isinstance(rows, list):
        raise Refused(f"{done.command}: {done.message}")
    return [row for row in rows if isinstance(row, dict)]


def has_clsact(qdiscs: list[dict[str, t.Any]]) -> bool:
    return any(row.get("kind") == "clsact" for row in qdiscs)


def is_ours(row: Mapping[str, t.Any]) -> bool:
    """Whether a row of `tc -j filter show` is our program at our place. Pure."""
    options = row.get("options") or {}
    steps = [tuple(step.get(part) for part in ("code", "jt", "jf", "k")) for step in (options.get("bytecode") or {}).get("insns", ())]
    return row.get("pref") == PREFERENCE and bool(options.get("direct-action")) and tuple(steps) == PROGRAM
