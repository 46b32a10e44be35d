# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of a fleet's state: what needs somebody, and one line on what does not."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import status

NOW = 1_795_428_900_000_000_000
RUN = "20261123T101500Z-pfc-storm-3fa9c1"
GRO = [["ethtool_feature", "eth1", "rx-gro"], True, False, False]


def capture(campaign=RUN, state="done", **more):
    session = {"t0_ns": NOW - 3 * 3600 * 10**9} if campaign == RUN else None
    return {"campaign": campaign, "name": "pfc-storm", "state": state, "session": session, "stored_bytes": 0, "open_changes": [], **more}


def test_what_is_over_is_one_line_however_many_hosts():
    other = capture("standing-switch-mirror")
    said = status.text({**{f"node{n}": [capture(), other] for n in range(50)}, "sw1": [other]}, NOW)
    assert said == "Over, collected and put back: 1 run of pfc-storm (50 hosts still remember; -e campaign=NAME shows them)."


def test_a_campaign_that_is_asked_for_is_shown_though_it_is_over():
    for wanted in ("pfc-storm", RUN):
        assert status.text({"node1": [capture()]}, NOW, wanted).splitlines() == [
            "host                            campaign  state  age  uncollected  open changes",
            f"node1  {RUN}  done   3 h            -             -",
        ]


def test_what_is_not_collected_or_still_captures_is_in_the_table():
    heartbeat = {"time_left_s": 41.2, "vantages": [{"packets": 1200, "drops": 0}, {"packets": 3, "drops": 2}]}
    found = {"node1": [capture(stored_bytes=3 << 20)], "node2": [capture(state="capturing", heartbeat=heartbeat)]}
    lines = status.text(found, NOW).splitlines()
    assert lines[1].split() == ["node1", RUN, "done", "3", "h", "3.0", "MiB", "-"]
    assert "capturing, 41 s left, 1203 packets, 2 drops" in lines[2]
    assert len(lines) == 3


def test_changes_of_many_hosts_are_said_once():
    found = {f"node{n}": [capture("standing", "changed", open_changes=[GRO], deadline=NOW / 1e9 + n)] for n in (1, 2)}
    lines = status.text(found, NOW).splitlines()
    assert lines[1].startswith("node1  standing  changed, until 2026-11-23T10:15:01Z")
    assert lines[3:] == ["", "standing on node1, node2:", "  eth1 rx-gro: on -> off"]


def test_what_somebody_else_changed_and_what_could_not_be_put_back_is_said():
    record = {"tries": 4, "next_ns": NOW, "error": "ethtool is not installed"}
    said = status.text({"node1": [capture("standing", "changed", open_changes=[[*GRO[:3], True]], expiry=record)]}, NOW)
    assert "eth1 rx-gro: on -> off, but it is on now" in said
    assert "tried in vain to put it back 4 times, the next try is at 2026-11-23T10:15:00Z: ethtool is not installed" in said
    assert "rx-gro: on -> off, which cannot be seen now" in status.text({"n": [capture("s", "changed", open_changes=[[*GRO[:3], None]])]}, NOW)
    assert "changed, due since 2026-11-23T10:14:59Z" in status.text({"n": [capture("s", "changed", error="x", deadline=NOW / 1e9 - 1)]}, NOW)
    assert "nobody tries any more" in status.text({"n": [capture("standing", "changed", expiry={**record, "next_ns": None}, error="x")]}, NOW)


@pytest.mark.parametrize(
    ("captures", "wanted", "said"),
    [
        ({"node1": []}, None, status.NOTHING),
        ({"node1": [capture("standing", "restored")]}, None, status.NOTHING),
        ({"node1": None, "node2": []}, None, "No answer from node1."),
        ({"node1": [capture()]}, "nosuch", f"No host holds a run of nosuch. They hold {RUN}."),
        ({"node1": None}, "nosuch", "No host holds a run of nosuch. They hold nothing.\nNo answer from node1."),
    ],
)
def test_sentences(captures, wanted, said):
    assert status.text(captures, NOW, wanted) == said


@pytest.mark.parametrize(("seconds", "said"), [(-5, "-"), (1, "-"), (90, "90 s"), (600, "10 min"), (7300, "2 h"), (180_000, "2 d")])
def test_age(seconds, said):
    assert status.age(seconds * 10**9) == said
