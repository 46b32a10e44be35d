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
  publish_incomplete:
    description: Publish although some hosts could not be collected. What they still hold cannot be added later.
    type: bool
    default: false
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
attributes:
  check_mode:
    support: none
    details: Publishing is all it does, so it is skipped.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Judge and publish the evidence
  wirefleet.capture.campaign_report:
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
  returned: when published and no vantage failed
  type: list
  elements: str
"""
