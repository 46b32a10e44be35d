# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what is armed, changed or left on the hosts, from what capture_info found on each."""

from __future__ import annotations

import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import progress, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    FOUND_OPTIONS,
    CampaignAction,
    captures_of,
)

COLUMNS = ("host", "campaign", "state", "left", "packets", "bytes", "kept", "settings changed")


class ActionModule(CampaignAction):
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = FOUND_OPTIONS

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        lines = rows(captures_of(options, task_vars))
        text = progress.table(COLUMNS, lines) if lines else "Nothing is armed, changed or left on any of these hosts."
        self._display.display(text)
        return {"changed": False, "table": text.splitlines()}


def rows(captures: dict[str, t.Any]) -> list[list[str]]:
    """Return a line for each run that a host holds, and for each host that did not answer. Pure."""
    silent = [{"campaign": "-", "state": "no answer"}]
    return [
        _line(host, capture)
        for host, found in sorted(captures.items())
        for capture in (silent if found is None else found)
    ]


def _line(host: str, capture: dict[str, t.Any]) -> list[str]:
    heartbeat = capture.get("heartbeat") or {}
    vantages = heartbeat.get("vantages") or []
    left = heartbeat.get("time_left_s")
    changed = [
        f"{' '.join(filter(None, key))}={now} (was to be {wanted})"
        if now != wanted
        else f"{' '.join(filter(None, key))}={now}"
        for key, wanted, now in capture.get("open_changes") or []
    ]
    return [
        host,
        str(capture.get("campaign")),
        str(capture.get("state") or "-"),
        "-" if left is None or capture.get("state") in ("done", "failed") else f"{max(0, left):.0f} s",
        str(sum(vantage.get("packets") or 0 for vantage in vantages)) if vantages else "-",
        units.human(sum(vantage.get("bytes") or 0 for vantage in vantages)) if vantages else "-",
        units.human(capture.get("stored_bytes")),
        ", ".join(changed) or "-",
    ]
