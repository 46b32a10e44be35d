#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_floor
short_description: Raise kernel parameters to at least a value, never lower them
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Compares with what the kernel says now and raises what is lower. What is higher already stays.
  - By default only the running value changes, and the journal puts it back. O(persistent=true) also writes one drop-in
    file for the next boot, with no less than the running value. A file that sorts later, as C(/etc/sysctl.conf) may, still
    wins at boot.
  - Every value is read again afterwards, since C(sysctl -w) on a read-only parameter exits with 0.
notes:
  - What these do for a capture, honestly. tcpdump and dumpcap use a ring of their own (C(-B)), so neither
    V(net.core.rmem_max) nor V(net.core.rmem_default) changes what they lose. They matter to programs that read
    packets through an ordinary socket, such as a collector that receives mirrored traffic.
  - V(net.core.netdev_max_backlog) matters where packets pass the per-CPU backlog, which are veth, loopback, tunnels and
    receive packet steering. Ordinary drivers do not use it. None of them changes anything for captures on RDMA devices.
  - Network namespaces and containers show V(net.core.rmem_max) read-only and lack V(net.core.netdev_max_backlog).
options:
  values:
    description: Parameters and the least value each must have.
    type: dict
    required: true
  persistent:
    description: Also set them at boot, in C(/etc/sysctl.d/90-wirefleet.conf).
    type: bool
    default: false
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
"""

EXAMPLES = r"""
- name: Let a collector of mirrored packets ask for a large socket buffer
  wirefleet.capture.sysctl_floor:
    values:
      net.core.rmem_max: 67108864

- name: The same after every boot
  wirefleet.capture.sysctl_floor:
    values:
      net.core.rmem_max: 67108864
      net.core.netdev_max_backlog: 10000
    persistent: true
"""

RETURN = r"""
before:
  description: Running values before the call and what the drop-in file set.
  returned: success
  type: dict
  sample: {"running": {"net.core.rmem_max": 212992}}
after:
  description: The same afterwards; in check mode what they would be.
  returned: success
  type: dict
  sample: {"running": {"net.core.rmem_max": 67108864}}
commands:
  description: What ran, or would run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["sysctl -q -w net.core.rmem_max=67108864"]
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

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wirefleet.capture.plugins.module_utils._module import OPTIONS, change_settings, run
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused, Value

PART_OF_KIND = {"sysctl_floor": "running", "sysctl_drop_in": "stored"}


def desired_settings(values: dict[str, t.Any], persistent: bool) -> dict[Key, Value]:
    """Return {Key: least value} for the running and, if wanted, the stored values."""
    kinds = ["sysctl_floor", "sysctl_drop_in"] if persistent else ["sysctl_floor"]
    return {Key(kind, "", name): _number(name, value) for kind in kinds for name, value in values.items()}


def _number(name: str, value: t.Any) -> int:
    if isinstance(value, bool) or not str(value).isdecimal():
        raise Refused(f"the least value of {name} is a whole number, not {value!r}")
    return int(value)


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    shaped: dict[str, t.Any] = {}
    for key, value in values.items():
        shaped.setdefault(PART_OF_KIND[key.kind], {})[key.name] = value
    return shaped


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "values": {"type": "dict", "required": True},
            "persistent": {"type": "bool", "default": False},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: change_settings(module, desired_settings(module.params["values"], module.params["persistent"]), shape))


if __name__ == "__main__":
    main()
