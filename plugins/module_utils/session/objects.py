# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes capture files to an object store by presigned URLs, which are all that a host is given: no credentials, no library.

A file is an object, or the parts of one (S3's multipart upload) as it is read from its beginning: each is hashed, walked and
compressed while the one before it travels. What the store has already is made again, for the sums, and not sent again.
"""

from __future__ import annotations

import base64
import concurrent.futures
import errno
import hashlib
import http.client
import itertools
import os
import ssl
import tempfile
import time
import typing as t
import urllib.parse
import zlib

from ..hasher import Hasher
from ..packets.pcapfile import Walker
from ..settings.model import Refused
from .s3 import LEAST_PART, MOST_PARTS, PROBE, explain, refuses, s3_error
from .serve import SEGMENT, Hashed, encode

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

BLOCK = 1 << 20
#: A store that is silent for so long is given up; the controller hears at least so often that a part is still on its way.
SILENCE_S, TICK_S = 60.0, 5.0
ATTEMPTS, PAUSE_S = 4, 1.0
_MOST_SAID = 64 << 10
_AGAIN = (408, 429, 500, 502, 503, 504)
_AGAIN_CODES = ("RequestTimeout", "SlowDown", "InternalError", "BadDigest")


class Reply(t.NamedTuple):
    """What the store answered; *code* and *message* are those of an S3 error, empty where there is none."""

    status: int
    etag: str
    code: str
    message: str


class Part(t.NamedTuple):
    """One part of an object, *stored_bytes* from *source*; *md5* is of these, in hexadecimal."""

    number: int
    md5: str
    raw_bytes: int
    stored_bytes: int
    source: t.Any


def place_of(url: t.Any) -> urllib.parse.SplitResult:
    """Return the parts of a presigned URL; raises Refused, without the URL, which is a secret. Pure."""
    try:
        found = urllib.parse.urlsplit(url) if isinstance(url, str) and len(url) < 8192 and url.isascii() and url.isprintable() else None
        if found and found.scheme in ("http", "https") and found.hostname and found.port != 0:
            return found
    except ValueError:
        pass
    raise Refused("a presigned URL must begin with http:// or https:// and name a host")


def ask(method: str, url: str, body: t.Any = b"", size: int = 0, md5: str = "") -> Reply:
    """Send one request and return the store's answer; raises OSError or HTTPException where there is none."""
    place = place_of(url)
    kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(place.hostname), place.port, timeout=SILENCE_S, blocksize=BLOCK)
    headers = {"Content-Length": str(size)} if method == "PUT" else {}
    if md5:
        headers["Content-MD5"] = base64.b64encode(bytes.fromhex(md5)).decode()
    try:
        connection.request(method, f"{place.path}?{place.query}", body=body if size else None, headers=headers)
        answer = connection.getresponse()
        said = answer.read(_MOST_SAID)
        code, message = s3_error(said) if answer.status >= 300 else ("", "")
        return Reply(answer.status, (answer.getheader("ETag") or "").strip('"'), code, message)
    finally:
        connection.close()


def put(url: str, body: Callable[[], t.Any], size: int, md5: str, pause_s: float = PAUSE_S) -> str:
    """Write an object or a part whose MD5 the store checks, and return its ETag; what may pass is tried again. Raises Refused."""
    where, said = netloc(url), ""
    for attempt in range(ATTEMPTS):
        time.sleep(pause_s * 2 ** (attempt - 1) if attempt else 0)
        try:
            reply = ask("PUT", url, body(), size, md5)
        except (OSError, http.client.HTTPException) as problem:
            said, may_pass = unreachable(where, problem), not isinstance(problem, ssl.SSLCertVerificationError)
        else:
            if reply.status < 300:
                return reply.etag
            said = explain(where, reply.status, reply.code, reply.message)
            may_pass = reply.status in _AGAIN or reply.code in _AGAIN_CODES
        if not may_pass:
            break
    raise Refused(said)


def netloc(url: str) -> str:
    place = place_of(url)
    return f"{place.scheme}://{place.netloc}"


def unreachable(where: str, problem: Exception) -> str:
    """Return a sentence for a store that could not be asked. Pure."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the certificate of the object store {where} is not trusted here ({problem.verify_message}): install its CA on this host"
    words = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return f"the object store {where} cannot be reached from here ({words}): hosts write there themselves and need a way to it"


def probe(urls: Mapping[str, str | None]) -> str | None:
    """Return what prevents this host from writing to the store, None where nothing does.

    *urls* are presigned: `put` and `delete` for a tiny object; or `get` for one that is not there, which changes nothing.
    """
    steps = [(method, url) for method, url in (("PUT", urls.get("put")), ("DELETE", urls.get("delete")), ("GET", urls.get("get"))) if url]
    for method, url in steps:
        try:
            reply = ask(method, url, *((PROBE, len(PROBE), hashlib.md5(PROBE, usedforsecurity=False).hexdigest()) if method == "PUT" else ()))
        except (OSError, http.client.HTTPException) as problem:
            return unreachable(netloc(url), problem)
        if refuses(method, reply.status, reply.code):
            return explain(netloc(url), reply.status, reply.code, reply.message)
    return None


class Region:
    """Some bytes of a file as http.client reads them, whatever else reads the file meanwhile."""

    def __init__(self, descriptor: int, begin: int, size: int) -> None:
        self._descriptor, self._begin, self._end = descriptor, begin, begin + size
        self._at = begin

    def seek(self, offset: int) -> None:
        self._at = self._begin + offset

    def close(self) -> None:
        """The file belongs to somebody else."""

    def read(self, size: int = BLOCK) -> bytes:
        block = os.pread(self._descriptor, min(size, self._end - self._at), self._at)
        self._at += len(block)
        return block


class Parts:
    """The parts of one file in their order; what they are together is known after the last.

    A part is a segment as it is, or compressed segments, each a frame of its own, until they are enough for a part.
    """

    def __init__(self, handle: t.Any, codec: str, window: tuple[int | None, int | None], folder: str) -> None:
        self._handle, self._codec, self._folder = handle, codec, folder
        self._size = os.fstat(handle.fileno()).st_size
        self._per_part = max(1, -(-self._size // (SEGMENT * MOST_PARTS)))
        self._walker = Walker(*window)
        self._whole = Hasher()
        self._sum = hashlib.sha256()
        self._raw_sum = ""
        self.raw_bytes = self.stored_bytes = 0

    def __iter__(self) -> Iterator[Part]:
        try:
            for number in itertools.count(1):
                yield self._part(number)
                if self.raw_bytes >= self._size:
                    return
        finally:
            self._raw_sum = self._whole.so_far()
            self._whole.stop()

    def about(self) -> dict[str, t.Any]:
        """Return what the manifest says of the whole file."""
        return {
            "raw_bytes": self.raw_bytes,
            "stored_bytes": self.stored_bytes,
            "sha256_raw": self._raw_sum,
            "sha256_stored": self._raw_sum if self._codec == "raw" else self._sum.hexdigest(),
            "summary": self._walker.summary()._asdict(),
        }

    def _part(self, number: int) -> Part:
        begin, digest, stored = self.raw_bytes, hashlib.md5(usedforsecurity=False), 0
        spool = None if self._codec == "raw" else tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - its sender closes it
        for count in itertools.count(1):
            for piece in self._segment():
                digest.update(piece)
                stored += len(piece)
                if spool is not None:
                    self._sum.update(piece)
                    _write_all(spool, piece)
            if self.raw_bytes >= self._size or (count >= self._per_part and stored >= LEAST_PART):
                break
        self.stored_bytes += stored
        source = Region(self._handle.fileno(), begin, stored) if spool is None else spool
        return Part(number, digest.hexdigest(), self.raw_bytes - begin, stored, source)

    def _segment(self) -> Iterator[bytes | memoryview]:
        """Yield the stored bytes of the next segment; the raw ones are hashed, walked and counted on their way."""
        self._handle.seek(self.raw_bytes)
        raw = Hashed(self._handle, self._whole)
        yield from encode(self._codec, _walked(raw, self._walker))
        self.raw_bytes += raw.count
        if not raw.count and self.raw_bytes < self._size:
            raise Refused(f"the file became shorter, {self.raw_bytes} of {self._size} bytes, while it was read")


def _walked(raw: Iterable[memoryview], walker: Walker) -> Iterator[memoryview]:
    for block in raw:
        walker.feed(block)
        yield block


def _write_all(spool: t.Any, piece: bytes | memoryview) -> None:
    left = memoryview(piece)
    try:
        while left:
            left = left[spool.write(left) :]
    except OSError as problem:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Refused("there is no room for one compressed part beside the captures: collect with campaign_compress=never") from None


def upload(parts: Parts, urls: list[str], there: list[list[t.Any]]) -> Iterator[dict[str, t.Any]]:
    """Yield a line for each part that the store has, "sent" or not, lines while one is on its way, and one on the whole file.

    *urls* are presigned, one a part; *there* says [MD5, bytes] of the parts that the store has already. Raises Refused.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as sender:
        on_its_way: tuple[Part, concurrent.futures.Future[str | None]] | None = None
        for part in parts:
            if on_its_way:
                yield from _arrival(*on_its_way)
            on_its_way = part, sender.submit(_deliver, part, urls, there)
        if on_its_way:
            yield from _arrival(*on_its_way)
    yield {"done": True, **parts.about()}


def _deliver(part: Part, urls: list[str], there: list[list[t.Any]]) -> str | None:
    """Send *part* and return its ETag, None where the store has it already."""
    try:
        if part.number <= len(there) and there[part.number - 1] == [part.md5, part.stored_bytes]:
            return None
        if part.number > len(urls):
            raise Refused(f"there are {len(urls)} URLs and this is part {part.number}")
        return put(urls[part.number - 1], lambda: _rewound(part.source), part.stored_bytes, part.md5)
    finally:
        part.source.close()


def _rewound(source: t.Any) -> t.Any:
    source.seek(0)
    return source


def _arrival(part: Part, future: concurrent.futures.Future[str | None]) -> Iterator[dict[str, t.Any]]:
    yield from _waiting(future, part.number)
    etag = future.result()
    yield {
        "part": part.number,
        "md5": part.md5,
        "raw_bytes": part.raw_bytes,
        "stored_bytes": part.stored_bytes,
        "sent": etag is not None,
        "etag": etag or part.md5,
    }


def _waiting(future: concurrent.futures.Future[t.Any], number: int) -> Iterator[dict[str, t.Any]]:
    """Yield lines that keep the controller patient until *future* is there."""
    while not concurrent.futures.wait([future], TICK_S).done:
        yield {"on_its_way": number}


def trial(handle: t.Any, url: str, size: int) -> Iterator[dict[str, t.Any]]:
    """Write the first *size* bytes of a file to *url* and yield how fast that went and how far a sample of them shrinks."""
    size = min(size, os.fstat(handle.fileno()).st_size)
    digest = hashlib.md5(b"".join(iter(Region(handle.fileno(), 0, size).read, b"")), usedforsecurity=False).hexdigest()
    sample = os.pread(handle.fileno(), BLOCK, max(0, size // 2 - BLOCK // 2))
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as sender:
        future = sender.submit(put, url, lambda: Region(handle.fileno(), 0, size), size, digest)
        yield from _waiting(future, 0)
        future.result()
    seconds = max(time.monotonic() - started, 1e-6)
    yield {"done": True, "link_bytes_s": size / seconds, "ratio": len(zlib.compress(sample, 1)) / len(sample) if sample else 1.0}
