# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes that end by themselves: durations, and a waiter that goes when nothing is left to wait for."""

from __future__ import annotations

import json
import threading
import time
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.session import expiry
from ansible_collections.wirefleet.capture.plugins.module_utils.session.expiry import expire, seconds_of
from ansible_collections.wirefleet.capture.plugins.module_utils.session.preflight import captures
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import Restored
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key, Refused

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


@pytest.fixture
def stuck(tmp_path: pathlib.Path) -> Store:
    """A store whose journal is due, and holds a change of a kind that this version cannot put back."""
    store = Store(Host(), str(tmp_path))
    journal = store.journal("standing")
    journal.open(Owner("standing", time.time() - 1, "test"))
    key = Key("from_another_version", "eth1", "x")
    journal.intent(1, [Change(key, "a", "b")], {key: "a"})
    journal.done(1, {key: "b"}, [])
    return store


def told(store: Store) -> dict[str, t.Any]:
    return captures(Host(), store.root, "standing")[0]["expiry"]


def test_a_restore_that_fails_is_tried_again_with_a_bound_and_leaves_word(stuck: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "RETRIES_S", (0.01, 0.02))
    assert expire(Host(), stuck.journal("standing").folder) == expiry.GAVE_UP
    word = told(stuck)
    assert (word["tries"], word["next_ns"]) == (3, None)
    assert "from_another_version eth1 x: " in word["error"]


def test_each_reason_is_said_once() -> None:
    failed = [Restored(Key("k", "eth1", name), "failed", 1, 2, reason) for name, reason in (("a", "no tool"), ("b", "no tool"), ("c", "busy"))]
    assert expiry._failure(failed) == "k eth1 a and 1 more: no tool; k eth1 c: busy"
    assert expiry._failure([failed[0]._replace(outcome="restored")]) is None


def test_a_waiter_that_tries_again_ends_when_somebody_else_restored(stuck: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "LONGEST_NAP_S", 0.01)
    journal, codes = stuck.journal("standing"), []
    waiter = threading.Thread(target=lambda: codes.append(expire(Host(), journal.folder)), daemon=True)
    waiter.start()
    until = time.monotonic() + 10
    while not told(stuck) and time.monotonic() < until:
        time.sleep(0.01)
    assert told(stuck)["next_ns"] > told(stuck)["tried_ns"]
    journal.close()
    waiter.join(5)
    assert codes == [0], "it waits for seconds, but looks meanwhile"
    assert not stuck.host.exists(f"{journal.folder}/{expiry.RECORD}")


def test_a_journal_that_cannot_be_read_leaves_word_too(stuck: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "RETRIES_S", (0.01,))
    journal = stuck.journal("standing")
    stuck.host.append(journal.path, json.dumps({"do": "open", "schema": 99}) + "\n")
    assert expire(Host(), journal.folder) == expiry.GAVE_UP
    assert "schema 99" in told(stuck)["error"]


def test_it_is_tried_for_a_day_at_growing_distances() -> None:
    assert list(expiry.RETRIES_S) == sorted(expiry.RETRIES_S)
    assert 80_000 < sum(expiry.RETRIES_S) < 100_000
