# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key
from ansible_collections.wirefleet.capture.plugins.plugin_utils import status, switch_journals

RUN = "20261123T101500Z-storm-3fa9c1"
KEY = Key("mirror_session", "eos", "CAP")


@pytest.fixture
def folder(tmp_path):
    """Journals of three switches: of a run that is open and one that is closed, of none, and one that nobody can read."""
    for switch, run in (("sw1", RUN), ("sw1", "standing"), ("sw2", "standing"), ("gone", RUN)):
        journal = Store(Host(), str(tmp_path / switch)).journal(run)
        journal.open(Owner(run, who="module"))
        journal.intent(1, [Change(KEY, None, {"session": "CAP"})], {KEY: None})
        if run == "standing":
            journal.close()
    bad = tmp_path / "bad" / "standing"
    bad.mkdir(parents=True)
    (bad / "journal.ndjson").write_text(json.dumps({"do": "open", "schema": 99}) + "\n")
    return str(tmp_path)


def test_every_open_journal_is_found_and_none_that_is_closed(folder):
    found = switch_journals.open_ones([folder, folder + "/"], ["sw1", "sw2", "bad"], ["sw1", "sw2", "bad", "node1"])
    assert {switch: [entry["campaign"] for entry in entries] for switch, entries in found.items()} == {"sw1": [RUN], "bad": ["standing"], "gone": [RUN]}
    assert found["sw1"][0]["open_changes"] == [[list(KEY), None, {"session": "CAP"}, {"session": "CAP"}]]
    assert "this version knows 1" in found["bad"][0]["error"]


def test_only_the_hosts_of_the_play_and_what_no_play_could_have_are_shown(folder):
    found = switch_journals.open_ones([folder], [], ["sw1", "sw2", "bad"])
    assert set(found) == {"gone"} and found["gone"][0]["error"] == switch_journals.STRANGER
    assert switch_journals.open_ones([folder + "/nowhere"], ["sw1"], ["sw1"]) == {}


def test_they_stand_in_the_table_by_the_name_of_their_campaign(folder):
    found = switch_journals.open_ones([folder], ["sw1"], ["sw1", "sw2", "bad", "gone"])
    lines = status.text({"node1": [], **found}, 1_795_428_900_000_000_000, "storm").splitlines()
    assert lines[1].split() == ["sw1", RUN, "changed", "(journal)", "-", "-", "1"]
    assert lines[4] == "  eos mirror session CAP: absent -> session=CAP"
