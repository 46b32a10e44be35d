# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file of packet keys: rows of keys.py in compressed segments, and the side table. Written and read as a stream.

    magic    8 bytes, WFKEYS and the number of this layout
    chunk    tag (4 letters), rows, bytes, CRC-32 of the bytes (each 32 bits, little-endian), the bytes

HEAD comes first: JSON that says how the rows are laid out and compressed. Each ROWS is a segment: the first byte of every row,
then the second byte of every row and so on, because neighbours have most of them in common, compressed. `number` and
`occurrence` follow from the whole and are 0 in the file; the reader fills in the former. SIDE is the side table, a JSON object
a line, compressed. DONE, JSON with the counts, comes last: without it the file is not whole.
"""

from __future__ import annotations

import array
import json
import struct
import sys
import typing as t
import zlib

from .keys import FIELDS, ROW

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAGIC = b"WFKEYS1\n"
SCHEMA = 1
#: Rows in a segment of ours, and in the largest that is read.
SEGMENT, MAX_SEGMENT = 4_096, 262_144
MAX_JSON, MAX_SIDE = 1 << 20, 64 << 20
_CHUNK = struct.Struct("<4sIII")
_NUMBER = sum(struct.calcsize(field.code) for field in FIELDS[: [field.name for field in FIELDS].index("number")])
#: Of zstd, level 1 would take half as much time again for a tenth less.
_ZLIB_LEVEL, _ZSTD_LEVEL = 1, -2


class BadKeys(Exception):
    """The file is not one of packet keys, or is damaged; the message says where and how."""


class Reads(t.Protocol):
    """What has bytes to read: an open file."""

    def read(self, size: int, /) -> bytes: ...


class Codec(t.NamedTuple):
    """*unpack*(data, size) returns at most *size* bytes and one more where there is more; it raises ValueError."""

    name: str
    pack: Callable[[t.Any], bytes]
    unpack: Callable[[bytes, int], bytes]


def _inflate(data: bytes, size: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def _standard_zstd() -> Codec | None:
    """Return zstd as Python has it from 3.14 on, where it was built with it."""
    try:
        from compression import zstd
    except ImportError:
        return None

    def unpack(data: bytes, size: int) -> bytes:
        try:
            return t.cast("bytes", zstd.ZstdDecompressor().decompress(data, size + 1))
        except zstd.ZstdError as error:
            raise ValueError(str(error)) from error

    return Codec("zstd", lambda data: t.cast("bytes", zstd.compress(data, _ZSTD_LEVEL)), unpack)


def _packaged_zstd() -> Codec | None:
    """Return zstd as the package zstandard has it."""
    try:
        import zstandard
    except ImportError:
        return None

    def unpack(data: bytes, size: int) -> bytes:
        try:
            return zstandard.ZstdDecompressor().stream_reader(data).read(size + 1)
        except zstandard.ZstdError as error:
            raise ValueError(str(error)) from error

    return Codec("zstd", zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress, unpack)


def codec(name: str | None = None) -> Codec:
    """Return the codec called *name*, without one the fastest that is here. Raises BadKeys where there is none of that name."""
    found = None if name == "zlib" else _standard_zstd() or _packaged_zstd()
    if name in (None, "zlib"):
        return found or Codec("zlib", lambda data: zlib.compress(data, _ZLIB_LEVEL), _inflate)
    if found is None or name != "zstd":
        raise BadKeys(f"its rows are compressed with {str(name)[:40]!r}: install the package zstandard to read zstd, update to read others")
    return found


def columns() -> list[list[str | None]]:
    """Return the layout of a row as HEAD has it: name, code of `struct`, flag."""
    return [[field.name, field.code, field.flag] for field in FIELDS]


class Segment:
    """The rows of one segment, until it is full."""

    def __init__(self) -> None:
        self._room = bytearray(SEGMENT * ROW.size)

    def put(self, rows: memoryview, behind: int) -> None:
        """Add whole rows behind the first *behind* ones."""
        self._room[behind * ROW.size : behind * ROW.size + len(rows)] = rows

    def planes(self, many: int) -> t.Any:
        """Return the planes of the first *many* rows; they are valid until the next are put."""
        return planes(memoryview(self._room)[: many * ROW.size])


class Writer:
    """Writes to *sink*. *segment* does what Segment does, perhaps faster."""

    def __init__(self, sink: t.Any, vantage: str, codec_: Codec, segment: Segment | None = None) -> None:
        self._sink, self._codec, self._segment, self._filled = sink, codec_, segment or Segment(), 0
        head = {"schema": SCHEMA, "vantage": vantage, "row_bytes": ROW.size, "columns": columns(), "codec": codec_.name}
        self._sink.write(MAGIC)
        self.chunk(b"HEAD", 0, _json(head))

    def rows(self, data: t.Any) -> None:
        """Add whole rows."""
        left = memoryview(data)
        while left:
            many = min(len(left) // ROW.size, SEGMENT - self._filled)
            self._segment.put(left[: many * ROW.size], self._filled)
            self._filled, left = self._filled + many, left[many * ROW.size :]
            if self._filled == SEGMENT:
                self.flush()

    def flush(self) -> None:
        """End the segment, as each capture file does, so that those of several can be made apart and put together."""
        if self._filled:
            self.chunk(b"ROWS", self._filled, self._codec.pack(self._segment.planes(self._filled)))
        self._filled = 0

    def end(self, side: list[dict[str, t.Any]], counts: Mapping[str, t.Any]) -> None:
        self.flush()
        self.chunk(b"SIDE", len(side), self._codec.pack(b"".join(map(_json, side))))
        self.chunk(b"DONE", 0, _json(counts))

    def chunk(self, tag: bytes, rows: int, data: bytes) -> None:
        self._sink.write(_CHUNK.pack(tag, rows, len(data), zlib.crc32(data)) + data)


def planes(rows: t.Any) -> bytes:
    """Return the first byte of every row, then the second of every row, and so on."""
    data = bytes(rows)
    return b"".join(data[place :: ROW.size] for place in range(ROW.size))


def _json(value: t.Any) -> bytes:
    return (json.dumps(value, separators=(",", ":")) + "\n").encode()


class Reader:
    """Reads a file of keys that anybody may have written. *head* is known at once, *side* and *counts* once all was read."""

    def __init__(self, source: Reads) -> None:
        self._source = source
        self.side: list[dict[str, t.Any]] = []
        self.counts: dict[str, t.Any] = {}
        if source.read(len(MAGIC)) != MAGIC:
            raise BadKeys("it is no file of packet keys")
        tag, _rows, data = self._next()
        self.head = _object(data) if tag == b"HEAD" else {}
        if self.head.get("schema") != SCHEMA or self.head.get("columns") != columns():
            raise BadKeys("its rows are laid out as another version of this collection has them: index the capture again")
        self._codec = codec(self.head.get("codec"))

    def segments(self) -> Iterator[tuple[int, bytes]]:
        """Yield (rows, packed) for every segment, for Writer.chunk(). Raises BadKeys at what is damaged."""
        while True:
            tag, rows, data = self._next()
            if tag == b"DONE":
                self.counts = _object(data)
                if self._source.read(1):
                    raise BadKeys("something follows its end")
                return
            if tag == b"SIDE":
                self.side = self._lines(rows, data)
            elif tag == b"ROWS":
                yield rows, data
            else:
                raise BadKeys(f"it has a chunk {tag!r}, which nothing is known of")

    def planes(self) -> Iterator[bytearray]:
        """Yield every segment, unpacked, with `number` filled in."""
        done = 0
        for rows, packed in self.segments():
            data = bytearray(self._unpack(packed, rows * ROW.size))
            numbers = array.array("I", range(done + 1, done + rows + 1))
            if sys.byteorder == "big":
                numbers.byteswap()
            turned = numbers.tobytes()
            for byte in range(4):
                data[(_NUMBER + byte) * rows : (_NUMBER + byte + 1) * rows] = turned[byte::4]
            done += rows
            yield data

    def rows(self) -> Iterator[bytes]:
        """Yield the rows of every segment, one after the other; `occurrence` is 0 in each."""
        for data in self.planes():
            many = len(data) // ROW.size
            rows = bytearray(len(data))
            for place in range(ROW.size):
                rows[place :: ROW.size] = data[place * many : (place + 1) * many]
            yield bytes(rows)

    def _next(self) -> tuple[bytes, int, bytes]:
        head = self._source.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            raise BadKeys("it ends before its counts: it was cut, or is still being written")
        tag, rows, size, checksum = _CHUNK.unpack(head)
        if size > (_limits(rows) if tag in (b"ROWS", b"SIDE") else MAX_JSON) or rows > (MAX_SIDE if tag == b"SIDE" else MAX_SEGMENT):
            raise BadKeys(f"it has a chunk of {size} bytes for {rows} rows, which cannot be")
        data = self._source.read(size)
        if len(data) < size:
            raise BadKeys("it ends within a chunk")
        if zlib.crc32(data) != checksum:
            raise BadKeys("a chunk is not as it was written: its checksum differs")
        return tag, rows, data

    def _unpack(self, packed: bytes, size: int) -> bytes:
        try:
            data = self._codec.unpack(packed, size)
        except ValueError as error:
            raise BadKeys(f"a chunk cannot be unpacked: {error}") from error
        if len(data) != size:
            raise BadKeys("a segment has another size than its head says")
        return data

    def _lines(self, rows: int, packed: bytes) -> list[dict[str, t.Any]]:
        try:
            data = self._codec.unpack(packed, MAX_SIDE)
        except ValueError as error:
            raise BadKeys(f"its side table cannot be unpacked: {error}") from error
        lines = data.splitlines()
        if len(data) > MAX_SIDE or len(lines) != rows:
            raise BadKeys("its side table has another size than its head says")
        return [_object(line) for line in lines]


def _limits(rows: int) -> int:
    """Return how many bytes so many rows have at most when they could not be compressed."""
    return rows * 1024 + MAX_JSON


def _object(data: bytes) -> dict[str, t.Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadKeys(f"what should be JSON is not: {error}") from error
    if not isinstance(value, dict):
        raise BadKeys("what should be a JSON object is not")
    return value
