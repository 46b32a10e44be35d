# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offload features of a network device: what `ethtool -k` shows and `ethtool -K` changes."""

from __future__ import annotations

import difflib
import typing as t

from .ethtool_device import ask
from .ethtool_text import ALIASES, kernel_names, parse_features
from .model import Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host
    from .ethtool_text import Feature

#: Features that once existed: what a user who still names them has to know.
REMOVED: t.Mapping[str, str] = {"ufo": "UDP fragmentation offload was removed from Linux 4.14, leave it out"}


class EthtoolFeature(Kind):
    """Key ("ethtool_feature", device, kernel feature); value true or false. Short names (gro, tso) expand on the device."""

    name = "ethtool_feature"
    follows = ("ethtool_private_flag", "ethtool_ring")
    disturbs = ("ethtool_private_flag",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        features = _features(host, scope)
        fixed = {name for name, feature in features.items() if feature.fixed}
        return Reading({name: feature.active for name, feature in features.items()}, {"fixed": fixed})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        targets: dict[str, Value] = {}
        for name, value in wanted.items():
            for member in _members(scope, name, value, reading):
                if targets.setdefault(member, value) != value:
                    raise Refused(f"{scope}: {member} is wanted both on and off, once by the name {name}: leave one of them out")
        return targets

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        words = [word for name, value in wanted.items() for word in (name, _word(value))]
        return [["ethtool", "-K", scope, *words]]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        """Let reading back decide, since ethtool exits with 0 or 1 where only some bits moved.

        A wish that did not take stays noted in the kernel as `[requested on]`, to come true when another feature changes
        some day; it is withdrawn.
        """
        before = _features(host, scope)
        done = host.run(self.argvs(scope, wanted, current)[0])
        after = _features(host, scope)
        stuck = [name for name in wanted if name not in after or after[name].active != wanted[name]]
        noted = [name for name in stuck if name in before and name in after]
        asked = {name: before[name].requested for name in noted if after[name].requested != before[name].requested}
        if asked:
            host.run(self.argvs(scope, asked, {})[0])
        if stuck:
            raise Refused(f"{done.command}: {_why(done.message, stuck, after)}")


def _features(host: Host, device: str) -> dict[str, Feature]:
    return parse_features(ask(host, "-k", device) or "")


def _word(value: bool) -> str:
    return "on" if value else "off"


def _why(message: str, stuck: list[str], after: Mapping[str, Feature]) -> str:
    """Return why *stuck* did not move: the driver refused, or waits for a feature that it depends on."""
    waiting = [name for name in stuck if name in after and after[name].requested != after[name].active]
    if waiting:
        return f"{', '.join(waiting)} depends on something that is not so now, such as another feature or a private flag"
    return message


def _members(device: str, name: str, value: bool, reading: Reading) -> list[str]:
    """Return the features behind *name* that have to show *value*; fixed members of a group are left as they are."""
    members = kernel_names(name, reading.values)
    if not members:
        raise Refused(_unknown(device, name, reading))
    fixed = [member for member in members if member in reading.facts["fixed"]]
    free = [member for member in members if member not in fixed]
    if free or all(reading.values[member] == value for member in fixed):
        return free or members
    raise Refused(f"{device}: the driver keeps {name} {_word(not value)} ([fixed] in ethtool -k), so it cannot be turned {_word(value)}")


def _unknown(device: str, name: str, reading: Reading) -> str:
    close = difflib.get_close_matches(name.replace("_", "-"), [*ALIASES, *reading.values], n=1)
    hint = f"did you mean {close[0]}" if close else f"`ethtool -k {device}` lists what there is"
    return f"{device} has no offload feature {name!r}: {REMOVED.get(name, hint)}"
