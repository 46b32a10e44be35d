# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a host whether it can do its part, compares its clock with ours, and shows what would change."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import diff_of
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, plan, remote
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    CAPTURE_INFO,
    RUN_OPTIONS,
    CampaignAction,
)

#: Speaks the one word of the serve protocol that is needed before there is anything to serve.
TELL_TIME = ("sh", "-c", """while read -r _; do date '+{"t_ns": %s%N}'; done""")


class ActionModule(CampaignAction):
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {**RUN_OPTIONS, "allow_missing": {"type": "bool", "default": False}}

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run, host = self.the_run(options, task_vars), task_vars["inventory_hostname"]
        record = run.record(host)
        session, probe = record["session"], {}
        if record.get("probe"):
            probe["object_store"] = record["probe"]
            run.update(host, probe=None)
        try:
            found = self.module(CAPTURE_INFO, {"session": session, **probe}, task_vars)
            clock = self._clock() if not found.get("failed") else None
        except AnsibleConnectionFailure:
            run.update(host, missing=True)
            run.event("unreachable", host=host)
            if options["allow_missing"]:
                return {"changed": False, "missing": True}
            raise
        if found.get("failed"):
            return found
        problems = [*found.get("problems", []), *clock_problems(clock or {}, session["max_clock_error_s"])]
        resolved = found.get("session") or session
        run.update(host, session=resolved, clock=clock)
        run.event("preflight", host=host, problems=problems, clock=clock)
        if problems:
            return {"failed": True, "msg": f"{host}: {' '.join(problems)}", "problems": problems}
        changes = plan.changes(found)
        if self._task.check_mode:
            self._display.display(plan.describe(resolved, found, name_changes=not self._task.diff))
        return {
            "changed": self._task.check_mode and bool(changes),
            "missing": False,
            "session": resolved,
            "clock": clock,
            "plan": plan.describe(resolved, found),
            "predicted": found.get("predicted"),
            "diff": diff_of(changes) if self._task.diff else [],
        }

    def _clock(self) -> dict[str, t.Any]:
        """Exchange times over one channel: what it takes to open it would else be part of each round trip."""
        try:
            with remote.open_asking(self._connection, TELL_TIME) as asking:
                return channel.clock_offset(lambda: int(asking.ask({"op": "time"})["t_ns"]))
        except (channel.ChannelError, KeyError, TypeError, ValueError):
            return {"offset_s": None, "error_s": None}


def clock_problems(clock: dict[str, t.Any], allowed_s: float) -> list[str]:
    """Return a sentence when the host's clock is certainly further off than allowed. Pure."""
    offset, error = clock.get("offset_s"), clock.get("error_s")
    if offset is None or error is None or abs(offset) - error <= allowed_s:
        return []
    side = "ahead of" if offset > 0 else "behind"
    return [
        f"The clock is {abs(offset):.3f} s (±{error:.3f} s) {side} the controller's and campaign_max_clock_error is "
        f"{allowed_s:g} s; set the clock, or allow more."
    ]
