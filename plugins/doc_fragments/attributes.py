# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What every module of this collection promises; a module's own C(attributes) override single words of it."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, and then predicts the result without touching the host.
    support: full
  diff_mode:
    description: In diff mode returns a line for each setting that differs, with its value before and after.
    support: full
  platform:
    description: Operating systems of the hosts it works on.
    support: full
    platforms: linux
"""

    ACTION = r"""
options: {}
attributes:
  action:
    description: Indicates this has a corresponding action plugin, so options can be carried out on the controller.
    support: full
"""
