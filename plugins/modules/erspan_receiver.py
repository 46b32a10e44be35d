#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: erspan_receiver
short_description: Prepare a monitor host's network device to receive ERSPAN, and say how it is best captured
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Says whether the kernel can take the mirror off (see M(wirefleet.capture.erspan_tunnel)) or the outer packets have to be
    captured, the largest mirrored frame that fits into the device's MTU for each type, and which CPUs are near the device and
    not busy with its interrupts.
  - Where outer packets are captured, a host without GRE answers each of them with ICMP protocol unreachable. The module ends
    them in a tc filter that packet sockets do not notice.
  - Unloads C(irdma) when asked. Intel says that a monitor host's capture may be incorrect while it is loaded. It refuses where
    RDMA is in use, and the journal loads it again.
options:
  device:
    description: The network device by which the mirrors come.
    type: str
    required: true
  mode:
    description:
      - V(kernel) for ERSPAN devices, V(raw) for a capture of the outer packets, V(auto) for the first where the kernel has it.
      - V(kernel) fails where the kernel has it not.
    type: str
    choices: [auto, kernel, raw]
    default: auto
  unload_irdma:
    description:
      - Whether C(irdma) is taken out of the kernel where it is loaded. For monitor hosts only, never for hosts whose RDMA traffic
        is being watched.
      - Refused while processes have RDMA devices open, connections exist or
        C(/sys/kernel/config/irdma) has folders.
    type: bool
    default: false
  frame:
    description: Size of the largest frames that are mirrored. Where one does not fit there is a warning.
    type: int
    default: 1514
  type:
    description: The type of ERSPAN that is received, for that warning.
    type: str
    choices: [I, II, III]
    default: II
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
requirements:
  - ethtool, and tc (iproute2 4.19 or later) where outer packets are captured
seealso:
  - module: wirefleet.capture.erspan_tunnel
  - module: wirefleet.capture.pcap_decap
"""

EXAMPLES = r"""
- name: Receive on ens1f0np0, whichever way the kernel can
  wirefleet.capture.erspan_receiver:
    device: ens1f0np0
    expires: 4h
  register: receiver

- name: Say how to capture
  ansible.builtin.debug:
    msg: "{{ receiver.mode }}: {{ receiver.reason }}"
"""

RETURN = r"""
mode:
  description: V(kernel) or V(raw).
  returned: success
  type: str
  sample: kernel
reason:
  description: Why, and how to capture.
  returned: success
  type: str
  sample: "the kernel has ip_gre: its ERSPAN devices show the mirrored frames, and filters work on them"
mtu:
  description: The device's MTU.
  returned: success
  type: int
  sample: 1500
largest_frame:
  description: The largest mirrored frame in bytes that fits over IPv4, by type. C(III+) is type III with its optional sub-header.
  returned: success
  type: dict
  sample: {"I": 1476, "II": 1464, "III": 1460, "III+": 1452}
cpus:
  description: CPUs near the device, those that serve its interrupts, and those for a capture; null where the device does not say.
  returned: success
  type: dict
  sample: {"local": [0, 1, 2, 3], "interrupts": [0], "capture": [1, 2, 3]}
ring:
  description: The largest receive ring that the driver allows, null where the device has none.
  returned: success
  type: int
  sample: 8192
irdma_loaded:
  description: Whether C(irdma) is in the kernel afterwards.
  returned: success
  type: bool
  sample: false
before:
  description: Whether GRE was dropped on the device, and whether C(irdma) was loaded, where that matters.
  returned: success
  type: dict
  sample: {"ens1f0np0 gre dropped": false}
after:
  description: The same afterwards; in check mode what it would be.
  returned: success
  type: dict
  sample: {"ens1f0np0 gre dropped": true}
commands:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: ["rmmod irdma"]
side_effects:
  description: What changed beside what was asked for.
  returned: success
  type: list
  elements: dict
  sample: []
warnings_found:
  description: What would make a capture incomplete, as sentences. They are shown as warnings too.
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

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wirefleet.capture.plugins.module_utils._module import OPTIONS, change_settings, run
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.overhead import TYPES, mtu_warning
from ansible_collections.wirefleet.capture.plugins.module_utils.session.receiver import (
    IRDMA,
    KERNEL,
    RAW,
    choose_way,
    cpus_of,
    largest_frames,
    missing_module,
    mtu_of,
    reverse_path_warning,
)
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_ring import EthtoolRing
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused, Value
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.module_unload import refuse_unload
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.tc_drop import TcDrop

NAMES = {"tc_drop": "gre dropped", "module": "loaded"}


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    return {f"{key.scope} {NAMES[key.kind]}": value for key, value in values.items()}


def warnings_of(host: Host, params: dict[str, t.Any], mtu: int, irdma: bool) -> list[str]:
    """Return what would make a capture incomplete."""
    busy = f"{IRDMA} is loaded: on Intel's E800 captures of RDMA may be incorrect with it, see unload_irdma" if irdma else None
    found = (mtu_warning(params["device"], mtu, params["frame"], TYPES[params["type"]]), reverse_path_warning(host, params["device"]), busy)
    return [text for text in found if text]


def work(module: AnsibleModule) -> dict[str, t.Any]:
    host, params = Host(), module.params
    device, missing, mtu = params["device"], missing_module(host), mtu_of(host, params["device"])
    if params["mode"] == KERNEL and missing:
        raise Refused(f"{missing}: say mode raw or auto, and take the mirror off with pcap_decap")
    way = choose_way(params["mode"], missing)
    desired: dict[Key, Value] = {}
    if way.mode == RAW or TcDrop().read(host, device, []).values["gre"]:  # which would end what a tunnel is to receive
        desired[Key("tc_drop", device, "gre")] = way.mode == RAW
    irdma = host.exists(f"/sys/module/{IRDMA}")
    if irdma and params["unload_irdma"]:
        refuse_unload(host, IRDMA)
        desired[Key("module", IRDMA, "loaded")] = False
    result = change_settings(module, desired, shape)
    stays = irdma and not params["unload_irdma"]
    warnings = warnings_of(host, params, mtu, stays)
    for text in warnings:
        module.warn(text)
    return {
        **result, **way._asdict(), "mtu": mtu, "largest_frame": largest_frames(mtu), "cpus": cpus_of(host, device)._asdict(),
        "ring": EthtoolRing().read(host, device, []).facts["maximum"].get("rx"), "irdma_loaded": stays, "warnings_found": warnings,
    }  # fmt: skip


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "device": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": ["auto", KERNEL, RAW], "default": "auto"},
            "unload_irdma": {"type": "bool", "default": False},
            "frame": {"type": "int", "default": 1514},
            "type": {"type": "str", "choices": [*TYPES], "default": "II"},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
