# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person at the terminal is told when the lab cannot do something."""

from __future__ import annotations


class Problem(Exception):
    """One sentence that says what is wrong and what to do; never shown as a traceback."""
