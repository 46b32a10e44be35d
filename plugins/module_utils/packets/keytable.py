# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of packet keys as numpy rows, and as Parquet: for where numpy and pyarrow are, which managed hosts need not have.

`occurrence` is filled in here: it follows from all fingerprints of a vantage, which takes 20 bytes of memory for each packet.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import struct
import typing as t

from .keyfile import Reader, Reads
from .keys import DTYPE, FIELDS, FLAGS, ROW, present
from .side import address

if t.TYPE_CHECKING:
    from collections.abc import Iterator

#: Columns of Parquet that stand for flags: what they are called, which flag, and which other must be there for it to mean anything.
FLAG_COLUMNS: t.Sequence[tuple[str, str, str | None]] = (
    ("ack_request", "ack_request", "roce"), ("becn", "becn", "roce"), ("fecn", "fecn", "roce"), ("icrc_valid", "icrc_valid", "icrc"),
    ("fragment", "fragment", "ip"), ("short", "short", None), ("identified", "identified", None),
)  # fmt: skip
#: Columns that mostly count up, and those that look like noise: a dictionary of their values would be as large as they are.
COUNTING, RANDOM = ("t_ns", "number", "seq", "ack", "psn", "msn"), ("fingerprint", "content", "ip_id")
#: Rows in a group of Parquet: what DuckDB takes for itself.
GROUP = 122_880

#: Where a field lies in a row, and its type in numpy.
_LAYOUT: t.Mapping[str, tuple[int, int, str]] = {
    field.name: (end - struct.calcsize(field.code), end, kind)
    for field, end, kind in zip(FIELDS, itertools.accumulate(struct.calcsize(field.code) for field in FIELDS), DTYPE["formats"])
}


def missing() -> str | None:
    """Return which package Parquet cannot be written without, None where all are there."""
    return next((name for name in ("numpy", "pyarrow") if importlib.util.find_spec(name) is None), None)


def load(stream: Reads) -> tuple[t.Any, Reader]:
    """Return all rows of an open file of keys, with `number` and `occurrence`, as a numpy array of keys.DTYPE; and its reader."""
    import numpy

    reader = Reader(stream)
    segments = list(_segments(reader))
    rows = numpy.concatenate(segments) if segments else numpy.empty(0, numpy.dtype(dict(DTYPE)))
    rows["occurrence"] = occurrences(rows["fingerprint"])
    return rows, reader


def _segments(reader: Reader) -> Iterator[t.Any]:
    import numpy

    for planes in _planes(reader):
        yield numpy.ascontiguousarray(planes.T).view(numpy.dtype(dict(DTYPE)))[:, 0]


def _planes(reader: Reader) -> Iterator[t.Any]:
    """Yield segments as arrays of (bytes of a row, rows)."""
    import numpy

    for data in reader.planes():
        yield numpy.frombuffer(data, numpy.uint8).reshape(ROW.size, -1)


def occurrences(fingerprints: t.Any) -> t.Any:
    """Return for each fingerprint how often it came before, as an array of 32 bits. Pure."""
    import numpy

    order = numpy.argsort(fingerprints)
    same = numpy.diff(fingerprints[order]) == 0
    again = numpy.zeros(len(order), bool)
    again[1:] = same
    again[:-1] |= same
    # The quick way to sort mixes up equals; only those that have any are sorted once more, the slow way.
    repeated = numpy.sort(order[again])
    found: t.Any = numpy.zeros(len(order), numpy.uint32)
    found[repeated] = _counted(fingerprints[repeated])
    return found


def _counted(fingerprints: t.Any) -> t.Any:
    import numpy

    order = numpy.argsort(fingerprints, kind="stable")
    ordered = fingerprints[order]
    places: t.Any = numpy.arange(len(ordered), dtype=numpy.int64)
    begins: t.Any = numpy.ones(len(ordered), bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    found: t.Any = numpy.empty(len(ordered), numpy.uint32)
    found[order] = places - numpy.maximum.accumulate(numpy.where(begins, places, 0))
    return found


class _Out:
    """What pyarrow writes to, on its way to a Sink or a Rehearsal."""

    closed = False

    def __init__(self, sink: t.Any) -> None:
        self._sink, self._done = sink, 0

    def write(self, data: t.Any) -> int:
        self._sink.write(data)
        self._done += len(data)
        return len(data)

    def tell(self) -> int:
        return self._done

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


def write_parquet(keys: t.IO[bytes], sink: t.Any) -> None:
    """Write an open file of keys to *sink* as Parquet. The same keys make the same bytes."""
    import numpy

    keys.seek(0)
    reader = Reader(keys)
    begin, end, kind = _LAYOUT["fingerprint"]
    fingerprints = [_column(planes[begin:end], kind) for planes in _planes(reader)]
    counted = occurrences(numpy.concatenate(fingerprints) if fingerprints else numpy.empty(0, numpy.uint64))
    about = {"wirefleet.index": json.dumps({**reader.head, **reader.counts}), "wirefleet.side": "\n".join(map(json.dumps, reader.side))}
    keys.seek(0)
    schema = _schema().with_metadata(about)
    done = 0
    with writer(sink, schema) as out:
        for planes in _grouped(Reader(keys)):
            rows = {name: _column(planes[begin:end], kind) for name, (begin, end, kind) in _LAYOUT.items()}
            rows["occurrence"] = counted[done : done + len(rows["occurrence"])]
            done += len(rows["occurrence"])
            out.write_table(table(rows, reader.head["vantage"], schema), row_group_size=GROUP)


def writer(sink: t.Any, schema: t.Any = None) -> t.Any:
    """Return what writes tables to *sink*, which has write(): dictionaries where values recur, differences where they count up."""
    import pyarrow
    from pyarrow import parquet

    schema = schema or _schema()
    recur = [name for name in schema.names if name not in (*COUNTING, *RANDOM) and not pyarrow.types.is_boolean(schema.field(name).type)]
    return parquet.ParquetWriter(
        pyarrow.PythonFile(_Out(sink), "w"), schema, compression="zstd", compression_level=1, use_dictionary=recur,
        column_encoding=dict.fromkeys(COUNTING, "DELTA_BINARY_PACKED"),
    )  # fmt: skip


def _grouped(reader: Reader) -> Iterator[t.Any]:
    """Yield the planes of as many segments together as make about a group of Parquet."""
    import numpy

    waiting: list[t.Any] = []
    for planes in _planes(reader):
        if waiting and sum(one.shape[1] for one in waiting) + planes.shape[1] > GROUP:
            yield numpy.concatenate(waiting, 1)
            waiting = []
        waiting.append(planes)
    if waiting:
        yield numpy.concatenate(waiting, 1)


def _column(planes: t.Any, kind: str) -> t.Any:
    """Return one field of all rows, of the planes of its bytes, many of which are often nothing but zeros."""
    import numpy

    found = numpy.zeros((planes.shape[1], len(planes)), numpy.uint8)
    for byte, plane in enumerate(planes):
        if plane.any():
            found[:, byte] = plane
    return found.view(kind)[:, 0]


def _schema() -> t.Any:
    import pyarrow

    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types = {
        "q": pyarrow.int64(), "Q": pyarrow.uint64(), "I": pyarrow.uint32(), "H": pyarrow.uint16(), "B": pyarrow.uint8(), "16s": text,
    }  # fmt: skip
    fields = [("vantage", text), *((field.name, types[field.code]) for field in FIELDS), ("roce", pyarrow.uint8())]
    return pyarrow.schema([*fields, *((name, pyarrow.bool_()) for name, _flag, _when in FLAG_COLUMNS)])


def table(rows: t.Any, vantage: str, schema: t.Any = None) -> t.Any:
    """Return numpy rows, or arrays by name, as a table of pyarrow: null where a flag says that there is nothing, addresses as text."""
    import numpy
    import pyarrow

    flags = rows["flags"]
    columns = [pyarrow.DictionaryArray.from_arrays(numpy.zeros(len(flags), numpy.int32), [vantage])]
    for field in FIELDS:
        absent = None if field.flag is None else (flags & _bits(field.flag)) == 0
        values = rows[field.name]
        columns.append(_text(values, absent) if field.code == "16s" else pyarrow.array(values, mask=absent))
    columns.append(pyarrow.array(numpy.where(flags & FLAGS["roce1"], 1, 2).astype(numpy.uint8), mask=(flags & _bits("roce")) == 0))
    for _name, flag, when in FLAG_COLUMNS:
        columns.append(pyarrow.array((flags & FLAGS[flag]) != 0, mask=None if when is None else (flags & _bits(when)) == 0))
    return pyarrow.Table.from_arrays(columns, schema=schema or _schema())


def _bits(flag: str) -> int:
    """Return the bits of which one must be set for a field that depends on *flag*."""
    return sum(bit for bit in FLAGS.values() if present(flag, bit))


def _text(values: t.Any, absent: t.Any) -> t.Any:
    import numpy
    import pyarrow

    packed = pyarrow.FixedSizeBinaryArray.from_buffers(pyarrow.binary(16), len(values), [None, pyarrow.py_buffer(values.tobytes())])
    encoded = packed.dictionary_encode()
    indices = pyarrow.array(encoded.indices.to_numpy().astype(numpy.int32), mask=absent)
    return pyarrow.DictionaryArray.from_arrays(indices, pyarrow.array([address(one.as_py()) for one in encoded.dictionary], pyarrow.string()))
