# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an ERSPAN mirror adds to a frame, and so which frames fit. Sizes are bytes; a frame counts from its Ethernet header, without FCS."""

from __future__ import annotations

import typing as t

ETHERNET = 14
#: A whole untagged frame of a network with an MTU of 1500.
USUAL_FRAME = 1514
TYPES: t.Mapping[str, int] = {"I": 0, "II": 1, "III": 2}
"""What people call a type, and the version that the kernel calls it."""

#: GRE with its sequence number, where there is one, and ERSPAN's own header, by version.
_GRE_AND_ERSPAN = (4, 8 + 8, 8 + 12)
_SUBHEADER = 8


def overhead(version: int, ipv6: bool = False, subheader: bool = False) -> int:
    """Return how many bytes of IP packet are around a mirrored frame."""
    return (40 if ipv6 else 20) + _GRE_AND_ERSPAN[version] + (_SUBHEADER if subheader else 0)


def largest_frame(mtu: int, version: int, ipv6: bool = False, subheader: bool = False) -> int:
    """Return the largest frame that arrives whole over a way whose least MTU is *mtu*."""
    return mtu - overhead(version, ipv6, subheader)


def mtu_warning(device: str, mtu: int, frame: int, version: int, ipv6: bool = False) -> str | None:
    """Return what to do where frames of *frame* bytes do not fit, None where they do."""
    fits, name = largest_frame(mtu, version, ipv6), next(name for name, number in TYPES.items() if number == version)
    if frame <= fits:
        return None
    return (
        f"{device} has an MTU of {mtu}: the largest frame that fits into ERSPAN type {name} is {fits} bytes, larger ones are cut or "
        f"dropped without being counted; frames of {frame} bytes need an MTU of {frame + overhead(version, ipv6)} on the whole way from the switch"
    )
