# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes outside a campaign that the host undoes by itself: a process of its own waits for the journal's deadline."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import time
import typing as t

from ..host import CommandMissing
from ..settings.apply import restore
from ..settings.journal import Owner, Store
from ..settings.model import Refused

if t.TYPE_CHECKING:
    from ..host import Host

LONGEST_NAP_S = 5.0
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
        done = host.run(["systemd-run", "--quiet", "--collect", "--unit", unit, "--property=Restart=on-failure", *argv])
        if done.rc:
            raise Refused(f"{done.command}: {done.message}")
        return
    subprocess.Popen(  # pylint: disable=ansible-bad-function
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def expire(host: Host, folder: str) -> int:
    """Wait until the deadline in *folder*'s journal has passed, then restore; returns the exit code."""
    store = Store(host, os.path.dirname(folder))
    campaign = os.path.basename(folder)
    with open(f"{folder}/expiry.lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        while True:
            state = store.journal(campaign).state()
            if state is None or state.closed or state.header.get("deadline") is None:
                return 0
            left = state.header["deadline"] - time.time()
            if left <= 0:
                break
            time.sleep(min(left, LONGEST_NAP_S))
    try:
        results = restore(host, store, campaign)
    except (Refused, CommandMissing):
        return 1
    return int(any(result.outcome == "failed" for result in results))
