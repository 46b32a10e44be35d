# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a host write its capture files to an object store itself; the controller signs, and confirms what the store has."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Summary

from . import codecs, objects
from .channel import SEGMENT, Channel, ChannelError

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: How much of a large file tells how fast the way to the store is.
TRIAL = 8 << 20
_MD5, _SHA256, _ETAG = re.compile("[0-9a-f]{32}"), re.compile("[0-9a-f]{64}"), re.compile(r"[A-Za-z0-9+/=_-]{1,128}")
_WORDS = ("format", "status", "reason")


class Uploader:
    """The capture files of one host on their way to *store*; *save* keeps what is known of a file in the run's record."""

    def __init__(self, store: objects.Store, run_id: str, window: tuple[int, int], save: Callable[[], None]) -> None:
        self._store, self._run, self._window, self._save = store, run_id, window, save

    def trial(self, channel: Channel, path: str) -> tuple[float, float]:
        """Return (bytes/s from the host to the store, share of itself to which a sample of the file shrinks)."""
        key = self._store.place.key(self._run, "probe", *path.split("/")[1:2])
        request = {"op": "trial", "path": path, "bytes": TRIAL, "urls": [self._store.put_url(key)]}
        try:
            answer = list(channel.follow(request))[-1]
            return float(answer["link_bytes_s"]), float(answer["ratio"])
        finally:
            self._store.delete(key)

    def send(self, channel: Channel, path: str, known: dict[str, t.Any]) -> None:
        """Complete *known*, what the record says of the file *path*, by what the store has; it goes on where it was interrupted.

        Raises ChannelError or objects.Trouble.
        """
        key = self._store.place.key(self._run, path + codecs.SUFFIX[known["codec"]])
        urls, there = self._prepare(key, known)
        known.update(segments=[], md5s=[], etags=[], already=0)
        request = {"op": "upload", "path": path, "codec": known["codec"], "urls": urls, "there": there, "window": self._window}
        answer: dict[str, t.Any] = {}
        for answer in channel.follow(request):
            if "part" in answer:
                check_part(answer)
                known["segments"].append({"raw_bytes": answer["raw_bytes"], "stored_bytes": answer["stored_bytes"]})
                known["md5s"].append(answer["md5"])
                known["etags"].append(answer["etag"])
                known["already"] += 0 if answer["sent"] else answer["stored_bytes"]
                if known["bytes"] > SEGMENT:
                    self._save()
        whole = about(answer)
        if not known["segments"] or answer["raw_bytes"] != known["bytes"]:
            raise ChannelError(f"{path} has {answer['raw_bytes']} bytes where the host listed {known['bytes']}")
        etag = self._confirm(key, known)
        known["object"] = {"url": f"s3://{self._store.place.bucket}/{key}", "endpoint": self._store.endpoint, "etag": etag}
        known.update(done=True, **whole)
        self._save()

    def _prepare(self, key: str, known: dict[str, t.Any]) -> tuple[list[str], list[list[t.Any]]]:
        """Return the presigned URLs, one a part, and [MD5, bytes] of what the store has already."""
        count = objects.parts_for(known["bytes"], SEGMENT)
        if count == 1:
            found = self._store.head(key)
            return [self._store.put_url(key)], [list(found)] if found else []
        there = self._store.parts(key, known["upload"]) if known.get("upload") else None
        if there is None:
            known["upload"], there = self._store.begin(key), []
            self._save()
        return self._store.part_urls(key, known["upload"], count), there

    def _confirm(self, key: str, known: dict[str, t.Any]) -> str:
        """Return the object's ETag once the store says that it has what the host sent; raises Trouble.

        The store compared each part with its MD5 as it came. Where a bucket encrypts, ETags are no MD5s and only tell parts apart.
        """
        sent = [[etag, segment["stored_bytes"]] for etag, segment in zip(known["etags"], known["segments"])]
        expected = known["etags"][0]
        if known.get("upload"):
            if (self._store.parts(key, known["upload"]) or [])[: len(sent)] != sent:
                raise objects.Trouble(f"the object store lists other parts of {key} than the host sent")
            self._store.complete(key, known["upload"], known["etags"])
            expected = objects.etag_of(known["md5s"]) if known["etags"] == known["md5s"] else None
        etag, size = self._store.head(key) or ("", 0)
        wanted = sum(stored for _etag, stored in sent)
        if size != wanted or etag != (expected or etag):
            raise objects.Trouble(f"the object store has {size} bytes with the ETag {etag!r} as {key}, where {wanted} with {expected!r} were sent")
        return etag


def check_part(answer: Mapping[str, t.Any]) -> None:
    """Raise ChannelError where a host says of a part what cannot be. Pure."""
    words = _MD5.fullmatch(str(answer.get("md5"))) and _ETAG.fullmatch(str(answer.get("etag")))
    if not words or not _count(answer.get("raw_bytes")) or not _count(answer.get("stored_bytes")) or not isinstance(answer.get("sent"), bool):
        raise ChannelError(f"the host said of a part what cannot be: {str(answer)[:200]}")


def about(answer: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the manifest says of a whole file; raises ChannelError where a host says what cannot be. Pure."""
    sums = {name: str(answer.get(name)) for name in ("sha256_raw", "sha256_stored")}
    try:
        summary = Summary(**answer["summary"])._asdict()
    except (KeyError, TypeError):
        raise ChannelError(f"the host said of a file what cannot be: {str(answer)[:200]}") from None
    numbers = [value for name, value in summary.items() if name not in _WORDS and value is not None]
    words = [summary[name] for name in _WORDS if summary[name] is not None]
    sound = all(map(_SHA256.fullmatch, sums.values())) and all(map(_count, [*numbers, answer.get("raw_bytes")]))
    if not sound or not all(isinstance(word, str) and len(word) < 1000 for word in words):
        raise ChannelError(f"the host said of a file what cannot be: {str(answer)[:200]}")
    return {**sums, "summary": summary}


def _count(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
