# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain SQL over the same Parquet, for whoever has more of it than one machine: shipped as derived/views.sql. Pure.

No function, join or type that DuckDB, Spark, Trino and ClickHouse do not share. What the views leave out, and the analysis does:
windows, drops, filters and telling the copies of repeated packets apart by their stamps.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FILE = "views.sql"
PARQUET = "*/keys.parquet"
_HEAD = """-- Views over the packet keys of this campaign, in plain SQL. In this folder: duckdb -init views.sql
-- Elsewhere, change only where `packets` comes from (Spark: parquet.`s3a://.../*/keys.parquet`, Trino: a table over the folder,
-- ClickHouse: s3('.../*/keys.parquet', 'Parquet')). Columns: docs/index.md; clocks as report.json has them."""


def text(report: Mapping[str, t.Any], source: str = f"read_parquet('{PARQUET}')") -> str:
    """Return the views for the path that *report* (report.schema.json) found; *source* is what to select packets from."""
    placed = sorted((entry for entry in report["vantages"] if entry["position"] is not None), key=lambda entry: entry["position"])
    parts = [_HEAD, f"CREATE OR REPLACE VIEW packets AS SELECT * FROM {source};"]
    if placed:
        parts += _views(placed)
    return "\n\n".join(parts) + "\n"


def source(places: Sequence[str]) -> str:
    """Return what to select packets from, of patterns of Parquet files."""
    named = ", ".join(map(_text, places))
    return f"read_parquet({named})" if len(places) == 1 else f"read_parquet([{named}])"


def _views(placed: Sequence[Mapping[str, t.Any]]) -> Iterator[str]:
    epoch = min(entry["first_ns"] for entry in placed if entry["first_ns"] is not None)
    count = len(placed)
    yield "-- How each clock reads against that of the first vantage.\nCREATE OR REPLACE VIEW clocks AS\n" + "\nUNION ALL ".join(
        f"SELECT {_text(entry['vantage'])} AS vantage, {entry['position']} AS place, {entry['clock']['offset_s'] or 0.0!r} AS offset_s, "
        f"{(entry['clock']['skew_ppm'] or 0.0) / 1e6!r} AS skew"
        for entry in placed
    ) + ";"
    yield (
        f"-- Every sighting, in seconds of the first vantage's clock since {epoch} ns.\nCREATE OR REPLACE VIEW sightings AS\n"
        f"SELECT p.*, c.place, ((p.t_ns - {epoch}) / 1000000000.0 - c.offset_s) / (1 + c.skew) AS t_s FROM packets p JOIN clocks c ON c.vantage = p.vantage;"
    )
    cells = ",\n  ".join(f"MIN(CASE WHEN place = {place} THEN t_s END) AS t_{place}" for place in range(count))
    yield (
        "-- One row for each packet: when it was where. NULL: not seen there.\nCREATE OR REPLACE VIEW passages AS\n"
        f"SELECT fingerprint, occurrence, MIN(src) AS src, MIN(dst) AS dst, MIN(protocol) AS protocol, MIN(dest_qp) AS dest_qp,\n  {cells}\n"
        "FROM sightings GROUP BY fingerprint, occurrence;"
    )
    if count < 2:
        return
    drift = " + ".join(f"COALESCE(t_{place + 1} - t_{place}, 0)" for place in range(count - 1))
    yield (
        "-- Which way the packets between two hosts go: 1 along the path, -1 against it.\nCREATE OR REPLACE VIEW directions AS\n"
        f"SELECT src, dst, CASE WHEN SUM({drift}) >= 0 THEN 1 ELSE -1 END AS way FROM passages GROUP BY src, dst;"
    )
    yield "-- What became of packets between two neighbours on the path.\nCREATE OR REPLACE VIEW hops AS\n" + "\nUNION ALL ".join(_hops(count)) + ";"
    yield _rewrites()
    yield _roce()


def _hops(count: int) -> Iterator[str]:
    for way in (1, -1):
        line = list(range(count))[::way]
        for at in range(count - 1):
            one, other, later = line[at], line[at + 1], line[at + 2 :]
            beyond = f"COALESCE({', '.join(f't_{place}' for place in later)})" if len(later) > 1 else f"t_{later[0]}" if later else "NULL"
            gone = f"t_{other} IS NULL AND {beyond} IS NULL"
            yield (
                f"SELECT {one} AS one, {other} AS other, {way} AS way, SUM(CASE WHEN t_{other} IS NOT NULL THEN 1 ELSE 0 END) AS seen,\n"
                f"  SUM(CASE WHEN {gone} THEN 1 ELSE 0 END) AS missing, SUM(CASE WHEN t_{other} IS NULL AND {beyond} IS NOT NULL THEN 1 ELSE 0 "
                "END) AS lost_in_capture\n"
                f"FROM passages p JOIN directions d ON d.src = p.src AND d.dst = p.dst WHERE d.way = {way} AND t_{one} IS NOT NULL"
            )


def _rewrites() -> str:
    return (
        "-- What neighbours on the path see differently in one packet.\nCREATE OR REPLACE VIEW rewrites AS\n"
        "SELECT a.place AS one, b.place AS other, a.dscp AS dscp_before, b.dscp AS dscp_after, a.ecn AS ecn_before, b.ecn AS ecn_after,\n"
        "  a.vlan AS vlan_before, b.vlan AS vlan_after, CAST(a.ttl AS INTEGER) - CAST(b.ttl AS INTEGER) AS ttl_fell, COUNT(*) AS packets\n"
        "FROM sightings a JOIN sightings b ON b.fingerprint = a.fingerprint AND b.occurrence = a.occurrence AND b.place = a.place + 1\n"
        "WHERE a.dscp <> b.dscp OR a.ecn <> b.ecn OR a.ttl <> b.ttl OR COALESCE(a.vlan, -1) <> COALESCE(b.vlan, -1)\n"
        "GROUP BY a.place, b.place, a.dscp, b.dscp, a.ecn, b.ecn, a.vlan, b.vlan, CAST(a.ttl AS INTEGER) - CAST(b.ttl AS INTEGER);"
    )


def _roce() -> str:
    return (
        "-- RoCE by vantage and queue pair: opcodes, NAKs (syndrome 96 to 127), RNR NAKs (32 to 63), CNPs (opcode 129), marks.\n"
        "CREATE OR REPLACE VIEW roce_queue_pairs AS\n"
        "SELECT vantage, src, dst, dest_qp, COUNT(*) AS packets, SUM(wire) AS bytes_wire,\n"
        "  SUM(CASE WHEN syndrome BETWEEN 96 AND 127 THEN 1 ELSE 0 END) AS naks, SUM(CASE WHEN syndrome BETWEEN 32 AND 63 THEN 1 ELSE 0 END) AS rnr_naks,\n"
        "  SUM(CASE WHEN opcode = 129 THEN 1 ELSE 0 END) AS cnps, SUM(CASE WHEN ecn = 3 THEN 1 ELSE 0 END) AS ecn_marked\n"
        "FROM packets WHERE dest_qp IS NOT NULL GROUP BY vantage, src, dst, dest_qp;"
    )


def _text(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"
