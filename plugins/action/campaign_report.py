# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a run, publishes its evidence and prints the table; fails when a vantage did."""

from __future__ import annotations

import os
import platform
import time
import typing as t

from ansible.release import __version__ as ansible_version
from ansible.utils.collection_loader._collection_finder import _get_collection_metadata
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, report, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    RUN_OPTIONS,
    CampaignAction,
    check_manifest,
)


class ActionModule(CampaignAction):
    _supports_check_mode = False
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {**RUN_OPTIONS, "publish_incomplete": {"type": "bool", "default": False}}

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run = self.the_run(options, task_vars)
        if not evidence.was_armed(run.folder):
            raise units.Unusable(f"No host was armed for {run.id}, so there is no evidence and nothing was changed.")
        _refuse_incomplete(run, options["publish_incomplete"])
        folder, manifest = report.publish(run, _versions(), check_manifest)
        table = report.table(manifest)
        self._display.display(f"{table}\nevidence: {folder}")
        failed = [
            f"{entry['vantage_id']} ({', '.join(entry['reasons'])})" + (f": {entry['error']}" if entry["error"] else "")
            for entry in manifest["vantages"]
            if entry["status"] == "failed"
        ]
        result = {"changed": True, "evidence": folder, "status": manifest["verdict"]["status"]}
        if failed:
            # Ansible prints all of a failed result, and the table was printed.
            return {**result, "failed": True, "msg": f"The evidence is in {folder}, but failed: {'; '.join(failed)}."}
        return {**result, "table": table.splitlines()}


def _refuse_incomplete(run: evidence.Run, publish_incomplete: bool) -> None:
    """What is still on a host can only be fetched while the run is open."""
    records = {host: run.record(host) for host in run.plan()["sessions"]}
    waiting = [host for host, record in records.items() if record.get("armed") and not record.get("collected_ns")]
    if waiting and not publish_incomplete:
        reasons = " ".join(str(records[host].get("error") or "") for host in waiting[:3]).strip()
        raise units.Unusable(
            f"{len(waiting)} of {len(records)} hosts are not collected yet ({', '.join(waiting[:10])}). {reasons} "
            f"Run collect.yml -e campaign={run.id} when they can be reached, or add "
            f"-e campaign_publish_incomplete=true to do without them; until then everything is in {run.folder}."
        )


def _versions() -> dict[str, str]:
    metadata = _get_collection_metadata("wirefleet.capture")
    return {
        "wirefleet.capture": str(metadata.get("version") or _galaxy_version()),
        "ansible_core": ansible_version,
        "python": platform.python_version(),
        "reported_at": units.clock_time(time.time_ns()),
    }


def _galaxy_version() -> str:
    """Return the version that a checkout's galaxy.yml names."""
    path = os.path.join(os.path.dirname(__file__), "..", "..", "galaxy.yml")
    try:
        with open(path, encoding="utf-8") as handle:
            return next(line.partition(":")[2].strip() for line in handle if line.startswith("version:"))
    except (OSError, StopIteration):
        return "unknown"
