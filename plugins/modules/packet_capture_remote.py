#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: packet_capture_remote
short_description: Have a switch serve what it sees of an interface by RPCAP
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Starts, stops and shows the remote capture of switches with Comware 7, to which the capture engine C(rpcap) connects.
  - The switch shows whether it captures, but neither where nor on which port. What was started is remembered in a journal on the
    controller, as for M(wirefleet.capture.mirror_session), whose O(wirefleet.capture.mirror_session#module:state=restored) stops it too.
  - A switch has one capture at a time. One that was not started by this collection is neither stopped nor replaced.
notes:
  - RPCAP is neither authenticated nor encrypted, and Comware has no option that binds the server to an address. Keep its port
    reachable by the management network only, by the ACL of a management interface or its VPN instance.
  - What the switch forwards in hardware it shows only as far as its CPU captures it. Mirrors (M(wirefleet.capture.mirror_session)) show all.
  - The server takes the filter from its client, so that this module has none.
  - Reached with C(ansible_connection=ansible.netcommon.network_cli). The module then runs on the controller.
options:
  state:
    description: Whether the switch is to capture. V(gathered) only shows whether it does.
    type: str
    choices: [started, stopped, gathered]
    default: started
  interface:
    description: The interface, in any way that the switch takes it. Needed for O(state=started).
    type: str
  direction:
    description: What the switch receives there (V(rx)), what it sends (V(tx)), or both.
    type: str
    choices: [rx, tx, both]
    default: rx
  port:
    description: The TCP port on which the switch waits for the client. The switch's own choice is 2002.
    type: int
  platform:
    description: What runs on the switch. Not needed where C(ansible_network_os) says it.
    type: str
  campaign:
    description: Whose capture it is in the journal.
    type: str
    default: standing
  journal:
    description: Folder of the controller for the journals, in which each switch has its own.
    type: path
    default: evidence/switches
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
attributes:
  diff_mode:
    details: Shows the capture before and after.
  platform:
    platforms: comware
seealso:
  - module: wirefleet.capture.mirror_session
"""

EXAMPLES = r"""
- name: Have the switch serve what a port receives
  wirefleet.capture.packet_capture_remote:
    interface: GigabitEthernet1/0/1
    port: 2014

- name: See whether it captures
  wirefleet.capture.packet_capture_remote:
    state: gathered
  register: capture

- name: Stop it
  wirefleet.capture.packet_capture_remote:
    state: stopped
"""

RETURN = r"""
before:
  description:
    - The capture before the call, empty where there was none. C(file) is set where it writes a file, which a remote one does not.
    - C(interface), C(direction) and C(port) are from the journal.
  returned: O(state=started) and O(state=stopped)
  type: dict
  sample: {}
after:
  description: The same afterwards, read again from the switch. In check mode what it would be.
  returned: O(state=started) and O(state=stopped)
  type: dict
  sample: {interface: GigabitEthernet1/0/1, direction: rx, port: 2014, file: ""}
commands:
  description: What was typed on the switch, or would be in check mode.
  returned: O(state=started) and O(state=stopped)
  type: list
  elements: str
  sample: [packet-capture remote interface GigabitEthernet1/0/1 port 2014]
capture:
  description: The capture that runs, empty where there is none.
  returned: O(state=gathered)
  type: dict
  sample: {interface: GigabitEthernet1/0/1, direction: rx, port: 2014, file: ""}
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import place_of, run
from ..module_utils.host import Host
from ..module_utils.settings.apply import apply, look, preview, refuse_conflicts
from ..module_utils.settings.journal import STANDING, Owner, Store, valid_id
from ..module_utils.settings.model import Refused
from ..module_utils.settings.remote_capture import key_of, ours, wish
from ..module_utils.switches.present import forget
from ..module_utils.switches.registry import capture_of
from ..module_utils.switches.remote_capture import DEFAULT_PORT, Capture

OPTIONS: dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["started", "stopped", "gathered"], "default": "started"},
    "interface": {"type": "str"},
    "direction": {"type": "str", "choices": ["rx", "tx", "both"], "default": "rx"},
    "port": {"type": "int"},
    "platform": {"type": "str"},
    "campaign": {"type": "str", "default": STANDING},
    "journal": {"type": "path", "default": "evidence/switches"},
}
WARNING = (
    "RPCAP is neither authenticated nor encrypted, and the switch serves it on all of its addresses: let only the collector reach "
    "TCP port {port}, by the management network"
)


def wanted(params: dict[str, t.Any]) -> Capture | None:
    """Return the capture that is asked for; raises Refused."""
    if params["state"] != "started":
        return None
    port = params["port"]
    if port is not None and not 1 <= port <= 65535:
        raise Refused(f"port {port} is no TCP port: write one from 1 to 65535")
    return Capture(capture_of(params["platform"]).interface(params["interface"]), params["direction"], port)


def shape(found: t.Any, started: t.Any) -> dict[str, t.Any]:
    """Return what runs, with what the journal knows of it."""
    return {**(started or {}), "file": "", **found} if found else {}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    if not params["platform"]:
        raise Refused("say what runs on the switch: set platform, or ansible_network_os in the inventory")
    key, want = key_of(capture_of(params["platform"]).platform), wanted(params)
    host = place_of(module)
    store = Store(host, os.path.abspath(params["journal"]))
    started = ours(store.open_states(), key)
    if params["state"] == "gathered":
        seen = look(host, [key])
        for error in seen.errors.values():
            raise error
        return {"changed": False, "capture": shape(seen.values[key], started)}
    if want:
        module.warn(WARNING.format(port=want.port or DEFAULT_PORT))
    outcome = reach(module, host, store, {key: wish(want, started)})
    result = {
        "changed": bool(outcome.changes),
        "before": shape(outcome.before[key], started),
        "after": shape(outcome.after[key], want and want._asdict()),
        "commands": outcome.commands,
    }
    return {**result, "diff": {"before": result["before"], "after": result["after"]}} if module._diff else result


def reach(module: AnsibleModule, host: Host, store: Store, desired: dict[t.Any, t.Any]) -> t.Any:
    campaign = valid_id(module.params["campaign"])
    if module.check_mode:
        outcome = preview(host, desired)
        refuse_conflicts(store.open_states(), campaign, outcome.after)
        return outcome
    outcome = apply(host, store, Owner(campaign, who="module"), desired)
    if module.params["state"] == "stopped":
        for key in desired:
            forget(store, campaign, key)
    return outcome


def main() -> None:
    module = AnsibleModule(argument_spec=OPTIONS, required_if=[("state", "started", ["interface"])], supports_check_mode=True)
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
