# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings one host's files home, verified and resumable, over the host's own connection."""

from __future__ import annotations

import shlex
import tempfile
import typing as t

from ansible import constants as C
from ansible_collections.wirefleet.capture.plugins.module_utils.session.limits import index_bytes
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import COLLECT, WHOLE
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, objects, remote, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    RUN_OPTIONS,
    CampaignAction,
)
from ansible_collections.wirefleet.capture.plugins.plugin_utils.channel import Channel, Pieces
from ansible_collections.wirefleet.capture.plugins.plugin_utils.collect import CollectError, Collector

#: A connection of its own has a faster cipher, but costs the controller more CPU to open than these bytes over the shared.
LITTLE = 16 << 20
COMPRESS = ("auto", "never", "gzip", "zstd")


class ActionModule(CampaignAction):
    _supports_check_mode = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        **RUN_OPTIONS,
        "compress": {"type": "str", "choices": COMPRESS},
        "collect": {"type": "str", "choices": COLLECT},
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        run, host = self.the_run(options, task_vars), task_vars["inventory_hostname"]
        record = run.record(host)
        if record.get("collected_ns") or not record.get("armed"):
            return {"changed": False, "files": 0, "bytes": 0, "stored": 0}
        serve = remote.serve_argv(run.id, record.get("serve"))
        wanted = options["collect"] or self.asked("campaign_collect", COLLECT) or record["session"].get("collect", WHOLE)
        compress = options["compress"] or self.asked("campaign_compress", COMPRESS) or self.planned(task_vars).get("compress", "auto")
        captured = record.get("captured_bytes")
        bulk = captured is None or (captured if wanted == WHOLE else index_bytes(captured)) > LITTLE
        run.event("collecting", host=host)
        try:
            store = objects.of_session(record["session"])
            done = Collector(run, host, lambda: self._open(serve, bulk), compress, wanted, store=store).collect()
        except (CollectError, units.Unusable) as problem:
            self._note(run, host, str(problem))
            return {"failed": True, "msg": str(problem)}
        run.update(host, error=None, unreachable=False)
        run.event("collected", host=host, **done)
        return {"changed": True, **done}

    def _open(self, serve: list[str], bulk: bool) -> Channel:
        if remote.can_stream(self._connection):
            return remote.open_stream(self._connection, serve, bulk)
        local = tempfile.mkdtemp(prefix="wirefleet-", dir=C.DEFAULT_LOCAL_TMP)
        return Pieces(serve, self._execute, self._connection.fetch_file, self._make_tmp_path(), local, self._connection.put_file)

    def _execute(self, command: str, as_root: bool) -> tuple[int, str, str]:
        done = self._low_level_execute_command(f"/bin/sh -c {shlex.quote(command)}", sudoable=as_root)
        return done["rc"], done["stdout"], done["stderr"]

    @staticmethod
    def _note(run: evidence.Run, host: str, problem: str) -> None:
        """Keep the reason with the run; on a full disk the answer on the screen must do."""
        try:
            run.update(host, error=problem)
            run.event("not_collected", host=host, error=problem)
        except OSError:
            return
