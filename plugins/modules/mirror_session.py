#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mirror_session
short_description: Make, change and remove a mirror session (SPAN, RSPAN, ERSPAN) on any switch
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - One vocabulary for the switches of all vendors. What is asked for is compared with what the switch's own configuration
    says, only what differs is typed, and the configuration is read again afterwards, since switches refuse some commands in
    ways that no error tells. A session that is not as wanted then is an error that quotes the switch, and what the call
    changed is taken back.
  - An option that is left out is not compared, so what a switch fills in by itself is no difference. An option that a
    platform cannot do is an error with the platform's name, and never left out silently.
  - Sessions of others are not touched. A session is ours when the journal holds it, or when its description or its name
    says so. A new session gets C(wirefleet-CAMPAIGN) for a description where the platform has one and O(description) is not given.
  - Ports that another session uses are refused before anything is typed.
notes:
  - Cisco IOS, NX-OS, Arista EOS, Junos, Comware and VRP are reached with C(ansible_connection=ansible.netcommon.network_cli).
    The module then runs on the controller, as do all modules with that connection.
    Open vSwitch, Linux tc, SONiC and Cumulus are reached by ssh like any host, as root.
  - docs/switches.md says what each platform can do, and which collection a switch needs.
options:
  state:
    description:
      - V(present) and V(absent) make and remove the session.
      - V(restored) puts back everything that O(campaign) changed, whatever sessions that were.
      - V(gathered) returns all sessions of the switch. V(parsed) does the same with the text in O(running_config).
      - V(rendered) returns the commands that make the session on an empty switch. Neither of these two needs a switch.
    type: str
    choices: [present, absent, restored, gathered, rendered, parsed]
    default: present
  platform:
    description:
      - What runs on the switch, for example V(ios), V(nxos), V(eos) or V(ovs). docs/switches.md has the list.
      - Not needed where C(ansible_network_os) says it.
    type: str
  session:
    description: Number or name of the session, whichever the platform has.
    type: str
  type:
    description: Kind of the session. Not needed where O(destination) tells.
    type: str
    choices: [local, rspan_source, rspan_destination, erspan_source, erspan_destination]
  description:
    description: Text that the switch keeps with the session.
    type: str
  enabled:
    description: Whether the session runs.
    type: bool
    default: true
  sources:
    description: What is mirrored. This is the whole list; other sources are taken out of the session.
    type: list
    elements: dict
    suboptions:
      interface:
        description: An interface, in any way that the switch takes it.
        type: str
      vlan:
        description: A VLAN, instead of an interface.
        type: int
      direction:
        description: What the switch receives there (V(rx)), what it sends (V(tx)), or both.
        type: str
        choices: [rx, tx, both]
        default: both
  destination:
    description: Where the copies go.
    type: dict
    suboptions:
      interface:
        description: The interface to the collector.
        type: str
      interfaces:
        description: Several of them, where the platform can do that.
        type: list
        elements: str
      reflector_port:
        description:
          - On Comware, a port that floods the copies into the RSPAN VLAN, instead of O(destination.interface), the port to the
            next switch. It is a port that nothing is plugged into. The switch resets it to factory settings, so this needs
            O(allow_port_reset=true).
        type: str
      remote_vlan:
        description: The RSPAN VLAN. It has to exist.
        type: int
      erspan:
        description: A collector that is reached over IP.
        type: dict
        suboptions:
          destination_ip:
            description: Address of the collector.
            type: str
            aliases: [dst_ip]
          source_ip:
            description: Address from which the switch sends.
            type: str
            aliases: [src_ip]
          erspan_id:
            description: Number that tells sessions apart at the collector.
            type: int
          vrf:
            description: Routing instance that leads to the collector.
            type: str
          ttl:
            description: Time to live of the outer packets.
            type: int
          dscp:
            description: DSCP of the outer packets.
            type: int
          header_type:
            description: ERSPAN type I, II or III.
            type: int
            choices: [1, 2, 3]
          mtu:
            description: Longest outer packet. What is longer is cut.
            type: int
          gre_protocol:
            description: GRE protocol number, for example V(0x88be).
            type: str
  filter:
    description: Which packets are mirrored.
    type: dict
    suboptions:
      vlans:
        description: Only these VLANs.
        type: list
        elements: int
      acl:
        description: Only what this access list permits. It has to exist.
        type: str
      acl_type:
        description: Kind of the access list.
        type: str
        choices: [ip, ipv6, mac]
  truncate:
    description: Cut copies to this many bytes.
    type: int
  sample:
    description: Mirror one packet of this many.
    type: int
  bridge:
    description: Bridge of the session, on Open vSwitch.
    type: str
  replace_foreign:
    description: Change or remove a session also when it is somebody else's.
    type: bool
    default: false
  allow_port_reset:
    description:
      - Lets the switch reset O(destination.reflector_port) to factory settings. Nothing brings its settings back. They are named
        in the refusal without this, in a warning with it, and in the journal.
    type: bool
    default: false
  recreate:
    description:
      - Whether a session is removed and made anew where that is the only way to change it, which interrupts it.
    type: str
    choices: [auto, never]
    default: auto
  save:
    description:
      - Whether the switch's startup configuration is written, for which all of its running configuration is taken, also
        what others changed. V(changed) does so when this call changed something.
    type: str
    choices: [never, changed, always]
    default: never
  verify:
    description:
      - The configuration is always read again. With V(operational) it is a failure too when the switch says that the session
        does not work, for example because no route leads to the collector. Otherwise that is a warning where the session was
        there already, and a failure after ten seconds where it is new or changed.
      - With V(none) the session is left as it was made, whether it works or not, for example before there is a route. The
        configuration is read again all the same, since the journal has to know it.
      - Only platforms that say so when they are read know of it, which are those that are reached by ssh.
    type: str
    choices: [none, config, operational]
    default: config
  campaign:
    description:
      - Id under which the journal remembers what was changed. V(standing) is everything outside a campaign.
        With O(state=restored) the name of a campaign means all of its runs.
    type: str
    default: standing
  expires:
    description:
      - After how long the session goes by itself, for example V(30m) or V(2h), or V(forever).
      - A job on the switch removes that one session then, on every platform that has such jobs. docs/switches.md says which
        do not, and a warning does too. Hosts do it as with every other setting.
      - A later call that says so sets the time anew. One that does not leaves it as it is.
    type: str
  journal:
    description:
      - Folder on the controller that has the journals of the switches that are reached by their command line, one folder
        for each. Any controller that sees the same folder can put back what another one changed.
      - Hosts keep their own journal below C(/var/lib/wirefleet) instead.
    type: path
    default: evidence/switches
  running_config:
    description: What the switch printed for its mirror configuration, for O(state=parsed).
    type: str
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
attributes:
  diff_mode:
    details: Shows the session before and after.
  platform:
    platforms: linux, ios, nxos, eos, junos, comware, vrp, sonic, cumulus
"""

EXAMPLES = r"""
- name: Mirror what a port receives to a collector over IP, for two hours
  wirefleet.capture.mirror_session:
    session: 3
    sources:
      - {interface: Ethernet1/31, direction: rx}
    destination:
      erspan:
        destination_ip: 192.0.2.9
        source_ip: 192.0.2.1
        erspan_id: 156
        vrf: default
    expires: 2h

- name: Mirror two ports of an Arista switch to a third one
  wirefleet.capture.mirror_session:
    session: CAP-A
    sources:
      - interface: Ethernet3
      - {interface: Ethernet5, direction: tx}
    destination:
      interface: Ethernet48

- name: Remove it
  wirefleet.capture.mirror_session:
    session: CAP-A
    state: absent

- name: See what the switch mirrors
  wirefleet.capture.mirror_session:
    state: gathered
  register: mirrors
"""

RETURN = r"""
before:
  description: The session before the call, as options of this module, empty where there was none. For O(state=restored) by name.
  returned: success
  type: dict
  sample: {}
after:
  description: The same afterwards, read again from the switch; in check mode what it would be.
  returned: success
  type: dict
  sample:
    session: CAP-A
    type: local
    enabled: true
    sources: [{interface: Ethernet3, direction: both}]
    destination: {interfaces: [Ethernet48]}
commands:
  description: What was typed on the switch or run on it, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [monitor session CAP-A source Ethernet3 both, monitor session CAP-A destination Ethernet48]
sessions:
  description:
    - All sessions, by name. Lines that are not understood are in C(unknown) of their session. C(foreign) is there where the
      platform has a place for our mark and the session has none.
  returned: O(state=gathered) and O(state=parsed)
  type: dict
restored:
  description: What became of each session that had to be put back.
  returned: O(state=restored)
  type: list
  elements: dict
  sample: [{key: [mirror_session, eos, CAP-A], outcome: restored, wanted: null, found: null, reason: null}]
saved:
  description: Whether the startup configuration was written.
  returned: success
  type: bool
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import FOREVER, expire, place_of, run
from ..module_utils.host import Host
from ..module_utils.session.expiry import seconds_of
from ..module_utils.settings.journal import ROOT, Store, valid_id
from ..module_utils.settings.mirror_session import Permits, read_text, save
from ..module_utils.settings.model import Refused
from ..module_utils.switches.cli import Switch
from ..module_utils.switches.platform import Platform, plan
from ..module_utils.switches.present import Asked, key_of, lost, open_sessions, plain, put_back, reach, runs_of
from ..module_utils.switches.registry import platform_of
from ..module_utils.switches.session import as_options, from_options

ERSPAN = {
    **{name: {"type": "str"} for name in ("vrf", "gre_protocol")},
    **{name: {"type": "int"} for name in ("erspan_id", "ttl", "dscp", "mtu")},
    "destination_ip": {"type": "str", "aliases": ["dst_ip"]},
    "source_ip": {"type": "str", "aliases": ["src_ip"]},
    "header_type": {"type": "int", "choices": [1, 2, 3]},
}
SOURCE = {
    "interface": {"type": "str"},
    "vlan": {"type": "int"},
    "direction": {"type": "str", "choices": ["rx", "tx", "both"], "default": "both"},
}
FILTER = {
    "vlans": {"type": "list", "elements": "int"},
    "acl": {"type": "str"},
    "acl_type": {"type": "str", "choices": ["ip", "ipv6", "mac"]},
}
SESSION: dict[str, t.Any] = {
    "session": {"type": "str"},
    "type": {"type": "str", "choices": ["local", "rspan_source", "rspan_destination", "erspan_source", "erspan_destination"]},
    "description": {"type": "str"},
    "enabled": {"type": "bool", "default": True},
    "sources": {"type": "list", "elements": "dict", "options": SOURCE},
    "destination": {
        "type": "dict",
        "options": {
            "interface": {"type": "str"},
            "interfaces": {"type": "list", "elements": "str"},
            "reflector_port": {"type": "str"},
            "remote_vlan": {"type": "int"},
            "erspan": {"type": "dict", "options": ERSPAN},
        },
    },
    "filter": {"type": "dict", "options": FILTER},
    "truncate": {"type": "int"},
    "sample": {"type": "int"},
    "bridge": {"type": "str"},
}
OPTIONS: dict[str, t.Any] = {
    **SESSION,
    "state": {
        "type": "str",
        "choices": ["present", "absent", "restored", "gathered", "rendered", "parsed"],
        "default": "present",
    },
    "platform": {"type": "str"},
    "replace_foreign": {"type": "bool", "default": False},
    "allow_port_reset": {"type": "bool", "default": False},
    "recreate": {"type": "str", "choices": ["auto", "never"], "default": "auto"},
    "save": {"type": "str", "choices": ["never", "changed", "always"], "default": "never"},
    "verify": {"type": "str", "choices": ["none", "config", "operational"], "default": "config"},
    "campaign": {"type": "str", "default": "standing"},
    "expires": {"type": "str"},
    "journal": {"type": "path", "default": "evidence/switches"},
    "running_config": {"type": "str"},
}


def wanted(params: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: params[name] for name in SESSION}


def without_a_switch(platform: Platform, params: dict[str, t.Any]) -> dict[str, t.Any]:
    if params["state"] == "parsed":
        sessions = platform.parse(params["running_config"])
        return {"changed": False, "sessions": {name: as_options(session) for name, session in sessions.items()}}
    planned = plan(platform, from_options(wanted(params)), None)
    after = as_options(planned.after) if planned.after else {}
    return {"changed": False, "before": {}, "after": after, "commands": planned.commands}


def place_for(platform: Platform, module: AnsibleModule) -> tuple[Host, Store]:
    """Return where the commands go and where the journal lies; raises Refused for the wrong kind of connection."""
    host = place_of(module)
    if platform.host:
        if isinstance(host, Switch):
            raise Refused(f"{platform.name} is set up by programs on the switch itself: reach it by ssh, not by network_cli")
        if os.geteuid() != 0 and not module.check_mode:
            raise Refused("changing mirrors needs root on the switch: use become")
        return host, Store(host, ROOT)
    if not isinstance(host, Switch):
        raise Refused(f"{platform.name} is reached by its command line: set ansible_connection: ansible.netcommon.network_cli")
    return host, Store(host, os.path.abspath(module.params["journal"]))


def change(module: AnsibleModule, platform: Platform, host: Host, store: Store) -> dict[str, t.Any]:
    params = module.params
    key = key_of(platform, params["session"])
    options = wanted(params) if params["state"] == "present" else None
    seconds = seconds_of(params["expires"] or FOREVER)
    permits = Permits(params["replace_foreign"], params["recreate"] == "auto", params["allow_port_reset"], params["verify"] == "none")
    asked = Asked(key, options, valid_id(params["campaign"]), permits, seconds)
    outcome = reach(host, store, platform, asked, module.check_mode)
    if gone := lost(outcome):
        module.warn(f"the reflector port {'would lose' if module.check_mode else 'lost'} its settings for good: {'; '.join(gone)}")
    if seconds and not platform.host and not platform.timer:
        why = platform.caps.reasons.get("timer", "nothing on the switch can remove a session later")
        module.warn(f"{platform.name} does not end the session by itself: {why}. End it with state: absent, or with restore.yml.")
    if params["expires"] and platform.host and not module.check_mode:
        expire(host, store, asked.campaign, seconds)
    return {
        "changed": bool(outcome.changes),
        "before": plain(outcome.before[key]),
        "after": plain(outcome.after[key]),
        "commands": outcome.commands,
    }


def restored(module: AnsibleModule, platform: Platform, host: Host, store: Store) -> dict[str, t.Any]:
    before: dict[str, t.Any] = {}
    after: dict[str, t.Any] = {}
    results = []
    for campaign in runs_of(store, valid_id(module.params["campaign"])):
        found, wanted_again = open_sessions(host, store, campaign)
        before, after = {**before, **found}, {**after, **wanted_again}
        results += put_back(host, store, platform, campaign, module.check_mode)
    done = any(result.outcome == "restored" for result in results) or (module.check_mode and before != after)
    rows = [{**result._asdict(), "key": list(result.key)} for result in results]
    return {"changed": done, "before": before, "after": after, "commands": [], "restored": rows}


def look_at_work(module: AnsibleModule, platform: Platform, host: Host) -> None:
    """Say what the switch itself finds wrong with the session that was asked for."""
    if module.params["state"] != "present" or module.params["verify"] == "none" or module.check_mode or not platform.host:
        return
    session = platform.parse(read_text(host, platform)).get(module.params["session"])
    if session and session.fault:
        if module.params["verify"] == "operational":
            raise Refused(f"session {session.name} is as wanted, but mirrors nothing: {session.fault}")
        module.warn(f"session {session.name} mirrors nothing yet: {session.fault}")


def work(module: AnsibleModule) -> dict[str, t.Any]:
    params = module.params
    if not params["platform"]:
        raise Refused("say what runs on the switch: set platform, or ansible_network_os in the inventory")
    platform = platform_of(params["platform"])
    if params["state"] in ("rendered", "parsed"):
        return without_a_switch(platform, params)
    host, store = place_for(platform, module)
    if params["state"] == "gathered":
        sessions = platform.parse(read_text(host, platform))
        return {"changed": False, "sessions": {name: as_options(session) for name, session in sessions.items()}}
    result = restored(module, platform, host, store) if params["state"] == "restored" else change(module, platform, host, store)
    look_at_work(module, platform, host)
    if module._diff:
        result["diff"] = {"before": result["before"], "after": result["after"]}
    result["saved"] = params["save"] == "always" or (params["save"] == "changed" and result["changed"])
    if result["saved"] and not module.check_mode:
        save(host, platform)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        required_if=[
            ("state", "present", ["session"]),
            ("state", "absent", ["session"]),
            ("state", "rendered", ["session"]),
            ("state", "parsed", ["running_config"]),
        ],
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
