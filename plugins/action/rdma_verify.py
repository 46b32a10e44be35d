# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the evidence of a run with what perftest reported, prints the table and fails where they differ."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, rdma_verify, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import CampaignAction


class ActionModule(CampaignAction):
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {"evidence": {"type": "path", "required": True}}

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        folder = os.path.abspath(options["evidence"])
        manifest, reported = (evidence.read_json(os.path.join(folder, name)) for name in ("campaign.json", rdma_verify.REPORT))
        for name, found in (("campaign.json", manifest), (rdma_verify.REPORT, reported)):
            if not isinstance(found, dict):
                raise units.Unusable(f"{folder} has no {name}, so this is not the evidence of verify_rdma_capture.yml.")
        rows = rdma_verify.verify(folder, manifest, reported)
        table = rdma_verify.table(rows)
        self._display.display(f"{table}\nevidence: {folder}")
        wrong = rdma_verify.sentences(rows)
        result = {"changed": False, "evidence": folder, "checks": [row._asdict() for row in rows]}
        return {**result, "failed": True, "msg": " ".join(wrong)} if wrong else {**result, "table": table.splitlines()}
