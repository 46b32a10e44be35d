# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab as an Ansible inventory. Pure; JSON is YAML."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from .fleet import Host

SSH_ARGS = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
#: A host that shares a busy machine takes longer to answer than the 10 s that Ansible gives one.
ANSWERS_S = 60


def inventory(hosts: Iterable[Host], key: str, control_path_dir: str) -> str:
    """Return the text of an inventory: group fleet with everything, and a group for each of the hosts' groups.

    *control_path_dir* keeps the ssh connections of labs apart, whose hosts have the same addresses.
    """
    members: dict[str, t.Any] = {}
    groups: dict[str, dict[str, t.Any]] = {}
    for host in hosts:
        members[host.name] = {"ansible_host": host.address, "data_device": host.data_device, "data_address": host.data_address}
        for group in (*host.groups, f"{host.kind}_hosts"):
            groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
    variables = {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": key,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": SSH_ARGS,
        "ansible_ssh_timeout": ANSWERS_S,
        "ansible_control_path_dir": control_path_dir,
    }
    return json.dumps({"all": {"children": {"fleet": {"hosts": members, "vars": variables}, **groups}}}, indent=2) + "\n"
