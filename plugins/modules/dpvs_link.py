#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dpvs_link
short_description: Have DPVS copy what a port receives and sends to its KNI device, where tcpdump can see it
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Sets C(forward2kni) of DPVS ports and brings their KNI devices up, since tcpdump refuses one that is down. Compares with
    what C(dpip link show) says now, and reads again afterwards, because C(dpip link set) exits with 0 also when it failed.
  - Refuses, with the reason, what DPVS would accept and yet show nothing of. These are VLAN and tunnel devices, slaves of a
    bond, and a DPVS that was started with C(kni off).
  - Every call of dpip has a time limit, because it waits for ever for a DPVS that is starting or hung. A request that got no
    answer may still be carried out when DPVS comes back. The failure says so, and the journal still puts it back.
notes:
  - DPVS then copies every packet of the port, received and sent. That costs throughput, so limit it with O(expires).
  - Linux receives all copies, those of sent packets too, so C(tcpdump -Q in) and C(-Q out) cannot tell directions apart there.
  - The flag is in DPVS's memory only. It is lost when DPVS restarts, and with it what there is to put back.
requirements:
  - dpip in the PATH of the managed host, nsenter and ip
options:
  ports:
    description: Names of ports as C(dpip link show) has them, physical ones or bonds.
    type: list
    elements: str
    required: true
    aliases: [port]
  forward2kni:
    description: Whether DPVS copies the packets of the ports. V(false) also puts links down that an earlier call brought up.
    type: bool
    required: true
  ipc_file:
    description: The socket of the DPVS instance, which is what its option C(-x) says.
    type: path
    default: /var/run/dpvs.ipc
  kni:
    description:
      - Name of the KNI device, for one port, where it is not the C(kni_name) of dpvs.conf, C(PORT.kni) or the only one with
        the port's address.
    type: str
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
seealso:
  - module: wirefleet.capture.dpvs_config
"""

EXAMPLES = r"""
- name: Copy the packets of dpdk0 to its KNI device, for at most ten minutes
  wirefleet.capture.dpvs_link:
    port: dpdk0
    forward2kni: true
    expires: 10m
  register: copies

- name: Say where to capture
  ansible.builtin.debug:
    msg: "{{ copies.capture_on }}"

- name: End it on the second instance of a host
  wirefleet.capture.dpvs_link:
    ports: [dpdk0, dpdk1]
    forward2kni: false
    ipc_file: /var/run/dpvs2.ipc
"""

RETURN = r"""
before:
  description: Whether each port was copied before the call, and whether the KNI links were up.
  returned: success
  type: dict
  sample: {"forward2kni": {"dpdk0": false}, "kni_up": {"dpdk0.kni": false}}
after:
  description: The same afterwards; in check mode what it would be.
  returned: success
  type: dict
  sample: {"forward2kni": {"dpdk0": true}, "kni_up": {"dpdk0.kni": true}}
commands:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample: ["ip link set dev dpdk0.kni up", "env DPVS_IPC_FILE=/var/run/dpvs.ipc dpip link set dpdk0 forward2kni on"]
capture_on:
  description: Where the copies of each port arrive, with the network namespace, which is empty for that of the host.
  returned: success
  type: dict
  sample: {"dpdk0": {"device": "dpdk0.kni", "netns": ""}}
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
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_link import FLAG, Kni, where
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import ROOT, Store, valid_id
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused, Value


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    shaped: dict[str, t.Any] = {FLAG: {}, "kni_up": {}}
    for key, value in values.items():
        shaped["kni_up" if key.kind == "kni_link" else FLAG][key.name.partition("/")[0]] = value
    return shaped


def desired_settings(params: dict[str, t.Any], places: dict[str, Kni], raised: dict[Key, Value]) -> dict[Key, Value]:
    """Return {Key: value}; *raised* are the links that our journal says were down before. Pure."""
    ports, on = params["ports"], params[FLAG]
    flags: dict[Key, Value] = {
        Key("dpvs_link", params["ipc_file"], f"{port}/{FLAG}"): {"on": True, "kni": params["kni"]} if on else False for port in ports
    }
    links = {Key("kni_link", *place): True for place in places.values()}
    return {**links, **flags} if on else {**flags, **{key: value for key, value in raised.items() if key in links}}


def raised_links(host: Host, campaign: str) -> dict[Key, Value]:
    """Return the links that *campaign* changed, and as what they were found."""
    state = Store(host, ROOT).journal(valid_id(campaign)).state()
    held = state.held if state and not state.closed else {}
    return {key: entry.before for key, entry in held.items() if key.kind == "kni_link"}


def find_places(host: Host, params: dict[str, t.Any]) -> dict[str, Kni]:
    """Return where the copies of each port arrive; to turn them off that need not be known."""
    places = {}
    for port in params["ports"]:
        try:
            places[port] = where(host, params["ipc_file"], port, params["kni"])
        except Refused:
            if params[FLAG]:
                raise
    return places


def work(module: AnsibleModule) -> dict[str, t.Any]:
    host, params = Host(), module.params
    if params["kni"] and len(params["ports"]) != 1:
        raise Refused("kni names the device of one port: name one port with it")
    places = find_places(host, params)
    desired = desired_settings(params, places, raised_links(host, params["campaign"]))
    return {**change_settings(module, desired, shape), "capture_on": {port: place._asdict() for port, place in places.items()}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "ports": {"type": "list", "elements": "str", "required": True, "aliases": ["port"]},
            FLAG: {"type": "bool", "required": True},
            "ipc_file": {"type": "path", "default": "/var/run/dpvs.ipc"},
            "kni": {"type": "str"},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
