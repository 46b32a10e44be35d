# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the files of one host home: by segments, resumable, verified by reading every byte once on the controller."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import time
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.hasher import Hasher
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.native import counter_for
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Walker
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import INDEX, WHOLE

from . import codecs, evidence, objects, shipped, upload
from .channel import SEGMENT, Answer, Channel, ChannelError, Get, clock_offset

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .codecs import Buffer

MAX_FILES = 100_000
BULK = ("raw", "keys")
#: What of a session's files does not travel, by what it is to collect.
LEFT = {WHOLE: "/keys/", INDEX: "/raw/"}
#: A host that makes an index is asked how it is getting on this often, and given up when that is nowhere for so long.
POLL_S, STALLED_S = 0.5, 300.0
#: Logs, states and counters are small; whatever says otherwise is not one of them.
MAX_SIDE_FILE = 64 << 20
ATTEMPTS = 3
_PATH = re.compile(
    r"vantages/(?P<vantage>[A-Za-z0-9._-]+)/(?P<group>raw|keys|log|state|counters|clock)/[A-Za-z0-9_-][A-Za-z0-9._-]*"
)


class CollectError(Exception):
    """Something stands in the way; nothing was removed from the host. The message says what to do."""


class Mismatch(Exception):
    """What arrived is not what the host hashed."""


class Collector:
    """The files of one host, copied into the run's folder; the run's record says how far it got. With a *store* captures go there instead."""

    def __init__(
        self,
        run: evidence.Run,
        host: str,
        open_channel: Callable[[], Channel],
        compress: str,
        collect: str | None = None,
        store: objects.Store | None = None,
    ) -> None:
        """*collect*: whole or index, as the session says if None."""
        self._run = run
        self._host = host
        self._open_channel = open_channel
        self._compress = compress
        record = run.record(host)
        self._session = record["session"]
        self._collect = collect or self._session.get("collect", WHOLE)
        self._files: dict[str, t.Any] = record.get("files", {})
        self._codec: str | None = record.get("codec") or {"never": "raw", "auto": None}.get(compress, compress)
        self._uploader = upload.Uploader(store, run.id, self._window, self._save) if store else None

    def collect(self) -> dict[str, t.Any]:
        """Copy and verify what is not here yet, then let the host remove it; returns {"bytes", "stored", "files"}.

        Raises CollectError; a rerun goes on at the segment where this one stopped.
        """
        failures = 0
        while True:
            before = self._progress()
            try:
                with self._open_channel() as channel:
                    self._once(channel)
                break
            except (ChannelError, Mismatch, objects.Trouble) as problem:
                failures = 1 if self._progress() != before else failures + 1
                if failures >= ATTEMPTS:
                    raise CollectError(
                        f"{self._host}: {problem}; nothing was removed there, run collect.yml again."
                    ) from None
            except OSError as problem:
                raise self._explain(problem) from problem
        done = self._files.values()
        return {"files": len(done), "bytes": sum(file["bytes"] for file in done), "stored": sum(map(stored, done))}

    def _once(self, channel: Channel) -> None:
        facts: dict[str, t.Any] = {"result": channel.ask({"op": "result"}), "collect": self._collect, "left_out": self._left_out(channel)}
        if not self._run.record(self._host).get("clock"):
            facts["clock"] = clock_offset(lambda: channel.ask({"op": "time"})["t_ns"])
        self._run.update(self._host, **facts)
        listed = check_list(channel.ask({"op": "list"}), self._session)
        for path, size in listed.items():
            to_store = self._uploader is not None and "/raw/" in path
            if LEFT[self._collect] in path and not to_store:
                continue
            known = self._files.setdefault(path, {"bytes": size, "codec": None, "segments": [], "done": False})
            if known["bytes"] != size:
                raise CollectError(
                    f"{self._host}: {path} has {size} bytes now and had {known['bytes']}; is it still capturing?"
                )
            if not known["done"]:
                (self._send if to_store else self._file)(channel, path, known)
        self._sync()
        self._save()
        self._compare(facts["left_out"])
        channel.ask({"op": "verified", "paths": self._removable(facts["left_out"])})
        self._run.update(self._host, collected_ns=time.time_ns())

    def _left_out(self, channel: Channel) -> dict[str, t.Any]:
        """Return what stays on the host, see shipped.left_out(), once that has made its index."""
        if self._collect == WHOLE:
            return {}
        answer = channel.ask({"op": "index", "start": True})
        moved, far = time.monotonic(), None
        while answer.get("state") in ("starting", "running"):
            if answer.get("bytes") != far or answer.get("state") == "starting":
                moved, far = time.monotonic(), answer.get("bytes")
            if time.monotonic() - moved > STALLED_S:
                raise CollectError(f"{self._host}: its indexer gets nowhere. {self._whole_instead()}")
            time.sleep(POLL_S)
            answer = channel.ask({"op": "index"})
        if answer.get("state") != "done":
            raise CollectError(f"{self._host}: no index could be made of its captures: {answer.get('error')}. {self._whole_instead()}")
        try:
            return shipped.left_out(answer, self._session)
        except ValueError as problem:
            raise CollectError(f"{self._host}: {problem}. {self._whole_instead()}") from None

    def _whole_instead(self) -> str:
        return (
            f"The captures are still there: run collect.yml -e campaign={self._run.id} again, or add -e campaign_collect=whole "
            "to bring them home as they are."
        )

    def _compare(self, left_out: Mapping[str, t.Any]) -> None:
        """Hold each index against what its host counted in the captures."""
        try:
            for vantage in {path.split("/")[1] for path in left_out}:
                keys = self._run.path("vantages", vantage, "keys", shipped.NAME)
                shipped.compare(keys, vantage, [file["summary"] for path, file in left_out.items() if path.split("/")[1] == vantage])
        except ValueError as problem:
            raise CollectError(f"{self._host}: {problem}. {self._whole_instead()}") from None

    def _removable(self, left_out: Mapping[str, t.Any]) -> list[str]:
        """Return what the host may remove: of what stays there, only what it was never to keep."""
        return sorted([*self._files, *(left_out if self._session.get("keep_s") == 0 else ())])

    def _file(self, channel: Channel, path: str, known: dict[str, t.Any]) -> None:
        is_raw = "/raw/" in path
        if known["codec"] is None:
            known["codec"] = (self._codec or "raw") if is_raw else "raw"
        if is_raw and self._codec is None and known["bytes"] > SEGMENT and not known["segments"]:
            with self._copy(path, known) as copy:
                self._try_link(channel, path, copy)
                if self._codec == "raw":
                    self._rest(channel, path, copy)
            if self._codec != "raw":
                self._recode(path, known)
        if not known["done"]:
            with self._copy(path, known) as copy:
                self._rest(channel, path, copy)

    def _send(self, channel: Channel, path: str, known: dict[str, t.Any]) -> None:
        """Have the host write a capture file to the store itself; no byte of it comes here."""
        uploader = t.cast("upload.Uploader", self._uploader)
        if self._codec is None and known["bytes"] > SEGMENT:
            theirs = tuple(codec for codec in channel.ask({"op": "time"}).get("codecs", []) if codec in codecs.SPEED)
            link, ratio = uploader.trial(channel, path)
            self._chosen(codecs.choose(link, ratio, theirs), link)
        if known["codec"] is None:
            known["codec"] = self._codec or "raw"
        uploader.send(channel, path, known)
        self._run.event("uploaded", host=self._host, **known["object"], bytes=known["bytes"], stored=stored(known), already_there=known["already"])

    @property
    def _window(self) -> tuple[int, int]:
        return self._session["t0_ns"], self._session["t0_ns"] + round(self._session["duration_s"] * 1e9)

    def _copy(self, path: str, known: dict[str, t.Any]) -> Copy:
        walker = Walker(*self._window, count=counter_for(known["bytes"])) if "/raw/" in path else None
        return Copy(self._run.path(path), known, walker)

    def _rest(self, channel: Channel, path: str, copy: Copy) -> None:
        known = self._files[path]
        for answer in channel.get(copy.missing(path)):
            copy.add(answer)
            if known["bytes"] > SEGMENT:
                self._save()
        known.update(copy.finish())
        if known["bytes"] > SEGMENT:
            self._save()

    def _try_link(self, channel: Channel, path: str, copy: Copy) -> None:
        """Fetch the first segment as it is, and decide by the time that took how the rest of this host travels."""
        started = time.monotonic()
        for answer in channel.get([Get(path, 0, "raw")]):
            copy.add(answer)
        link = SEGMENT / max(time.monotonic() - started, 1e-6)
        self._chosen(codecs.choose(link, codecs.sample_ratio(self._run.path(path)), self._common(channel)), link)

    def _chosen(self, codec: str, link: float) -> None:
        self._codec = codec
        self._run.update(self._host, codec=codec, link_bytes_s=round(link))

    def _recode(self, path: str, known: dict[str, t.Any]) -> None:
        """Store the first segment as those that follow it will come."""
        name, suffix = self._run.path(path), codecs.SUFFIX[self._codec or "raw"]
        codecs.encode_file(name, name + suffix, self._codec or "raw")
        os.unlink(name)
        known["codec"] = self._codec
        known["segments"][0]["stored_bytes"] = os.path.getsize(name + suffix)

    def _common(self, channel: Channel) -> tuple[str, ...]:
        theirs = channel.ask({"op": "time"}).get("codecs") or ["gzip"]
        return tuple(codec for codec in codecs.available() if codec in theirs)

    def _save(self) -> None:
        self._run.update(self._host, files=self._files)

    def _sync(self) -> None:
        """Nothing may be removed from the host before it would survive a power cut here."""
        here = {path: known for path, known in self._files.items() if not known.get("object")}
        for path, known in here.items():
            evidence.sync(self._run.path(path) + codecs.SUFFIX[known["codec"]])
        for folder in {os.path.dirname(self._run.path(path)) for path in here}:
            evidence.sync(folder)

    def _progress(self) -> int:
        return sum(len(file["segments"]) for file in self._files.values())

    def _explain(self, problem: OSError) -> CollectError:
        if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
            return CollectError(f"{self._host}: {problem.strerror}: {problem.filename}; nothing was removed there.")
        missing = sum(file["bytes"] for file in self._files.values() if not file["done"])
        free = shutil.disk_usage(self._run.folder).free
        return CollectError(
            f"{self._host}: the controller's disk below {self._run.folder} is full ({free >> 20} MiB free, up to "
            f"{missing >> 20} MiB to come). Nothing was lost or removed from the host: make room and run collect.yml "
            f"-e campaign={self._run.id}."
        )


class Copy:
    """One file as it arrives: written, undone, hashed and walked in one pass; *known* keeps what is safe so far."""

    def __init__(self, path: str, known: dict[str, t.Any], walker: Walker | None) -> None:
        self._known = known
        self._path = path + codecs.SUFFIX[known["codec"]]
        evidence.make_private(os.path.dirname(path))
        self._stored = hashlib.sha256()
        self._whole = Hasher()
        self._since: Hasher | None = None
        self._walker = walker
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._handle = os.fdopen(descriptor, "r+b", buffering=0)
        self._replay()

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        for hasher in filter(None, (self._whole, self._since)):
            hasher.stop()
        self._handle.close()

    def missing(self, path: str) -> list[Get]:
        """Return the requests for what is not here yet."""
        total = -(-self._known["bytes"] // SEGMENT)
        return [Get(path, number, self._known["codec"]) for number in range(len(self._known["segments"]), total)]

    def add(self, answer: Answer) -> None:
        """Take one segment; raises Mismatch, leaving the file as it was, when it is not what the host hashed.

        The host's sum is that of its segments from `first` on: of the whole file, unless it was asked anew in between.
        """
        start, number = self._handle.tell(), len(self._known["segments"])
        first = answer.header.get("first")
        if first and first == number:
            self._begin_since()
        try:
            raw_bytes = self._undo(self._write(answer))
            digest = self._whole.so_far()
            mine = self._since.so_far() if first and self._since else digest
            if mine != answer.trailer.get("sha256") or raw_bytes != answer.trailer.get("raw_bytes"):
                raise Mismatch(f"segment {number} of {self._path} does not have the hash that the host gave")
        except BaseException:
            self._handle.truncate(start)
            raise
        self._known["segments"].append(
            {"raw_bytes": raw_bytes, "stored_bytes": self._handle.tell() - start, "sha256_to_here": digest}
        )

    def finish(self) -> dict[str, t.Any]:
        """Return what the manifest says of the file."""
        total = sum(segment["raw_bytes"] for segment in self._known["segments"])
        if total != self._known["bytes"]:
            raise Mismatch(f"{self._path} has {total} bytes where the host listed {self._known['bytes']}")
        raw = self._whole.so_far()
        return {
            "done": True,
            "sha256_raw": raw,
            "sha256_stored": raw if self._known["codec"] == "raw" else self._stored.hexdigest(),
            "summary": None if self._walker is None else self._walker.summary()._asdict(),
        }

    def _begin_since(self) -> None:
        if self._since is not None:
            self._since.stop()
        self._since = Hasher()

    def _replay(self) -> None:
        """Read again what an earlier run stored; keep the longest good beginning and cut the rest off."""
        self._known["segments"] = self._good()
        self._handle.seek(0)
        for segment in self._known["segments"]:
            self._undo(self._reread(segment["stored_bytes"]))
        self._handle.truncate()

    def _good(self) -> list[dict[str, t.Any]]:
        """Return the segments up to the first that is not what it was."""
        good, digest = [], hashlib.sha256()
        for segment in self._known["segments"]:
            try:
                for raw in codecs.decode(self._known["codec"], self._reread(segment["stored_bytes"])):
                    digest.update(raw)
            except codecs.DAMAGED:
                break
            if digest.hexdigest() != segment["sha256_to_here"]:
                break
            good.append(segment)
        self._stored = hashlib.sha256()
        return good

    def _undo(self, pieces: Iterable[Buffer]) -> int:
        """Use up one segment's stored bytes: hash and walk its raw ones, and return how many they are.

        Walking is done here, not in a thread: one that computes in Python would hold up the one that reads.
        """
        count = 0
        try:
            for raw in codecs.decode(self._known["codec"], pieces):
                count += len(raw)
                if count > SEGMENT:
                    raise Mismatch(f"a segment of {self._path} is longer than {SEGMENT >> 20} MiB")
                for hasher in filter(None, (self._whole, self._since)):
                    hasher.feed(raw)
                if self._walker is not None:
                    self._walker.feed(raw)
        except codecs.DAMAGED as problem:
            raise Mismatch(f"a segment of {self._path} cannot be decompressed: {problem}") from None
        return count

    def _write(self, pieces: Iterable[Buffer]) -> Iterator[Buffer]:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                view = view[self._handle.write(view) :]
            self._note_stored(piece)
            yield piece

    def _note_stored(self, piece: Buffer) -> None:
        """What is stored as it was hashed already has its sum."""
        if self._known["codec"] != "raw":
            self._stored.update(piece)

    def _reread(self, count: int) -> Iterator[bytes]:
        while count:
            piece = self._handle.read(min(count, codecs.READ))
            if not piece:
                return
            count -= len(piece)
            self._note_stored(piece)
            yield piece


def stored(file: Mapping[str, t.Any]) -> int:
    """Return the bytes that the file takes here."""
    return sum(segment["stored_bytes"] for segment in file["segments"])


def check_list(answer: Mapping[str, t.Any], session: Mapping[str, t.Any]) -> dict[str, int]:
    """Return {path: bytes} of what a host offers; raises CollectError for what cannot be evidence. Pure.

    A path becomes a file name here, so it must lie in one of the session's vantages and nowhere else.
    """
    vantages = {vantage["vantage_id"] for vantage in session["vantages"]}
    files = answer.get("files", [])
    if len(files) > MAX_FILES:
        raise CollectError(f"{session['host']} lists {len(files)} files; at most {MAX_FILES} can be evidence.")
    found = {}
    for file in files:
        path, size = str(file["path"]), int(file["bytes"])
        match = _PATH.fullmatch(path)
        if match is None or match["vantage"] not in vantages:
            raise CollectError(f"{session['host']} lists {path!r}, which belongs to no vantage of this campaign.")
        if size < 0 or (match["group"] not in BULK and size > MAX_SIDE_FILE):
            raise CollectError(f"{session['host']} lists {path} with {size} bytes, which cannot be.")
        found[path] = size
    return found
