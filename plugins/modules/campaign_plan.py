#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_plan
short_description: Plan a run of a capture campaign on the controller, or find one
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Turns a campaign, a file C(campaigns/<name>.yml) or inventory variables of the same names, into what each host
    has to do, and gives the run its id.
  - The command line wins over the file, the file over the inventory. Everything wrong with the campaign is said at
    once, one sentence each.
  - Needs no host and no connection. It begins the folder of the run, C(<evidence_root>/<id>.partial), with
    C(plan.json).
  - Where the campaign has C(campaign_collect_to), it writes a tiny object to that store and deletes it, or in check mode asks for one
    that is not there.
options:
  campaign:
    description: Name of the campaign, or for O(state=found) and O(state=rebuilt) also the id of a run.
    type: str
    required: true
  evidence_root:
    description: Folder on the controller that holds the evidence of all runs.
    type: path
    required: true
  state:
    description:
      - V(new) plans a new run.
      - V(found) looks for the run on this controller; a name means its open run, or else its latest published one, or
        else its latest plan. Two open runs of one name are an error that lists both.
      - V(rebuilt) makes the plan again from what the hosts remember, for a controller that lost it or never had it.
    type: str
    choices: [new, found, rebuilt]
    default: new
  hosts:
    description: Hosts whose answers to read.
    type: list
    elements: str
  found_in:
    description: Name of the variable in which each host keeps the result of M(wirefleet.capture.capture_info).
    type: str
    default: campaign_found
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
attributes:
  check_mode:
    support: full
    details: The plan of a dry run lives in Ansible's temporary folder.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Plan the run
  wirefleet.capture.campaign_plan:
    campaign: pfc-storm
    evidence_root: "{{ playbook_dir }}/evidence"
  register: campaign_run

- name: Find the open run
  wirefleet.capture.campaign_plan:
    campaign: pfc-storm
    evidence_root: "{{ playbook_dir }}/evidence"
    state: found
  register: campaign_run
"""

RETURN = r"""
campaign:
  description: Id of the run.
  returned: success
  type: str
  sample: 20261123T101500Z-pfc-storm-3fa9c1
evidence_root:
  description: Folder that holds the run's folder.
  returned: success
  type: str
folder:
  description: Folder of the open run.
  returned: when the run is open
  type: str
hosts:
  description: Hosts that have a part in the run.
  returned: success
  type: list
  elements: str
compress:
  description: How files are to travel, as C(campaign_compress) says.
  returned: when the run is open
  type: str
t0_ns:
  description: When the window opens, in ns since 1970.
  returned: when the run is open
  type: int
opens:
  description: When the window opens, for people.
  returned: when the run is open
  type: str
  sample: "2026-11-23T10:16:30Z"
found:
  description: Whether the run is open on this controller.
  returned: O(state=found) and O(state=rebuilt)
  type: bool
published:
  description: Folder of the evidence when the run is over.
  returned: O(state=found) and O(state=rebuilt)
  type: str
"""
