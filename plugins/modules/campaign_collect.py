#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_collect
short_description: Bring a host's captured files home and verify them
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Copies the files of a run in segments over the host's own connection, with C(become) too. That is one streaming
    ssh where the connection is ssh, pieces through the connection's own fetch elsewhere.
  - Each segment is decompressed once on the controller, compared with the hash that the host took of the raw bytes,
    and walked as a capture file.
  - Only after everything is verified and synced on the controller's disk may the host remove its raw files. A rerun
    goes on at the segment where the last one stopped.
options:
  campaign:
    description: Id of the run, as M(wirefleet.capture.campaign_plan) returned it.
    type: str
    required: true
  evidence_root:
    description: Folder on the controller that holds the evidence of all runs.
    type: path
    required: true
  compress:
    description:
      - V(auto) measures the link with the first segment of a large file and compresses only where that is faster.
      - V(never) copies as it is; V(zstd) and V(gzip) always compress.
    type: str
    choices: [auto, never, gzip, zstd]
    default: auto
attributes:
  action:
    description: Indicates this has a corresponding action plugin, so options can be carried out on the controller.
    support: full
  check_mode:
    description: Can run in check_mode and return changed status prediction without modifying the target.
    support: none
    details: Collecting is all it does.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    support: none
  platform:
    description: Target OS/families that can be operated against.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Bring the files home and verify them
  wirefleet.capture.campaign_collect:
    campaign: "{{ campaign_run.campaign }}"
    evidence_root: "{{ campaign_run.evidence_root }}"
"""

RETURN = r"""
files:
  description: How many files of the host are here.
  returned: success
  type: int
bytes:
  description: Their raw size.
  returned: success
  type: int
stored:
  description: What they take on the controller.
  returned: success
  type: int
"""
