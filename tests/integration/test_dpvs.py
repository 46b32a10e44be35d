# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign over ssh on a load balancer with two instances of DPVS (the double of tests/dpvs), and what is left when things die."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import signal

import pytest
import yaml

from tests.integration.fleet import HUNG, wait_until

HOST = "lb1"
NUMBERS = itertools.count(1)
IPC_FILES = {"client1": "/var/run/dpvs.ipc", "client2": "/var/run/dpvs2.ipc"}
ECHOES = {"client1": 40, "client2": 25}


@pytest.fixture
def campaign(tmp_path, dpvs):
    """Return the words that run a campaign on the same port of both instances; its evidence lies in tmp_path."""
    name = f"dpvs{next(NUMBERS)}"
    vantages = [{"hosts": "dpvs", "device": "dpdk0", "dpvs": {"ipc_file": path}, "filter": "icmp"} for path in IPC_FILES.values()]
    text = {"campaign_vantages": vantages, "campaign_start": dpvs.soon(), "campaign_duration": "10m", "campaign_limits": {"bytes": "20M", "min_free": "1%"}}
    file = pathlib.Path(dpvs.inventory).parent / "campaigns" / f"{name}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(text))
    return ["-e", f"campaign={name}", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]


def manifest(tmp_path):
    (folder,) = [path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial"]
    return json.loads((folder / "campaign.json").read_text())


def shown(fleet):
    """Return what both instances say of their port, and the state of its KNI device."""
    look = "DPVS_IPC_FILE={} dpip link show dpdk0; ip -n {} link show dpdk0.kni | grep -o 'state [A-Z]*'"
    return [fleet.ssh(HOST, look.format(path, f"dpvs{n}"), check=False) for n, path in enumerate(IPC_FILES.values(), 1)]


def copying(text):
    return "foward2kni" in text or "forward2kni" in text


def capturing(fleet, words):
    name = words[1].partition("=")[2]
    heartbeat = f"cat /var/lib/wirefleet/*-{name}-*/heartbeat.json"

    def listens():
        said = fleet.ssh(HOST, heartbeat, check=False)
        return '"capturing"' in said and said.count('"listening"') == len(IPC_FILES)

    wait_until(listens, 300, "no window opened in which both engines listen")


def taken(fleet, words):
    """Return the packets that the engines of both instances say they have."""
    name = words[1].partition("=")[2]
    said = json.loads(fleet.ssh(HOST, f"cat /var/lib/wirefleet/*-{name}-*/heartbeat.json"))
    return [vantage["packets"] for vantage in said["vantages"]]


def echo(fleet):
    for end, count in ECHOES.items():
        fleet.ssh(HOST, f"ip netns exec {end} ping -q -i 0.02 -c {count} 10.79.{end[-1]}.2")


def test_both_instances_are_seen_and_put_back(dpvs, campaign, tmp_path):
    before = shown(dpvs)
    assert not any(map(copying, before))
    controller = dpvs.start(*dpvs.playbook_words("capture_campaign.yml", *campaign))
    capturing(dpvs, campaign)
    assert all(map(copying, shown(dpvs)))
    echo(dpvs)
    assert dpvs.playbook("stop.yml", *campaign).returncode == 0
    out, _none = controller.communicate(timeout=HUNG)
    assert controller.returncode == 0, out
    found = {row["vantage_id"]: (row["status"], row["counts"]["in_window"]) for row in manifest(tmp_path)["vantages"]}
    assert found == {"lb1__dpdk0": ("ok", 2 * ECHOES["client1"]), "lb1__dpdk0_var_run_dpvs2": ("ok", 2 * ECHOES["client2"])}, out
    assert shown(dpvs) == before


@pytest.mark.parametrize("victim", ["controller", "supervisor"])
def test_dpvs_stops_copying_whoever_is_killed(dpvs, campaign, tmp_path, victim):
    before = shown(dpvs)
    # a window that ends without its controller has to be waited for, one whose supervisor is killed has not
    shorter = ["-e", f"campaign_duration={dpvs.lasting(8, logins=12)}"] if victim == "controller" else []
    controller = dpvs.start(*dpvs.playbook_words("capture_campaign.yml", *campaign, *shorter))
    capturing(dpvs, campaign)
    echo(dpvs)
    # an engine that dies with its supervisor forgets what the kernel has not handed over yet
    wait_until(lambda: taken(dpvs, campaign) == [2 * count for count in ECHOES.values()], 240, "the engines do not have all")
    if victim == "controller":
        os.killpg(controller.pid, signal.SIGKILL)
    else:
        dpvs.ssh(HOST, "pkill -KILL -f 'supervisor.pyz run'")
    wait_until(lambda: shown(dpvs) == before, 240, f"still copying: {shown(dpvs)}")
    if victim == "controller":
        done = dpvs.playbook("collect.yml", *campaign)
        assert done.returncode == 0, done.stdout
    else:
        controller.communicate(timeout=HUNG)
    counts = [row["counts"]["in_window"] for row in manifest(tmp_path)["vantages"]]
    assert counts == [2 * ECHOES["client1"], 2 * ECHOES["client2"]]
