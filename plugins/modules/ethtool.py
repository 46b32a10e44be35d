#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ethtool
short_description: Set offload features, private flags and ring sizes of network devices, and remember how to go back
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Compares with what the driver says now, changes only what differs, and reads everything again afterwards.
    A value that did not take is an error that names the requested and the real value.
  - Every change is journalled on the host before it is made, so that playbook C(restore.yml) (or the end of a campaign)
    puts it back, with the side effects that the driver had on other settings.
  - Several devices and all three kinds of setting take one call. Rings are set first, then private flags, then
    features, since a ring change clears flags on some drivers and LRO depends on one.
requirements:
  - ethtool on the managed host, any version
options:
  device:
    description: Network device to change.
    type: str
    aliases: [interface, name]
  devices:
    description: Several network devices that get the same settings.
    type: list
    elements: str
  features:
    description:
      - Offload features to turn on or off. Short names (V(gro), V(lro), V(tso), V(gso), V(rxvlan), V(txvlan), V(sg),
        V(rx), V(tx), V(ntuple), V(rxhash)) and kernel names (V(rx-gro-hw)) are known, with dashes or underscores.
      - A short name stands for all of its kernel features on the device. Members that the driver keeps C([fixed])
        are left alone as long as one can be changed.
      - For true captures of kernel traffic it is enough to turn off V(tso) at the sender, and V(gro), V(lro) and
        V(rx-gro-hw) at the receiver. Turning V(gso) off only costs CPU, since software segmentation runs before the tap.
    type: dict
  private_flags:
    description:
      - Private flags of the driver, by the exact names that C(ethtool --show-priv-flags) prints.
      - V(sniffer) makes RDMA traffic visible to tcpdump on MLNX_OFED up to 4.9 and 5.0. On other drivers the
        error says what to do instead.
    type: dict
    aliases: [priv_flags]
  ring:
    description:
      - Ring sizes in descriptors, or V(max) for the largest that the driver allows.
      - Most drivers close and reopen the device's channels for this, which interrupts traffic for a moment.
    type: dict
    suboptions:
      rx:
        description: Receive ring.
        type: str
      tx:
        description: Transmit ring.
        type: str
      rx_mini:
        description: Receive ring for small packets.
        type: str
      rx_jumbo:
        description: Receive ring for jumbo frames.
        type: str
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
"""

EXAMPLES = r"""
- name: Let tcpdump see RDMA traffic (MLNX_OFED up to 4.9)
  wirefleet.capture.ethtool:
    device: ens1f0np0
    private_flags:
      sniffer: true

- name: Capture TCP as it was on the wire, on both ports
  wirefleet.capture.ethtool:
    devices: [ens1f0np0, ens1f1np1]
    features:
      gro: false
      lro: false
      tso: false

- name: Give bursts the largest receive ring
  wirefleet.capture.ethtool:
    device: ens1f0np0
    ring:
      rx: max
"""

RETURN = r"""
before:
  description: Values before the call, by device and kind, for what was asked for.
  returned: success
  type: dict
  sample: {"ens1f0np0": {"features": {"rx-gro": true}, "ring": {"rx": 1024}}}
after:
  description: Values read again after the change; in check mode what they would be.
  returned: success
  type: dict
  sample: {"ens1f0np0": {"features": {"rx-gro": false}, "ring": {"rx": 8192}}}
commands:
  description: The commands that ran, or would run in check mode.
  returned: success
  type: list
  elements: str
  sample: ["ethtool -G ens1f0np0 rx 8192", "ethtool -K ens1f0np0 rx-gro off"]
side_effects:
  description: What the driver changed beside what was asked for. It is put back too.
  returned: success
  type: list
  elements: dict
  sample: [{"setting": "ethtool_private_flag ens1f0np0 sniffer", "before": true, "after": false}]
expires_at:
  description: When the host undoes the changes by itself, in UTC seconds, null where it does not.
  returned: success
  type: float
  sample: null
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wirefleet.capture.plugins.module_utils._module import OPTIONS, change_settings, run
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_wish import KIND_OF_OPTION, desired_settings
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Value


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    """Return *values* by device and option, the way the module's user wrote them."""
    option_of = {kind: option for option, kind in KIND_OF_OPTION.items()}
    shaped: dict[str, t.Any] = {}
    for key, value in values.items():
        shaped.setdefault(key.scope, {}).setdefault(option_of[key.kind], {})[key.name] = value
    return shaped


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "device": {"type": "str", "aliases": ["interface", "name"]},
            "devices": {"type": "list", "elements": "str"},
            "features": {"type": "dict"},
            "private_flags": {"type": "dict", "aliases": ["priv_flags"]},
            "ring": {"type": "dict", "options": {name: {"type": "str"} for name in ("rx", "tx", "rx_mini", "rx_jumbo")}},
            **OPTIONS,
        },
        required_one_of=[("device", "devices"), ("features", "private_flags", "ring")],
        mutually_exclusive=[("device", "devices")],
        supports_check_mode=True,
    )
    devices = [module.params["device"]] if module.params["devices"] is None else module.params["devices"]
    run(module, lambda: change_settings(module, desired_settings(devices, module.params), shape))


if __name__ == "__main__":
    main()
