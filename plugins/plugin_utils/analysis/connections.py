# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: flows there and back as one, RoCE's by their queue pairs, with what each lost and where."""

from __future__ import annotations

import typing as t

from . import roce
from .locate import MISSING_CODES
from .model import DIRECTIONS, NETWORK, UNKNOWN

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .store import Store

_KIND = "CASE WHEN roce THEN 'roce' WHEN protocol = 6 THEN 'tcp' WHEN protocol = 17 THEN 'udp' ELSE 'other' END"
#: Where a row keeps the places that saw the connection, as bits, until the report is written.
PLACES = "_places"
_MISSING = (
    f"count(*) FILTER (WHERE verdict = '{NETWORK}' OR (verdict = '{UNKNOWN}' AND code IN ({', '.join(repr(code) for code in MISSING_CODES)})))"
)


def rows(store: Store, names: Mapping[int, str], spare: Callable[[int], int | None]) -> tuple[int, list[dict[str, t.Any]]]:
    """Return how many connections there are, and those that lost most, then the largest. *spare*: drops not yet explained, by place."""
    _members(store)
    total = store.rows("SELECT count(DISTINCT conn) FROM member")[0][0]
    store.run(
        f"CREATE OR REPLACE TABLE shown AS SELECT conn, sum(packets)::BIGINT AS packets, sum(bytes)::BIGINT AS bytes, min(first_ns) AS first_ns, "
        "max(last_ns) AS last_ns, "
        f"sum(marked)::BIGINT AS marked, coalesce(any_value(missing), 0) AS missing FROM member LEFT JOIN (SELECT conn, {_MISSING} AS missing FROM verdict "
        f"JOIN member USING (flow) GROUP BY conn) USING (conn) GROUP BY conn ORDER BY missing DESC, packets DESC, conn LIMIT {store.limits.connections}"
    )
    columns = "conn, packets, bytes, first_ns, last_ns, marked"
    found = {row[0]: _row(*row[1:]) for row in store.rows(f"SELECT {columns} FROM shown ORDER BY missing DESC, packets DESC, conn")}
    groups = _ends(store, found)
    _losses(store, found, names, spare)
    _rdma(store, found, groups, names)
    return total, list(found.values())


def _members(store: Store) -> None:
    """Make `member`: which connection each flow belongs to. A queue pair's flows are one whatever their source port."""
    store.run(
        "CREATE OR REPLACE TABLE member AS SELECT f.*, "
        "CASE WHEN f.roce THEN hash('roce', f.talk, least(f.dest_qp * f.way, coalesce(q.peer, b.qp, f.dest_qp) * CASE WHEN coalesce(q.peer, "
        "b.qp) IS NULL THEN f.way ELSE -f.way END)) "
        "ELSE hash(least(hash(src, dst, protocol, sport, dport), hash(dst, src, protocol, dport, sport))) END AS conn, coalesce(q.paired_by, "
        "b.paired_by) AS paired_by "
        "FROM routed f LEFT JOIN qpair q ON f.roce AND q.talk = f.talk AND q.asks = f.way AND q.qp = f.dest_qp "
        "LEFT JOIN (SELECT talk, asks, peer, min(qp) AS qp, any_value(paired_by) AS paired_by FROM qpair GROUP BY talk, asks, peer) b "
        "ON f.roce AND q.peer IS NULL AND b.talk = f.talk AND b.asks = -f.way AND b.peer = f.dest_qp"
    )


def _row(packets: int, size: int, first_ns: int, last_ns: int, marked: int) -> dict[str, t.Any]:
    end = {"address": None, "port": None, "qp": None}
    return {
        "kind": "other", "a": dict(end), "b": dict(end), "paired_by": None, "packets": packets, "bytes_wire": size, "first_ns": first_ns, "last_ns": last_ns,
        "ecn_marked": marked, "loss": [], "roce": None,
    }  # fmt: skip


def _ends(store: Store, found: Mapping[int, dict[str, t.Any]]) -> dict[tuple[int, int, int], tuple[int, str]]:
    """Fill in the two ends; `a` is who was heard first. Returns (connection, end) of each (talk, way, queue pair) of requests."""
    groups: dict[tuple[int, int, int], tuple[int, str]] = {}
    first: dict[int, int] = {}
    for conn, kind, talk, way, src, dst, sport, dport, qp, by, places in store.rows(
        f"SELECT conn, {_KIND} AS kind, talk, way, any_value(src), any_value(dst), any_value(sport), any_value(dport), dest_qp, "
        "any_value(paired_by), bit_or(places) FROM member "
        "WHERE conn IN (SELECT conn FROM shown) GROUP BY conn, kind, talk, way, dest_qp ORDER BY min(first_ns)"
    ):
        row = found[conn]
        speaks = "a" if first.setdefault(conn, way) == way else "b"
        hears = "b" if speaks == "a" else "a"
        row["kind"] = kind
        row[PLACES] = row.get(PLACES, 0) | places
        row["paired_by"] = by or row["paired_by"] or ("ports" if kind != "roce" and way != first[conn] else None)
        row[speaks].update(address=src, port=row[speaks]["port"] if row[speaks]["port"] is not None else sport)
        row[hears].update(address=dst, port=row[hears]["port"] if row[hears]["port"] is not None else dport)
        if kind == "roce":
            row[hears]["qp"] = qp
            groups[talk, way, qp] = conn, speaks
    return groups


def _losses(store: Store, found: Mapping[int, dict[str, t.Any]], names: Mapping[int, str], spare: Callable[[int], int | None]) -> None:
    for conn, one, other, way, missing, capture in store.rows(
        f"SELECT conn, one, other, verdict.way, {_MISSING} AS missing, count(*) FILTER (WHERE verdict = 'lost in capture') AS capture FROM "
        "verdict JOIN member USING (flow) "
        "WHERE conn IN (SELECT conn FROM shown) GROUP BY ALL ORDER BY conn, one, other, verdict.way"
    ):
        if missing or capture:
            unexplained = spare(other)
            low = 0 if unexplained is None else max(0, missing - unexplained)
            bound = {"min": low, "max": missing}
            found[conn]["loss"].append(
                {"from": names[one], "to": names[other], "direction": DIRECTIONS[way], "lost_in_network": bound, "lost_in_capture": capture}
            )


def _rdma(store: Store, found: Mapping[int, dict[str, t.Any]], groups: Mapping[tuple[int, int, int], tuple[int, str]], names: Mapping[int, str]) -> None:
    wanted = "SELECT DISTINCT talk, way, dest_qp FROM member WHERE roce AND asks AND conn IN (SELECT conn FROM shown)"
    for asked in roce.asked(store, wanted):
        conn, end = groups[asked.talk, asked.way, asked.qp]
        entries = found[conn]["roce"] = found[conn]["roce"] or []
        entries.append({"requester": end, "vantage": names[asked.place], **asked.facts})


def series(store: Store, located: t.Any, places: Sequence[int], names: Mapping[int, str], span: tuple[float, float] | None) -> dict[str, t.Any]:
    """Return packets and bytes at each vantage and what each hop lost, over time, in at most limits.bins bins."""
    edges = span or _span(store, located, places)
    if edges is None or not located.path.order:
        return {"start_ns": None, "bin_ns": None, "bins": 0, "vantages": [], "hops": []}
    start, end = edges
    bins = store.limits.bins
    width = max((end - start) / bins, 1e-6)
    found: dict[str, t.Any] = {"start_ns": located.epoch_ns + round(start * 1e9), "bin_ns": round(width * 1e9), "bins": bins, "vantages": [], "hops": []}
    for place in (place for place in places if located.times.get(place) and located.times[place].known):
        column = located.times[place].sql("t_ns", located.epoch_ns)
        packets, size = [0] * bins, [0] * bins
        for number, count, total in store.rows(f"SELECT {_bin(column, start, width, bins)} AS bin, count(*), sum(wire)::BIGINT FROM keys_{place} GROUP BY bin"):
            if 0 <= number < bins:
                packets[number], size[number] = count, total
        found["vantages"].append({"vantage": names[place], "packets": packets, "bytes": size})
    lost: dict[tuple[int, int, int], list[int]] = {(hop.one, hop.other, hop.way): [0] * bins for hop in located.hops}
    for one, other, way, number, count in store.rows(f"SELECT one, other, way, {_bin('t_s', start, width, bins)} AS bin, {_MISSING} FROM verdict GROUP BY ALL"):
        if number is not None and 0 <= number < bins:
            lost[one, other, way][number] = count
    found["hops"] = [{"from": names[one], "to": names[other], "direction": DIRECTIONS[way], "lost": counts} for (one, other, way), counts in lost.items()]
    return found


def _bin(column: str, start: float, width: float, bins: int) -> str:
    """Return the number of the bin; the very last moment belongs to the last one."""
    number = f"floor(({column} - {start!r}) / {width!r})::BIGINT"
    return f"CASE WHEN {number} = {bins} THEN {bins - 1} ELSE {number} END"


def _span(store: Store, located: t.Any, places: Sequence[int]) -> tuple[float, float] | None:
    edges = []
    for place, first, last in store.rows("SELECT place, min(first_ns), max(last_ns) FROM flow_at GROUP BY place"):
        if place in places and located.times.get(place) and located.times[place].known:
            edges += [located.times[place].seconds(first, located.epoch_ns), located.times[place].seconds(last, located.epoch_ns)]
    return (min(edges), max(edges)) if edges else None
