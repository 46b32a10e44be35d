# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step of the localise bench in a process of its own: localise_steps.py make|localise|duckdb|polars|numpy FOLDER PACKETS."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / ".cache" / "tree"), str(ROOT)]
LOST, FLOWS, PIECE = 1000, 2000, 1_000_000
OFFSETS, SKEWS, DELAY_NS = (0, 1_500_000, -40_000_000), (0.0, 30e-6, -50e-6), 20_000
START = 1_795_428_900_000_000_000
JOIN = "fingerprint, occurrence"


def make(folder: pathlib.Path, packets: int) -> None:
    """Write one Parquet file of keys for each vantage, and truth.json: how many were lost on each hop."""
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets import keytable

    folder.mkdir()
    chance = np.random.default_rng(7)
    lost = [0, 0]
    numbers, counted = [0, 0, 0], np.zeros(FLOWS, dtype=np.int64)
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(folder / f"{vantage}.parquet", "wb")) for vantage in range(3)]
        writers = [stack.enter_context(keytable.writer(file)) for file in files]
        for begin in range(0, packets, PIECE):
            size = min(PIECE, packets - begin)
            piece = _piece(chance, begin, size, counted)
            for vantage, there in enumerate(piece.pop("there")):
                table = _table(piece, vantage, there, numbers[vantage])
                numbers[vantage] += len(table)
                writers[vantage].write_table(table, row_group_size=keytable.GROUP)
            for hop in range(2):
                lost[hop] += int(piece["lost"][hop].sum())
    (folder / "truth.json").write_text(json.dumps(lost))


def _piece(chance, begin, size, counted):
    """A million packets: half of the flows go there, half come back; each flow counts its PSN."""
    flow = chance.integers(0, FLOWS, size)
    forward = flow % 2 == 0
    t_ns = START + (begin + np.arange(size, dtype=np.int64)) * 2000
    jitter = chance.exponential(8000, (2, size)).astype(np.int64) + DELAY_NS
    first, second = (chance.random(size) < 1 / LOST for _hop in range(2))
    second &= ~first
    # On the way there the first hop is between 0 and 1, on the way back between 2 and 1.
    at_middle, at_end = ~first, ~first & ~second
    stamps = [np.where(forward, t_ns, t_ns + jitter.sum(0)), t_ns + jitter[0], np.where(forward, t_ns + jitter.sum(0), t_ns)]
    there = [np.where(forward, True, at_end), at_middle, np.where(forward, at_end, True)]
    # Packets of one flow follow each other in PSN.
    order = np.argsort(flow, kind="stable")
    begins = np.searchsorted(flow[order], np.arange(FLOWS))
    psn = np.empty(size, dtype=np.int64)
    psn[order] = np.arange(size) - begins[flow[order]]
    psn = (psn + counted[flow]) % (1 << 24)
    counted += np.bincount(flow, minlength=FLOWS)
    near = np.where(forward, first, second), np.where(forward, second, first)
    fingerprint = chance.integers(0, 1 << 63, size, dtype=np.uint64)
    return {"flow": flow, "forward": forward, "stamps": stamps, "there": there, "lost": near, "psn": psn, "fingerprint": fingerprint}


def _table(piece, vantage, there, number):
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets import keytable
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import DTYPE, FLAGS

    flow, forward = piece["flow"][there], piece["forward"][there]
    stamp = piece["stamps"][vantage][there]
    stamp = stamp + OFFSETS[vantage] + ((stamp - START) * SKEWS[vantage]).astype(np.int64)
    rows = np.zeros(len(flow), dtype=np.dtype(dict(DTYPE)))
    ends = np.zeros((2, len(flow), 16), dtype=np.uint8)
    ends[:, :, 10:14] = (255, 255, 10, 78)
    ends[0, :, 14], ends[1, :, 14] = np.where(forward, 1, 2), np.where(forward, 2, 1)
    ends[:, :, 15] = flow // 2 % 100
    for name, end in zip(("src", "dst"), ends):
        rows[name] = np.ascontiguousarray(end).view("V16")[:, 0]
    known = {
        "t_ns": stamp, "fingerprint": piece["fingerprint"][there], "number": np.arange(number + 1, number + len(flow) + 1), "captured": 128, "wire": 1098,
        "flags": sum(FLAGS[name] for name in ("ip", "ports", "roce2", "identified")), "dest_qp": flow + 0x100, "psn": piece["psn"][there],
        "sport": 49152 + flow % 1000, "dport": 4791, "payload": 1024, "dscp": 26, "ecn": 2, "ttl": 64 - vantage, "protocol": 17, "opcode": 7,
    }  # fmt: skip
    for name, value in known.items():
        rows[name] = value
    return keytable.table(rows, f"v{vantage}")


def localise(folder: pathlib.Path, _packets: int) -> None:
    from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import model, report

    vantages = [model.Vantage(f"v{place}", [str(folder / f"{place}.parquet")]) for place in range(3)]
    found = report.analyse(vantages, ["v0", "v1", "v2"], limits=model.Limits(folder=str(folder)))
    hops = found["path"]["hops"]
    print(json.dumps([sum(hop["lost_in_network"]["min"] for hop in hops if {hop["from"], hop["to"]} == set(ends)) for ends in (("v0", "v1"), ("v1", "v2"))]))


def duckdb(folder: pathlib.Path, _packets: int) -> None:
    import duckdb as engine

    database = engine.connect()
    for setting in ("memory_limit = '1200MiB'", "threads = 2", f"temp_directory = '{folder}/spill'", "preserve_insertion_order = false"):
        database.execute(f"SET {setting}")
    keys = [f"(SELECT {JOIN}, dest_qp AS flow_{place}, t_ns AS t_{place} FROM read_parquet('{folder}/{place}.parquet'))" for place in range(3)]
    joined = f"{keys[0]} FULL JOIN {keys[1]} USING ({JOIN}) FULL JOIN {keys[2]} USING ({JOIN})"
    rows = database.execute(
        f"SELECT coalesce(flow_0, flow_1, flow_2) AS flow, count(*), count(*) FILTER (WHERE t_1 IS NULL), count(*) FILTER (WHERE t_0 IS NULL OR "
        f"t_2 IS NULL) FROM {joined} GROUP BY 1"
    ).fetchall()
    print(len(rows), sum(row[2] for row in rows), sum(row[3] for row in rows))


def polars(folder: pathlib.Path, _packets: int) -> None:
    import polars as pl

    on = ["fingerprint", "occurrence"]
    keys = [
        pl.scan_parquet(folder / f"{place}.parquet").select(*on, pl.col("dest_qp").alias(f"flow_{place}"), pl.col("t_ns").alias(f"t_{place}"))
        for place in range(3)
    ]
    joined = keys[0].join(keys[1], on=on, how="full", coalesce=True).join(keys[2], on=on, how="full", coalesce=True)
    counted = joined.group_by(pl.coalesce("flow_0", "flow_1", "flow_2").alias("flow")).agg(
        pl.len(), pl.col("t_1").is_null().sum().alias("middle"), (pl.col("t_0").is_null() | pl.col("t_2").is_null()).sum().alias("ends")
    )
    rows = counted.collect(engine="streaming")
    print(rows.height, rows["middle"].sum(), rows["ends"].sum())


def numpy(folder: pathlib.Path, _packets: int) -> None:
    import pyarrow.parquet as pq

    names = ["fingerprint", "occurrence", "dest_qp"]
    tables = [pq.read_table(folder / f"{place}.parquet", columns=names) for place in range(3)]
    fingerprint, occurrence, flow = (np.concatenate([table[name].to_numpy() for table in tables]) for name in names)
    place = np.repeat(np.arange(3, dtype=np.uint8), [len(table) for table in tables])
    order = np.lexsort((occurrence, fingerprint))
    fingerprint, occurrence, flow, place = fingerprint[order], occurrence[order], flow[order], place[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (fingerprint[1:] != fingerprint[:-1]) | (occurrence[1:] != occurrence[:-1])
    group = np.cumsum(begins) - 1
    seen = np.zeros((3, group[-1] + 1), dtype=bool)
    seen[place, group] = True
    first = flow[begins]
    middle = np.bincount(first, weights=~seen[1])
    ends = np.bincount(first, weights=~(seen[0] & seen[2]))
    print(len(np.unique(first)), int(middle.sum()), int(ends.sum()))


if __name__ == "__main__":
    sys.exit(globals()[sys.argv[1]](pathlib.Path(os.path.abspath(sys.argv[2])), int(sys.argv[3])))
