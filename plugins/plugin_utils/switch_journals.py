# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller's own journals say of switches that are reached by their command line."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import CAMPAIGN_ID, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import State

STRANGER = "this inventory has no such switch: what is changed there is put back from one that has it"


def open_ones(folders: Iterable[str], wanted: Collection[str], inventory: Collection[str]) -> dict[str, list[dict[str, t.Any]]]:
    """Return {switch: what is open there, as capture_info says it of hosts}, of *wanted* switches and those that *inventory* lacks.

    *folders* have a folder for each switch. No switch is asked, so what is there now is taken to be what we left.
    """
    host = Host()
    found: dict[str, list[dict[str, t.Any]]] = {}
    for folder in dict.fromkeys(map(os.path.abspath, folders)):
        for switch in host.names(folder):
            if switch in wanted or switch not in inventory:
                why = None if switch in inventory else STRANGER
                store = Store(host, os.path.join(folder, switch))
                entries = [_entry(store, run, why) for run in filter(CAMPAIGN_ID.fullmatch, host.names(store.root))]
                found.setdefault(switch, []).extend(entry for entry in entries if entry)
    return {switch: entries for switch, entries in found.items() if entries}


def _entry(store: Store, run: str, why: str | None) -> dict[str, t.Any] | None:
    try:
        state = store.journal(run).state()
    except Refused as refused:
        return _told(run, None, str(refused))
    return None if state is None or state.closed else _told(run, state, why)


def _told(run: str, state: State | None, error: str | None) -> dict[str, t.Any]:
    held = state.held if state else {}
    return {
        "campaign": run,
        "name": units.name_of(run) or run,
        "state": "changed (journal)",
        "session": None,
        "stored_bytes": 0,
        "open_changes": [[list(key), entry.before, entry.after, entry.after] for key, entry in held.items()],
        "deadline": state.header.get("deadline") if state else None,
        "error": error,
    }
