# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a switch mirror its part of a campaign, or take it back, and keeps before and after as evidence."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    RUN_OPTIONS,
    CampaignAction,
    run_of,
)

MIRROR_SESSION = "wirefleet.capture.mirror_session"


class ActionModule(CampaignAction):
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        **RUN_OPTIONS,
        "switch": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run, switch = run_of(options), options["switch"]
        journal = os.path.join(os.path.abspath(options["evidence_root"]), "switches", switch)
        wanted = [mirror for mirror in run.plan().get("mirrors", []) if mirror["switch"] == switch]
        common = {"campaign": run.id, "journal": journal}
        if options["state"] == "restored":
            calls = [{"state": "restored", "platform": wanted[0]["platform"], **common}] if wanted else []
        else:
            calls = [{**m["session"], "platform": m["platform"], "expires": m["expires"], **common} for m in wanted]
        return self._carry_out(run, switch, options["state"], calls, task_vars)

    def _carry_out(
        self, run: evidence.Run, switch: str, state: str, calls: list[dict[str, t.Any]], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        results: list[dict[str, t.Any]] = []
        for call in calls:
            done = self.module(MIRROR_SESSION, call, task_vars)
            if done.get("failed"):
                run.event("mirror_failed", switch=switch, error=str(done.get("msg")))
                return done
            results.append(done)
        kept = [{key: done.get(key) for key in ("before", "after", "commands", "restored", "warnings")} for done in results]
        evidence.make_private(run.path("switches", switch))
        evidence.write_json(run.path("switches", switch, f"{state}.json"), kept)
        run.event("mirrored" if state == "present" else "mirror_ended", switch=switch)
        diffs = [done["diff"] for done in results if "diff" in done]
        return {"changed": any(done["changed"] for done in results), "sessions": kept, **({"diff": diffs} if diffs else {})}
