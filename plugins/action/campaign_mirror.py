# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Has a switch mirror or capture its part of a campaign, or take it back, and keeps before and after as evidence."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    RUN_OPTIONS,
    CampaignAction,
)

MIRROR_SESSION = "wirefleet.capture.mirror_session"
REMOTE_CAPTURE = "wirefleet.capture.packet_capture_remote"


class ActionModule(CampaignAction):
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        **RUN_OPTIONS,
        "switch": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run, switch = self.the_run(options, task_vars), options["switch"]
        journal = os.path.join(os.path.dirname(run.folder), "switches", switch)
        wanted = [mirror for mirror in run.plan().get("mirrors", []) if mirror["switch"] == switch]
        common = {"campaign": run.id, "journal": journal}
        if options["state"] == "restored":
            calls = [(MIRROR_SESSION, {"state": "restored", "platform": wanted[0]["platform"], **common})] if wanted else []
        else:
            calls = [(module, {**options, **common}) for module, options in map(_call, wanted)]
        return self._carry_out(run, switch, options["state"], calls, task_vars)

    def _carry_out(
        self, run: evidence.Run, switch: str, state: str, calls: list[tuple[str, dict[str, t.Any]]], task_vars: dict[str, t.Any]
    ) -> dict[str, t.Any]:
        results: list[dict[str, t.Any]] = []
        for module, call in calls:
            done = self.module(module, call, task_vars)
            if done.get("failed"):
                run.event("mirror_failed", switch=switch, error=str(done.get("msg")))
                return done
            results.append(done)
        kept = [{key: done.get(key) for key in ("before", "after", "commands", "restored")} | {"warnings": _warnings(done)} for done in results]
        evidence.make_private(run.path("switches", switch))
        evidence.write_json(run.path("switches", switch, f"{state}.json"), kept)
        run.event("mirrored" if state == "present" else "mirror_ended", switch=switch)
        diffs = [done["diff"] for done in results if "diff" in done]
        return {"changed": any(done["changed"] for done in results), "sessions": kept, **({"diff": diffs} if diffs else {})}


def _warnings(done: dict[str, t.Any]) -> list[str]:
    """Return a module's warnings as texts; ansible-core makes objects of them."""
    return [str(getattr(getattr(warning, "event", warning), "msg", warning)) for warning in done.get("warnings") or []]


def _call(wanted: dict[str, t.Any]) -> tuple[str, dict[str, t.Any]]:
    """Return the module, and its options, that has the switch do what the plan wants of it."""
    if "capture" in wanted:
        return REMOTE_CAPTURE, {**wanted["capture"], "platform": wanted["platform"]}
    return MIRROR_SESSION, {**wanted["session"], "platform": wanted["platform"], "expires": wanted["expires"]}
