# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a run on the controller: what is written there, when it counts as open, and how it is published."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
import typing as t
from collections import Counter

from ansible_collections.wirefleet.capture.plugins.module_utils.host import replace_file

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARTIAL = ".partial"
#: States of a run, as `runs` tells them.
PLANNED, OPEN, PUBLISHED = "planned", "open", "published"
_EVENT = re.compile(r'"event": "(\w+)"')
WORK = ".work"
BLOCK = 1 << 20


def make_private(folder: str) -> None:
    """Create *folder* and the parents it lacks, all 0700; os.makedirs gives its mode to the last one only."""
    if os.path.isdir(folder):
        return
    make_private(os.path.dirname(os.path.abspath(folder)))
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder, 0o700)


class Run:
    """One run of a campaign: `<root>/<id>.partial` until it is published as `<root>/<id>`.

    `.work/<host>.json` holds what is known of a host so far; each host's task writes its own file only.
    """

    def __init__(self, root: str, run_id: str) -> None:
        self.id = run_id
        self.final = os.path.join(root, run_id)
        self.folder = self.final + PARTIAL

    def create(self, plan: Mapping[str, t.Any]) -> None:
        """Make the private folder and store the plan in it, and what each host has to do in a record of its own."""
        make_private(os.path.join(self.folder, WORK))
        os.chmod(self.folder, 0o700)
        write_json(self.path("plan.json"), plan)
        for host, session in plan["sessions"].items():
            self.update(host, session=session)

    def path(self, *parts: str) -> str:
        return os.path.join(self.folder, *parts)

    def plan(self) -> dict[str, t.Any]:
        return read_json(self.path("plan.json")) or {}

    def record(self, host: str) -> dict[str, t.Any]:
        """Return what is known of *host* so far; empty before its first task."""
        return read_json(self._record_path(host)) or {}

    def update(self, host: str, **facts: t.Any) -> None:
        # without indent, which takes Python's slow encoder, as nobody reads it and it is written often
        write_text(self._record_path(host), json.dumps({**self.record(host), **facts}))

    def event(self, event: str, **facts: t.Any) -> None:
        """Append one line to the controller's timeline; lines of parallel workers do not mix."""
        line = json.dumps({"t_ns": time.time_ns(), "event": event, **facts}) + "\n"
        descriptor = os.open(self.path("events.ndjson"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def publish(self, known_sums: Mapping[str, str]) -> str:
        """Write SHA256SUMS, sync everything and rename; *known_sums* spares hashing what was hashed on arrival, and names objects too."""
        shutil.rmtree(self.path(WORK), ignore_errors=True)
        names = sorted({*files_below(self.folder), *known_sums})
        sums = [f"{known_sums.get(name) or file_sha256(self.path(name))}  {name}\n" for name in names]
        write_text(self.path("SHA256SUMS"), "".join(sums))
        for folder, _folders, _files in os.walk(self.folder):
            sync(folder)
        os.rename(self.folder, self.final)
        sync(os.path.dirname(self.final))
        return self.final

    def _record_path(self, host: str) -> str:
        safe = "".join(letter if letter.isalnum() or letter in "._-" else f"%{ord(letter):02x}" for letter in host)
        return self.path(WORK, "host." + safe + ".json")


def runs(root: str) -> list[tuple[str, str]]:
    """Return (id, PLANNED, OPEN or PUBLISHED) of every run below *root*, oldest first.

    A run is open from the moment a switch mirrors for it, or it began to arm a host, until it is published: a plan alone touched
    nothing.
    """
    names = sorted(os.listdir(root)) if os.path.isdir(root) else []
    return [(name.removesuffix(PARTIAL), _state(root, name)) for name in names if units.name_of(name.removesuffix(PARTIAL))]


def _state(root: str, name: str) -> str:
    if not name.endswith(PARTIAL):
        return PUBLISHED
    events = _events(os.path.join(root, name))
    return OPEN if _arms(events) or events["mirrored"] > events["mirror_ended"] else PLANNED


def was_armed(folder: str) -> bool:
    return _arms(_events(folder))


def _arms(events: Mapping[str, int]) -> bool:
    return events["arming"] + events["rebuilt"] > 0


def _events(folder: str) -> Counter[str]:
    """Return how often each event stands in the run's log."""
    try:
        with open(os.path.join(folder, "events.ndjson"), encoding="utf-8") as handle:
            return Counter(found[1] for line in handle if (found := _EVENT.search(line)))
    except FileNotFoundError:
        return Counter()


def forget_unarmed(root: str, name: str, now_ns: int) -> None:
    """Delete what earlier runs of *name* left that never armed a host and cannot any more: a plan and nothing else."""
    for run_id, state in runs(root):
        run = Run(root, run_id)
        if state == PLANNED and units.name_of(run_id) == name and run.plan().get("t0_ns", now_ns) < now_ns:
            shutil.rmtree(run.folder)


def choose(known: list[tuple[str, str]], wanted: str) -> str | None:
    """Return the id that *wanted*, a name or an id, means among (id, state) pairs; None where there is none. Pure.

    A name means its open run, else the latest that was published, else the latest plan.
    Raises Unusable when the name has several open runs.
    """
    if units.name_of(wanted):
        return wanted if any(run == wanted for run, _state in known) else None
    named = {state: [run for run, has in known if has == state and units.name_of(run) == wanted] for state in (OPEN, PUBLISHED, PLANNED)}
    if len(named[OPEN]) > 1:
        raise units.Unusable(f"{wanted} has {len(named[OPEN])} open runs; say which: {', '.join(named[OPEN])}.")
    return next((max(found) for found in named.values() if found), None)


def write_text(path: str, text: str) -> None:
    """Replace *path* in one step, private and synced."""
    replace_file(path, text.encode())


def write_json(path: str, value: t.Any) -> None:
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: str) -> t.Any:
    """Return the value in *path*, or None where there is no such file."""
    try:
        with open(path, encoding="utf-8") as handle:
            return json.load(handle)
    except FileNotFoundError:
        return None


def files_below(folder: str) -> Iterator[str]:
    """Yield the path of every file below *folder*, relative to it."""
    for where, _folders, names in os.walk(folder):
        for name in names:
            yield os.path.relpath(os.path.join(where, name), folder)


def file_sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sync(path: str) -> None:
    """Make the file or folder *path* survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
