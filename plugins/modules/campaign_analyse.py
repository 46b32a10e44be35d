#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_analyse
short_description: Say where packets were lost, of the evidence of published runs
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Indexes the captures of each vantage to packet keys (C(derived/VANTAGE/keys.parquet)), compares them, and writes
    C(report/report.json), C(report/report.md), C(report/report.html) and C(derived/views.sql). The folders C(report) and C(derived) have
    sums of their own and are no part of the evidence's C(SHA256SUMS), so they can be made again at will.
  - Prints the verdict. C(docs/analysis.md) says what it means.
  - What is indexed already is not indexed again; remove C(derived) for that.
  - Runs on the controller, which needs C(duckdb), C(numpy) and C(pyarrow).
options:
  evidence:
    description:
      - Folders of published runs. Several are taken as one, such as the slices of a campaign that ran on several controllers.
      - The path is that of the first run which has one.
    type: list
    elements: path
    required: true
  dest:
    description: Folder in which C(report) and C(derived) are made. Without it, the first of O(evidence).
    type: path
  optional:
    description: Only warn where something needed is not installed, or the analysis fails.
    type: bool
    default: false
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
attributes:
  check_mode:
    support: none
    details: Writing the report is all it does, so it is skipped.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Say where packets were lost
  wirefleet.capture.campaign_analyse:
    evidence: evidence/20261123T101500Z-pfc-storm-3fa9c1
  run_once: true
  register: analysed

- name: Make one report of what two controllers captured in one window
  wirefleet.capture.campaign_analyse:
    evidence:
      - east/20261123T101500Z-pfc-storm-3fa9c1
      - west/20261123T101500Z-pfc-storm-77ab02
    dest: pfc-storm
  run_once: true
"""

RETURN = r"""
report:
  description: The page, C(report.html); null where nothing could be compared and O(optional) is set.
  returned: success
  type: str
answer:
  description: V(no_loss), V(network_loss), V(possible_network_loss) or V(unknown); null without a report.
  returned: success
  type: str
  sample: network_loss
sentences:
  description: The verdict in plain words, the most important first.
  returned: success
  type: list
  elements: str
  sample: ["The network lost 62 packets of 4000 between rdma1 and rdma2, on the way from rdma1 to rdma2."]
msg:
  description: Why there is no report.
  returned: when there is none
  type: str
"""
