# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a supervisor that did not reach its end: stop what it left running, put back, say what became of it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t

from .capture import Capture, start_time
from .outcome import describe, lost, put_back
from .spec import parse_session

if t.TYPE_CHECKING:
    from ..host import Host
    from .folder import Folder
    from .spec import Session

_PATIENCE_S = 20.0


def recover(host: Host, folder: Folder) -> int:
    """Restore, and write result.json where there is none; returns 0 when nothing is left to put back."""
    stop_stragglers(folder)
    folder.release_reserve()
    data = folder.read_json("session.json")
    session = parse_session(data) if data else None
    settings = put_back(host, folder, session)
    result = folder.read_json("result.json")
    if session and result is None:
        folder.write_json("result.json", lost(folder, session, settings, _vantages(folder, session)))
        _end_heartbeat(folder)
    elif result is not None and settings["restored"]:
        merge(result["settings"], settings)
        folder.write_json("result.json", result)
    left = [row for row in settings["restored"] if row["outcome"] == "failed"]
    return 1 if settings["error"] or left else 0


def _end_heartbeat(folder: Folder) -> None:
    """Let those who wait for the window see that nothing more comes of it."""
    heartbeat = folder.read_json("heartbeat.json")
    if heartbeat:
        with contextlib.suppress(OSError):
            folder.write_json("heartbeat.json", {**heartbeat, "state": "failed", "time_left_s": 0.0, "pids": []}, synced=False)


def merge(known: dict[str, t.Any], later: dict[str, t.Any]) -> None:
    """Replace in *known* what was restored again."""
    again = [row["key"] for row in later["restored"]]
    known["restored"] = [row for row in known["restored"] if row["key"] not in again] + later["restored"]
    known["error"] = later["error"]


def _vantages(folder: Folder, session: Session) -> list[dict[str, t.Any]]:
    pulses = {pulse["vantage_id"]: pulse for pulse in (folder.read_json("heartbeat.json") or {}).get("vantages", [])}
    found = []
    for vantage in session.vantages:
        capture = Capture(vantage, folder)
        capture.ready_ns = pulses.get(vantage.vantage_id, {}).get("ready_ns")
        capture.stop_reason = "supervisor_lost"
        capture.error = "the supervisor was lost"
        capture.name_files()
        found.append(describe(capture, session))
    return found


def stop_stragglers(folder: Folder) -> None:
    """End engines that outlived the supervisor; they were told to end with it, but some programs refuse that."""
    known = [tuple(entry) for entry in (folder.read_json("heartbeat.json") or {}).get("pids", [])]
    for which in (signal.SIGINT, signal.SIGTERM):
        until = time.monotonic() + _PATIENCE_S / 2
        for pid, started in known:
            if start_time(pid) == started:
                # One that ends in this very moment must not keep us from putting back.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, which)
        while any(start_time(pid) == started for pid, started in known) and time.monotonic() < until:
            time.sleep(0.1)
