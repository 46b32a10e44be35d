# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saying where ten million packets were lost between three vantages, and the engines that could do its largest step."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import shutil
import sys
import tempfile
import typing as t

from .measure import Failed, Table, Used, used

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = (1_000_000, 3_000_000, 10_000_000)
#: Packets that the first and the second network lose, one in so many.
LOST, FLOWS, PIECE = 1000, 2000, 1_000_000
ENGINES = ("duckdb", "polars", "numpy")
GIB = 1 << 30


def run() -> Table:
    folder = tempfile.gettempdir()
    if shutil.disk_usage(folder).free < 12 * GIB:
        raise Failed(f"thirty million keys and what is spilled want 12 GiB free in {folder}")
    with tempfile.TemporaryDirectory(dir=folder) as name:
        rows, notes = [], []
        for packets in SIZES:
            place = pathlib.Path(name) / str(packets)
            made = used(_argv("make", place, packets))
            notes.append(f"{packets} packets: {_mib(place):.0f} MiB of Parquet for the three vantages.")
            rows.append(_row("localise, whole report", packets, _localise(place, packets)))
            rows += [_row(f"join and count, {engine}", packets, used(_argv(engine, place, packets))) for engine in ENGINES]
            del made
            shutil.rmtree(place)
    columns = ("what", "packets at each of 3 vantages", "seconds", "CPU s", "microseconds of CPU per key", "peak MiB")
    notes += [
        "The whole report compares clocks, places every loss, measures delays, reordering and rewrites, and reads every RoCE connection.",
        "The engines only join three tables of (fingerprint, occurrence) and count by flow what is missing.",
        "What was found was compared with what was left out.",
    ]
    how = (
        f"{', '.join(map(str, SIZES))} RoCE packets in {FLOWS} flows there and back, one in {LOST} lost on each of two hops; DuckDB may use "
        f"1200 MiB, then it spills. {', '.join(f'{name} {importlib.metadata.version(name)}' for name in ENGINES)}."
    )
    return Table("localise", how, columns, rows, notes)


def _localise(place: pathlib.Path, packets: int) -> Used:
    took = used(_argv("localise", place, packets))
    found, wanted = json.loads(took.out.splitlines()[-1]), json.loads((place / "truth.json").read_text())
    if found != wanted:
        raise Failed(f"lost were {wanted}, found {found}")
    return took


def _row(what: str, packets: int, took: Used) -> tuple[str, ...]:
    each = took.cpu_s / packets / 3 * 1e6
    return what, str(packets), f"{took.wall_s:.1f}", f"{took.cpu_s:.1f}", f"{each:.2f}", f"{took.rss_mib:.0f}"


def _argv(what: str, place: pathlib.Path, packets: int) -> list[str]:
    return [sys.executable, str(ROOT / "tests" / "bench" / "localise_steps.py"), what, str(place), str(packets)]


def _mib(place: pathlib.Path) -> float:
    return sum(os.path.getsize(path) for path in place.glob("*.parquet")) / (1 << 20)


__all__: t.Sequence[str] = ["run"]
