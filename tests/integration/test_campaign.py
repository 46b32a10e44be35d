# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole campaign over ssh, and what becomes of it when things die: nothing may stay changed, nothing may be lost."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
from functools import partial

import jsonschema
import pytest
import yaml

from tests.integration.fleet import HUNG, ROOT, wait_until

NUMBERS = itertools.count(1)
FEATURES = "ethtool -k eth1 | grep -E 'generic-receive-offload|tcp-segmentation-offload'"


@pytest.fixture
def campaign(tmp_path, pair):
    """Write a campaign for the fleet's two hosts and return the words that run it; its evidence lies in tmp_path."""

    def write(**changes):
        name = f"it{next(NUMBERS)}"
        text = {
            "campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth1", "filter": "icmp or (vlan and icmp)"}],
            "campaign_start": pair.soon(),
            "campaign_duration": "4s",
            "campaign_settings": {"ethtool": {"features": {"tso": False, "gro": True}}},
            "campaign_limits": {"bytes": "20M", "min_free": "1%"},
            **changes,
        }
        file = pathlib.Path(pair.inventory).parent / "campaigns" / f"{name}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump({key: value for key, value in text.items() if value is not None}))
        return ["-e", f"campaign={name}", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]

    return write


def evidence(tmp_path):
    folders = [path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial"]
    assert len(folders) == 1, folders
    return folders[0]


def manifest(tmp_path):
    return json.loads((evidence(tmp_path) / "campaign.json").read_text())


def settled(fleet, before):
    """Wait until both hosts show the features they had, and no supervisor or engine is left."""
    for host in ("node1", "node2"):
        wait_until(partial(shows, fleet, host, before[host]), 240, f"{host} is not as it was")
        wait_until(partial(quiet, fleet, host), 240, f"{host} still runs something of ours")


def shows(fleet, host, features):
    return fleet.ssh(host, FEATURES) == features


def quiet(fleet, host):
    return not fleet.ssh(host, "pgrep -f 'tcpdump|supervisor.pyz'", check=False)


def capturing(fleet, words, host="node1"):
    """Wait until the window of the campaign that *words* run is open on *host*."""
    name = words[1].partition("=")[2]
    heartbeat = f"cat /var/lib/wirefleet/*-{name}-*/heartbeat.json"
    wait_until(lambda: '"capturing"' in fleet.ssh(host, heartbeat, check=False), 300, f"no window opened on {host}")


def ended(fleet, words, controller):
    """End the window now and return what the controller printed until it ended."""
    assert fleet.playbook("stop.yml", *words).returncode == 0
    return controller.communicate(timeout=HUNG)[0]


@pytest.fixture
def before(pair):
    return {host: pair.ssh(host, FEATURES) for host in ("node1", "node2")}


def test_the_whole_way(pair, campaign, before, echoes, tmp_path):
    words = campaign()
    done = pair.playbook("capture_campaign.yml", *words)
    assert done.returncode == 0, done.stdout
    found = manifest(tmp_path)
    jsonschema.validate(found, json.loads((ROOT / "docs/schemas/campaign.schema.json").read_text()))
    assert [vantage["status"] for vantage in found["vantages"]] == ["ok", "ok"]
    for vantage in found["vantages"]:
        assert 10 <= vantage["counts"]["in_window"] <= 84, "at most ten echoes and ten replies a second, for four seconds"
        assert vantage["drops"]["kernel"] == 0
    counts = [vantage["counts"]["in_window"] for vantage in found["vantages"]]
    assert abs(counts[0] - counts[1]) <= 4, "both see the same packets, but for those at the edges of the window"
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=evidence(tmp_path), check=True)
    for file in evidence(tmp_path).rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file
    settled(pair, before)
    report = json.loads((evidence(tmp_path) / "report" / "report.json").read_text())
    assert report["verdict"]["answer"] == "no_loss" and report["verdict"]["sentences"][0] in done.stdout
    for folder in ("report", "derived"):
        subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=evidence(tmp_path) / folder, check=True)
    name = words[1].partition("=")[2]
    kept = pair.ssh("node1", f"find /var/lib/wirefleet/*-{name}-* -name '*.pcap*'")
    assert kept == "", "the host's copy goes after verification"
    progress_is_plain_lines(done.stdout, {vantage["vantage_id"]: vantage["counts"]["packets"] for vantage in found["vantages"]})


def progress_is_plain_lines(shown, packets):
    """Check what the callback printed where stdout is a pipe: a line when a vantage's state changes, the last with all its packets."""
    assert "\x1b" not in shown
    for vantage, count in packets.items():
        lines = [line for line in shown.splitlines() if line.startswith(f"{vantage}: state ")]
        states = [line.split()[2].rstrip(",") for line in lines]
        assert "listening" in states and states[-1] == "done" and states.count("done") == 1, states
        assert re.fullmatch(rf"\S+ state done, left 0 s, packets {count}, bytes [\d.]+ \w+, drops 0", lines[-1]), lines[-1]


def test_check_mode_plans_and_touches_nothing(pair, campaign, before, tmp_path):
    listing = "find /var/lib/wirefleet 2>/dev/null | sort"
    state = pair.ssh("node1", listing)
    done = pair.playbook("capture_campaign.yml", *campaign(), "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("eth1 tx-tcp-segmentation: on -> off\n") == done.stdout.count("tx-tcp-segmentation") == 2, "once for each host"
    for words in ("captures eth1 with tcpdump", "because the kernel sees every packet", "writes at most 20.0 MiB of"):
        assert done.stdout.count(words) == 2, words
    assert pair.ssh("node1", listing) == state
    assert pair.ssh("node1", FEATURES) == before["node1"]
    assert not (tmp_path / "evidence").exists()


def test_an_ordinary_user_with_become_and_a_filter_that_would_miss_tagged_frames(pair, campaign, before, tmp_path):
    matches = {"hosts": "tcp_hosts", "device": "eth1", "filter": "icmp or (vlan and icmp)"}
    words = campaign(campaign_vantages=[matches, {"hosts": "node1", "device": "eth0", "filter": "tcp port 9"}], campaign_compress="gzip")
    done = pair.playbook("capture_campaign.yml", *words, "-e", "ansible_user=engineer")
    assert done.returncode == 0, done.stdout
    vantages = manifest(tmp_path)["vantages"]
    assert {file["compression"] for vantage in vantages for file in vantage["files"] if "/raw/" in file["path"]} == {"gzip"}, "as the campaign's file says"
    found = {vantage["vantage_id"]: (vantage["status"], vantage["reasons"]) for vantage in vantages}
    assert found.pop("node1__eth0") == ("degraded", ["filter_without_vlan"]), "frames passed, and some may have had a tag"
    assert {status for status, _reasons in found.values()} == {"ok"}
    settled(pair, before)


def test_the_controller_dies_in_mid_window(pair, campaign, before, tmp_path):
    words = campaign(campaign_duration=pair.lasting(8, logins=10))
    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *words))
    capturing(pair, words)
    assert pair.ssh("node1", FEATURES) != before["node1"]
    os.killpg(controller.pid, signal.SIGKILL)
    settled(pair, before)
    name = words[1].partition("=")[2]
    rows = [line.split() for line in pair.playbook("status.yml").stdout.splitlines() if f"-{name}-" in line]
    assert {(row[0], row[2]) for row in rows} == {("node1", "done"), ("node2", "done")}, "what is still to be collected is shown"
    done = pair.playbook("collect.yml", *words)
    assert done.returncode == 0, done.stdout
    assert {vantage["status"] for vantage in manifest(tmp_path)["vantages"]} <= {"ok", "degraded"}
    again = pair.playbook("collect.yml", *words)
    assert "collected already" in again.stdout + again.stderr or again.returncode == 0


# who is killed, what the vantage is then, why, the play's exit code (a failed vantage fails it, after publishing)
@pytest.mark.parametrize(
    "victim, status, reason, code",
    [("tcpdump", "failed", "engine_died", 2), ("supervisor.pyz run", "degraded", "supervisor_lost", 0)],
    ids=["engine", "supervisor"],
)
def test_a_process_is_killed_on_one_host(pair, campaign, before, tmp_path, victim, status, reason, code):
    words = campaign(campaign_duration="10m")
    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *words))
    capturing(pair, words)
    pair.ssh("node1", f"pkill -KILL -f '{victim}'", check=False)
    out = ended(pair, words, controller)
    found = {vantage["host"]: vantage for vantage in manifest(tmp_path)["vantages"]}
    assert {host: vantage["status"] for host, vantage in found.items()} == {"node1": status, "node2": "ok"}, out
    assert reason in found["node1"]["reasons"]
    assert controller.returncode == code
    assert out.count("start skew") == 1, "the table is printed once"
    assert f"report: {evidence(tmp_path)}/report/report.html" in out, "also when a vantage failed"
    settled(pair, before)


def test_a_device_goes_away_in_mid_window(pair, campaign, before, tmp_path):
    pair.ssh("node2", "ip link add gone0 type veth peer name gone1 && ip link set gone0 up && ip link set gone1 up")
    vantages = [{"hosts": "node2", "device": "gone0"}, {"hosts": "node2", "device": "eth1"}]
    words = campaign(campaign_vantages=vantages, campaign_settings=None, campaign_duration="10m")
    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *words))
    capturing(pair, words, "node2")
    pair.ssh("node2", "ip link del gone0")
    out = ended(pair, words, controller)
    found = {vantage["device"]: (vantage["status"], vantage["reasons"]) for vantage in manifest(tmp_path)["vantages"]}
    assert found["gone0"][0] == "failed" and "device_gone" in found["gone0"][1], out
    assert found["eth1"][0] == "ok"


def test_ssh_is_cut_in_mid_window(pair, campaign, before, tmp_path):
    words = campaign(campaign_duration=pair.lasting(8, logins=10))
    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *words))
    capturing(pair, words)
    pair.inside("ip", "link", "set", "m-node1", "down")
    out, _none = controller.communicate(timeout=HUNG)
    pair.inside("ip", "link", "set", "m-node1", "up")
    assert controller.returncode != 0, out
    settled(pair, before)
    done = pair.playbook("collect.yml", *words)
    assert done.returncode == 0, done.stdout
    assert {vantage["host"] for vantage in manifest(tmp_path)["vantages"]} == {"node1", "node2"}


def test_two_campaigns_that_want_the_same_setting(pair, campaign, before, tmp_path):
    first = campaign(campaign_duration="10m")
    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *first))
    capturing(pair, first)
    second = campaign(campaign_settings={"ethtool": {"features": {"tso": True}}})
    done = pair.playbook("capture_campaign.yml", *second)
    assert done.returncode != 0
    owner = first[1].partition("=")[2]
    assert f"-{owner}-" in done.stdout + done.stderr, "the refusal names the owner"
    assert pair.playbook("stop.yml", *first).returncode == 0
    assert controller.wait(timeout=HUNG) == 0
    settled(pair, before)


# what is wrong, what the campaign says, words that the one sentence has
BAD = [
    ("unknown device", {"campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth9"}]}, "eth9"),
    ("filter does not compile", {"campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth1", "filter": "tcp prot 80"}]}, "syntax error"),
    ("filter begins with -", {"campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth1", "filter": "-w /etc/passwd"}]}, "begins with '-'"),
    ("duration 0", {"campaign_duration": "0s"}, "campaign_duration"),
    ("T0 in the past", {"campaign_start": "2020-01-01T00:00:00Z"}, "campaign_start"),
    ("budget larger than the disk", {"campaign_limits": {"bytes": "900T", "min_free": "1%"}}, "make room"),
    ("unknown feature", {"campaign_settings": {"ethtool": {"features": {"grooo": False}}}}, "grooo"),
    ("private flag the driver lacks", {"campaign_settings": {"ethtool": {"private_flags": {"sniffer": True}}}}, "sniffer"),
    ("unknown key", {"campaign_duratoin": "5s"}, "campaign_duration"),
    ("nobody", {"campaign_vantages": [{"hosts": "no_such_group", "device": "eth1"}]}, "no_such_group"),
]  # fmt: skip


@pytest.mark.parametrize("changes, words", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_refused_before_anything_is_touched(pair, campaign, before, changes, words):
    state = pair.ssh("node1", "find /var/lib/wirefleet 2>/dev/null | sort")
    done = pair.playbook("capture_campaign.yml", *campaign(**changes))
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert pair.ssh("node1", "find /var/lib/wirefleet 2>/dev/null | sort") == state
    assert {host: pair.ssh(host, FEATURES) for host in before} == before


@pytest.mark.parametrize("name", ["../etc", "a/b", "..", "-x"])
def test_a_campaign_name_that_leads_elsewhere(pair, name, tmp_path):
    done = pair.playbook("stop.yml", "-e", json.dumps({"campaign": name}), "-e", f"campaign_evidence_root={tmp_path / 'evidence'}")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert f"the campaign is called {name!r}; use letters, digits" in " ".join((done.stdout + done.stderr).split())
