# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user writes about a device (features, private_flags, ring) as keys and values. Module and campaign share it."""

from __future__ import annotations

import typing as t

from .model import Key, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND_OF_OPTION: t.Mapping[str, str] = {
    "features": "ethtool_feature",
    "private_flags": "ethtool_private_flag",
    "ring": "ethtool_ring",
}

_ON, _OFF = ("on", "yes", "true"), ("off", "no", "false")


def desired_settings(devices: Iterable[str], options: Mapping[str, t.Any]) -> dict[Key, Value]:
    """Return {Key: value} for O(features), O(private_flags) and O(ring) on each of *devices*; absent options say nothing."""
    return {
        Key(kind, device, name): _ring(name, value) if option == "ring" else _switch(name, value)
        for device in devices
        for option, kind in KIND_OF_OPTION.items()
        for name, value in (options.get(option) or {}).items()
        if value is not None
    }


def _switch(name: str, value: Value) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in _ON or word in _OFF:
        return word in _ON
    raise Refused(f"{name} is either true or false, not {value!r}")


def _ring(name: str, value: Value) -> Value:
    text = str(value)
    if text == "max":
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise Refused(f"ring {name} is a number of descriptors or max, not {value!r}")
