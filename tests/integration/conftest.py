# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets for the integration tests, brought up once each and taken down at the end."""

from __future__ import annotations

import os

import pytest

from tests.integration.fleet import Fleet


def _fleet(name):
    @pytest.fixture(scope="session", name=name)
    def bring_up():
        if os.geteuid():
            pytest.skip("these tests make a lab as root")
        fleet = Fleet(name)
        yield fleet
        fleet.down()

    return bring_up


pair = _fleet("pair")
mixed = _fleet("mixed")
rdma = _fleet("rdma")
clocks = _fleet("clocks")
dpvs = _fleet("dpvs")
span = _fleet("span")
ovs = _fleet("ovs")
tc = _fleet("tc")


@pytest.fixture
def echoes(pair):
    """Ten echoes and ten replies a second between the hosts, however long a campaign takes to begin."""
    pair.ssh("node1", "ping -q -i 0.1 -s 900 10.78.0.3 > /dev/null 2>&1 &")
    yield
    pair.ssh("node1", "pkill ping")
