#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capture_session
short_description: Capture on a host in a window of time by the host's own clock, and leave the host as it was
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Arms a supervisor on the host that waits for the window, captures in it, stops by itself, puts every setting back
    and keeps the files until they were collected. It needs neither the controller nor the network for that.
  - The supervisor is a transient systemd unit where systemd manages services, else two processes that clean up for
    each other. Limits of time, bytes, packets and free disk are kept on the host.
  - Settings are journalled before they are changed and put back at the end of the window, also after a crash.
requirements:
  - tcpdump on the managed host, or the tool of the engine that the session names
options:
  state:
    description:
      - V(armed) has the host wait for the window of O(session). The same session twice is no change.
      - V(started) takes the nearest window instead of the one that O(session) names.
      - V(stopped) ends the window now and waits until everything is put back.
      - V(restored) ends the window if it still runs and puts back all that O(campaign) changed. Outside a campaign
        changes are kept under the id V(standing).
      - V(absent) forgets the session and its files. It is refused while files were not collected, unless O(force=true).
    type: str
    choices: [armed, started, stopped, restored, absent]
    default: armed
  session:
    description:
      - What to capture and when, as M(wirefleet.capture.capture_info) resolved it.
      - Needed for O(state=armed) and O(state=started).
    type: dict
  campaign:
    description: Id of the campaign, for the other states.
    type: str
  force:
    description: With O(state=absent), give up capture files that were not collected.
    type: bool
    default: false
extends_documentation_fragment: [wirefleet.capture.attributes]
seealso:
  - module: wirefleet.capture.capture_info
"""

EXAMPLES = r"""
- name: Look whether the host can do it, and how
  wirefleet.capture.capture_info:
    session:
      schema: 1
      campaign: 20261123T101500Z-quick-look-3fa9c1
      name: quick-look
      host: "{{ inventory_hostname }}"
      t0_ns: "{{ ((now().timestamp() + 60) * 1000000000) | int }}"
      duration_s: 10.0
      limits: {bytes: 104857600, min_free_percent: 10}
      settings: [[[ethtool_feature, eth1, rx-gro], false]]
      vantages:
        - {device: eth1, engine: auto, filter: "udp port 4791 or (vlan and udp port 4791)", snaplen: 256}
  register: look

- name: Capture for ten seconds from now
  wirefleet.capture.capture_session:
    state: started
    session: "{{ look.session }}"

- name: End it before its time
  wirefleet.capture.capture_session:
    state: stopped
    campaign: 20261123T101500Z-quick-look-3fa9c1
"""

RETURN = r"""
before:
  description: State of the session before, and the settings that it touches as pairs of key and value.
  returned: success
  type: dict
  sample: {state: absent, settings: [[[ethtool_feature, eth1, rx-gro], true]]}
after:
  description: The same afterwards, predicted in check mode.
  returned: success
  type: dict
  sample: {state: armed, settings: [[[ethtool_feature, eth1, rx-gro], false]]}
commands:
  description: What was run, or would be run.
  returned: success
  type: list
  elements: str
  sample: [ethtool -K eth1 rx-gro off]
restored:
  description: What became of each setting that had to be put back.
  returned: success
  type: list
  elements: dict
  sample: [{key: [ethtool_feature, eth1, rx-gro], outcome: restored, wanted: true, found: true, reason: null}]
folder:
  description: Where the host keeps the session.
  returned: success
  type: str
  sample: /var/lib/wirefleet/20261123T101500Z-quick-look-3fa9c1
serve:
  description: Command that answers the controller's questions about the session and hands out its files.
  returned: success
  type: list
  elements: str
  sample: [/usr/bin/python3, /var/lib/wirefleet/ID/supervisor.pyz, serve, /var/lib/wirefleet/ID]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import run
from ..module_utils.host import Host
from ..module_utils.session import launch
from ..module_utils.session.arm import Done, Sessions
from ..module_utils.settings.journal import ROOT
from ..module_utils.settings.model import diff_of


def act(sessions: Sessions, params: dict[str, t.Any]) -> Done:
    state, campaign = params["state"], params["campaign"]
    if state in ("armed", "started"):
        return sessions.armed(params["session"]) if state == "armed" else sessions.started(params["session"])
    if state == "absent":
        return sessions.absent(campaign, params["force"])
    return sessions.stopped(campaign) if state == "stopped" else sessions.restored(campaign)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    sessions = Sessions(Host(), ROOT, module.check_mode)
    done = act(sessions, module.params)
    folder = sessions.folder(module.params["campaign"] or module.params["session"]["campaign"])
    result: dict[str, t.Any] = {**done._asdict(), "folder": folder.path, "serve": launch.command(folder, "serve")}
    if module._diff:
        result["diff"] = diff_of(done.changes())
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "default": "armed", "choices": ["armed", "started", "stopped", "restored", "absent"]},
            "session": {"type": "dict"},
            "campaign": {"type": "str"},
            "force": {"type": "bool", "default": False},
        },
        required_if=[
            ("state", "armed", ["session"]),
            ("state", "started", ["session"]),
            ("state", "stopped", ["campaign"]),
            ("state", "restored", ["campaign"]),
            ("state", "absent", ["campaign"]),
        ],
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
