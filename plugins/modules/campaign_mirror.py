#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_mirror
short_description: Have a switch mirror or capture its part of a campaign
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Runs M(wirefleet.capture.mirror_session) with each session that the plan wants on the switch, and keeps what was there
    before and after in the evidence, below C(switches/).
  - Captures that the switch itself is to make are started by M(wirefleet.capture.packet_capture_remote), and stopped again.
  - The sessions go by themselves ten minutes after the window, where the switch can do that.
options:
  switch:
    description: Name of the switch in the inventory. Delegate the task to it.
    type: str
    required: true
  state:
    description: Make the sessions, or put back what they changed.
    type: str
    choices: [present, restored]
    default: present
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
"""

EXAMPLES = r"""
- name: Mirror on the switch
  wirefleet.capture.campaign_mirror:
    campaign: "{{ campaign_run.campaign }}"
    evidence_root: "{{ campaign_run.evidence_root }}"
    switch: "{{ item }}"
  loop: "{{ campaign_run.switches }}"
  delegate_to: "{{ item }}"
  run_once: true
"""

RETURN = r"""
sessions:
  description: What M(wirefleet.capture.mirror_session) or M(wirefleet.capture.packet_capture_remote) returned, for each session or capture.
  returned: success
  type: list
  elements: dict
"""
