# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module of switches with what only the controller knows: what runs on the switch, and where the journal of this one lies."""

from __future__ import annotations

import importlib.util
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

DEFAULT_JOURNAL = "evidence/switches"


class SwitchAction(ActionBase):
    MODULE: t.ClassVar[str]
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        super().run(tmp, task_vars)
        variables, arguments = task_vars or {}, dict(self._task.args)
        switch = self._task.delegate_to or variables["inventory_hostname"]
        system = variables["hostvars"].get(switch, {}).get("ansible_network_os")
        arguments.setdefault("platform", system)
        _refuse_missing(system)
        folder = os.path.abspath(os.path.expanduser(arguments.get("journal") or DEFAULT_JOURNAL))
        arguments["journal"] = os.path.join(folder, switch)
        return self._execute_module(module_name=self.MODULE, module_args=arguments, task_vars=variables)


def _refuse_missing(system: str | None) -> None:
    """Fail with one sentence where the collection that talks to *system* is not installed."""
    collection = ".".join((system or "").split(".")[:2])
    for needed in ("ansible.netcommon", collection) if (system or "").count(".") == 2 else ():
        if not _installed(needed):
            raise AnsibleActionFail(
                f"{system} needs the collection {needed}, which is not installed: ansible-galaxy collection install {needed}"
            )


def _installed(collection: str) -> bool:
    try:
        return importlib.util.find_spec(f"ansible_collections.{collection}") is not None
    except ModuleNotFoundError:  # nothing of its namespace is there
        return False
