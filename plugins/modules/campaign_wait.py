#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_wait
short_description: Wait until the window of a campaign is open or over on every host
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - One task on the controller for all hosts. It samples the hosts' heartbeats over their own connections, a bounded
    number each second, and feeds the callback P(wirefleet.capture.progress#callback).
  - Ends when every capture is where O(until) says, or 30 seconds after that was due. A host that stops answering does not hold up
    the others.
  - Also measures each host's clock over the open channel, which is more exact than the preflight.
options:
  hosts_per_second:
    description: How many hosts to ask each second.
    type: float
    default: 20.0
  until:
    description: What to wait for. A capture that ended early is waited for no longer either way.
    type: str
    choices: [open, closed]
    default: closed
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
attributes:
  check_mode:
    support: full
    details: Changes nothing.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Wait until the window is over on every host
  wirefleet.capture.campaign_wait:
    campaign: "{{ campaign_run.campaign }}"
    evidence_root: "{{ campaign_run.evidence_root }}"
  run_once: true

- name: Wait until every host captures
  wirefleet.capture.campaign_wait:
    campaign: "{{ campaign_run.campaign }}"
    evidence_root: "{{ campaign_run.evidence_root }}"
    until: open
  run_once: true
"""

RETURN = r"""
states:
  description: State of the capture on each host.
  returned: success
  type: dict
silent:
  description: One sentence for each host that did not answer in the end.
  returned: success
  type: list
  elements: str
waited_until:
  description: When the waiting ended.
  returned: success
  type: str
"""
