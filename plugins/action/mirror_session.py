# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror sessions, whose switch and journal the controller knows."""

from __future__ import annotations

from ansible_collections.wirefleet.capture.plugins.plugin_utils.switch_action import SwitchAction


class ActionModule(SwitchAction):
    MODULE = "wirefleet.capture.mirror_session"
