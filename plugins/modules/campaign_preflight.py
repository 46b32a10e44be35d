#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_preflight
short_description: Ask a host whether it can do its part of a campaign
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Runs M(wirefleet.capture.capture_info) with the host's part of the plan, and measures the host's clock against
    the controller's over the same connection, as the best of three exchanges with an error of half the round trip.
  - Fails with one sentence for each thing that stands in the way. Nothing is touched on the host.
  - In check mode it prints what the host would do; with C(--diff) it is Ansible that prints each setting, before and after.
options:
  allow_missing:
    description: Answer V(missing=true) for a host that cannot be reached, instead of failing.
    type: bool
    default: false
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
attributes:
  check_mode:
    support: full
    details: Reads only.
  diff_mode:
    support: full
"""

EXAMPLES = r"""
- name: Ask the host whether it can do its part
  wirefleet.capture.campaign_preflight:
"""

RETURN = r"""
missing:
  description: Whether the host could not be reached.
  returned: success
  type: bool
session:
  description: The host's part with engine and device filled in.
  returned: success
  type: dict
clock:
  description: The host's clock against the controller's, as offset_s and error_s.
  returned: success
  type: dict
plan:
  description: What the host would do, as a text.
  returned: success
  type: str
predicted:
  description: Bytes that the capture may take, against the free disk.
  returned: success
  type: dict
problems:
  description: One sentence for each thing that stands in the way.
  returned: failure
  type: list
  elements: str
"""
