#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: rdma_verify
short_description: Check that what was captured of RDMA tests is what was sent
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Reads the published evidence of C(playbooks/verify_rdma_capture.yml) again, on the controller. For each test and host it
    compares messages and bytes with perftest's report, looks for missing packet sequence numbers, for the DSCP that was asked
    for, and for packets that the verb does not make.
  - A packet that was sent again counts once, under C(repeated), which is no fault of the capture.
  - Prints the table and fails, with a sentence for each, where something differs.
options:
  evidence:
    description: Folder of the evidence, with C(campaign.json) and C(perftest.json).
    type: path
    required: true
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
- name: Check an old run again
  wirefleet.capture.rdma_verify:
    evidence: evidence/20261123T101500Z-verify-rdma-3fa9c1
"""

RETURN = r"""
evidence:
  description: Folder of the evidence.
  returned: always
  type: str
checks:
  description: One entry for each test and host; C(problems) is empty where all is well.
  returned: always
  type: list
  elements: dict
  sample:
    - {test: send 65536 B, host: storage1, packets: 16200, messages: 1000, messages_sent: 1000, bytes: 65536000,
       bytes_sent: 65536000, missing: 0, repeated: 0, dscps: [26], problems: []}
table:
  description: What was printed, line by line.
  returned: success
  type: list
  elements: str
"""
