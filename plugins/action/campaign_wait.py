# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits on the controller until the window is open or over on every host, one task for all of them."""

from __future__ import annotations

import os
import time
import typing as t

from ansible import constants as C
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, progress, remote, units, watch
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    RUN_OPTIONS,
    CampaignAction,
)

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible_collections.wirefleet.capture.plugins.plugin_utils.channel import Channel


class ActionModule(CampaignAction):
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        **RUN_OPTIONS,
        "hosts_per_second": {"type": "float", "default": 20.0},
        "until": {"type": "str", "choices": list(watch.AWAITED), "default": "closed"},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run = self.the_run(options, task_vars)
        plan, awaited = run.plan(), watch.AWAITED[options["until"]]
        hosts = [host for host in plan["sessions"] if _is_awaited(run.record(host))]
        watches = [
            watch.Watch(host, self._opener(run, host, task_vars), number < watch.KEPT, awaited)
            for number, host in enumerate(hosts)
        ]
        open_s = plan["duration_s"] if options["until"] == "closed" else 0.0
        due_ns = plan["t0_ns"] + round((open_s + plan["max_clock_error_s"]) * 1e9)
        run.event("waiting", hosts=len(hosts))
        watch.follow(watches, due_ns, options["hosts_per_second"], _tell)
        time.sleep(progress.LINGER_S)
        found = watch.summary(watches)
        evidence.write_json(run.path(evidence.WORK, "wait.json"), found)
        for host, facts in found.items():
            run.update(host, captured_bytes=captured_bytes(facts["heartbeat"]))
        states = {host: str((facts["heartbeat"] or {}).get("state", "no answer")) for host, facts in found.items()}
        run.event(f"window_{options['until']}", states=states)
        silent = [f"{host}: {found[host]['problem']}" for host, state in states.items() if state not in awaited]
        return {"changed": False, "states": states, "silent": silent, "waited_until": units.clock_time(time.time_ns())}

    def _opener(self, run: evidence.Run, host: str, task_vars: dict[str, t.Any]) -> Callable[[], Channel]:
        """Everything that needs Ansible is done here and now; the threads only start processes."""
        serve = remote.serve_argv(run.id, run.record(host).get("serve"))
        connection = remote.connect(host, task_vars["hostvars"], self._task, self._play_context)
        return lambda: remote.open_asking(connection, serve)


def captured_bytes(heartbeat: Mapping[str, t.Any] | None) -> int | None:
    """Return what the host said it had captured, None where it did not. Pure."""
    sizes = [vantage["bytes"] for vantage in (heartbeat or {}).get("vantages", [])]
    return None if not sizes or None in sizes else sum(sizes)


def _is_awaited(record: dict[str, t.Any]) -> bool:
    return bool(record.get("armed")) and not record.get("collected_ns")


def _tell(rows: list[progress.Row]) -> None:
    """Append for the progress callback, which follows this file from the main process."""
    descriptor = os.open(progress.path(C.DEFAULT_LOCAL_TMP), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, progress.record(rows).encode())
    finally:
        os.close(descriptor)
