# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a session's captures indexed where `collect` is `index`: who starts the indexer, and how it is getting on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
import typing as t

from ..settings.model import Refused
from .spec import cpu_list

if t.TYPE_CHECKING:
    from ..host import Host
    from .folder import Folder

BUNDLE, RECORD, LOCK = "indexer.pyz", "index.json", "indexer.lock"
#: An emulated or starved host takes its time to start an interpreter.
PATIENCE_S = 60.0
#: No capture of a sensible size takes longer, even in pure Python at the lowest priority.
LONGEST_S = 6 * 3600
STARTING, RUNNING, DONE, FAILED = "starting", "running", "done", "failed"
GONE = "the process that made the index is gone: it was killed, perhaps for want of memory"


def start(host: Host, folder: Folder) -> None:
    """Start the indexer of *folder*, at the lowest priority and in a life of its own. Raises Refused where there is none."""
    if not os.path.exists(folder.file(BUNDLE)):
        raise Refused(f"{folder.campaign} was not armed with collect: index, so this host makes no index of it")
    folder.write_json(RECORD, {"schema": 1, "state": STARTING, "t_ns": time.time_ns()})
    resources = (folder.read_json("session.json") or {}).get("resources") or {}
    cpus = cpu_list(resources.get("cpus"))
    argv = [*(["taskset", "-c", cpus] if cpus else []), sys.executable, folder.file(BUNDLE), folder.path]
    if host.exists("/run/systemd/system"):
        done = host.run([*unit_argv(folder.campaign, resources.get("memory_max")), *argv])
        if done.rc:
            raise Refused(f"systemd did not start the indexer: {done.message}")
        return
    subprocess.Popen(  # pylint: disable=ansible-bad-function
        [*(["ionice", "-c", "3"] if host.which("ionice") else []), *argv],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    )  # fmt: skip


def unit_argv(campaign: str, memory_max: int | None) -> list[str]:
    """Return the beginning of the command that runs the indexer as a transient unit. Pure."""
    properties = ["Type=exec", "UMask=0077", "IOSchedulingClass=idle", f"RuntimeMaxSec={LONGEST_S}", *([f"MemoryMax={memory_max}"] if memory_max else [])]
    start_unit = ["systemd-run", f"--unit=wirefleet-index-{campaign}", "--collect", "--quiet"]
    return [*start_unit, *(f"--property={entry}" for entry in properties)]


def progress(host: Host, folder: Folder, begin: bool) -> dict[str, t.Any]:
    """Return the indexer's record, whose state is starting, running, done or failed; with *begin* start it where it is not done."""
    record = folder.read_json(RECORD) or {}
    if record.get("state") == DONE or _is_alive(folder, record):
        return record if record.get("state") in (STARTING, RUNNING, DONE) else {"state": RUNNING}
    if begin:
        start(host, folder)
        return {"state": STARTING}
    return record if record.get("state") == FAILED else {"state": FAILED, "error": GONE}


def _is_alive(folder: Folder, record: dict[str, t.Any]) -> bool:
    """Whether the indexer runs, or was started so shortly ago that it may be about to."""
    since = time.time_ns() - int(record.get("t_ns", 0))
    if record.get("state") == STARTING and 0 <= since < PATIENCE_S * 1e9:
        return True
    with sole(folder) as alone:
        return not alone


@contextlib.contextmanager
def sole(folder: Folder) -> t.Iterator[bool]:
    """Hold the indexer's lock, which the kernel frees when its holder dies; yields whether we got it."""
    descriptor = os.open(folder.file(LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
