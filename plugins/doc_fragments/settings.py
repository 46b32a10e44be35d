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
    type: str
    default: standing
"""
