#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: erspan_tunnel
short_description: Network devices that take an ERSPAN mirror off, so that a capture sees the frames that were mirrored
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Makes, changes and removes C(erspan) and C(ip6erspan) devices of the Linux kernel, types I, II and III. What a switch
    sends to this host as one ERSPAN session appears there as the switch saw it, and an ordinary capture filter works on it.
  - Compares with what C(ip -d link show) says now, reads again afterwards, and remembers in the journal how to go back. The
    kernel modules that the devices need are loaded, and taken out again when the journal is restored.
  - A device that this collection did not make is neither changed nor removed unless O(force=true).
notes:
  - Where the kernel has no such devices, capture the outer packets with the filter C(ip proto 47) and take the mirror off
    with M(wirefleet.capture.pcap_decap). That also tells sessions, sequence gaps and hardware times, which the device does not.
  - When its module is loaded the kernel makes C(erspan0), C(gre0) and C(gretap0), with IPv6 also C(ip6gre0) and C(ip6tnl0), by
    itself. They are the module's own, and their names cannot be used.
  - The kernel finds a device by addresses and O(tunnels[].key), not by type. Packets of types II and III with the same key
    arrive on the same device.
  - Packets are numbered when sent and taken in any order when received. Devices made with C(seq), as most instructions say,
    drop everything once a switch begins to count anew.
  - Anything but MTU and link state needs a new device of the same name, which ends a capture that runs on the old one.
  - With the module loaded, packets of sessions without a device are answered with ICMP port unreachable.
requirements:
  - ip (iproute2 5.8 or later), modprobe and rmmod on the managed host
options:
  tunnels:
    description: The devices.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the device.
        type: str
        required: true
      type:
        description: Type of ERSPAN, I, II or III. Type I has neither key nor sequence, and is taken over IPv4 only.
        type: str
        choices: [I, II, III]
        default: II
      key:
        description: Number of the session, 1 to 1023, for types II and III.
        type: int
        aliases: [session]
      local:
        description: Address of this host to which the switch sends. It decides between IPv4 and IPv6. Needed for O(state=present).
        type: str
      remote:
        description:
          - Address from which the switch sends. Without it packets from anywhere are taken, and ERSPAN has no other protection
            against forged ones.
        type: str
      dev:
        description: Network device by which the packets come. Without it any.
        type: str
      index:
        description: Port index that type II carries, for sending, 0 to 1048575.
        type: int
      direction:
        description: Direction that type III carries, for sending.
        type: str
        choices: [ingress, egress]
      hwid:
        description: Hardware id that type III carries, for sending, 0 to 63.
        type: int
      ttl:
        description: Time to live of sent packets, 0 to take that of the frame inside.
        type: int
        default: 64
      tos:
        description: Type of service of sent packets, which is four times their DSCP.
        type: int
        default: 0
      mtu:
        description:
          - MTU of the device, without Ethernet header. A sender cuts larger frames, a receiver takes them all.
          - By default what fits into O(tunnels[].dev), or into an MTU of 1500. A device that exists keeps its own.
        type: int
      up:
        description: Whether the link is up, without which nothing arrives.
        type: bool
        default: true
  state:
    description: Whether the devices exist. To remove them their names are enough.
    type: str
    choices: [present, absent]
    default: present
  force:
    description: Also change or remove an ERSPAN device that this collection did not make. Addresses and tc rules upon it are lost.
    type: bool
    default: false
  frame:
    description: Size of the largest frames that are mirrored, from Ethernet header to payload. Where they do not fit there is a warning.
    type: int
    default: 1514
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.settings
seealso:
  - module: wirefleet.capture.pcap_decap
"""

EXAMPLES = r"""
- name: Receive two sessions of a switch for two hours
  wirefleet.capture.erspan_tunnel:
    tunnels:
      - {name: tor1-a, key: 101, local: 10.9.0.2, remote: 10.9.0.1, dev: ens1f0np0}
      - {name: tor1-b, type: III, key: 102, local: 10.9.0.2, remote: 10.9.0.1, dev: ens1f0np0}
    expires: 2h

- name: What Arista EOS and SONiC on Broadcom send
  wirefleet.capture.erspan_tunnel:
    tunnels:
      - {name: leaf7, type: I, local: 10.9.0.2, remote: 10.9.0.7}
    frame: 9014

- name: Remove them
  wirefleet.capture.erspan_tunnel:
    tunnels: [{name: tor1-a}, {name: tor1-b}, {name: leaf7}]
    state: absent
"""

RETURN = r"""
before:
  description: Each device before the call, null where there was none, and the kernel modules.
  returned: success
  type: dict
  sample: {"tunnels": {"tor1-a": null}, "modules": {"gre": false, "ip_tunnel": false, "ip_gre": false}}
after:
  description: The same afterwards; in check mode what it would be.
  returned: success
  type: dict
  sample:
    tunnels:
      tor1-a: {"kind": "erspan", "version": 1, "key": 101, "local": "10.9.0.2", "remote": "10.9.0.1", "dev": "ens1f0np0", "ttl": 64,
               "tos": 0, "index": 0, "direction": null, "hwid": null, "receive_in_order": false, "addrgenmode": "none", "mtu": 1450, "up": true}
    modules: {"gre": true, "ip_tunnel": true, "ip_gre": true}
commands:
  description: What was done, or would be done in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - modprobe ip_gre
    - >-
      ip link add name tor1-a mtu 1450 type erspan erspan_ver 1 oseq key 101 local 10.9.0.2 remote 10.9.0.1 dev ens1f0np0 erspan 0 ttl 64
    - ip link set dev tor1-a addrgenmode none
    - ip link set dev tor1-a up
largest_frame:
  description: For each device the largest frame that its network brings whole, in bytes.
  returned: success
  type: dict
  sample: {"tor1-a": 1464}
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
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.overhead import TYPES, largest_frame, mtu_warning
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import ROOT, State, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.kernel_module import KernelModule
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.link import USUAL_MTU, complete, read_links, show_session
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.link_text import Link
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused, Value
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.module_unload import needed

if t.TYPE_CHECKING:
    from collections.abc import Iterable

MODULES = {"erspan": "ip_gre", "ip6erspan": "ip6_gre"}


def wishes(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return {name: device or None} as the tunnels are wanted. Pure; raises Refused."""
    found: dict[str, t.Any] = {}
    for tunnel in params["tunnels"]:
        name = tunnel["name"]
        if name in found:
            raise Refused(f"{name} is there twice: give each tunnel a name of its own")
        wish = {**tunnel, "version": TYPES[tunnel["type"]]}
        found[name] = complete(name, wish) if params["state"] == "present" else None
    _refuse_twins(found)
    return found


def _refuse_twins(wanted: dict[str, t.Any]) -> None:
    seen: dict[t.Any, str] = {}
    for name, device in wanted.items():
        ends = device and tuple(device[field] for field in ("key", "local", "remote", "dev"))
        if ends and ends in seen:
            raise Refused(f"{seen[ends]} and {name} would both receive session {show_session(device)} of the same addresses: leave one out")
        seen[ends] = name


def refuse_foreign(wanted: dict[str, t.Any], links: dict[str, Link], ours: set[str]) -> None:
    """Raise Refused where a device would be changed or removed that was found on the host. Pure."""
    for name, wish in wanted.items():
        found = links.get(name)
        if found and name not in ours and differs(wish, found.device):
            raise Refused(f"{name} was not made by this collection and is not as wanted: choose another name, or say force")


def differs(wish: t.Any, found: dict[str, t.Any]) -> bool:
    """Whether *found* has to change, but for what the host decides. Pure."""
    decided = [field for field in ("mtu", "addrgenmode") if wish and wish[field] is None]
    return wish is None or any(found.get(field) != value for field, value in wish.items() if field not in decided)


def made_by_us(states: Iterable[State]) -> set[str]:
    """Return the devices that an open journal of this host says were made by it. Pure."""
    return {key.scope for state in states for key, entry in state.held.items() if key.kind == "link" and entry.before is None}


def modules_for(host: Host, kind: str, states: Iterable[State]) -> dict[Key, Value]:
    """Return the wishes for the kernel modules behind devices of *kind*; raises Refused where the kernel has none.

    Those that somebody else loaded are left out: they are not ours to take away.
    """
    module = MODULES[kind]
    reading = KernelModule().read(host, module, [])
    if not reading.values["loaded"] and reading.facts["missing"]:
        raise Refused(
            f"{reading.facts['missing']}, without which it has no {kind} devices: capture the outer packets (filter `ip proto 47`) and use pcap_decap"
        )
    if reading.facts["built_in"]:
        return {}
    keys = [Key("module", name, "loaded") for name in needed(host, module)]
    relied = {key for state in states for key in state.relied_on()}
    return {key: True for key in keys if key in relied or not KernelModule().read(host, key.scope, []).values["loaded"]}


def shape(values: dict[Key, Value]) -> dict[str, t.Any]:
    shaped: dict[str, t.Any] = {"tunnels": {}, "modules": {}}
    for key, value in values.items():
        shaped["tunnels" if key.kind == "link" else "modules"][key.scope] = value
    return shaped


def work(module: AnsibleModule) -> dict[str, t.Any]:
    host, params = Host(), module.params
    wanted, links, states = wishes(params), read_links(host), list(Store(host, ROOT).open_states().values())
    if not params["force"]:
        refuse_foreign(wanted, links, made_by_us(states))
    kinds = dict.fromkeys(device["kind"] for device in wanted.values() if device)
    desired: dict[Key, Value] = {key: value for kind in kinds for key, value in modules_for(host, kind, states).items()}
    desired.update({Key("link", name, "device"): device for name, device in wanted.items()})
    result = change_settings(module, desired, shape)
    fits = {name: room(device, links, params["frame"]) for name, device in wanted.items() if device}
    for name, (_largest, warning) in fits.items():
        if warning:
            module.warn(f"{name}: {warning}")
    return {**result, "largest_frame": {name: largest for name, (largest, _warning) in fits.items()}}


def room(device: dict[str, t.Any], links: dict[str, Link], frame: int) -> tuple[int, str | None]:
    """Return the largest frame that reaches *device* whole, and a warning where those of *frame* bytes do not. Pure."""
    below = device["dev"]
    mtu = links[below].device["mtu"] if below else USUAL_MTU
    shape_of_packet = device["version"], device["kind"] == "ip6erspan"
    return largest_frame(mtu, *shape_of_packet), mtu_warning(below or "the network", mtu, frame, *shape_of_packet)


def main() -> None:
    tunnel = {
        "name": {"type": "str", "required": True},
        "type": {"type": "str", "choices": [*TYPES], "default": "II"},
        "direction": {"type": "str", "choices": ["ingress", "egress"]},
        "ttl": {"type": "int", "default": 64},
        "tos": {"type": "int", "default": 0},
        "up": {"type": "bool", "default": True},
        "key": {"type": "int", "aliases": ["session"], "no_log": False},
        **{name: {"type": "str"} for name in ("local", "remote", "dev")},
        **{name: {"type": "int"} for name in ("index", "hwid", "mtu")},
    }
    module = AnsibleModule(
        argument_spec={
            "tunnels": {"type": "list", "elements": "dict", "required": True, "options": tunnel},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "force": {"type": "bool", "default": False},
            "frame": {"type": "int", "default": 1514},
            **OPTIONS,
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
