# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real driver whose private flag can be set: igb on Debian's own kernel, its card emulated by the QEMU of a later suite."""

from __future__ import annotations

import pytest

from tests.integration.fleet import Fleet
from tests.rdma.conftest import reason
from tests.rdma.journey import there_and_back

HOST, CARD = "guest1", "eth4"


@pytest.fixture(scope="module")
def guest():
    why_not = reason()
    if why_not:
        pytest.skip(why_not)
    fleet = Fleet("igb")
    fleet.ssh(HOST, f"ip link set {CARD} up")
    yield fleet
    fleet.down()


def test_private_flag_of_a_real_driver_goes_there_and_back(guest):
    wanted = {"private_flags": {"legacy-rx": True}, "features": {"rx-all": True}, "ring": {"rx": 1024}}
    done, changed = there_and_back(guest, HOST, CARD, wanted)
    assert done["after"] == {CARD: {"private_flags": {"legacy-rx": True}, "features": {"rx-all": True}, "ring": {"rx": 1024}}}
    assert "driver: igb" in guest.ssh(HOST, f"ethtool -i {CARD}")
    assert all(words in changed for words in ("legacy-rx: on", "rx-all: on", "RX:\t\t1024"))
