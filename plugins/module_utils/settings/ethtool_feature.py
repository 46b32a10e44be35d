# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offload features of a network device: what `ethtool -k` shows and `ethtool -K` changes."""

from __future__ import annotations

import difflib
import typing as t

from .ethtool_device import ask
from .ethtool_text import kernel_names, parse_features
from .model import Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host, Result


class EthtoolFeature(Kind):
    """Key ("ethtool_feature", device, kernel feature); value true or false. Short names (gro, tso) expand on the device."""

    name = "ethtool_feature"
    follows = ("ethtool_private_flag", "ethtool_ring")
    disturbs = ("ethtool_private_flag",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        features = parse_features(ask(host, "-k", scope) or "")
        fixed = {name for name, feature in features.items() if feature.fixed}
        return Reading({name: feature.active for name, feature in features.items()}, {"fixed": fixed})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        targets: dict[str, Value] = {}
        for name, value in wanted.items():
            targets.update(_members(scope, name, value, reading))
        return targets

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        words = [word for name, value in wanted.items() for word in (name, "on" if value else "off")]
        return [["ethtool", "-K", scope, *words]]

    def accepted(self, done: Result) -> bool:
        """ethtool exits 0 or 1 with "Actual changes" when only some bits moved: reading back names those that did not."""
        return done.rc == 0 or "Actual changes" in done.out


def _members(device: str, name: str, value: bool, reading: Reading) -> dict[str, bool]:
    """Return the features behind *name* that have to show *value*; fixed members of a group are left as they are."""
    members = kernel_names(name, reading.values)
    if not members:
        raise Refused(_unknown(device, name, reading))
    fixed = [member for member in members if member in reading.facts["fixed"]]
    free = [member for member in members if member not in fixed]
    if free or all(reading.values[member] == value for member in fixed):
        return dict.fromkeys(free or members, value)
    stuck = "on" if reading.values[fixed[0]] else "off"
    raise Refused(f"{device}: the driver keeps {name} {stuck} ([fixed] in ethtool -k), so it cannot be turned {'on' if value else 'off'}")


def _unknown(device: str, name: str, reading: Reading) -> str:
    close = difflib.get_close_matches(name.replace("_", "-"), reading.values, n=1)
    hint = f"did you mean {close[0]}" if close else f"`ethtool -k {device}` lists what there is"
    return f"{device} has no offload feature {name!r}: {hint}"
