# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RoCE per connection: which queue pairs talk to each other, what they sent, and what went wrong between them.

Each side's requests are read at the vantage nearest to it, where its retransmissions pass before anything is lost. PSNs have
24 bits; they are unrolled by the shortest step from one packet to the next.

Sources: InfiniBand Architecture Specification volume 1, sections 9.4 (opcodes), 9.7 (reliable service), annex A17 (CNP).
"""

from __future__ import annotations

import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import FLAGS
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import syndrome_name

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .store import Store

_ROCE = FLAGS["roce1"] | FLAGS["roce2"]
_ORDER = ("retransmitted", "go_back_n", "psn_gaps", "psn_missing")
_OPERATION = "(opcode & 31)"
#: Operations that end a message, and those that begin one.
_LASTS, _FIRSTS = "(2, 3, 4, 5, 8, 9, 10, 11, 12, 19, 20, 22, 23, 28, 29)", "(0, 4, 5, 6, 10, 11, 12, 19, 20, 23, 28, 29)"
_VERB = (
    f"CASE WHEN {_OPERATION} IN (0, 1, 2, 3, 4, 5, 22, 23) THEN 'SEND' WHEN {_OPERATION} BETWEEN 6 AND 11 THEN 'WRITE' WHEN {_OPERATION} = 12 THEN 'READ' "
    f"WHEN {_OPERATION} IN (19, 20) THEN 'ATOMIC' WHEN {_OPERATION} = 28 THEN 'FLUSH' WHEN {_OPERATION} = 29 THEN 'ATOMIC WRITE' ELSE 'reserved' END"
)
#: PSNs that a READ takes: one for each packet of its answer.
_SPAN = "CASE WHEN op = 12 AND mtu > 0 THEN greatest(1, (dma_length + mtu - 1) // mtu) ELSE 1 END"


class Asked(t.NamedTuple):
    """What one end asked for: *way* within *talk*, the queue pair *qp* it sent to, its own *peer* (None where unknown)."""

    talk: int
    way: int
    qp: int
    peer: int | None
    paired_by: str | None
    place: int
    facts: dict[str, t.Any]


def prepare(store: Store, order: Sequence[int], places: Iterable[int], known: Sequence[tuple[str, str, int, int]]) -> None:
    """Make `rdma` (packets, from the requester's view) and `qpair`. *known*: (source, destination, its queue pair, the other's)."""
    position = {place: number for number, place in enumerate(order)}
    store.add("position", {"place": list(position) or [-1], "position": list(position.values()) or [0]})
    store.run(
        "CREATE OR REPLACE TABLE viewpoint AS SELECT talk, routed.way AS asks, arg_min(flow_at.place, (coalesce(position.position, 99) * "
        "coalesce(onward, 0)) * 1e12 - flow_at.packets) AS place "
        "FROM flow_at JOIN routed USING (flow) LEFT JOIN position USING (place) WHERE routed.roce AND routed.asks GROUP BY talk, routed.way"
    )
    parts = [
        f"SELECT v.talk::INTEGER AS talk, v.asks::TINYINT AS asks, v.place::INTEGER AS place, f.way = v.asks AS mine, k.number::UINTEGER AS number, k.t_ns, "
        f"k.opcode::UTINYINT AS opcode, {_OPERATION}::TINYINT AS op, k.psn::INTEGER AS psn, k.dest_qp::INTEGER AS dest_qp, k.syndrome::UTINYINT AS syndrome, "
        f"k.payload::INTEGER AS payload, k.dma_length::BIGINT AS dma_length, (k.flags & {FLAGS['ack_request']}) <> 0 AS wants "
        f"FROM mapped_{place} k JOIN routed f ON f.flow = {_flow('k')} JOIN viewpoint v ON v.talk = f.talk AND v.place = {place} WHERE (k.flags & {_ROCE}) <> 0"
        for place in places
    ]
    store.run(f"CREATE OR REPLACE TABLE rdma AS {' UNION ALL '.join(parts)}")
    _pair(store, known)


def _flow(alias: str) -> str:
    return "hash(" + ", ".join(f"{alias}.{name}" for name in ("src", "dst", "protocol", "sport", "dport", "dest_qp")) + ")"


def _pair(store: Store, known: Sequence[tuple[str, str, int, int]]) -> None:
    """Pair queue pairs: by the connection manager's word, else the two whose answers carry the PSNs of the other's requests, else the only two."""
    import pyarrow

    text, long = pyarrow.string(), pyarrow.int64()
    kinds = (("src", text), ("dst", text), ("peer", long), ("qp", long))
    store.add("managed", {name: pyarrow.array([row[at] for row in known], kind) for at, (name, kind) in enumerate(kinds)})
    store.run(
        "CREATE OR REPLACE TABLE qpair AS WITH asked AS (SELECT DISTINCT talk, asks, dest_qp AS qp, psn FROM rdma WHERE mine AND (wants OR op = "
        "12) AND opcode <> 129), "
        "answered AS (SELECT DISTINCT talk, asks, dest_qp AS peer, psn FROM rdma WHERE NOT mine AND op BETWEEN 13 AND 18 AND opcode <> 129), "
        "common AS (SELECT talk, asks, qp, peer, count(*) AS many FROM asked JOIN answered USING (talk, asks, psn) GROUP BY ALL), "
        "ranked AS (SELECT *, row_number() OVER (PARTITION BY talk, asks, qp ORDER BY many DESC, peer) AS mine_first, "
        "row_number() OVER (PARTITION BY talk, asks, peer ORDER BY many DESC, qp) AS theirs_first FROM common), "
        "managed_here AS (SELECT DISTINCT talk, way AS asks, m.qp, m.peer FROM managed m JOIN routed f ON f.src = m.src AND f.dst = m.dst AND "
        "f.dest_qp = m.qp), "
        "by_traffic AS (SELECT talk, asks, qp, peer FROM ranked WHERE mine_first = 1 AND theirs_first = 1), "
        "alone AS (SELECT talk, asks, any_value(dest_qp) FILTER (WHERE mine) AS qp, any_value(dest_qp) FILTER (WHERE NOT mine) AS peer FROM rdma "
        "WHERE dest_qp > 1 "
        "GROUP BY talk, asks HAVING count(DISTINCT dest_qp) FILTER (WHERE mine) = 1 AND count(DISTINCT dest_qp) FILTER (WHERE NOT mine) = 1), "
        "every AS (SELECT *, 1 AS rank, 'cm' AS paired_by FROM managed_here UNION ALL SELECT *, 2, 'traffic' FROM by_traffic UNION ALL SELECT *, "
        "3, 'traffic' FROM alone) "
        "SELECT talk, asks, qp, arg_min(peer, rank) AS peer, arg_min(paired_by, rank) AS paired_by FROM every GROUP BY talk, asks, qp"
    )


def managed(rows: Iterable[Mapping[str, t.Any]]) -> list[tuple[str, str, int, int]]:
    """Return (source, destination, its queue pair, the other's) both ways, of what the connection manager's messages say. Pure."""
    requests = {row["local_comm_id"]: row for row in rows if row.get("kind") == "REQ"}
    found = []
    for row in rows:
        asked = requests.get(row.get("remote_comm_id"))
        if row.get("kind") == "REP" and asked is not None and asked["src"] == row["dst"] and asked["dst"] == row["src"]:
            found.append((asked["src"], asked["dst"], asked["local_qpn"], row["local_qpn"]))
            found.append((asked["dst"], asked["src"], row["local_qpn"], asked["local_qpn"]))
    return found


def asked(store: Store, wanted: str) -> list[Asked]:
    """Return what each requester did; *wanted* is a query of the (talk, asks, qp) to look at."""
    _sequence(store, wanted)
    base = {
        (talk, way, qp): Asked(talk, way, qp, peer, by, place, {**_blank(), **dict(zip(_ORDER, counts))})
        for talk, way, qp, peer, by, place, *counts in store.rows(
            "SELECT s.talk, s.asks, s.qp, any_value(q.peer), any_value(q.paired_by), any_value(s.place), count(*) FILTER (WHERE again), "
            "count(*) FILTER (WHERE again AND step <= 0), count(*) FILTER (WHERE gap > 0), coalesce(sum(gap) FILTER (WHERE gap > 0), 0)::BIGINT "
            "FROM sequence s LEFT JOIN qpair q ON q.talk = s.talk AND q.asks = s.asks AND q.qp = s.qp GROUP BY s.talk, s.asks, s.qp"
        )
    }
    for talk, way, qp, verb, messages, packets, size in store.rows(
        f"SELECT talk, asks, qp, {_VERB} AS verb, count(*) FILTER (WHERE op IN {_LASTS} AND NOT again), count(*), coalesce(sum(payload) FILTER "
        "(WHERE NOT again), 0)::BIGINT "
        "FROM sequence GROUP BY ALL ORDER BY verb"
    ):
        base[talk, way, qp].facts["messages"].append({"verb": verb, "messages": messages, "packets": packets, "bytes": size})
    _answers(store, base)
    _latencies(store, base)
    return list(base.values())


def _blank() -> dict[str, t.Any]:
    return {"messages": [], "naks": {}, "rnr_naks": 0, "cnps": 0, "cnps_per_s": None, "read_latency": None, "acked_latency": None}


def _sequence(store: Store, wanted: str) -> None:
    """Make `sequence`: requests in order, with the PSN unrolled, whether it was sent before, and how many are missing before it."""
    order = "PARTITION BY talk, asks, qp ORDER BY number"
    before = f"OVER ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    store.run(
        "CREATE OR REPLACE TABLE reply AS SELECT rdma.*, q.qp FROM rdma JOIN qpair q ON q.talk = rdma.talk AND q.asks = rdma.asks AND q.peer = rdma.dest_qp "
        f"WHERE NOT mine AND (q.talk, q.asks, q.qp) IN ({wanted})"
    )
    store.run(
        "CREATE OR REPLACE TABLE sequence AS WITH request AS (SELECT * EXCLUDE (dest_qp, mine, syndrome), dest_qp AS qp FROM rdma "
        f"WHERE mine AND opcode < 192 AND opcode <> 129 AND op NOT BETWEEN 13 AND 18 AND (talk, asks, dest_qp) IN ({wanted})), "
        "unit AS (SELECT talk, asks, qp, max(payload) FILTER (WHERE op IN (13, 14)) AS mtu FROM reply GROUP BY talk, asks, qp), "
        f"stepped AS (SELECT request.* EXCLUDE (dma_length), {_SPAN} AS span, mtu IS NULL AS unmeasured, "
        f"((psn - lag(psn) OVER ({order}) + 25165824) % 16777216) - 8388608 AS step, "
        f"lag(op) OVER ({order}) AS op_before, "
        f"max(CASE WHEN op IN {_FIRSTS} THEN t_ns END) OVER ({order}) AS began_ns FROM request LEFT JOIN unit USING (talk, asks, qp)), "
        f"unrolled AS (SELECT *, sum(coalesce(step, 0)) OVER ({order})::BIGINT AS place_in FROM stepped), "
        f"highest AS (SELECT *, max(place_in + span - 1) {before} AS high FROM unrolled) "
        "SELECT * EXCLUDE (number, place_in, high, op_before, unmeasured), opcode >> 5 <> 3 AND coalesce(place_in <= high, FALSE) AS again, "
        "CASE WHEN opcode >> 5 <> 3 AND place_in > high + 1 AND NOT coalesce(op_before = 12 AND unmeasured, FALSE) "
        "THEN place_in - high - 1 ELSE 0 END AS gap FROM highest"
    )


def _answers(store: Store, base: Mapping[tuple[int, int, int], Asked]) -> None:
    rows = store.rows(
        "SELECT talk, asks, qp, opcode = 129 AS cnp, syndrome, count(*), (max(t_ns) - min(t_ns)) * 1e-9 FROM reply "
        "WHERE opcode = 129 OR (syndrome & 224) IN (32, 96) GROUP BY ALL"
    )
    for talk, way, qp, is_cnp, syndrome, count, _seconds in rows:
        facts = base[talk, way, qp].facts
        if is_cnp:
            facts["cnps"] += count
        elif syndrome & 0xE0 == 0x20:
            facts["rnr_naks"] += count
        else:
            name = syndrome_name(syndrome).removeprefix("NAK, ")
            facts["naks"][name] = facts["naks"].get(name, 0) + count
    for talk, way, qp, size in store.rows("SELECT talk, asks, qp, sum(payload)::BIGINT FROM reply WHERE op BETWEEN 13 AND 16 GROUP BY ALL"):
        for message in base[talk, way, qp].facts["messages"]:
            if message["verb"] == "READ":
                message["bytes"] = size
    for talk, way, qp, seconds in store.rows("SELECT talk, asks, qp, (max(t_ns) - min(t_ns)) * 1e-9 FROM sequence GROUP BY ALL"):
        facts = base[talk, way, qp].facts
        facts["cnps_per_s"] = facts["cnps"] / seconds if seconds > 0 else None


def _latencies(store: Store, base: Mapping[tuple[int, int, int], Asked]) -> None:
    same = "s.talk = r.talk AND s.asks = r.asks AND s.qp = r.qp"
    for name, begins, which, answers in (
        ("read_latency", "s.t_ns", "s.op = 12 AND NOT s.again", "r.op IN (15, 16)"),
        ("acked_latency", "s.began_ns", "s.op <> 12 AND s.wants AND s.op IN (2, 3, 4, 5, 8, 9, 10, 11, 22, 23) AND NOT "
            "s.again", "r.op = 17 AND r.syndrome < 32"),
    ):
        sql = (
            f"WITH s AS (SELECT *, (psn + span - 1) % 16777216 AS last_psn FROM sequence s WHERE {which}), r AS (SELECT * FROM reply r WHERE {answers}) "
            f"SELECT talk, asks, qp, count(*), min(d), median(d), quantile_cont(d, 0.99) FROM (SELECT s.talk, s.asks, s.qp, (r.t_ns - {begins}) * 1e-9 AS d "
            f"FROM s ASOF JOIN r ON {same} AND s.last_psn = r.psn AND s.t_ns <= r.t_ns) GROUP BY ALL"
        )
        for talk, way, qp, *spread in store.rows(sql):
            base[talk, way, qp].facts[name] = dict(zip(("samples", "min_s", "median_s", "p99_s"), spread))
