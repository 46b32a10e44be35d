# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that end by themselves: durations, and a waiter that goes when nothing is left to wait for."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.session.expiry import expire, seconds_of
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

if t.TYPE_CHECKING:
    import pathlib


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("forever", None)])
def test_durations_are_read(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0s", "2", "-2h", "1.5h", "2 weeks", "never"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Refused, match="write for example 30m, 2h or 1d, or forever"):
        seconds_of(text)


@pytest.mark.parametrize("state", ["none", "closed", "without deadline", "passed"])
def test_a_waiter_ends_when_there_is_nothing_to_wait_for(tmp_path: pathlib.Path, state: str) -> None:
    store = Store(Host(), str(tmp_path))
    journal = store.journal("standing")
    (tmp_path / "standing").mkdir(mode=0o700)
    if state != "none":
        journal.open(Owner("standing", time.time() - 1 if state == "passed" else None, "test"))
    if state == "closed":
        journal.close()
    assert expire(Host(), journal.folder) == 0
    found = journal.state()
    assert (found is not None and not found.closed) is (state == "without deadline")
