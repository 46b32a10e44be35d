# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the actions of a campaign have in common, which run on the controller for a run that was planned."""

    DOCUMENTATION = r"""
options:
  campaign:
    description:
      - Id of the run, as M(wirefleet.capture.campaign_plan) returned it.
      - Left out, it is that of the variable C(campaign_run), as which a task registered what that module returned.
    type: str
  evidence_root:
    description:
      - Folder on the controller that holds the evidence of all runs.
      - Left out, it is that of the variable C(campaign_run) too.
    type: path
"""
