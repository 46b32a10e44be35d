#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_info
short_description: Say which RDMA devices a host has and how their traffic can be captured
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Reads devices, ports, GIDs and their network interfaces from sysfs, the driver and its private flags from ethtool,
    and the capture tools that are installed. Nothing is changed.
  - Whether tcpdump can capture on an RDMA device is found out on three levels, what libpcap is linked with, what
    C(tcpdump -D) lists, and a capture that is activated for a moment with C(tcpdump -L). The last one decides.
options:
  devices:
    description: Devices to choose an engine for, network or RDMA devices; V(auto_rdma) stands for every RDMA device that is up.
    type: list
    elements: str
    default: [auto_rdma]
extends_documentation_fragment:
  - wirefleet.capture.attributes
attributes:
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Ask how RDMA traffic can be captured
  wirefleet.capture.rdma_info:
  register: found

- name: Show the engine that a campaign would choose, and why
  ansible.builtin.debug:
    msg: "{{ item.device }}: {{ item.engine | default('none', true) }}, {{ item.reason }}"
  loop: "{{ found.rdma.captures }}"
"""

RETURN = r"""
rdma:
  description: What was found.
  returned: always
  type: dict
  contains:
    ports:
      description: Ports of RDMA devices with driver, link layer, state, network interface, GIDs, and the IP addresses
        under which RoCE v2 reaches them.
      type: list
      elements: dict
    netdevs:
      description: Network interfaces by name with driver, state and private flags.
      type: dict
    ofed:
      description: What C(ofed_info -s) says, null with inbox drivers.
      type: str
    tools:
      description: Versions of tcpdump and libpcap, whether libpcap was built with RDMA, ibdump and container runtime.
      type: dict
    captures:
      description: How each device would be captured (engine, capture_on, reason); engine is null where it cannot be.
      type: list
      elements: dict
    flags:
      description: Network devices whose private flag C(sniffer) has to be on for that.
      type: list
      elements: str
  sample:
    captures: [{"device": "ens1f0np0", "engine": "tcpdump", "capture_on": "ens1f0np0", "reason": "…", "warning": null}]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.session.choose import AUTO_RDMA, Prober, choose, expand
from ansible_collections.wirefleet.capture.plugins.module_utils.session.rdma import Facts, gather, probe
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused


def captures(facts: Facts, devices: list[str], prober: Prober) -> list[dict[str, t.Any]]:
    """Return how each of *devices* would be captured, with the refusal as reason where it cannot be."""
    found = []
    for device in devices:
        try:
            names = expand(facts, device)
        except Refused as refused:
            found.append(_none(device, refused))
        else:
            found += [_capture(facts, name, prober) for name in names]
    return found


def _capture(facts: Facts, device: str, prober: Prober) -> dict[str, t.Any]:
    try:
        choice = choose(facts, device, prober)
    except Refused as refused:
        return _none(device, refused)
    return {**choice._asdict(), "settings": [[list(key), value] for key, value in choice.settings.items()]}


def _none(device: str, refused: Refused) -> dict[str, t.Any]:
    return {"device": device, "engine": None, "capture_on": None, "reason": str(refused), "settings": [], "warning": None}


def flags(found: list[dict[str, t.Any]]) -> list[str]:
    """Return the devices whose sniffer flag the captures in *found* need."""
    keys = [Key(*key) for capture in found for key, _value in capture["settings"]]
    return list(dict.fromkeys(key.scope for key in keys if key.kind == "ethtool_private_flag"))


def info(host: Host, devices: list[str]) -> dict[str, t.Any]:
    """Return what the module returns as *rdma*: the host's facts, and how *devices* would be captured."""
    facts = gather(host)
    found = captures(facts, devices, lambda name: probe(host, name))
    return {
        "ports": [{**port._asdict(), "gids": [gid._asdict() for gid in port.gids], "addresses": port.addresses} for port in facts.ports],
        "netdevs": {name: netdev._asdict() for name, netdev in facts.netdevs.items()},
        "ofed": facts.ofed,
        "tools": facts.tools._asdict(),
        "captures": found,
        "flags": flags(found),
    }


def main() -> None:
    spec = {"devices": {"type": "list", "elements": "str", "default": [AUTO_RDMA]}}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    module.exit_json(changed=False, rdma=info(Host(), module.params["devices"]))


if __name__ == "__main__":
    main()
