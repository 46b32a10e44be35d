# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vantages whose packets a switch mirrors to a collector, or captures for it: what the switch has to do, and what the collector. Pure."""

from __future__ import annotations

import math
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import capture_of, platform_of
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
            f"{where} wants something of {switch}, of which nobody says what runs on it; set ansible_network_os "
            "(or switch_mirror_platform) in the inventory."
        )
    return system


def captures(
    written: Mapping[str, t.Any], where: str, switches: list[str], system_of: Callable[[str], str | None]
) -> list[dict[str, t.Any]]:
    """Return [{"switch", "platform", "capture": options of packet_capture_remote}]. Raises Unusable for what a switch cannot do."""
    wish = written["rpcap"]
    if not wish.get("interface"):
        raise units.Unusable(f"{where}.rpcap does not say on which interface the switch is to capture; set interface.")
    found = []
    for switch in switches:
        try:
            capture = capture_of(_system(switch, system_of(switch), where))
            options = {"interface": capture.interface(wish["interface"]), "direction": wish.get("direction", "rx"), "port": wish.get("port")}
        except Refused as refused:
            raise units.Unusable(f"{where}.rpcap on {switch}: {refused}.") from None
        found.append({"switch": switch, "platform": capture.platform, "capture": options})
    return found


def as_clients(written: Mapping[str, t.Any], switches: list[str], address_of: Callable[[str], str]) -> list[dict[str, t.Any]]:
    """Return the vantages of the collector, one for each switch, which gives it its name."""
    words = {key: value for key, value in written.items() if key != "collector"}
    return [
        {
            **words, "hosts": written["collector"], "device": switch, "rpcap": {"server": address_of(switch), **written["rpcap"]},
            "seen_by": {"switches": [switch], "sampled": None},
        }
        for switch in switches
    ]


def server(wish: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return whom the engine asks: a session's `rpcap`."""
    return {"server": wish.get("server"), "port": wish.get("port"), "interface": wish.get("name")}


def as_capture(written: Mapping[str, t.Any], switches: list[str]) -> dict[str, t.Any]:
    """Return the vantage of the collector; `seen_by` says whose packets it gets, and that of so many it gets one."""
    words = {key: value for key, value in written.items() if key not in ("mirror", "collector")}
    far = "erspan" in (written["mirror"].get("destination") or {})
    seen_by = {"switches": switches, "sampled": written["mirror"].get("sample")}
    return {**words, "hosts": written["collector"], "seen_by": seen_by, **({"filter": GRE} if far and "filter" not in written else {})}
