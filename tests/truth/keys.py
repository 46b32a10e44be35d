# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture files to tables of keys by the real index, in memory."""

from __future__ import annotations

import contextlib
import pathlib
import typing as t

import numpy as np
import pyarrow as pa

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_loop import Index, PythonKernel
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import DTYPE, FIELDS, present
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.streams import Source

#: Columns as Parquet has them.
_BINARY = pa.binary(16)


def rows_of(path: pathlib.Path) -> t.Any:
    """Return the keys of the packets in *path* as one structured array."""
    pieces: list[bytes] = []
    with contextlib.closing(Source(str(path))) as source:
        Index(source, PythonKernel(), lambda batch: pieces.append(bytes(batch.rows))).run()
    rows = np.frombuffer(b"".join(pieces), dtype=np.dtype(dict(DTYPE))).copy()
    rows["number"] = np.arange(1, len(rows) + 1)
    seen: dict[int, int] = {}
    for place, fingerprint in enumerate(rows["fingerprint"].tolist()):
        rows["occurrence"][place] = seen[fingerprint] = seen.get(fingerprint, -1) + 1
    return rows


def table_of(rows: t.Any) -> pa.Table:
    """Return *rows* with null where a packet lacks a field."""
    columns = {}
    for field in FIELDS:
        values = rows[field.name]
        absent = np.array([not present(field.flag, int(flags)) for flags in rows["flags"]], dtype=bool)
        if field.code == "16s":
            columns[field.name] = pa.array([None if missing else value.tobytes() for value, missing in zip(values, absent)], _BINARY)
        else:
            columns[field.name] = pa.array(np.ascontiguousarray(values), mask=absent)
    return pa.table(columns)
