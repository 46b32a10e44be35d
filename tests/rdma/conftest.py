# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two QEMU guests that speak RDMA, brought up once for all of these tests, which leave them as they found them."""

from __future__ import annotations

import os
import platform
import shutil

import pytest

from tests.integration.fleet import Fleet
from tests.lab import fleet as fleets
from tests.lab import packages


def reason() -> str | None:
    """Return why there can be no guests here, None where there can."""
    if os.geteuid():
        return "these tests make a lab as root"
    if platform.machine() != "x86_64":
        return f"the guests are x86_64, and an emulated one on {platform.machine()} was never tried"
    absent = packages.missing(fleets.fleet("rdma-guests"))
    return f"not installed, and no apt-get to do it: {', '.join(absent)}" if absent and not shutil.which("apt-get") else None


@pytest.fixture(scope="session")
def guests():
    """The fleet; RDMA_LAB names a lab of guests that is up already, and is left up."""
    why_not = reason()
    if why_not:
        pytest.skip(why_not)
    fleet = Fleet("rdma-guests", os.environ.get("RDMA_LAB"))
    yield fleet
    fleet.down()
