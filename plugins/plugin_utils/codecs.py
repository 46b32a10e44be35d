# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression on the way from a host: which one pays, and undoing it with bounded memory."""

from __future__ import annotations

import os
import typing as t
import zlib

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Buffer = t.Union[bytes, memoryview]

try:
    import zstandard
except ImportError:
    zstandard = None

READ = 1 << 20
#: What a decompressor raises on bytes that are not what was sent.
DAMAGED: tuple[type[Exception], ...] = (zlib.error, *((zstandard.ZstdError,) if zstandard else ()))
SUFFIX = {"raw": "", "gzip": ".gz", "zstd": ".zst"}

#: Bytes of raw input that one core of a host compresses in a second at level 1, measured on pcap files whose
#: payload is mostly random; a faster host only makes compressing pay a little later than it could.
SPEED = {"zstd": 250e6, "gzip": 40e6}
#: Compressing costs the host CPU that its own work may want, so it must save at least this share of the time.
WORTH = 0.8


def available() -> tuple[str, ...]:
    """Return the codecs that this controller can undo, best first."""
    return ("zstd", "gzip") if zstandard else ("gzip",)


def choose(link: float, ratio: float, codecs: tuple[str, ...]) -> str:
    """Return the codec that brings files home soonest over *link* bytes/s when they shrink to *ratio*. Pure.

    Compressing and sending overlap, so the slower of the two is what counts.
    """
    times = {codec: max(1 / SPEED[codec], ratio / link) for codec in codecs}
    best = min(times, key=times.__getitem__, default="raw")
    return best if best != "raw" and times[best] < WORTH / link else "raw"


def sample_ratio(path: str, size: int = 1 << 20) -> float:
    """Return to which share of itself a piece from the middle of *path* shrinks."""
    with open(path, "rb") as handle:
        handle.seek(max(0, os.path.getsize(path) // 2 - size // 2))
        piece = handle.read(size)
    return len(zlib.compress(piece, 1)) / len(piece) if piece else 1.0


def decode(codec: str, pieces: Iterable[Buffer]) -> Iterator[Buffer]:
    """Yield the raw bytes of one frame, at most READ at a time however far it expands; uses up *pieces*."""
    if codec == "gzip":
        return _gunzip(pieces)
    return _unzstd(pieces) if codec == "zstd" else iter(pieces)


def encode_file(path: str, target: str, codec: str) -> None:
    """Write the raw file *path* as one frame to *target*."""
    with open(path, "rb") as source, open(target, "wb", opener=_private) as sink:
        if codec == "zstd":
            zstandard.ZstdCompressor(level=1).copy_stream(source, sink)
            return
        packer = zlib.compressobj(1, wbits=31)
        while block := source.read(READ):
            sink.write(packer.compress(block))
        sink.write(packer.flush())


def _gunzip(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    for piece in pieces:
        rest = bytes(piece)
        while rest:
            yield unpacker.decompress(rest, READ)
            rest = unpacker.unconsumed_tail
    yield unpacker.flush()


def _unzstd(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    source = _Reader(iter(pieces))
    with zstandard.ZstdDecompressor().stream_reader(t.cast("t.IO[bytes]", source)) as reader:
        while block := reader.read(READ):
            yield block
    source.read(-1)


class _Reader:
    """A file made of the pieces of an iterator."""

    def __init__(self, pieces: Iterator[Buffer]) -> None:
        self._pieces = pieces
        self._have = b""

    def read(self, size: int) -> bytes:
        if size < 0:
            return b"".join(map(bytes, self._pieces))
        if not self._have:
            self._have = bytes(next(self._pieces, b""))
        found, self._have = self._have[:size], self._have[size:]
        return found


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
