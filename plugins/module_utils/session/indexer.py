# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a table of packet keys of each vantage of an ended session, which travels instead of the capture.

    python3 indexer.pyz FOLDER
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
import time
import typing as t

from ..host import CommandMissing, Host
from ..packets import index_files
from ..packets.decap_files import BadPaths
from ..packets.native import WORTH_C, counter_for
from ..packets.pcapfile import Walker
from ..settings.model import Refused
from . import indexing
from .folder import Folder, free_space
from .limits import floor_bytes
from .spec import parse_session

if t.TYPE_CHECKING:
    from .spec import Session, Vantage

PART, NAME = "keys", "index.keys"
BLOCK = 1 << 20
#: Seconds between two notes of how far it is.
PAUSE_S = 1.0
LOWEST = 19


class Indexer:
    """One session's captures on their way into tables of keys; they stay as they are."""

    def __init__(self, folder: Folder, session: Session) -> None:
        self.folder = folder
        self.session = session
        self._floor = floor_bytes(session.limits, free_space(folder.path)[1])
        self._read = 0
        self._next_note = 0.0

    def run(self) -> list[dict[str, t.Any]]:
        """Index all vantages, one after the other; return what there is to say of each. Raises OSError, BadPaths or CommandMissing."""
        return [self._vantage(vantage) for vantage in self.session.vantages]

    def _vantage(self, vantage: Vantage) -> dict[str, t.Any]:
        base = f"vantages/{vantage.vantage_id}"
        names = sorted(name for name, _size in self.folder.raw_files(vantage.vantage_id))
        files = [self._file(f"{base}/raw/{name}") for name in names]
        told = {"vantage_id": vantage.vantage_id, "files": files}
        if not files:
            return {**told, "keys": None, "packets": None, "loop": None, "loop_reason": None, "seconds": 0.0}
        for file in files:
            if file["summary"]["format"] == "erf":
                raise BadPaths(f"{file['path']} is ERF, of which no index can be made")
        Host().make_private(self.folder.part(vantage.vantage_id, PART))
        began = time.monotonic()
        pure = sum(file["bytes"] for file in files) < WORTH_C
        sources, keys = [self.folder.file(file["path"]) for file in files], f"{base}/{PART}/{NAME}"
        wish = index_files.Wish(sources, self.folder.file(keys), vantage.vantage_id, pure, jobs=1, codec="zlib")
        _changed, found = index_files.index(wish, told=lambda _path, _packets: self._note())
        facts = {name: found[name] for name in ("packets", "loop", "loop_reason")}
        return {**told, "keys": keys, **facts, "seconds": round(time.monotonic() - began, 3)}

    def _file(self, path: str) -> dict[str, t.Any]:
        """Return size, SHA-256 and summary of one capture file, read once."""
        digest, size = hashlib.sha256(), os.path.getsize(self.folder.file(path))
        walker = Walker(self.session.t0_ns, self.session.t1_ns, counter_for(size))
        with open(self.folder.file(path), "rb", buffering=0) as handle:
            block = memoryview(bytearray(BLOCK))
            while count := handle.readinto(block):
                digest.update(block[:count])
                walker.feed(block[:count])
                self._read += count
                self._note()
        return {"path": path, "bytes": size, "sha256": digest.hexdigest(), "summary": walker.summary()._asdict()}

    def _note(self) -> None:
        """Leave word of how far it is, and stop before too little disk is free."""
        free = free_space(self.folder.path)[0]
        if free < self._floor:
            raise OSError(errno.ENOSPC, f"{free >> 20} MiB are free and {self._floor >> 20} MiB must stay so")
        if time.monotonic() >= self._next_note:
            self._next_note = time.monotonic() + PAUSE_S
            write_record(self.folder, {"state": indexing.RUNNING, "bytes": self._read}, synced=False)


def write_record(folder: Folder, record: dict[str, t.Any], synced: bool = True) -> None:
    folder.write_json(indexing.RECORD, {"schema": 1, "t_ns": time.time_ns(), **record}, synced)


def work(folder: Folder) -> dict[str, t.Any]:
    """Index the session of *folder*; return the record of it, a failure's too."""
    try:
        session = parse_session(folder.read_json("session.json") or {})
        return {"state": indexing.DONE, "vantages": Indexer(folder, session).run()}
    except OSError as problem:
        return {"state": indexing.FAILED, "error": problem.strerror or str(problem)}
    except (Refused, BadPaths, CommandMissing) as problem:
        return {"state": indexing.FAILED, "error": str(problem)}
    except Exception as problem:
        return {"state": indexing.FAILED, "error": f"{type(problem).__name__}: {problem}"}


def main(argv: list[str]) -> int:
    """Carry out `FOLDER`; returns the exit code. Another indexer that works on it already is left to it."""
    if len(argv) != 1 or not os.path.isdir(argv[0]):
        sys.stderr.write("wirefleet: usage: indexer.pyz FOLDER\n")
        return 2
    os.umask(0o077)
    os.nice(LOWEST)
    folder = Folder(os.path.abspath(argv[0]))
    # What is compiled goes when all is done: the host is to be as it was.
    os.environ["XDG_CACHE_HOME"] = folder.file("cache")
    with indexing.sole(folder) as alone:
        if not alone or (folder.read_json(indexing.RECORD) or {}).get("state") == indexing.DONE:
            return 0
        record = work(folder)
        shutil.rmtree(folder.file("cache"), ignore_errors=True)
        write_record(folder, record)
        return 0 if record["state"] == indexing.DONE else 1
