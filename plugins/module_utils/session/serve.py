# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers the controller on stdin and stdout: one JSON line asks, one JSON line (and data) answers."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import stat
import subprocess
import threading
import time
import typing as t
import zlib

from ..hasher import Hasher
from ..host import SEARCH_PATH, CommandMissing, Host
from ..settings.model import Refused
from . import indexing

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .folder import Folder

SEGMENT = 64 << 20
CHUNK = 1 << 20
MAX_REQUEST = 8 << 20
_PATH = re.compile(r"vantages/([A-Za-z0-9_][A-Za-z0-9._-]*)/(raw|keys|log|state|counters|clock)/([A-Za-z0-9_-][A-Za-z0-9._-]*)\Z")
_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW


def serve(folder: Folder, source: t.BinaryIO, sink: t.BinaryIO) -> int:
    """Answer requests until the controller hangs up."""
    operations: dict[str, Callable[[dict[str, t.Any]], dict[str, t.Any]]] = {
        "time": lambda request: {"t_ns": time.time_ns(), "codecs": codecs()},
        "heartbeat": lambda request: {**_known(folder, "heartbeat"), "now_ns": time.time_ns()},
        "result": lambda request: _known(folder, "result"),
        "index": lambda request: indexing.progress(Host(), folder, request.get("start") is True),
        "list": lambda request: {"files": list_files(folder)},
        "verified": lambda request: {"removed": remove_verified(folder, request.get("paths"))},
    }
    running = Running()
    while True:
        line = source.readline(MAX_REQUEST)
        if not line:
            return 0
        try:
            request = parse_request(line)
            wanted = request.get("op")
            if wanted == "get":
                send_segment(folder, request, sink, running)
            elif wanted in ("upload", "trial"):
                for answer in to_store(folder, request):
                    _say(sink, answer)
            elif isinstance(wanted, str) and wanted in operations:
                _say(sink, operations[wanted](request))
            else:
                raise Refused(f"there is no op {wanted!r}: ask {', '.join([*operations, 'get', 'upload', 'trial'])}")
        except (Refused, CommandMissing, OSError) as problem:
            _say(sink, {"error": str(problem)})
        if not line.endswith(b"\n"):
            return 0


def parse_request(line: bytes) -> dict[str, t.Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise Refused(f"a request is one line of JSON of at most {MAX_REQUEST} bytes") from None
    if not isinstance(request, dict):
        raise Refused("a request is a JSON object with an op")
    return request


def codecs() -> list[str]:
    return ["raw", "gzip", *(["zstd"] if _zstd() else [])]


def _zstd() -> str | None:
    return shutil.which("zstd", path=os.environ.get("PATH", "") + ":" + SEARCH_PATH)


def _known(folder: Folder, name: str) -> dict[str, t.Any]:
    data = folder.read_json(f"{name}.json")
    if data is None:
        raise Refused(f"there is no {name} of {folder.campaign} yet")
    return t.cast("dict[str, t.Any]", data)


def list_files(folder: Folder) -> list[dict[str, t.Any]]:
    """Return {"path", "bytes"} of every file that is evidence."""
    found = []
    for base, _folders, names in os.walk(folder.file("vantages")):
        for name in names:
            path = os.path.join(base, name)
            about = os.lstat(path)
            relative = os.path.relpath(path, folder.path)
            if stat.S_ISREG(about.st_mode) and _PATH.match(relative):
                found.append({"path": relative, "bytes": about.st_size})
    return sorted(found, key=lambda file: str(file["path"]))


def open_inside(folder: Folder, path: t.Any) -> int:
    """Return a descriptor of the file *path* of the evidence. No step of the way may be a link."""
    match = _PATH.match(path) if isinstance(path, str) else None
    if match is None or ".." in path:
        raise Refused(f"{path!r} is not a file of the evidence: ask `list` for those")
    descriptor = os.open(folder.file("vantages"), _NO_LINK | os.O_DIRECTORY)
    for part, more in zip(match.groups(), (os.O_DIRECTORY, os.O_DIRECTORY, os.O_NONBLOCK)):
        descriptor = _open_at(descriptor, part, more, path)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Refused(f"{path} is not a file")
    return descriptor


def _open_at(parent: int, name: str, more: int, path: str) -> int:
    try:
        return os.open(name, _NO_LINK | more, dir_fd=parent)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(parent)


def remove_verified(folder: Folder, paths: t.Any) -> list[str]:
    """Delete the raw files among *paths*; refused while the session may still write them."""
    if not isinstance(paths, list):
        raise Refused("verified needs paths")
    if folder.read_json("result.json") is None:
        raise Refused(f"{folder.campaign} has not ended: its files cannot be final")
    removed = []
    for path in paths:
        match = _PATH.match(path) if isinstance(path, str) else None
        if match and match.group(2) == "raw" and _remove(folder, path):
            removed.append(path)
    return removed


def _remove(folder: Folder, path: str) -> bool:
    try:
        os.close(open_inside(folder, path))
        os.unlink(folder.file(path))
    except (Refused, FileNotFoundError):
        return False
    return True


class Running:
    """The SHA-256 of a file's segments as they are asked for one after the other, so that both ends hash them once."""

    def __init__(self) -> None:
        self._next: tuple[t.Any, int] | None = None
        self.first = 0
        self.sum = Hasher()

    def begin(self, path: t.Any, segment: int) -> None:
        """Go on with the sum, or begin a new one where *segment* does not follow what was sent before."""
        if self._next != (path, segment):
            self.sum.stop()
            self.first, self.sum = segment, Hasher()
        self._next = None

    def end(self, path: t.Any, segment: int) -> None:
        self._next = (path, segment + 1)


def send_segment(folder: Folder, request: dict[str, t.Any], sink: t.BinaryIO, running: Running) -> None:
    """Answer a get: a line, the segment in chunks, a line with the sum of the segments from `first` to this one."""
    path, segment, codec = request.get("path"), request.get("segment", 0), request.get("codec", "raw")
    if codec not in codecs():
        raise Refused(f"this host has no codec {codec!r}: it has {', '.join(codecs())}")
    if not isinstance(segment, int) or isinstance(segment, bool) or not 0 <= segment < 1 << 30:
        raise Refused("segment must be a whole number from 0")
    with os.fdopen(open_inside(folder, path), "rb", buffering=0) as handle:
        handle.seek(segment * SEGMENT)
        running.begin(path, segment)
        _say(sink, {"path": path, "segment": segment, "codec": codec, "first": running.first})
        raw = Hashed(handle, running.sum)
        stored = 0
        for chunk in encode(codec, raw):
            sink.write(b"%08x" % len(chunk))
            sink.write(chunk)
            stored += len(chunk)
        sink.write(b"00000000")
        _say(sink, {"raw_bytes": raw.count, "sha256": running.sum.so_far(), "stored_bytes": stored})
        running.end(path, segment)


def to_store(folder: Folder, request: dict[str, t.Any]) -> Iterator[dict[str, t.Any]]:
    """Yield the lines that answer an upload or a trial: the host itself writes a file to where presigned URLs say."""
    from . import objects  # what speaks HTTP takes longer to load than all else here, and most never need it

    if folder.read_json("result.json") is None:
        raise Refused(f"{folder.campaign} has not ended: its files cannot be final")
    codec, urls, there = request.get("codec", "raw"), request.get("urls"), request.get("there") or []
    if codec not in codecs():
        raise Refused(f"this host has no codec {codec!r}: it has {', '.join(codecs())}")
    if not isinstance(urls, list) or not urls or not isinstance(there, list):
        raise Refused("writing to a store needs presigned urls")
    with os.fdopen(open_inside(folder, request.get("path")), "rb", buffering=0) as handle:
        if request["op"] == "trial":
            yield from objects.trial(handle, urls[0], int(request.get("bytes") or CHUNK))
            return
        window = request.get("window")
        yield from objects.upload(objects.Parts(handle, codec, (window[0], window[1]) if window else (None, None), folder.path), urls, there)


class Hashed:
    """The blocks of one segment, counted, and hashed beside whatever is done with them. A block is good until the next is asked for."""

    def __init__(self, handle: t.Any, digest: Hasher) -> None:
        self._handle = handle
        self._digest = digest
        self.count = 0

    def __iter__(self) -> Iterator[memoryview]:
        # so many that what is read to is neither hashed nor waits for it
        buffers = [memoryview(bytearray(CHUNK)) for _number in range(Hasher.WAITING + 2)]
        for buffer in itertools.cycle(buffers):
            size = self._handle.readinto(buffer[: min(CHUNK, SEGMENT - self.count)])
            if not size:
                return
            self.count += size
            self._digest.feed(buffer[:size])
            yield buffer[:size]


def encode(codec: str, raw: Iterable[memoryview]) -> Iterator[bytes | memoryview]:
    """Yield the segment's bytes in pieces of at most a chunk or so, each segment a compressed frame of its own."""
    if codec == "raw":
        return iter(raw)
    return _gzip(raw) if codec == "gzip" else _zstd_pipe(raw)


def _gzip(raw: Iterable[memoryview]) -> Iterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    for block in raw:
        piece = packer.compress(block)
        if piece:
            yield piece
    yield packer.flush()


def _zstd_pipe(raw: Iterable[memoryview]) -> Iterator[bytes]:
    command = [str(_zstd()), "-1", "-T0", "-q", "-c"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as packer:  # pylint: disable=ansible-bad-function
        stdin, stdout = t.cast("t.BinaryIO", packer.stdin), t.cast("t.BinaryIO", packer.stdout)
        feeder = threading.Thread(target=_feed, args=(raw, stdin), daemon=True)
        feeder.start()
        while True:
            piece = stdout.read(CHUNK)
            if not piece:
                break
            yield piece
        feeder.join()


def _feed(raw: Iterable[memoryview], stdin: t.BinaryIO) -> None:
    """Ends early when zstd died: the frame is then cut, which the controller notices."""
    with stdin:
        try:
            for block in raw:
                left = memoryview(block)
                while left:
                    left = left[stdin.write(left) :]
        except BrokenPipeError:
            pass


def _say(sink: t.BinaryIO, answer: dict[str, t.Any]) -> None:
    sink.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    sink.flush()
