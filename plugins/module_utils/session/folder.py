# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a session keeps its files on the host, and the reading and writing of them."""

from __future__ import annotations

import json
import os
import typing as t

from ..host import replace_file

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ..host import Host

PARTS = ("raw", "log", "state", "counters", "clock")
#: Freed before the result is written, so that a full disk cannot prevent it.
RESERVE_BYTES = 1 << 20


class Folder:
    """The folder of one session; its last part is the campaign id."""

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def root(self) -> str:
        return os.path.dirname(self.path)

    @property
    def campaign(self) -> str:
        return os.path.basename(self.path)

    def file(self, name: str) -> str:
        return os.path.join(self.path, name)

    def part(self, vantage_id: str, part: str) -> str:
        return os.path.join(self.path, "vantages", vantage_id, part)

    def make(self, host: Host, vantage_ids: Iterable[str]) -> None:
        """Create the folder and all that is in it, private at every level, with room for the result.

        What a lost supervisor of this id left would be taken for the next one's word.
        """
        host.make_private(self.root)
        host.make_private(self.path)
        host.make_private(self.file("vantages"))
        for vantage_id in vantage_ids:
            host.make_private(self.file(f"vantages/{vantage_id}"))
            for part in PARTS:
                host.make_private(self.part(vantage_id, part))
        for name in ("heartbeat.json", "stop"):
            _forget(self.file(name))
        self.reserve()

    def read_json(self, name: str) -> t.Any:
        """Return the JSON of the file *name*, or None where there is none that can be read."""
        try:
            with open(self.file(name), encoding="utf-8") as handle:
                return json.load(handle)
        except (OSError, ValueError):
            return None

    def write_json(self, name: str, data: t.Any, synced: bool = True) -> None:
        """Replace the file *name* in one step; *synced* makes it survive a power cut, at the disk's pace."""
        text = json.dumps(data, sort_keys=True, separators=(",", ":")) + "\n"
        replace_file(self.file(name), text.encode(), synced=synced)

    def raw_files(self, vantage_id: str) -> list[tuple[str, int]]:
        """Return (name, bytes) of the capture files, oldest first: a ring's order is that of its last writes."""
        folder = self.part(vantage_id, "raw")
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    found.append((about.st_mtime_ns, entry.name, about.st_size))
        except OSError:
            return []
        return [(name, size) for _mtime, name, size in sorted(found)]

    def reserve(self) -> None:
        descriptor = os.open(self.file("reserve"), os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        finally:
            os.close(descriptor)

    def release_reserve(self) -> None:
        try:
            os.unlink(self.file("reserve"))
        except FileNotFoundError:
            pass


def free_space(path: str) -> tuple[int, int]:
    """Return (free for us, size) in bytes of the file system that holds *path*."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def _forget(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
