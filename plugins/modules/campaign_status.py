#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_status
short_description: Print what is armed, changed or left on hosts
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Prints a table of what M(wirefleet.capture.capture_info) found on each host and is open, changed or not collected
    yet, with the changes that are still to be put back. What is over is one line. Needs no connection.
  - Of switches that are reached by their command line it prints what the journals on the controller hold. No switch is asked.
options:
  campaign:
    description: Name or id of the campaign to show, also what is over. All are looked at by default.
    type: str
  hosts:
    description: Hosts whose answers to read.
    type: list
    elements: str
  found_in:
    description: Name of the variable in which each host keeps the result of M(wirefleet.capture.capture_info).
    type: str
    default: campaign_found
  journals:
    description:
      - Folders on the controller that have the journals of switches, one folder for each, as O(wirefleet.capture.mirror_session#module:journal).
      - C(switch_mirror_journal) of O(hosts) is looked into too. A switch that the inventory does not have is shown as well.
    type: list
    elements: path
    default: [evidence/switches]
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
attributes:
  check_mode:
    support: full
    details: Changes nothing.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Ask what is armed, changed or left
  wirefleet.capture.capture_info:
  register: campaign_found

- name: Print it
  wirefleet.capture.campaign_status:
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
"""

RETURN = r"""
table:
  description: What was printed, line by line.
  returned: success
  type: list
  elements: str
"""
