# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which frames fit into a mirror; the numbers are those that Open vSwitch, IOS-XE and Linux show or lose frames at."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.overhead import ETHERNET, largest_frame, mtu_warning, overhead


@pytest.mark.parametrize(
    ("version", "ipv6", "subheader", "added"),
    [
        (0, False, False, 24),
        (1, False, False, 36),
        (2, False, False, 40),
        (2, False, True, 48),
        (0, True, False, 44),
        (1, True, False, 56),
        (2, True, True, 68),
    ],
)
def test_what_each_type_adds_to_a_frame(version: int, ipv6: bool, subheader: bool, added: int) -> None:
    assert overhead(version, ipv6, subheader) == added
    assert largest_frame(9000, version, ipv6, subheader) == 9000 - added


def test_largest_frames_are_those_that_were_measured() -> None:
    assert largest_frame(1500, 1) == 1464, "Open vSwitch: 1465 disappears; IOS-XE shows MTU 1464"
    assert [largest_frame(1500, version) - ETHERNET for version in (0, 1, 2)] == [1462, 1450, 1446], "the MTUs of Linux's own devices"


@pytest.mark.parametrize(("frame", "version", "needed"), [(1514, 1, 1550), (1518, 1, 1554), (1514, 2, 1554), (9014, 0, 9038)])
def test_what_does_not_fit_is_told_with_the_mtu_that_it_needs(frame: int, version: int, needed: int) -> None:
    warning = mtu_warning("eth1", needed - 1, frame, version)
    assert warning and f"frames of {frame} bytes need an MTU of {needed} " in warning and f"is {frame - 1} bytes" in warning
    assert mtu_warning("eth1", needed, frame, version) is None
