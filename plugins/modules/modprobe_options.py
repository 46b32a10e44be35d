#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: modprobe_options
short_description: Set options of a kernel module, beside those of other files, and say whether a reload is due
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Keeps one file of its own per kernel module, C(/etc/modprobe.d/wirefleet-MODULE.conf), and merges into it parameter by
    parameter. Files of others are read, never written. One that sets the same parameter to another value is named.
  - Parameters and values are checked against the module before anything is written, because a bad value of a known
    parameter keeps the module from loading, and an unknown parameter is silently ignored. mlx5_core, for instance,
    has no C(log_num_mgm_entry_size), and C(log_num_mgm_entry_size = -1:) would take an mlx4 NIC away.
  - Says whether the running module has the stored values, and whether an initramfs would bring the old ones back.
options:
  name:
    description: The kernel module.
    type: str
    required: true
    aliases: [module]
  options:
    description: Parameters and their values. Merged with what the file has.
    type: dict
    required: true
  state:
    description: Whether the file sets the parameters. V(absent) takes those named in O(options) out.
    type: str
    choices: [present, absent]
    default: present
  reload:
    description:
      - Unload and load the module when the running values differ.
      - Refused, with the reason and before anything is written, when the module is in use, when one of its NICs carries
        the default route or an ssh connection, is in a bond or bridge, carries a VLAN or has virtual functions, when
        storage over RDMA may be in use, when a process has an RDMA device open, and with MLNX_OFED. A driver to which no device
        is bound is reloaded whatever uses RDMA.
      - For capturing RoCE no reload of mlx5_core is ever needed.
    type: bool
    default: false
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
"""

EXAMPLES = r"""
- name: Let ConnectX-3 steer by device, which captures on its RDMA devices need
  wirefleet.capture.modprobe_options:
    name: mlx4_core
    options:
      log_num_mgm_entry_size: -1
  register: steering

- name: Say what is left to do
  ansible.builtin.debug:
    msg: mlx4_core runs with another value until it is reloaded
  when: steering.reload_required
"""

RETURN = r"""
before:
  description: What our file set before the call, by parameter, null where it did not.
  returned: success
  type: dict
  sample: {"log_num_mgm_entry_size": null}
after:
  description: The same afterwards; in check mode what it would be.
  returned: success
  type: dict
  sample: {"log_num_mgm_entry_size": "-1"}
commands:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: ["write /etc/modprobe.d/wirefleet-mlx4_core.conf: options mlx4_core log_num_mgm_entry_size=-1"]
side_effects:
  description: What changed beside what was asked for.
  returned: success
  type: list
  elements: dict
  sample: []
running:
  description: What the loaded module says, by parameter, null where it is not loaded or does not show it.
  returned: success
  type: dict
  sample: {"log_num_mgm_entry_size": "10"}
reload_required:
  description: Whether the loaded module runs with another value than the stored one.
  returned: success
  type: bool
  sample: true
initramfs_update_required:
  description: Whether the module is loaded from an initramfs, which keeps the old options; null where that is not known.
  returned: success
  type: bool
  sample: false
notes:
  description: What to do next, and what could not be found out.
  returned: success
  type: list
  elements: str
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
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Value
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_live import compare
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_option import ModprobeOption
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.modprobe_text import text_of
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.module_reload import refuse_reload, reload_argvs, reload_module


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    return {key.name: value for key, value in values.items()}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Write the file, compare with the running module, reload if asked for and due."""
    host, name, present = Host(), module.params["name"], module.params["state"] == "present"
    wanted = {option: text_of(value) if present else None for option, value in module.params["options"].items()}
    before = ModprobeOption().read(host, name, wanted).values
    live = compare(host, name, before, wanted)
    reload = live.reload_required and module.params["reload"]
    if reload:
        refuse_reload(host, name)
    result = change_settings(module, {Key("modprobe_option", name, option): value for option, value in wanted.items()}, shape)
    if reload:
        result = {**result, "changed": True, "commands": result["commands"] + list(map(shlex.join, reload_argvs(name)))}
        if not module.check_mode:
            reload_module(host, name)
            live = compare(host, name, wanted, wanted)
    stale_image = live.initramfs_update_required and (result["changed"] or live.reload_required)
    return {
        **result,
        "running": live.running,
        "reload_required": live.reload_required,
        "initramfs_update_required": None if live.initramfs_update_required is None else bool(stale_image),
        "notes": live.notes,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True, "aliases": ["module"]},
            "options": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reload": {"type": "bool", "default": False},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
