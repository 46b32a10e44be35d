# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/conftest.py makes one worker of xdist do: a fleet that takes long to come up is shared, a light one is not."""

from __future__ import annotations

import pathlib

import pytest

from tests.conftest import SPREAD, unit_of_work

TESTS = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("nodeid", "wanted"),
    [
        ("tests/integration/test_ethtool.py::test_a", "tests/integration/test_ethtool.py"),
        ("tests/integration/test_ethtool.py::test_a[1]", "tests/integration/test_ethtool.py"),
        ("tests/integration/test_campaign.py::test_a[x]", "tests/integration/test_campaign.py::test_a[x]"),
        ("tests/integration/test_examples.py::test_a[ethtool@mixed]", "tests/integration/test_examples.py@mixed]"),
        ("tests/integration/test_examples.py::test_b[nic_tuning@mixed]", "tests/integration/test_examples.py@mixed]"),
        ("tests/integration/test_examples.py::test_b[campaign]", "tests/integration/test_examples.py::test_b[campaign]"),
    ],
)
def test_unit_of_work(nodeid: str, wanted: str) -> None:
    assert unit_of_work(nodeid) == wanted


def test_every_file_that_is_spread_is_there() -> None:
    assert SPREAD <= {path.name for part in ("integration", "faults") for path in (TESTS / part).glob("test_*.py")}
