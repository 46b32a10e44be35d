#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_report
short_description: Judge a run, publish its evidence and print the table
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Says for each vantage whether its evidence is V(ok), V(degraded) or V(failed), and why, from a closed list of
    reasons.
  - Writes C(campaign.json), C(vantage.json) and C(SHA256SUMS), syncs them and renames the folder; C(sha256sum -c
    SHA256SUMS) works in it.
  - Fails after publishing when a vantage failed. Refuses to publish while hosts are not collected.
options:
  campaign:
    description: Id of the run, as M(wirefleet.capture.campaign_plan) returned it.
    type: str
    required: true
  evidence_root:
    description: Folder on the controller that holds the evidence of all runs.
    type: path
    required: true
  publish_incomplete:
    description: Publish although some hosts could not be collected. What they still hold cannot be added later.
    type: bool
    default: false
attributes:
  action:
    description: Indicates this has a corresponding action plugin, so options can be carried out on the controller.
    support: full
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying the target.
    support: none
    details: Publishing is all it does.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Judge and publish the evidence
  wirefleet.capture.campaign_report:
    campaign: "{{ campaign_run.campaign }}"
    evidence_root: "{{ campaign_run.evidence_root }}"
  run_once: true
"""

RETURN = r"""
evidence:
  description: Folder of the evidence.
  returned: when published
  type: str
status:
  description: The worst status of a vantage.
  returned: when published
  type: str
  sample: degraded
table:
  description: The table, a line for each vantage.
  returned: when published
  type: list
  elements: str
"""
