# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a campaign share: their run, and failing with one sentence."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from . import evidence, schema, units

CAPTURE_INFO = "wirefleet.capture.capture_info"
CAPTURE_SESSION = "wirefleet.capture.capture_session"


class CampaignAction(ActionBase):
    """An action whose options are checked by its documentation's twin, the argument spec OPTIONS."""

    OPTIONS: t.ClassVar[dict[str, t.Any]] = {}
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: t.Any = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(argument_spec=self.OPTIONS)
        try:
            result.update(self.act(options, task_vars or {}))
        except units.Unusable as wrong:
            raise AnsibleActionFail(str(wrong)) from wrong
        return result

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Do the work and return what to add to the task's result; raises Unusable with one sentence."""
        raise NotImplementedError

    def the_run(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> evidence.Run:
        """Return the run that the options name, else that of the variable campaign_run; raises Unusable where it has no folder.

        Each template of a task is compiled anew for every host, so the role leaves the options to this.
        """
        named = {name: options[name] for name in RUN_OPTIONS}
        if not all(named.values()):
            planned = self.planned(task_vars)
            named = {name: value or planned.get(name) for name, value in named.items()}
        if not all(named.values()):
            raise units.Unusable("campaign and evidence_root say which run: register what campaign_plan returns as campaign_run, or name them.")
        run = evidence.Run(os.path.abspath(named["evidence_root"]), units.check_name(named["campaign"]))
        if not os.path.isdir(run.folder):
            raise units.Unusable(
                f"there is no {run.folder}; start with the playbook that makes it, capture_campaign or collect."
            )
        return run

    def planned(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return what campaign_plan said of the run, empty where nobody registered it as campaign_run."""
        return self._templar.template(task_vars.get("campaign_run")) or {}

    def asked(self, name: str, choices: tuple[str, ...]) -> str | None:
        """Return what the command line says of the variable *name*, which wins over the run's plan; None where it is silent."""
        said = load_extra_vars(self._loader).get(name)
        if said not in (None, *choices):
            raise units.Unusable(f"{name} is {said!r}; it must be one of {', '.join(choices)}.")
        return said

    def module(self, name: str, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        return self._execute_module(module_name=name, module_args=arguments, task_vars=task_vars)


RUN_OPTIONS: dict[str, t.Any] = {"campaign": {"type": "str"}, "evidence_root": {"type": "path"}}

FOUND_OPTIONS: dict[str, t.Any] = {
    "hosts": {"type": "list", "elements": "str"},
    "found_in": {"type": "str", "default": "campaign_found"},
}


def captures_of(options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return {host: captures} as capture_info left them in each host's variable; None for a host without an answer."""
    found = {}
    for host in options["hosts"] or []:
        variables = task_vars["hostvars"][host]
        if "network_cli" in str(variables.get("ansible_connection")):
            continue  # a switch that has a command line only remembers nothing
        answer = variables.get(options["found_in"]) or {}
        found[host] = answer.get("captures")
    return found


def check_manifest(manifest: dict[str, t.Any]) -> list[str]:
    return schema.problems(manifest, schema.load(schema.MANIFEST), "campaign.json")
