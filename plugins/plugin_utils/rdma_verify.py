# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds what two hosts captured against what perftest says they sent, test by test and host by host."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.host import CommandMissing
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.reading import read
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce_check import End, Sent, Tally, Watch, problems

from . import progress, units

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What the playbook leaves beside campaign.json: {host: result of the module perftest} for both hosts.
REPORT = "perftest.json"
SIDES = ("client", "server")
HEADINGS = ("test", "captured at", "packets", "messages", "bytes", "PSNs missing", "repeated", "DSCP", "verdict")


class Row(t.NamedTuple):
    """One test as one host's capture has it; *problems* are sentences, empty where it holds what was sent."""

    test: str
    host: str
    packets: int
    messages: int
    messages_sent: int
    bytes: int
    bytes_sent: int
    missing: int
    repeated: int
    dscps: list[int]
    problems: list[str]


def verify(folder: str, manifest: Mapping[str, t.Any], reported: Mapping[str, t.Any]) -> list[Row]:
    """Return a row for each test and host; raises Unusable where perftest or the capture did not come to an end."""
    try:
        hosts = sides(reported)
        runs = {side: reported[hosts[side]]["runs"] for side in SIDES}
        watches = {side: Watch(sent(runs, side)) for side in SIDES}
    except units.Unusable:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as wrong:
        raise units.Unusable(f"{folder}/{REPORT} is not what the module perftest returns ({type(wrong).__name__}: {wrong}).") from wrong
    damage = {side: list(_watch(folder, manifest, hosts[side], watches[side])) for side in SIDES}
    names = [f"{run['verb']} {run['size']} B" for run in runs["client"]]
    return [
        row(name, hosts[side], watches[side].tallies[number], damage[side]) for number, name in enumerate(names) for side in SIDES
    ]


def sides(reported: Mapping[str, t.Any]) -> dict[str, str]:
    """Return which host was client and which server; raises Unusable where a test failed on one. Pure."""
    unasked = "it was not asked, since a host did not arm"
    errors = [f"{host}: {result.get('msg') or unasked}." for host, result in reported.items() if "runs" not in result]
    if errors:
        raise units.Unusable(f"the tests did not all run. {' '.join(errors)}")
    found = {result["role"]: host for host, result in reported.items()}
    if set(found) != set(SIDES):
        raise units.Unusable(f"there must be a client and a server, not {', '.join(found)}.")
    return found


def sent(runs: Mapping[str, t.Any], side: str) -> list[Sent]:
    """Return the tests as the client reports them, each with its beginning by the clock of *side*. Pure.

    Raises Unusable where the two sides do not speak of the same connections.
    """
    if not runs["client"] or len(runs["client"]) != len(runs["server"]):
        raise units.Unusable("client and server did not run the same tests.")
    pairs = zip(runs["client"], runs["server"])
    return [_sent(client, server, run["began_ns"]) for (client, server), run in zip(pairs, runs[side])]


def _sent(client: Mapping[str, t.Any], server: Mapping[str, t.Any], began_ns: int) -> Sent:
    if (client["local"], client["remote"]) != (server["remote"], server["local"]) or client["verb"] != server["verb"]:
        raise units.Unusable(f"client and server do not speak of the same connection: {client['command']} and {server['command']}.")
    one, other = (End(bytes.fromhex(end["gid"]), end["qp"]) for end in (client["local"], client["remote"]))
    dscp = None if client["tos"] is None else client["tos"] >> 2
    return Sent(client["verb"], client["size"], client["iterations"], one, other, dscp, began_ns)


def _watch(folder: str, manifest: Mapping[str, t.Any], host: str, watch: Watch) -> Iterable[str]:
    """Show *watch* all that *host* captured; yield what could not be read."""
    paths = [file["path"] for vantage in manifest["vantages"] if vantage["host"] == host for file in vantage["files"] if "/raw/" in file["path"]]
    stayed = [file for vantage in manifest["vantages"] if vantage["host"] == host for file in vantage.get("left_out", ())]
    if not paths:
        yield "its captures stayed on the host, verify with campaign_collect: whole" if stayed else "it captured nothing"
    for path in sorted(paths):
        try:
            damage = read(os.path.join(folder, path), watch)
        except (OSError, CommandMissing) as error:
            damage = str(error)
        if damage:
            yield f"{path}: {damage}"


def row(name: str, host: str, tally: Tally, damage: list[str]) -> Row:
    """Return what a user reads of one tally. Pure."""
    test = tally.test
    return Row(
        name, host, tally.packets, tally.messages, test.messages, tally.payload, test.messages * test.size,
        tally.data.missing, tally.data.repeated, sorted(tally.dscps), problems(tally) + damage,
    )  # fmt: skip


def table(rows: Iterable[Row]) -> str:
    """Return the table, a line for each test and host. Pure."""
    return progress.table(HEADINGS, [_line(row) for row in rows])


def _line(row: Row) -> list[str]:
    return [
        row.test, row.host, str(row.packets), f"{row.messages}/{row.messages_sent}", f"{row.bytes}/{row.bytes_sent}",
        str(row.missing), str(row.repeated), ", ".join(map(str, row.dscps)) or "-", "; ".join(row.problems) or "ok",
    ]  # fmt: skip


def sentences(rows: Iterable[Row]) -> list[str]:
    """Return one sentence for each row that is not ok. Pure."""
    return [f"{row.test} at {row.host}: {'; '.join(row.problems)}." for row in rows if row.problems]
