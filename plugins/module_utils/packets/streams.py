# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture files as streams: plain, gzip or zstd, from a file or a pipe, without waiting for more than there is."""

from __future__ import annotations

import filecmp
import os
import stat
import subprocess
import sys
import threading
import typing as t
import zlib

from ..host import Host

if t.TYPE_CHECKING:
    from collections.abc import Callable

STANDARD = "-"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 16


class Damaged(Exception):
    """The input ends too early or cannot be read on; the message says where and why."""


class Source:
    """What is read, in the pieces in which it comes. A compressed one is recognised by its first bytes, not by its name."""

    def __init__(self, path: str) -> None:
        descriptor = os.dup(sys.stdin.fileno()) if path == STANDARD else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._file = os.fdopen(descriptor, "rb", buffering=0)
        self._head = self._first(4)
        self._read: Callable[[memoryview], int] = self._plain
        if self._head[:2] == _GZIP:
            self._unpacker, self._packed, self._read = zlib.decompressobj(wbits=31), b"", self._gunzip
        elif self._head == _ZSTD:
            self._read = self._start_zstd()

    def read_into(self, view: memoryview) -> int:
        """Fill *view* as far as there is something; return how many bytes, 0 at the end. Raises Damaged."""
        return self._read(view)

    def close(self) -> None:
        self._file.close()

    def _first(self, size: int) -> bytes:
        head = b""
        while len(head) < size:
            piece = self._file.read(size - len(head))
            if not piece:
                break
            head += piece
        return head

    def _plain(self, view: memoryview) -> int:
        if self._head:
            size = min(len(view), len(self._head))
            view[:size], self._head = self._head[:size], self._head[size:]
            return size
        return self._file.readinto(view) or 0

    def _next(self) -> bytes:
        head, self._head = self._head, b""
        return head or self._file.read(_PIECE)

    def _gunzip(self, view: memoryview) -> int:
        """Members may follow each other; a file that ends within one is damaged."""
        while True:
            self._packed = self._packed or self._next()
            ended = not self._packed
            if self._unpacker.eof and ended:
                return 0
            if self._unpacker.eof:
                self._unpacker = zlib.decompressobj(wbits=31)
            size = self._inflate(view)
            if size:
                return size
            if ended and not self._unpacker.eof:
                raise Damaged("the gzip file ends too early")

    def _inflate(self, view: memoryview) -> int:
        try:
            data = self._unpacker.decompress(self._packed, len(view))
        except zlib.error as error:
            raise Damaged(f"the gzip file is damaged: {error}") from error
        self._packed = self._unpacker.unused_data if self._unpacker.eof else self._unpacker.unconsumed_tail
        view[: len(data)] = data
        return len(data)

    def _start_zstd(self) -> Callable[[memoryview], int]:
        child = Host().between(["zstd", "-dcq"], subprocess.PIPE, subprocess.PIPE)
        threading.Thread(target=self._feed, args=(t.cast("t.IO[bytes]", child.stdin),), daemon=True).start()
        unpacked = t.cast("t.Any", child.stdout).raw

        def read(view: memoryview) -> int:
            size = unpacked.readinto(view)
            if not size and child.wait():
                raise Damaged("the zstd file ends too early or is damaged")
            return size or 0

        return read

    def _feed(self, sink: t.IO[bytes]) -> None:
        try:
            with sink:
                while piece := self._next():
                    sink.write(piece)
        except (OSError, ValueError):
            return  # zstd has ended, which its exit code explains


class Sink:
    """What is written, 0600, compressed as the ending of its name says. A file has its name only when it is whole."""

    def __init__(self, path: str) -> None:
        self.changed = True
        self._final: str | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._packer = zlib.compressobj(1, wbits=31) if path.endswith(".gz") else None
        self._file = os.fdopen(self._open(path), "wb", buffering=0)
        if wants_zstd(path):
            self._child = Host().between(["zstd", "-qc", "-1"], subprocess.PIPE, self._file)

    def write(self, data: t.Any) -> None:
        """Write all of *data* (bytes-like) before returning, so that whoever reads the other end of a pipe has it."""
        if self._child and self._child.stdin:
            self._child.stdin.write(data)
            return
        view = memoryview(self._packer.compress(data) if self._packer else data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def end(self, problem: type[BaseException] | None, *_more: object) -> None:
        """Close as the end of a with statement does: what a *problem* cut short does not get its name."""
        if problem is None:
            self.close()
        else:
            self._file.close()

    def close(self) -> None:
        """Finish and give the file its name. Raises OSError where the last bytes could not be written."""
        if self._child and self._child.stdin:
            self._child.stdin.close()
            if self._child.wait():
                raise OSError("zstd could not write its output")
        if self._packer:
            tail, self._packer = self._packer.flush(), None
            self.write(tail)
        self._file.close()
        if self._final and _same(partial(self._final), self._final):
            self.changed = False
            os.unlink(partial(self._final))
        elif self._final:
            os.replace(partial(self._final), self._final)

    def _open(self, path: str) -> int:
        if path == STANDARD:
            return os.dup(sys.stdout.fileno())
        if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
            return os.open(path, os.O_WRONLY | os.O_CLOEXEC)  # a pipe or device has no other name
        self._final = path
        return os.open(partial(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


class Rehearsal:
    """Takes what would be written to *path*, writes nothing, and finds out whether the file holds just that already."""

    def __init__(self, path: str) -> None:
        self.changed = True
        self._there = Source(path) if os.path.isfile(path) else None
        self._same = self._there is not None

    def write(self, data: t.Any) -> None:
        view = memoryview(data)
        while self._same and view:
            piece = self._read(min(len(view), _PIECE))
            self._same, view = bool(piece) and piece == view[: len(piece)], view[len(piece) :]

    def end(self, _problem: type[BaseException] | None, *_more: object) -> None:
        self.changed = not (self._same and not self._read(1))
        if self._there:
            self._there.close()

    def _read(self, size: int) -> bytes:
        buffer = bytearray(size)
        try:
            return bytes(buffer[: self._there.read_into(memoryview(buffer))]) if self._there else b""
        except Damaged:
            return b""


def is_zstd(path: str) -> bool:
    """Whether the file at *path* is compressed with zstd; a pipe is not asked, since what is read of it is gone."""
    if not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(4) == _ZSTD


def wants_zstd(path: str) -> bool:
    return path.endswith((".zst", ".zstd"))


def _same(one: str, other: str) -> bool:
    return os.path.exists(other) and filecmp.cmp(one, other, shallow=False)


def partial(path: str) -> str:
    """Return the name of *path* while it is being written."""
    return path + ".partial"
