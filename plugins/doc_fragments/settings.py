# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options that every module has which changes settings through the journal."""

    DOCUMENTATION = r"""
options:
  campaign:
    description:
      - Id of the campaign in whose journal the changes are remembered, on the host below C(/var/lib/wirefleet).
      - V(standing) is the journal of everything that was changed outside a campaign.
      - M(wirefleet.capture.capture_session) with this O(campaign) and C(state=restored) puts all of it back.
    type: str
    default: standing
  expires:
    description:
      - After how long the host puts the changes of this O(campaign) back by itself, for example V(30m) or V(2h), or V(forever).
        A later call that says so sets the time anew. One that does not leaves it as it is, and sets none where there is none.
      - A reboot clears device settings anyway and ends the waiting.
    type: str
"""
