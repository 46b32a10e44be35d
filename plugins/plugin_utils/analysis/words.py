# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer in plain words. Pure: sentences of what the report holds."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: Rewrites and connections that get a sentence of their own.
SHOWN = 5
#: The only field whose change says that something is wrong.
_CE = 3
#: What the bound of a loss says already.
_BOUNDED = ("drops", "drops_untrusted")
#: Why nothing is known of what passed a vantage; one that is empty has an answer.
_UNSEEN = ("failed", "unreadable")


def answer(hops: Sequence[Mapping[str, t.Any]]) -> str:
    """Return what report.schema.json calls verdict.answer."""
    if not any(hop["seen"] for hop in hops):
        return "unknown"
    if any(hop["lost_in_network"]["min"] for hop in hops):
        return "network_loss"
    return "possible_network_loss" if any(hop["lost_in_network"]["max"] for hop in hops) else "no_loss"


def sentences(report: Mapping[str, t.Any]) -> list[str]:
    hops, vantages = report["path"]["hops"], report["vantages"]
    found = [*_loss(hops, vantages), *_failed(vantages), *_capture(vantages), *_marks(report["rewrites"]), *_roce(report["connections"]["rows"])]
    found += [*_contradictions(report["counters"]), *_unknown(report["unknown"]), *_clocks(vantages)]
    return found or ["Nothing was captured, so nothing can be said."]


def _loss(hops: Sequence[Mapping[str, t.Any]], vantages: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    found = answer(hops)
    if found == "unknown":
        usable = [vantage["vantage"] for vantage in vantages if vantage["usable"]]
        if len(usable) < 2:
            yield f"Where packets were lost cannot be said: {'only ' + usable[0] if usable else 'no vantage'} can be looked at, and loss shows between two."
        else:
            yield f"Where packets were lost cannot be said: {', '.join(usable)} have no packet in common."
        return
    seen = sum(hop["seen"] for hop in hops)
    if found == "no_loss":
        checked = sum(hop["packets"] - hop["unknown"] - hop["outside_window"] - hop["not_mirrored"] for hop in hops)
        yield f"No packet was lost in the network: all of the {checked} passages that could be checked between vantages were accounted for."
    for hop in sorted(hops, key=lambda hop: -hop["lost_in_network"]["max"]):
        if hop["lost_in_network"]["max"]:
            yield _lost(hop)
    if found != "no_loss":
        yield f"Beside that, {seen} passages from one vantage to the next were seen."


def _lost(hop: Mapping[str, t.Any]) -> str:
    low, high = hop["lost_in_network"]["min"], hop["lost_in_network"]["max"]
    between = f"between {hop['from']} and {hop['to']}"
    of = f" of {hop['packets']}"
    if low == high:
        return f"The network lost {_packets(low)}{of} {between}, on the way from {hop['from']} to {hop['to']}."
    if low:
        return f"The network lost at least {low} and at most {_packets(high)}{of} {between}, on the way from {hop['from']} to {hop['to']}."
    return (
        f"{_packets(high).capitalize()}{of} did not get from {hop['from']} to {hop['to']}: lost in the network, or by the capture at "
        f"{hop['to']}, whose drops may explain all of "
        "them."
    )


def _packets(count: int) -> str:
    return "1 packet" if count == 1 else f"{count} packets"


def _failed(vantages: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for vantage in vantages:
        for found in vantage["reasons"]:
            if not vantage["usable"] and found["code"] in _UNSEEN:
                yield f"Nothing of this is about what passed {vantage['vantage']}: {found['text'][0].lower()}{found['text'][1:]}"


def _capture(vantages: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for vantage in vantages:
        if vantage["missed"]:
            yield (
                f"The capture at {vantage['vantage']} missed {_packets(vantage['missed'])} that were seen elsewhere on their way: "
                f"the network did not lose {'it' if vantage['missed'] == 1 else 'them'}."
            )


def _marks(rewrites: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for change in rewrites:
        if change["field"] == "ecn" and change["after"] == _CE:
            yield (
                f"{_packets(change['packets']).capitalize()} were marked as congestion experienced between {change['from']} and "
                f"{change['to']}, on the way to "
                f"{change['to']}."
            )
    for change in [change for change in rewrites if change["field"] == "dscp"][:SHOWN]:
        yield (
            f"{_packets(change['packets']).capitalize()} changed DSCP from {change['before']} to {change['after']} between {change['from']} "
            f"and {change['to']}."
        )


def _roce(rows: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    troubled = [(row, entry) for row in rows for entry in row["roce"] or () if entry["retransmitted"] or entry["naks"] or entry["rnr_naks"]]
    troubled.sort(key=lambda pair: -pair[1]["retransmitted"])
    for row, entry in troubled[:SHOWN]:
        asks, answers = (row["a"], row["b"]) if entry["requester"] == "a" else (row["b"], row["a"])
        naks = ", ".join(f"{count} NAK ({name})" for name, count in sorted(entry["naks"].items()))
        parts = [
            f"repeated {_packets(entry['retransmitted'])} in {entry['go_back_n']} episodes" if entry["retransmitted"] else "",
            f"got {naks}" if naks else "",
            f"got {entry['rnr_naks']} RNR NAK" if entry["rnr_naks"] else "",
        ]
        yield f"{asks['address']}, sending to queue pair {answers['qp']:#x} of {answers['address']}, {' and '.join(part for part in parts if part)}."
    if len(troubled) > SHOWN:
        yield f"{len(troubled) - SHOWN} more RoCE connections repeated packets or got NAKs."


def _contradictions(counters: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for entry in counters:
        for reading in entry["readings"]:
            if reading["agrees"] is False:
                yield f"{entry['vantage']}: {reading['text']}"


def _unknown(rows: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for row in sorted((row for row in rows if row["verdict"] == "unknown" and row["code"] not in _BOUNDED), key=lambda row: -row["packets"])[:SHOWN]:
        yield f"Of {_packets(row['packets'])} from {row['from']} to {row['to']} nobody can say what became: {row['text'][0].lower()}{row['text'][1:]}"


def _clocks(vantages: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    for vantage in vantages:
        jumps = vantage["clock"]["jumps"]
        if jumps:
            yield f"The clock of {vantage['vantage']} jumped by {jumps[0]['by_s']:+.3f} s during the capture; its times were corrected."
