# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes packets from an engine's pipe to the disk, so that the engine never waits for the disk.

A tool that writes its file itself is held up whenever the kernel has too much to write back, and loses packets meanwhile
(docs/bench.md, "loss"). Here one thread fills large buffers from the pipe and another writes them past the page cache
(O_DIRECT), or through it where the file system wants that.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import queue
import select
import signal
import sys
import threading
import time
import typing as t

#: Of the file and of each buffer: what every disk writes at full speed, and a whole number of its blocks.
CHUNK = 4 << 20
#: After so long what has come is written, though it fills no chunk: the file's size is what limits and progress go by.
FLUSH_S = 1.0
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class Piece(t.NamedTuple):
    """*buffer*[*begin*:*end*] belongs at *offset* + *begin* of the file; *last* of its buffer, which is free then."""

    buffer: mmap.mmap
    offset: int
    begin: int
    end: int
    last: bool


class Writer:
    """Writes the pieces of one file in their order, and says in *error* what prevented it."""

    def __init__(self, path: str, memory: int) -> None:
        self.plain = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        self.direct = _open_direct(path)
        self.free: queue.LifoQueue[mmap.mmap] = queue.LifoQueue()
        self.full: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self.error: OSError | None = None
        for _number in range(max(2, memory // CHUNK)):
            # Anonymous memory begins at a page, as O_DIRECT wants, and takes none until it is used.
            self.free.put(mmap.mmap(-1, CHUNK))
        self.thread = threading.Thread(target=self._write_all, daemon=True)
        self.thread.start()

    def _write_all(self) -> None:
        for piece in iter(self.full.get, None):
            if self.error is None:
                try:
                    self._write(piece)
                except OSError as error:
                    self.error = error
            if piece.last:
                self.free.put(piece.buffer)

    def _write(self, piece: Piece) -> None:
        """A full chunk is written whole and past the cache, also where a beginning of it was written before."""
        whole = self.direct is not None and piece.end == CHUNK
        handle, at = (t.cast("int", self.direct), 0) if whole else (self.plain, piece.begin)
        with memoryview(piece.buffer) as data:
            while at < piece.end:
                at += os.pwrite(handle, data[at : piece.end], piece.offset + at)

    def close(self) -> None:
        self.full.put(None)
        self.thread.join()
        for handle in (self.plain, self.direct):
            if handle is not None:
                os.close(handle)


def pump(source: int, writer: Writer) -> None:
    """Read *source* to its end; ends early where nothing can be written any more, which closes the pipe to the engine."""
    offset, more = 0, True
    while more and writer.error is None:
        filled, more = _fill(writer.free.get(), offset, source, writer)
        offset += filled


def _fill(buffer: mmap.mmap, offset: int, source: int, writer: Writer) -> tuple[int, bool]:
    """Fill *buffer* and hand it on, its beginning earlier where it fills slowly; return (bytes, whether there may be more)."""
    filled = written = 0
    due = time.monotonic() + FLUSH_S
    more = True
    while more and filled < CHUNK and writer.error is None:
        if select.select([source], [], [], max(0.0, due - time.monotonic()))[0]:
            with memoryview(buffer) as room:
                count = os.readv(source, [room[filled:]])
            filled, more = filled + count, count > 0
        if time.monotonic() >= due:
            if filled > written:
                writer.full.put(Piece(buffer, offset, written, filled, last=False))
            written, due = filled, time.monotonic() + FLUSH_S
    writer.full.put(Piece(buffer, offset, written, filled, last=True))
    return filled, more


def write(path: str, memory: int, source: int = 0) -> int:
    """Write what comes from *source* to *path*, holding up to *memory* bytes; return the exit code.

    A signal that ends the engine must not end this: it goes on until the pipe is closed.
    """
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(which, signal.SIG_IGN)
    _widen(source)
    writer = Writer(path, memory)
    pump(source, writer)
    writer.close()
    if writer.error:
        sys.stderr.write(f"writer: {os.path.basename(path)} could not be written: {writer.error.strerror}\n")
    return int(writer.error is not None)


def _open_direct(path: str) -> int | None:
    """Return a handle past the page cache, None where the file system has no such thing."""
    try:
        return os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_NOFOLLOW)
    except OSError:
        return None


def _widen(source: int) -> None:
    try:
        fcntl.fcntl(source, _F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:  # the user's share of pipe memory is used up, or it is no pipe
        return
