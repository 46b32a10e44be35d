# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign's price per host is the number of tasks that go to it."""

from __future__ import annotations

import os

import yaml
from ansible_collections.wirefleet.capture.plugins.plugin_utils import schema

ROLE = "wirefleet.capture.campaign"


def load(*parts):
    with open(os.path.join(schema.ROOT, *parts), encoding="utf-8") as handle:
        return yaml.safe_load(handle)


def host_tasks():
    """Return the tasks that capture_campaign.yml runs on every host, with the role's files put in their place."""
    play = next(play for play in load("playbooks", "capture_campaign.yml") if play["hosts"] != "localhost")
    found = []
    steps = [step for task in play["tasks"] for step in [*task.get("block", [task]), *task.get("always", [])]]
    for task in steps:
        role = task["ansible.builtin.import_role"]
        assert role["name"] == ROLE and role["rolespec_validate"] is False
        found += load("roles", "campaign", "tasks", role["tasks_from"] + ".yml")
    return play, [task for task in found if "ansible.builtin.meta" not in task]


def test_three_tasks_go_to_each_host_and_waiting_is_one_for_all():
    play, tasks = host_tasks()
    assert play["gather_facts"] is False
    each = [name for task in tasks if not task.get("run_once") for name in task if name.startswith("wirefleet.")]
    once = [name for task in tasks if task.get("run_once") for name in task if name.startswith("wirefleet.")]
    assert each == [f"wirefleet.capture.campaign_{step}" for step in ("preflight", "arm", "collect")]
    assert once == [f"wirefleet.capture.campaign_{step}" for step in ("mirror", "wait", "mirror")], "which are none without switches"


def test_only_the_preflight_and_arming_call_a_module_on_a_host():
    calls = {}
    folder = os.path.join(schema.ROOT, "plugins", "action")
    for name in sorted(os.listdir(folder)):
        if name.startswith("campaign_"):
            with open(os.path.join(folder, name), encoding="utf-8") as handle:
                calls[name] = handle.read().count("self.module(")
    assert {name: count for name, count in calls.items() if count} == {
        **dict.fromkeys(("campaign_preflight.py", "campaign_arm.py"), 1),
        "campaign_mirror.py": 1,  # on switches only
    }
