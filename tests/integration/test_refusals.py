# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a host, said in one sentence before anything is touched; and journals that something happened to."""

from __future__ import annotations

import json
import pathlib
import re

import pytest
import yaml

JOURNALS = "/var/lib/wirefleet"
#: Campaigns that other tests wrote beside the inventory may be named among them.
SHIPPED = re.compile(r"There are (?:\S+, )*demo, (?:\S+, )*example, ")


@pytest.fixture
def run(pair, tmp_path):
    """Run a campaign over both hosts, with words added, and return what it printed and its exit code."""

    def start(*words, name="refused"):
        file = pathlib.Path(pair.inventory).parent / "campaigns" / f"{name}.yml"
        file.parent.mkdir(exist_ok=True)
        vantages = [{"hosts": "tcp_hosts", "device": "eth1", "filter": "icmp or (vlan and icmp)"}]
        file.write_text(yaml.safe_dump({"campaign_vantages": vantages, "campaign_start": pair.soon(), "campaign_duration": "2s"}))
        evidence = ["-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]
        done = pair.playbook("capture_campaign.yml", "-e", f"campaign={name}", *evidence, *words)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr, done.returncode

    return start


@pytest.fixture
def untouched(pair):
    """Fail when the test leaves anything of a campaign on a host."""
    listing = f"ls {JOURNALS} 2>/dev/null"
    before = pair.ssh("node1", listing, check=False)
    yield
    assert pair.ssh("node1", listing, check=False) == before


#: Node2 answers no more.
ELSEWHERE = {
    "ansible_ssh_args": "{{ '-o ConnectTimeout=3' if inventory_hostname == 'node2' else '' }}",
    "ansible_host": "{{ '10.77.9.9' if inventory_hostname == 'node2' else '10.77.0.2' }}",
}


def test_a_host_that_does_not_answer(pair, run, untouched):
    said, code = run("-e", json.dumps(ELSEWHERE))
    assert code != 0
    assert "node2" in said and "10.77.9.9" in said


def test_a_host_that_does_not_answer_is_done_without_if_asked(pair, run, tmp_path):
    said, code = run("-e", json.dumps({**ELSEWHERE, "campaign_allow_missing_hosts": True}))
    (folder,) = [path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial"]
    found = {row["host"]: row["status"] for row in json.loads((folder / "campaign.json").read_text())["vantages"]}
    assert (found, code) == ({"node1": "ok", "node2": "failed"}, 2), said


def test_tcpdump_is_not_installed(pair, run, untouched):
    where = pair.ssh("node1", "command -v tcpdump")
    pair.ssh("node1", f"mv {where} {where}.hidden")
    try:
        said, code = run()
    finally:
        pair.ssh("node1", f"mv {where}.hidden {where}")
    assert code != 0
    assert "tcpdump" in said and "install" in said


def test_neither_root_nor_become(run, untouched):
    said, code = run("-e", "ansible_user=engineer", "-e", "ansible_become=false")
    assert code != 0
    assert "root" in said


@pytest.mark.parametrize("playbook", ["capture_campaign.yml", "stop.yml", "collect.yml"])
def test_no_campaign_is_named(pair, untouched, playbook):
    said = words(pair.playbook(playbook))
    assert "Say which campaign: add -e campaign=NAME" in said
    assert SHIPPED.search(said) or "playbooks/status.yml lists what the hosts hold" in said
    assert "missing required arguments" not in said and "arg spec" not in said


def test_a_campaign_that_is_not_written_names_those_that_are(pair, untouched):
    assert SHIPPED.search(words(pair.playbook("capture_campaign.yml", "-e", "campaign=nosuch")))


@pytest.mark.parametrize("playbook", ["stop.yml", "collect.yml"])
def test_a_run_that_nobody_knows_names_those_that_hosts_hold(pair, run, playbook):
    said, code = run(name="held")
    assert code == 0, said
    assert "-held-" in words(pair.playbook(playbook, "-e", "campaign=nosuch")).partition("The hosts hold")[2]


@pytest.mark.parametrize("playbook", ["status.yml", "restore.yml"])
def test_a_campaign_that_no_host_holds_is_answered_with_those_that_are(pair, playbook):
    pair.module("node1", "ethtool", {"device": "eth1", "features": {"tso": False}, "campaign": "standing-known"})
    said = words(pair.playbook(playbook, "-e", "campaign=nosuch"))
    pair.module("node1", "capture_session", {"campaign": "standing-known", "state": "restored"})
    assert "No host holds a run of nosuch. They hold" in said and "standing-known" in said


def words(done):
    """Return what a playbook said, however it was wrapped."""
    return " ".join((done.stdout + done.stderr).split())


def test_a_journal_from_a_newer_version(pair):
    header = {"do": "open", "schema": 99, "campaign": "newer", "boot_id": "", "who": "", "deadline": None}
    pair.ssh("node1", f"mkdir -p -m 700 {JOURNALS}/newer && echo '{json.dumps(header)}' > {JOURNALS}/newer/journal.ndjson")
    try:
        result = pair.module("node1", "capture_session", {"campaign": "newer", "state": "restored"})
    finally:
        pair.ssh("node1", f"rm -r {JOURNALS}/newer")
    assert "schema 99" in result["msg"] and "version" in result["msg"]


def test_a_journal_torn_in_its_last_line_is_put_back(pair):
    device = pair.ssh("node1", "ethtool -k eth1 | grep tcp-segmentation-offload")
    changed = pair.module("node1", "ethtool", {"device": "eth1", "features": {"tso": False}, "campaign": "standing-torn"})
    assert changed["changed"]
    pair.ssh("node1", f"printf '{{\"do\":\"le' >> {JOURNALS}/standing-torn/journal.ndjson")
    restored = pair.module("node1", "capture_session", {"campaign": "standing-torn", "state": "restored"})
    assert restored["changed"], restored
    assert pair.ssh("node1", "ethtool -k eth1 | grep tcp-segmentation-offload") == device


def test_status_and_restore_list_what_is_open(pair):
    pair.module("node1", "ethtool", {"device": "eth1", "features": {"tso": False}, "campaign": "standing-listed"})
    try:
        assert "standing-listed" in pair.playbook("status.yml").stdout
        assert "standing-listed" in pair.playbook("restore.yml").stdout
        foreseen = pair.playbook("restore.yml", "-e", "campaign=standing-listed", "--check", "--diff").stdout
        assert "\neth1 tx-tcp-segmentation: off -> on\n" in foreseen
        assert "settings:" not in foreseen
    finally:
        done = pair.playbook("restore.yml", "-e", "campaign=standing-listed")
    assert done.returncode == 0, done.stdout
    assert "standing-listed" not in pair.playbook("restore.yml").stdout
