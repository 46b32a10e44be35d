# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcpdump on the KNI device of a DPVS port, in the network namespace of its instance."""

from __future__ import annotations

import typing as t

from ...settings.dpvs_link import inside
from .tcpdump import Tcpdump

if t.TYPE_CHECKING:
    from ..spec import Vantage


class DpvsKni(Tcpdump):
    """nsenter becomes tcpdump, so signals reach it. What it cannot count is what DPVS dropped before the KNI."""

    name = "dpvs_kni"
    programs = ("tcpdump", "nsenter", "dpip")
    on_dpvs = True

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        return inside(vantage.dpvs["netns"], *super().argv(vantage, path))
