# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vantages whose packets a switch mirrors to a collector: what the switch has to do, and what the collector captures. Pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import platform_of
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import from_options

from . import units

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What a collector is asked for where the campaign names no filter: mirrors over IP are GRE.
GRE = "ip proto 47 or ip6 proto 47"
#: How long after the window a switch may end the session by itself: collecting does it first, if the controller lives.
MARGIN_S = 600


def sessions(
    written: Mapping[str, t.Any], where: str, switches: list[str], system_of: Callable[[str], str | None], lasts_s: float
) -> list[dict[str, t.Any]]:
    """Return [{"switch", "platform", "session": options of mirror_session, "expires"}]; *lasts_s* is from now to the window's end.

    Raises Unusable for what a switch cannot do.
    """
    found = []
    for switch in switches:
        options = {"enabled": True, **written["mirror"], "session": str(written["mirror"]["session"])}
        try:
            platform = platform_of(_system(switch, system_of(switch), where))
            plan(platform, from_options(options), None)
        except Refused as refused:
            raise units.Unusable(f"{where}.mirror on {switch}: {refused}.") from None
        expires = f"{math.ceil((lasts_s + MARGIN_S) / 60)}m"
        found.append({"switch": switch, "platform": platform.name, "session": options, "expires": expires})
    return found


def _system(switch: str, system: str | None, where: str) -> str:
    if not system:
        raise units.Unusable(
            f"{where}.mirror wants a session on {switch}, of which nobody says what runs on it; set ansible_network_os "
            "(or switch_mirror_platform) in the inventory."
        )
    return system


def as_capture(written: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the vantage of the collector."""
    words = {key: value for key, value in written.items() if key not in ("mirror", "collector")}
    far = "erspan" in (written["mirror"].get("destination") or {})
    return {**words, "hosts": written["collector"], **({"filter": GRE} if far and "filter" not in written else {})}
