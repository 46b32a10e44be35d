# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts counted beside what the captures show, and whether the two agree. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils.verdict import moved_counters

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: More than a few, since counters are read a little before and after the window.
FEW = 3


class Meaning(t.NamedTuple):
    """A counter (its last name), the figure on the wire that it should agree with, and what it counts."""

    pattern: str
    figure: str
    text: str


class Fact(t.NamedTuple):
    pattern: str
    text: str


#: Names: Linux Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst, drivers/infiniband/hw/mlx5/counters.c,
#: drivers/infiniband/sw/rxe/rxe_hw_counters.c, Intel's irdma README.
COMPARED = (
    Meaning(r"packet_seq_err|rcvd_seq_err", "sequence_naks_received", "NAKs for a PSN sequence error that it received"),
    Meaning(r"rnr_nak_retry_err|rcvd_rnr_err", "rnr_naks_received", "RNR NAKs that it received"),
    Meaning(r"rp_cnp_handled|cnpHandled", "cnps_received", "congestion notifications that it received"),
    Meaning(r"np_cnp_sent|cnpSent", "cnps_sent", "congestion notifications that it sent"),
    Meaning(r"np_ecn_marked_roce_packets|RxECNMrkd", "marks_received", "packets marked as congestion experienced that it received"),
    Meaning(r"duplicate_request", "repeats_received", "requests that it received again"),
)
NOTED = (
    Fact(r"rx_discards_phy", "the NIC discarded {by} packets for want of buffer: lost behind the last vantage of the wire, in the host"),
    Fact(r"rx_out_of_buffer|out_of_buffer", "{by} packets found no receive buffer: lost in the host, or by the capture's own queue"),
    Fact(r"rx_missed_errors|rx_fifo_errors|rx_dropped", "the interface dropped {by} packets on receipt ({name})"),
    Fact(r"rx_crc_errors_phy|rx_crc_errors", "{by} frames came damaged: a cable or transceiver loses packets"),
    Fact(r"rx_icrc_encapsulated", "{by} RoCE packets came with a wrong ICRC"),
    Fact(r"out_of_sequence|out_of_seq_request", "its responder saw {by} packets with a PSN it did not expect: some before them were lost or came late"),
    Fact(r"local_ack_timeout_err", "{by} times its requester waited for an ACK in vain"),
    Fact(r"implied_nak_seq_err", "{by} times its requester saw a gap in what a READ returned"),
    Fact(r"(req_transport_)?retries_exceeded|retry_exceeded_err", "{by} times it gave up repeating"),
    Fact(r"rx_prio\d_pause|rx_pause_ctrl_phy", "it was asked to pause {by} times ({name})"),
    Fact(r"tx_prio\d_pause|tx_pause_ctrl_phy", "it asked its neighbour to pause {by} times ({name})"),
    Fact(r"softnet_dropped", "the kernel dropped {by} packets before anything could look at them"),
)


def moved(before: t.Any, after: t.Any) -> dict[str, float]:
    """Return by how much each counter grew, those of softnet summed over CPUs."""
    found = moved_counters(before, after)
    for name in ("dropped", "time_squeeze"):
        by = _softnet(after, name) - _softnet(before, name)
        if by > 0:
            found[f"softnet_{name}"] = by
    return found


def _softnet(snapshot: t.Any, name: str) -> int:
    return sum(cpu.get(name, 0) for cpu in (snapshot or {}).get("softnet") or [])


def readings(grown: Mapping[str, float], wire: Mapping[str, int], read: bool) -> list[dict[str, t.Any]]:
    """Return sentences: what agrees, what contradicts, and what only the host knows. *wire* is by Meaning.figure; *read* whether
    there are counters of RDMA at all."""
    found = [*_compared(grown, wire, read), *_noted(grown)]
    return sorted(found, key=lambda reading: (reading["agrees"] is not False, reading["agrees"] is None))


def _compared(grown: Mapping[str, float], wire: Mapping[str, int], read: bool) -> Iterator[dict[str, t.Any]]:
    for meaning in COMPARED:
        by, seen = _most(grown, meaning.pattern), wire.get(meaning.figure, 0)
        if (by or seen) and read:
            yield _compare(meaning, by, seen)


def _compare(meaning: Meaning, by: float | None, seen: int) -> dict[str, t.Any]:
    count = int(by or 0)
    if abs(count - seen) <= max(FEW, 0.1 * max(count, seen)):
        return {"agrees": True, "text": f"The host counted {count} {meaning.text}; the captures show {seen}."}
    if count > seen:
        why = "the capture missed some, or they came outside its window"
    else:
        why = "the host does not count them here, or what the capture shows was not meant for it"
    return {"agrees": False, "text": f"The host counted {count} {meaning.text}, but the captures show {seen}: {why}."}


def _noted(grown: Mapping[str, float]) -> Iterator[dict[str, t.Any]]:
    for fact in NOTED:
        for name, by in sorted(grown.items()):
            if re.fullmatch(fact.pattern, _last(name)):
                text = fact.text.format(by=int(by), name=_last(name))
                yield {"agrees": None, "text": text[0].upper() + text[1:] + "."}


def _most(grown: Mapping[str, float], pattern: str) -> float | None:
    return max((by for name, by in grown.items() if re.fullmatch(pattern, _last(name))), default=None)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def figures(rows: Sequence[Mapping[str, t.Any]], vantage: str, marks: int) -> dict[str, int]:
    """Return what the wire shows of the host at *vantage*: it asks where its requests are read, and answers elsewhere.

    *rows* are the connections that it takes part in, *marks* the packets marked as congestion experienced on the way to it.
    """
    found = {**dict.fromkeys((meaning.figure for meaning in COMPARED), 0), "marks_received": marks}
    for entry in (entry for row in rows for entry in row["roce"] or ()):
        if entry["vantage"] == vantage:
            found["sequence_naks_received"] += entry["naks"].get("PSN sequence error", 0)
            found["rnr_naks_received"] += entry["rnr_naks"]
            found["cnps_received"] += entry["cnps"]
        else:
            found["cnps_sent"] += entry["cnps"]
            found["repeats_received"] += entry["retransmitted"]
    return found


def has_rdma(snapshot: t.Any) -> bool:
    return any((port or {}).get("hw_counters") for port in ((snapshot or {}).get("rdma") or {}).values())
