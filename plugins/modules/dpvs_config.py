#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpvs_config
short_description: Set keys of global_defs in dpvs.conf, and say whether DPVS has to be restarted for them
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Reads the file and what it includes by the rules of DPVS's own parser, changes the line that counts in the file that has
    it, and leaves every other byte, owner and mode alone. A key that stands nowhere becomes the first line of its block. Of
    several lines for one key the last one counts, and the others stay.
  - The file as it was before the last change is kept below C(/var/backups/wirefleet).
  - Compares with what the running DPVS says by DPDK's telemetry. V(pdump) and V(kni) count at its start only.
  - DPVS only logs a value that it does not take, and it dies of a key without a value. Such values are refused, and it is
    neither reloaded nor restarted with a file that it would die of.
options:
  global_defs:
    description:
      - Keys and their values, of V(pdump), V(kni), V(lldp), V(log_level), V(log_file), V(log_with_timestamp),
        V(log_async_mode) and V(log_async_pool_size).
    type: dict
    required: true
  path:
    description: The file that DPVS was started with, which is what its option C(-c) says.
    type: path
    default: /etc/dpvs.conf
  reload:
    description:
      - Send SIGHUP to the DPVS that uses the file when a key changed that a reload reaches, which are V(log_level),
        V(log_file), V(log_with_timestamp) and V(lldp).
      - DPVS then sets all timeouts to its defaults and reads the whole file, so what else was edited there takes effect too.
      - Putting the file back later does not reload again.
    type: bool
    default: false
  restart:
    description:
      - The systemd service to restart when a restart is due. DPVS ships none, so there is no default.
      - Restarting DPVS ends its connections, and loses addresses, routes and services that nobody adds again.
    type: str
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
seealso:
  - module: wirefleet.capture.dpvs_link
"""

EXAMPLES = r"""
- name: Let dpdk-pdump attach, from the next start of DPVS on
  wirefleet.capture.dpvs_config:
    global_defs:
      pdump: true
  register: pdump

- name: Say what is left to do
  ansible.builtin.debug:
    msg: DPVS runs without pdump until it is restarted
  when: pdump.restart_required

- name: Log more, at once
  wirefleet.capture.dpvs_config:
    global_defs:
      log_level: INFO
    reload: true
"""

RETURN = r"""
before:
  description: What the file had before the call, by key, null where it did not set it.
  returned: success
  type: dict
  sample: {"pdump": null}
after:
  description: The same afterwards; in check mode what it would be.
  returned: success
  type: dict
  sample: {"pdump": "on"}
commands:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: ["write /etc/dpvs.conf: global_defs pdump on"]
running:
  description: What the running DPVS has of V(pdump) and V(kni), null where that is not known.
  returned: success
  type: dict
  sample: {"pdump": false}
restart_required:
  description: Whether the running DPVS has another value than the file.
  returned: success
  type: bool
  sample: true
notes:
  description: What could not be found out.
  returned: success
  type: list
  elements: str
  sample: []
side_effects:
  description: What changed beside what was asked for.
  returned: success
  type: list
  elements: dict
  sample: []
expires_at:
  description: When the host undoes the changes by itself, in UTC seconds, null where it does not.
  returned: success
  type: float
  sample: null
"""

import shlex
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wirefleet.capture.plugins.module_utils._module import OPTIONS, change_settings, run
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import dpvs_reload
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import preview
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_conf import BLOCK
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_conf_text import RELOAD, TREE
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_instance import Instance, with_file
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Value


class Plan(t.NamedTuple):
    """What is to be done beside writing the file."""

    instances: list[Instance]
    reload: bool
    restart: bool
    commands: list[str]


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    return {key.name.partition("/")[2]: value for key, value in values.items()}


def make_plan(host: Host, params: dict[str, t.Any], desired: dict[Key, Value]) -> Plan:
    """Return what will be done; raises Refused where DPVS would die of it."""
    outcome = preview(host, desired)
    changed = {key.name.partition("/")[2] for key, _before, _after in outcome.changes}
    instances = with_file(host, params["path"])
    standing = dpvs_reload.stand(host, instances, shape(outcome.after), changed)
    restart = bool(params["restart"]) and standing.restart_required
    reload = params["reload"] and not restart and bool(instances) and any(TREE[BLOCK][key] == RELOAD for key in changed)
    if reload or restart:
        dpvs_reload.refuse_dying(host, params["path"], {key.name: value for key, value in outcome.after.items()}, starting=restart)
    if restart:
        dpvs_reload.refuse_restart(host, params["restart"])
    argvs = [dpvs_reload.reload_argv(instance) for instance in instances] if reload else []
    return Plan(
        instances, reload, restart, list(map(shlex.join, argvs + ([dpvs_reload.restart_argv(params["restart"])] if restart else [])))
    )


def carry_out(host: Host, plan: Plan, service: str) -> None:
    if plan.reload:
        for instance in plan.instances:
            dpvs_reload.reload(host, instance)
    if plan.restart:
        dpvs_reload.restart(host, service, [instance.ipc_file for instance in plan.instances])


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Write the file, have DPVS take it as far as asked for, and say how the two stand to each other."""
    host, params = Host(), module.params
    desired = {Key("dpvs_conf", params["path"], f"{BLOCK}/{key}"): value for key, value in params["global_defs"].items()}
    plan = make_plan(host, params, desired)
    result = change_settings(module, desired, shape)
    changed = {key for key, value in result["after"].items() if result["before"].get(key) != value}
    if not module.check_mode:
        carry_out(host, plan, params["restart"])
    instances = with_file(host, params["path"])
    standing = dpvs_reload.stand(host, instances, result["after"], set() if plan.restart else changed)
    return {
        **result,
        "changed": result["changed"] or plan.reload or plan.restart,
        "commands": result["commands"] + plan.commands,
        "running": standing.running,
        "restart_required": standing.restart_required and not (plan.restart and module.check_mode),
        "notes": standing.notes,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "global_defs": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/dpvs.conf"},
            "reload": {"type": "bool", "default": False},
            "restart": {"type": "str"},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
