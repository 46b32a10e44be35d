# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what is armed, changed or left on the hosts, from what capture_info found on each and what journals say of switches."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import status, switch_journals
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    FOUND_OPTIONS,
    CampaignAction,
    captures_of,
)
from ansible_collections.wirefleet.capture.plugins.plugin_utils.switch_action import DEFAULT_JOURNAL


class ActionModule(CampaignAction):
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        "campaign": {"type": "str"},
        "journals": {"type": "list", "elements": "path", "default": [DEFAULT_JOURNAL]},
        **FOUND_OPTIONS,
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        hosts, inventory = options["hosts"] or [], task_vars["hostvars"]
        said = [str(path) for host in hosts if (path := inventory[host].get("switch_mirror_journal"))]
        switches = switch_journals.open_ones([*options["journals"], *said], hosts, list(inventory))
        text = status.text({**captures_of(options, task_vars), **switches}, time.time_ns(), options["campaign"])
        self._display.display(text)
        return {"changed": False, "table": text.splitlines()}
