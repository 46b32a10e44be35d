# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ring sizes of a network device in descriptors: what `ethtool -g` shows and `ethtool -G` changes."""

from __future__ import annotations

import typing as t

from .ethtool_device import ask
from .ethtool_text import Rings, parse_rings
from .model import Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host


class EthtoolRing(Kind):
    """Key ("ethtool_ring", device, rx | rx_mini | rx_jumbo | tx); value a number, or `max` when wanted.

    Drivers close and reopen their channels for this: a blip in the traffic, which on MLNX_OFED clears `sniffer`.
    """

    name = "ethtool_ring"
    disturbs = ("ethtool_private_flag", "ethtool_feature")

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        text = ask(host, "-g", scope)
        rings = parse_rings(text) if text is not None else Rings({}, {})
        return Reading(dict(rings.current), {"maximum": rings.maximum})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        return {name: _size(scope, name, value, reading.facts["maximum"]) for name, value in wanted.items()}

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        words = [word for name, value in wanted.items() for word in (name.replace("_", "-"), str(value))]
        return [["ethtool", "-G", scope, *words]]


def _size(device: str, name: str, value: Value, maximum: Mapping[str, int]) -> int:
    if name not in maximum:
        have = ", ".join(maximum) or "none that can be set"
        raise Refused(f"{device} has no {name} ring: its driver has {have}")
    size = maximum[name] if value == "max" else value
    if not 0 < size <= maximum[name]:
        raise Refused(f"{device}: {name} ring of {size} is out of range: the driver allows 1 to {maximum[name]}, or say max")
    return size
