# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets for the integration tests, brought up once each and taken down at the end."""

from __future__ import annotations

import os

import pytest

from tests.integration.fleet import Fleet
from tests.lab.fleet import FLEETS

#: Hosts so light that every worker may have some: their tests go to whichever is free.
LIGHT = {"pair", "place"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Keep the tests of a fleet, or else of a file, on one worker of xdist: a fleet is brought up once."""
    for item in items:
        hosts = (FLEETS.keys() | LIGHT) & set(item.fixturenames)
        if not hosts <= LIGHT and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group("+".join(sorted(hosts))))


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
