# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one database that an analysis works in: keys of every vantage, joined into passages. Spills to a folder of its own.

Vantages are numbered by place. `mapped_P` and `seen_P` are what place P saw, `flow_at` counts flows there, and `passage` has one row for each
packet and a column of stamps and of marks for each place.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import FLAGS

from .model import FlowPair, Limits, Reason, Vantage, need, reason

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb

#: Only IP is sure to be meant for further on than the next port.
_SURE = f"((flags & {FLAGS['identified'] | FLAGS['ip']}) = {FLAGS['identified'] | FLAGS['ip']})"
#: What may change on the way, in one number: DSCP, ECN, TTL, VLAN + 1, whether on the far side of a pairing, and whether identified.
MARK = (
    "(coalesce(dscp, 0) | (coalesce(ecn, 0) << 6) | (coalesce(ttl, 0) << 8) | ((CASE WHEN vlan IS NULL THEN 0 ELSE vlan + 1 END) << 16)"
    f" | far | (CASE WHEN {_SURE} THEN {1 << 30} ELSE 0 END))::UINTEGER"
)
FAR, IDENTIFIED = 1 << 29, 1 << 30
#: Opcodes of requests; 13 to 18 are answers, 0x81 is a congestion notification, and 0xC0 begins what manufacturers define.
ASKS = "(opcode < 192 AND opcode <> 129 AND (opcode & 31) NOT BETWEEN 13 AND 18)"
FLOW = "hash(src, dst, protocol, sport, dport, dest_qp)"
_ATTRIBUTES = "src, dst, protocol, sport, dport, dest_qp"
_COLUMNS = (
    "t_ns::BIGINT AS t_ns, fingerprint::UBIGINT AS fingerprint, occurrence::UINTEGER AS occurrence, number, wire::UINTEGER AS wire, flags, "
    "src, dst, protocol::INTEGER AS protocol, sport::INTEGER AS sport, dport::INTEGER AS dport, dest_qp, src_qp, psn, msn, dma_length, payload, "
    "opcode, syndrome, "
    "seq, ack, tcp_flags, content, dscp::INTEGER AS dscp, ecn::INTEGER AS ecn, ttl::INTEGER AS ttl, vlan::INTEGER AS vlan"
)


class Store:
    """A DuckDB database in memory, and the folder into which it spills, which goes when it is closed."""

    def __init__(self, limits: Limits) -> None:
        self._module = need()
        self._folder = tempfile.TemporaryDirectory(prefix="wirefleet-", dir=limits.folder)
        self.limits = limits
        self.db: duckdb.DuckDBPyConnection = self._module.connect()
        for name, value in (
            ("memory_limit", f"{limits.memory >> 20}MiB"),
            ("threads", limits.threads),
            ("temp_directory", os.path.join(self._folder.name, "spill")),
            ("preserve_insertion_order", False),
            ("enable_progress_bar", False),
        ):
            self.db.execute(f"SET {name} = {literal(str(value))}")

    def close(self) -> None:
        self.db.close()
        self._folder.cleanup()

    def rows(self, sql: str) -> list[tuple[t.Any, ...]]:
        return self.db.execute(sql).fetchall()

    def columns(self, sql: str) -> dict[str, t.Any]:
        """Return the result as numpy arrays by name."""
        return self.db.execute(sql).fetchnumpy()

    def run(self, sql: str) -> None:
        self.db.execute(sql)

    def add(self, name: str, columns: dict[str, t.Any]) -> None:
        """Make the table *name* of columns, which are lists or arrays of equal length."""
        import pyarrow

        made = pyarrow.table(columns)
        self.db.register("added", made)
        self.run(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM added")
        self.db.unregister("added")

    def read(self, place: int, vantage: Vantage) -> Reason | None:
        """Make `keys_P`; returns why it cannot be read, or None."""
        keys = vantage.keys
        try:
            if isinstance(keys, (list, tuple)):
                paths = [os.fspath(path) for path in keys]
                source = f"read_parquet([{', '.join(literal(path) for path in paths)}])"
            else:
                self.db.register(f"given_{place}", keys)
                source = f"given_{place}"
            self.run(f"CREATE OR REPLACE VIEW keys_{place} AS SELECT {_COLUMNS} FROM {source}")
            self.rows(f"SELECT count(*), max(t_ns), max(fingerprint) FROM keys_{place}")
        except self._module.Error as wrong:
            first = str(wrong).splitlines()[0]
            return reason("unreadable", vantage.name, f"its packet keys could not be read: {first[:300]}")
        return None

    def join(self, places: Sequence[int], pairs: Sequence[FlowPair], lone: Sequence[tuple[int, str, str, int, int]] = ()) -> None:
        """Make `seen_P`, `flow_at` and `passage` of the keys of *places*.

        *lone* connections (protocol, source, destination, ports) may go on under a name that nobody knows.
        """
        self._pairs(pairs)
        self._lone(lone)
        for place in places:
            self.run(f"CREATE OR REPLACE VIEW mapped_{place} AS {_mapped(place, bool(pairs))}")
            columns = f"fingerprint, occurrence, t_ns, {FLOW} AS flow, wire, {MARK} AS mark"
            self.run(f"CREATE OR REPLACE VIEW seen_{place} AS SELECT {columns} FROM mapped_{place}")
        self.run(f"CREATE OR REPLACE TABLE flow_at AS {' UNION ALL '.join(_flow_at(place) for place in places)}")
        flow = "coalesce(" + ", ".join(f"seen_{place}.flow" for place in places) + ") AS flow"
        wire = "coalesce(" + ", ".join(f"seen_{place}.wire" for place in places) + ") AS wire"
        cells = ", ".join(f"seen_{place}.t_ns AS t_{place}, seen_{place}.mark AS m_{place}" for place in places)
        joined = f"seen_{places[0]}" + "".join(f" FULL JOIN seen_{place} USING (fingerprint, occurrence)" for place in places[1:])
        self.run(f"CREATE OR REPLACE TABLE passage AS SELECT fingerprint, occurrence, {flow}, {wire}, {cells}, (-1)::TINYINT AS born FROM {joined}")

    def _lone(self, lone: Sequence[tuple[int, str, str, int, int]]) -> None:
        """Make `lone`, with both directions."""
        import pyarrow

        both = [row for protocol, src, dst, sport, dport in lone for row in ((protocol, src, dst, sport, dport), (protocol, dst, src, dport, sport))]
        text, long = pyarrow.string(), pyarrow.int64()
        kinds = {"protocol": long, "src": text, "dst": text, "sport": long, "dport": long}
        self.add("lone", {name: pyarrow.array([row[at] for row in both], kind) for at, (name, kind) in enumerate(kinds.items())})

    def _pairs(self, pairs: Sequence[FlowPair]) -> None:
        import pyarrow

        sides = [(number, far, pair) for number, pair in enumerate(pairs) for far in (False, True)]
        text, long = pyarrow.string(), pyarrow.int64()
        ends = [pair.b if far else pair.a for _number, far, pair in sides]
        columns: dict[str, t.Any] = {
            "pairing": pyarrow.array([number for number, _far, _pair in sides], long),
            "far": pyarrow.array([FAR if far else 0 for _number, far, _pair in sides], long),
            "protocol": pyarrow.array([pair.protocol for *_rest, pair in sides], long),
            "moved_seq": pyarrow.array([pair.sequence if far else 0 for _number, far, pair in sides], long),
            "moved_ack": pyarrow.array([pair.acknowledgement if far else 0 for _number, far, pair in sides], long),
        }
        for at, name, kind in ((0, "src", text), (1, "dst", text), (2, "sport", long), (3, "dport", long)):
            columns[name] = pyarrow.array([end[at] for end in ends], kind)
            columns["near_" + name] = pyarrow.array([pair.a[at] for *_rest, pair in sides], kind)
        self.add("pairing", columns)


@contextlib.contextmanager
def opened(limits: Limits) -> Iterator[Store]:
    store = Store(limits)
    try:
        yield store
    finally:
        store.close()


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _mapped(place: int, paired: bool) -> str:
    """Return the query for the keys of *place*; packets of paired connections get the names and fingerprints of the near side."""
    if not paired:
        return f"SELECT *, 0 AS far FROM keys_{place}"
    same = "k.src = p.src AND k.dst = p.dst AND k.sport = p.sport AND k.dport = p.dport AND k.protocol = p.protocol"
    moved = "((k.{0}::BIGINT - p.moved_{0} + 4294967296) % 4294967296)"
    # A packet without ACK, such as SYN, has no acknowledgement that could be moved.
    acknowledged = f"CASE WHEN (k.tcp_flags & 16) <> 0 THEN {moved.format('ack')} ELSE 0 END"
    shared = f"hash(p.pairing, {moved.format('seq')}, {acknowledged}, k.payload, k.content, k.tcp_flags)"
    near = "p.near_src AS src, p.near_dst AS dst, p.near_sport::INTEGER AS sport, p.near_dport::INTEGER AS dport"
    occurrence = f"(row_number() OVER (PARTITION BY {shared} ORDER BY k.number) - 1)::UINTEGER AS occurrence"
    return (
        f"SELECT k.*, 0 AS far FROM keys_{place} k WHERE NOT EXISTS (SELECT 1 FROM pairing p WHERE {same}) UNION ALL "
        f"SELECT k.* REPLACE ({near}, {shared} AS fingerprint, {occurrence}), p.far AS far FROM keys_{place} k JOIN pairing p ON {same}"
    )


def _flow_at(place: int) -> str:
    given = ", ".join(f"any_value({name}) AS {name}" for name in _ATTRIBUTES.split(", "))
    return (
        f"SELECT {place} AS place, {FLOW} AS flow, {given}, count(*) AS packets, sum(wire)::BIGINT AS bytes, min(t_ns) AS first_ns, max(t_ns) AS last_ns, "
        f"count(*) FILTER (WHERE ecn = 3) AS marked, bool_or((flags & {FLAGS['roce1'] | FLAGS['roce2']}) <> 0) AS roce, "
        f"bool_or({ASKS}) AS asks, count(*) FILTER (WHERE NOT {_SURE}) AS unidentified FROM mapped_{place} GROUP BY {FLOW}"
    )
