# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arms a host for its part of a campaign and keeps on record that it did."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    CAPTURE_SESSION,
    RUN_OPTIONS,
    CampaignAction,
)


class ActionModule(CampaignAction):
    OPTIONS: t.ClassVar[dict[str, t.Any]] = RUN_OPTIONS

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run, host = self.the_run(options, task_vars), task_vars["inventory_hostname"]
        run.event("arming", host=host)
        try:
            done = self.module(CAPTURE_SESSION, {"state": "armed", "session": run.record(host)["session"]}, task_vars)
        except AnsibleConnectionFailure:
            # Nobody knows whether it was armed, so it counts as armed: collecting will tell.
            run.update(host, armed=True, unreachable=True)
            run.event("lost", host=host)
            raise
        failed = bool(done.get("failed"))
        run.update(host, armed=not failed, error=str(done.get("msg")) if failed else None, serve=done.get("serve"))
        run.event("arm_failed" if failed else "armed", host=host)
        return done
