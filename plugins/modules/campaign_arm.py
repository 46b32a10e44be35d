#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_arm
short_description: Arm a host for its part of a campaign
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Runs M(wirefleet.capture.capture_session) with O(wirefleet.capture.capture_session#module:state=armed) and the
    host's part as the preflight resolved it, and keeps on record that it did.
  - From then on the host captures and restores by itself, whatever happens to the controller.
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
attributes:
  check_mode:
    support: full
    details: As M(wirefleet.capture.capture_session).
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Arm the host for the window
  wirefleet.capture.campaign_arm:
"""

RETURN = r"""
folder:
  description: Folder of the session on the host.
  returned: success
  type: str
serve:
  description: Command that serves the session's files.
  returned: success
  type: list
  elements: str
"""
