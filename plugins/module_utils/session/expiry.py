# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes outside a campaign that the host undoes by itself: a process of its own waits for the journal's deadline."""

from __future__ import annotations

import contextlib
import fcntl
import re
import subprocess
import sys
import time
import typing as t

from ..host import CommandMissing
from ..settings.apply import restore
from ..settings.journal import Owner, Store
from ..settings.model import Refused
from .folder import Folder

if t.TYPE_CHECKING:
    from ..host import Host
    from ..settings.apply import Restored
    from ..settings.journal import Journal
    from ..settings.model import Key

LONGEST_NAP_S = 5.0
#: How long to wait after each restore that failed: twice as long each time up to ten minutes, for about a day.
RETRIES_S = (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, *[600.0] * 143)
#: Tells systemd to start the waiter again after a crash only.
GAVE_UP = 3
#: What became of the last restore, in the journal's folder: {schema, tries, tried_ns, next_ns or null, error}.
RECORD = "expiry.json"
SYSTEMD = "/run/systemd/system"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float | None:
    """Return the seconds in 90s, 30m, 2h or 1d; None for forever. Raises Refused for anything else."""
    if text == "forever":
        return None
    found = re.fullmatch(r"(\d+)\s*([smhd])", text)
    if not found or not int(found[1]):
        raise Refused(f"{text!r} is no duration: write for example 30m, 2h or 1d, or forever")
    return float(int(found[1]) * _UNITS[found[2]])


def arm(host: Host, store: Store, campaign: str, seconds: float, bundle: str) -> float:
    """Set the deadline of *campaign*'s open journal and make sure that somebody waits for it; return it in UTC seconds."""
    deadline = time.time() + seconds
    journal = store.journal(campaign)
    host.remove(f"{journal.folder}/{RECORD}")
    with store.lock():
        journal.extend(Owner(campaign, deadline, "module"))
    _start_waiting(host, campaign, [sys.executable, bundle, "expire", journal.folder])
    return deadline


def _start_waiting(host: Host, campaign: str, argv: list[str]) -> None:
    """Start the waiter as a unit of its own where systemd runs; one that waits already sees the new deadline."""
    if host.exists(SYSTEMD):
        unit = f"wirefleet-expiry-{campaign}"
        if host.run(["systemctl", "is-active", "--quiet", unit]).rc == 0:
            return
        again = ["--property=Restart=on-failure", f"--property=RestartPreventExitStatus={GAVE_UP}"]
        done = host.run(["systemd-run", "--quiet", "--collect", "--unit", unit, *again, *argv])
        if done.rc:
            raise Refused(f"{done.command}: {done.message}")
        return
    subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def expire(host: Host, path: str) -> int:
    """Wait until the deadline in the journal of the folder *path* has passed, then restore; returns the exit code.

    A restore that fails is tried again after each of RETRIES_S, and RECORD says how that stands until it succeeds.
    """
    folder = Folder(path)
    with open(folder.file("expiry.lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        journal = Store(host, folder.root).journal(folder.campaign)
        for tries, pause in enumerate((*RETRIES_S, None), 1):
            problem = _restore_in_time(host, folder, journal)
            if problem is None:
                host.remove(folder.file(RECORD))
                return 0
            _note(folder, problem, tries, pause)
            _sleep_until_changed(journal, pause or 0)
    return GAVE_UP


def _restore_in_time(host: Host, folder: Folder, journal: Journal) -> str | None:
    """Wait for the deadline and restore; returns a sentence where that failed, None when nothing is left to do."""
    try:
        while (deadline := _deadline(journal)) is not None:
            left = deadline - time.time()
            if left <= 0:
                return _failure(restore(host, Store(host, folder.root), folder.campaign))
            time.sleep(min(left, LONGEST_NAP_S))
    except (Refused, CommandMissing, OSError) as problem:
        return str(problem)
    return None


def _failure(results: list[Restored]) -> str | None:
    """Return what failed, each reason once, or None. Pure."""
    reasons: dict[str, list[Key]] = {}
    for result in results:
        if result.outcome == "failed":
            reasons.setdefault(str(result.reason), []).append(result.key)
    more = {reason: f" and {len(keys) - 1} more" if keys[1:] else "" for reason, keys in reasons.items()}
    return "; ".join(f"{keys[0]}{more[reason]}: {reason}" for reason, keys in reasons.items()) or None


def _deadline(journal: Journal) -> float | None:
    """Return when the open journal's changes end, None where there is nothing (more) to wait for."""
    state = journal.state()
    return None if state is None or state.closed else state.header.get("deadline")


def _sleep_until_changed(journal: Journal, seconds: float) -> None:
    """Sleep, but not longer than the journal's deadline stays what it is: somebody may restore, or extend, meanwhile."""
    with contextlib.suppress(Refused):
        known, until = _deadline(journal), time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and _deadline(journal) == known:
            time.sleep(min(left, LONGEST_NAP_S))
        return
    time.sleep(seconds)


def _note(folder: Folder, problem: str, tries: int, pause: float | None) -> None:
    """Leave word of a restore that failed; a full disk must not end the trying."""
    next_ns = None if pause is None else time.time_ns() + round(pause * 1e9)
    with contextlib.suppress(OSError):
        folder.write_json(RECORD, {"schema": 1, "tries": tries, "tried_ns": time.time_ns(), "next_ns": next_ns, "error": problem})
