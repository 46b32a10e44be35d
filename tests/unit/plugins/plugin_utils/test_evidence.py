# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.wirefleet.capture.plugins.action import campaign_plan
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import parse_session
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, report, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import load
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import check_manifest

OLD, NEW = "20261123T101500Z-x-aaaaaa", "20261123T111500Z-x-bbbbbb"


@pytest.mark.parametrize(
    "known, wanted, chosen",
    [
        ([], "x", None),
        ([(OLD, evidence.PUBLISHED), (NEW, evidence.PUBLISHED)], "x", NEW),
        ([(OLD, evidence.OPEN), (NEW, evidence.PUBLISHED)], "x", OLD),
        ([(OLD, evidence.PUBLISHED), (NEW, evidence.PLANNED)], "x", OLD),
        ([(OLD, evidence.PLANNED), (NEW, evidence.PLANNED)], "x", NEW),
        ([(OLD, evidence.PUBLISHED), (NEW, evidence.PLANNED)], NEW, NEW),
        ([(OLD, evidence.PUBLISHED)], OLD, OLD),
        ([(OLD, evidence.PUBLISHED)], NEW, None),
        ([(OLD, evidence.OPEN)], "y", None),
    ],
)
def test_a_name_means_its_open_run_or_its_latest_that_captured(known, wanted, chosen):
    assert evidence.choose(known, wanted) == chosen


def test_two_open_runs_are_both_named():
    with pytest.raises(units.Unusable, match=f"2 open runs; say which: {OLD}, {NEW}"):
        evidence.choose([(OLD, evidence.OPEN), (NEW, evidence.OPEN)], "x")


def test_a_run_is_open_once_it_arms_and_until_it_is_published(tmp_path):
    run = evidence.Run(str(tmp_path), OLD)
    run.create({"sessions": {"a": {}}, "t0_ns": 5})
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.PLANNED)]
    run.event("mirrored", switch="s")
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.OPEN)], "its controller may die before it arms a host"
    run.event("mirror_ended", switch="s")
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.PLANNED)]
    run.event("arming", host="a")
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.OPEN)]
    folder = run.publish({})
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.PUBLISHED)]
    assert sorted(os.listdir(folder)) == ["SHA256SUMS", "events.ndjson", "plan.json"]
    assert {os.stat(os.path.join(folder, name)).st_mode & 0o777 for name in os.listdir(folder)} == {0o600}
    assert os.stat(folder).st_mode & 0o777 == 0o700
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_only_a_plan_that_can_never_arm_is_forgotten(tmp_path):
    for run_id, armed in ((OLD, True), (NEW, False)):
        run = evidence.Run(str(tmp_path), run_id)
        run.create({"sessions": {}, "t0_ns": 5})
        run.event("arming" if armed else "planned")
    evidence.forget_unarmed(str(tmp_path), "x", 4)
    assert len(evidence.runs(str(tmp_path))) == 2
    evidence.forget_unarmed(str(tmp_path), "x", 6)
    assert evidence.runs(str(tmp_path)) == [(OLD, evidence.OPEN)]


def test_hosts_that_hold_nothing_more_do_not_make_a_name_ambiguous():
    def capture(run_id, stored):
        return {"campaign": run_id, "session": {"campaign": run_id}, "state": "done", "stored_bytes": stored}

    captures = {"a": [capture(OLD, 0), capture(NEW, 7)], "b": [capture(NEW, 9)], "c": None}
    assert campaign_plan.remembered(captures, "x") == {"a": {"campaign": NEW}, "b": {"campaign": NEW}}
    assert campaign_plan.remembered(captures, OLD) == {"a": {"campaign": OLD}}
    with pytest.raises(units.Unusable, match="neither this controller nor a host"):
        campaign_plan.remembered({"c": None}, "x")


def test_records_of_odd_host_names_stay_in_the_folder(tmp_path):
    run = evidence.Run(str(tmp_path), OLD)
    run.create({"sessions": {"../../x": {"host": "../../x"}}})
    assert run.record("../../x") == {"session": {"host": "../../x"}}
    assert os.listdir(tmp_path) == [OLD + ".partial"]


def test_a_run_of_a_session_written_by_hand_is_published(tmp_path):
    """The least that a host takes; what it leaves to defaults is in the evidence all the same."""
    vantage = {"vantage_id": "v", "device": "eth1", "capture_on": "eth1", "engine": "tcpdump"}
    session = {"schema": 1, "campaign": OLD, "t0_ns": 10**18, "duration_s": 5, "vantages": [vantage]}
    run = evidence.Run(str(tmp_path), OLD)
    run.create(campaign_plan.again({"node1": session}, 10**18))
    folder, manifest = report.publish(run, {"collection": "0", "ansible_core": "0", "python": "0"}, check_manifest)
    (told,) = manifest["vantages"]
    assert (told["host"], told["snaplen"], told["filter"], manifest["name"]) == ("node1", parse_session(session).vantages[0].snaplen, "", OLD)
    assert os.path.isfile(os.path.join(folder, "campaign.json"))


def test_sums_name_objects_that_are_elsewhere_too(tmp_path):
    run = evidence.Run(str(tmp_path), OLD)
    run.create({"sessions": {}, "t0_ns": 5})
    folder = run.publish({"vantages/a/raw/0001.pcap": "c" * 64})
    with open(os.path.join(folder, "SHA256SUMS"), encoding="utf-8") as file:
        assert f"{'c' * 64}  vantages/a/raw/0001.pcap\n" in file.readlines()
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "--ignore-missing", "SHA256SUMS"], cwd=folder, check=True)


def test_captures_that_are_elsewhere_are_said_with_how_to_get_them(tmp_path):
    where = {"url": "s3://captures/lab/ID/vantages/a/raw/0001.pcap", "endpoint": "https://s3.example.net", "etag": "x"}
    files = [{"path": "vantages/a/raw/0001.pcap", "object": where}, {"path": "vantages/a/log/engine.log", "object": None}]
    manifest = {"campaign": "ID", "store": {"url": "s3://captures/lab", "endpoint": None}, "vantages": [{"vantage_id": "a", "files": files}]}
    said = load.elsewhere(str(tmp_path), manifest)
    assert f"aws --endpoint-url https://s3.example.net s3 sync s3://captures/lab/ID/vantages {tmp_path}/vantages" in said
    assert said.startswith("1 captures of ID are in s3://captures/lab/ID/vantages") and "analyse.yml -e campaign=ID" in said
    (tmp_path / "vantages/a/raw").mkdir(parents=True)
    (tmp_path / "vantages/a/raw/0001.pcap").touch()
    assert load.elsewhere(str(tmp_path), manifest) is None
