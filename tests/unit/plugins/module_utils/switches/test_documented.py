# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import PLATFORMS
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import OPTIONS, TYPES

from tests.switches.table import PAGE, table, within


def test_the_table_is_that_of_the_platforms() -> None:
    assert within(PAGE.read_text()) == table(), "python -m tests.switches.table writes it anew"


@pytest.mark.parametrize("platform", PLATFORMS.values(), ids=PLATFORMS)
def test_reasons_are_of_things_that_can_be_refused(platform: object) -> None:
    caps = platform.caps
    known = {*OPTIONS, *TYPES, "timer", *(f"{kind} sources" for kind in ("interface", "vlan"))}
    ways = {f"direction {way} of {kind} sources" for way in ("rx", "tx", "both") for kind in ("interface", "vlan")}
    assert set(caps.reasons) <= known | ways
    assert all(re.fullmatch(r"[a-zA-Z].*[^.]", reason) for reason in caps.reasons.values())
    assert platform.timer or caps.reasons.get("timer") or platform.host
