# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts and errors of Huawei VRP 5 and 8."""

from __future__ import annotations

import re

from ansible_collections.wirefleet.capture.plugins.plugin_utils.views import ViewTerminal


class TerminalModule(ViewTerminal):
    no_paging = b"screen-length 0 temporary"
    terminal_stderr_re = [
        re.compile(rb"(?:^|[\r\n]) ?(?:\^[\r\n]+)? ?Error(?:\[\d+\])?: ?"),
        re.compile(rb"% ?(?:Unrecognized|Incomplete|Ambiguous) command", re.IGNORECASE),
    ]
