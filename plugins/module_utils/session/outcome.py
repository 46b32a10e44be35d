# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""result.json: what came of a session, written by the supervisor or, where it was lost, by whoever cleans up."""

from __future__ import annotations

import time
import typing as t

from ..settings.apply import restore
from ..settings.journal import Store
from ..settings.model import Refused
from . import boot

if t.TYPE_CHECKING:
    from ..host import Host
    from .capture import Capture
    from .folder import Folder
    from .spec import Session, Vantage


def describe(capture: Capture, session: Session) -> dict[str, t.Any]:
    """Return a vantage's part of result.json."""
    code = capture.process.returncode if capture.process else None
    late = capture.process is not None and (capture.ready_ns is None or capture.ready_ns > session.t0_ns)
    return {
        "vantage_id": capture.vantage.vantage_id,
        "engine": {
            "name": capture.engine.name,
            "version": capture.version,
            "argv": capture.argv,
            "exit_code": code if code is not None and code >= 0 else None,
            "signal": -code if code is not None and code < 0 else None,
        },
        "ready_ns": capture.ready_ns,
        "stopped_ns": capture.stopped_ns,
        "late": late,
        "stop_reason": capture.stop_reason,
        "stats": capture.stats()._asdict(),
        "files": files_of(capture.folder, capture.vantage),
        "error": capture.error,
        "reasons": ["late"] if late else [],
    }


def files_of(folder: Folder, vantage: Vantage) -> list[dict[str, t.Any]]:
    base = f"vantages/{vantage.vantage_id}/raw/"
    return [{"path": base + name, "bytes": size} for name, size in sorted(folder.raw_files(vantage.vantage_id))]


def put_back(host: Host, folder: Folder, session: Session | None) -> dict[str, t.Any]:
    """Restore what the journal holds and return the `settings` of result.json; a failure is told, not raised."""
    store = Store(host, folder.root)
    try:
        state = store.journal(folder.campaign).state()
        held = state.held if state else {}
        changes = [[list(key), value.before, value.after] for key, value in held.items()]
        restored = [entry._asdict() for entry in restore(host, store, folder.campaign)]
        if all(row["outcome"] != "failed" for row in restored):
            boot.remove(host, folder.campaign)
        error = None
    except (OSError, Refused) as problem:
        changes, restored, error = [], [], str(problem)
    rows = [{**entry, "key": list(entry["key"])} for entry in restored]
    for vantage in session.vantages if session else ():
        _write_state(folder, vantage, rows)
    return {"changes": changes, "side_effects": [], "restored": rows, "error": error}


def _write_state(folder: Folder, vantage: Vantage, rows: list[dict[str, t.Any]]) -> None:
    try:
        folder.write_json(f"vantages/{vantage.vantage_id}/state/restored.json", rows)
    except OSError:
        pass


def lost(folder: Folder, session: Session, settings: dict[str, t.Any], vantages: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return the result of a session whose supervisor died; the last heartbeat knows when the window opened."""
    heartbeat = folder.read_json("heartbeat.json") or {}
    return {
        "schema": 1,
        "campaign": session.campaign,
        "state": "failed",
        "error": "the supervisor was lost: it was killed, or the host went down, before the window ended",
        "opened_ns": heartbeat.get("opened_ns"),
        "closed_ns": time.time_ns(),
        "stop_reason": "supervisor_lost",
        "vantages": vantages,
        "settings": settings,
    }
