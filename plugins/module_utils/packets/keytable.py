# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of packet keys as numpy rows, and as Parquet: for where numpy and pyarrow are, which managed hosts need not have.

`occurrence` is filled in here: it follows from all fingerprints of a vantage, which takes 20 bytes of memory for each packet.
"""

from __future__ import annotations

import importlib.util
import json
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
#: Rows in a group of Parquet: what DuckDB takes for itself.
GROUP = 122_880


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

    for data in reader.planes():
        turned = numpy.frombuffer(data, numpy.uint8).reshape(ROW.size, -1).T
        yield numpy.ascontiguousarray(turned).view(numpy.dtype(dict(DTYPE)))[:, 0]


def occurrences(fingerprints: t.Any) -> t.Any:
    """Return for each fingerprint how often it came before, as an array of 32 bits. Pure."""
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
    import pyarrow
    from pyarrow import parquet

    keys.seek(0)
    reader = Reader(keys)
    fingerprints = [segment["fingerprint"].copy() for segment in _segments(reader)]
    counted = occurrences(numpy.concatenate(fingerprints) if fingerprints else numpy.empty(0, numpy.uint64))
    about = {"wirefleet.index": json.dumps({**reader.head, **reader.counts}), "wirefleet.side": "\n".join(map(json.dumps, reader.side))}
    keys.seek(0)
    schema = _schema().with_metadata(about)
    done = 0
    with parquet.ParquetWriter(pyarrow.PythonFile(_Out(sink), "w"), schema, compression="zstd", compression_level=1) as writer:
        for rows in _grouped(_segments(Reader(keys))):
            rows["occurrence"] = counted[done : done + len(rows)]
            done += len(rows)
            writer.write_table(table(rows, reader.head["vantage"], schema), row_group_size=GROUP)


def _grouped(segments: Iterator[t.Any]) -> Iterator[t.Any]:
    """Join segments to about a group of Parquet each."""
    import numpy

    waiting: list[t.Any] = []
    for segment in segments:
        if sum(map(len, waiting)) + len(segment) > GROUP and waiting:
            yield numpy.concatenate(waiting)
            waiting = []
        waiting.append(segment)
    if waiting:
        yield numpy.concatenate(waiting)


def _schema() -> t.Any:
    import pyarrow

    text = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    types = {
        "q": pyarrow.int64(), "Q": pyarrow.uint64(), "I": pyarrow.uint32(), "H": pyarrow.uint16(), "B": pyarrow.uint8(), "16s": text,
    }  # fmt: skip
    fields = [("vantage", text), *((field.name, types[field.code]) for field in FIELDS), ("roce", pyarrow.uint8())]
    return pyarrow.schema([*fields, *((name, pyarrow.bool_()) for name, _flag, _when in FLAG_COLUMNS)])


def table(rows: t.Any, vantage: str, schema: t.Any = None) -> t.Any:
    """Return numpy rows as a table of pyarrow: null where a flag says that there is nothing, addresses as text."""
    import numpy
    import pyarrow

    flags = rows["flags"]
    columns = [pyarrow.DictionaryArray.from_arrays(numpy.zeros(len(rows), numpy.int32), [vantage])]
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
