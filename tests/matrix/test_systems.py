# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on hosts, on the userland of every suite of Debian that we name, and on its kernel. A test's first line is its row in
docs/systems.md.

Modules run on all hosts at once, in fixtures; each test looks at one host.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import time
import uuid
from functools import partial

import pytest
import yaml
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index

from tests.integration.fleet import ROOT, wait_until
from tests.matrix.hosts import ADDRESS, DEVICE, everywhere, on_each, outcomes, restored, rows, shown
from tests.matrix.page import SUITES

#: Whom each host sends to.
PEER = dict(zip(SUITES, (*SUITES[1:], SUITES[0])))
SHOWN = f"ethtool -k {DEVICE} | grep -E '^(generic-receive|tcp-segmentation)-offload'; sysctl net.core.somaxconn net.core.rmem_max"
PORT = 5201
#: What is raised, and what nobody can write: hosts without a kernel of their own share most of the machine's parameters.
FLOORS = {
    "systems": {"net.core.somaxconn": 8192},
    "kernels": {"net.core.somaxconn": 8192, "net.core.rmem_max": 16777216},
}
READ_ONLY = {"systems": "net.core.rmem_max", "kernels": "kernel.ngroups_max"}
#: Seconds in which what is waited for has happened also on a machine that has much else to do.
LONG = 300


@pytest.fixture(scope="module")
def before(systems):
    """What the hosts show; kernels differ in whether veth begins with GRO."""
    for suite in SUITES:
        systems.ssh(suite, f"ethtool -K {DEVICE} gro off")
    return shown(systems, SHOWN)


@pytest.fixture(scope="module")
def features(systems, before):
    """Features foreseen, set, set again and put back, with what ethtool shows in between."""
    wanted = {"device": DEVICE, "features": {"tso": False, "gro": True}}
    return {
        "foreseen": everywhere(systems, "ethtool", wanted, check=True), "untouched": shown(systems, SHOWN),
        "done": everywhere(systems, "ethtool", wanted), "changed": shown(systems, SHOWN),
        "again": everywhere(systems, "ethtool", wanted),
        "restored": restored(systems), "after": shown(systems, SHOWN),
    }  # fmt: skip


@on_each
def test_features_are_foreseen(features, before, suite):
    """`ethtool`, features: check mode says the commands and touches nothing."""
    (command,) = features["foreseen"][suite]["commands"]
    assert command.startswith(f"ethtool -K {DEVICE} tx-tcp-segmentation off ") and command.endswith(" rx-gro on")
    assert features["untouched"][suite] == before[suite]


@on_each
def test_features_are_set_once(features, suite):
    """`ethtool`, features: set, read back, and not set again."""
    done = features["done"][suite]
    assert (done["changed"], done["commands"]) == (True, features["foreseen"][suite]["commands"])
    lines = features["changed"][suite].splitlines()[:2]
    assert sorted(lines) == ["generic-receive-offload: on", "tcp-segmentation-offload: off"]
    assert features["again"][suite]["changed"] is False


@on_each
def test_features_are_put_back(features, before, suite):
    """`ethtool`, features: put back from the journal."""
    assert set(outcomes(features["restored"][suite]).values()) == {"restored"}
    assert features["after"][suite] == before[suite]


@pytest.fixture(scope="module")
def refused(systems, before):
    """What the module says of things that veth has not."""
    return {
        "ring": everywhere(systems, "ethtool", {"device": DEVICE, "ring": {"rx": 512}}),
        "flag": everywhere(systems, "ethtool", {"device": DEVICE, "private_flags": {"sniffer": True}}),
        "feature": everywhere(systems, "ethtool", {"device": DEVICE, "features": {"grooo": False}}),
        "module": everywhere(systems, "modprobe_options", {"name": "no_such", "options": {"max": 1}}),
        "after": shown(systems, SHOWN),
    }


@on_each
def test_what_a_driver_has_not_is_refused(refused, before, suite):
    """`ethtool`, `modprobe_options`: what the host has not is refused in a sentence."""
    said = {name: refused[name][suite]["msg"] for name in ("ring", "flag", "feature", "module")}
    assert DEVICE in said["ring"] and "ring" in said["ring"], said
    assert "sniffer" in said["flag"] and "grooo" in said["feature"] and "no_such" in said["module"], said
    assert not [words for words in said.values() if "Traceback" in words]
    assert refused["after"][suite] == before[suite]


@pytest.fixture(scope="module")
def floors(systems, fleet_name, before):
    wanted = {"values": FLOORS[fleet_name]}
    return {
        "done": everywhere(systems, "sysctl_floor", wanted), "changed": shown(systems, SHOWN),
        "again": everywhere(systems, "sysctl_floor", wanted),
        "restored": restored(systems), "after": shown(systems, SHOWN),
        "readonly": everywhere(systems, "sysctl_floor", {"values": {READ_ONLY[fleet_name]: 1 << 30}}), "end": shown(systems, SHOWN),
    }  # fmt: skip


@on_each
def test_floors_rise_and_go_back(floors, fleet_name, before, suite):
    """`sysctl_floor`: raised, not raised again, and put back."""
    assert (floors["done"][suite]["changed"], floors["again"][suite]["changed"]) == (True, False)
    assert {f"{name} = {value}" for name, value in FLOORS[fleet_name].items()} <= set(floors["changed"][suite].splitlines())
    assert outcomes(floors["restored"][suite]) == {("sysctl_floor", name): "restored" for name in FLOORS[fleet_name]}
    assert floors["after"][suite] == before[suite]


@on_each
def test_parameter_that_cannot_be_written(floors, fleet_name, before, suite):
    """`sysctl_floor`: a read-only parameter is a failure, whatever sysctl's exit code says."""
    words = floors["readonly"][suite]["msg"]
    assert words.startswith(f"sysctl_floor {READ_ONLY[fleet_name]} was set to 1073741824, but reads ") and words.endswith("nothing stays changed")
    assert f"{READ_ONLY[fleet_name]} is read-only here" in words
    assert floors["end"][suite] == before[suite]


def session(**changes):
    return {
        "schema": 1, "campaign": f"20261123T101500Z-systems-{uuid.uuid4().hex[:6]}", "name": "systems", "host": "{{ inventory_hostname }}",
        "t0_ns": time.time_ns() + 600 * 10**9, "duration_s": 300.0, "lead_s": 1.0, "limits": {"bytes": 10_000_000},
        "settings": [[["ethtool_feature", DEVICE, "rx-gro"], True]], "resources": {"cpus": "0", "memory_max": 268435456},
        "vantages": [{"device": DEVICE, "engine": "auto", "filter": "icmp"}], **changes,
    }  # fmt: skip


@pytest.fixture(scope="module")
def preflight(systems):
    vantages = [{"device": DEVICE, "engine": "auto", "filter": "tcp prot 80"}, {"device": "eth9", "engine": "auto", "filter": "icmp"}]
    return {
        "good": everywhere(systems, "capture_info", {"session": session()}),
        "bad": everywhere(systems, "capture_info", {"session": session(vantages=vantages)}),
        "rdma": everywhere(systems, "rdma_info", {}),
    }


@on_each
def test_a_host_says_how_it_would_capture(preflight, suite):
    """`capture_info`: a session is filled in; a filter that does not compile and a missing device are named."""
    found = preflight["good"][suite]
    assert (found["problems"], found["python"]) == ([], "/usr/bin/python3")
    (vantage,) = found["session"]["vantages"]
    assert (vantage["engine"], vantage["capture_on"]) == ("tcpdump", DEVICE)
    problems = " ".join(preflight["bad"][suite]["problems"])
    assert "does not compile" in problems and "eth9" in problems


@on_each
def test_a_host_without_rdma_says_so(preflight, suite):
    """`rdma_info`: a host without RDMA is told apart, tools and versions are read."""
    found = preflight["rdma"][suite]["rdma"]
    assert found["captures"][0]["reason"].startswith("auto_rdma found no RDMA device that is up")
    assert (found["tools"]["libpcap_rdma"], found["tools"]["tcpdump"][:5]) == (False, "4.99.")


@pytest.fixture(scope="module")
def traffic(systems):
    """Echoes and a TCP stream from every host to the next, for as long as it takes."""
    for suite in SUITES:
        systems.put(suite, ROOT / "tests/traffic/tcp_bulk.py")
        systems.ssh(suite, f"python3 /var/tmp/tcp_bulk.py serve --port {PORT} > /dev/null 2>&1 &")
    for suite in SUITES:
        target = ADDRESS[PEER[suite]]
        wait_until(partial(systems.ssh, PEER[suite], f"ss -Hltn sport = {PORT}"), LONG, "nobody listens")
        systems.ssh(suite, f"ping -q -i 0.1 {target} > /dev/null 2>&1 &")
        systems.ssh(suite, f"python3 /var/tmp/tcp_bulk.py send --target {target} --port {PORT} --seconds 600 --rate 2e5 > /dev/null 2>&1 &")
    yield
    for suite in SUITES:
        systems.ssh(suite, "pkill ping; pkill -f tcp_bulk.py", check=False)


@pytest.fixture(scope="module")
def campaign(systems, before, traffic, tmp_path_factory):
    """One campaign over all hosts, from the plan to verified evidence: packet keys first, then the captures."""
    root, began = tmp_path_factory.mktemp("evidence"), time.monotonic()
    everywhere(systems, "capture_info", {"campaign": "none"})
    # What asks and arms are two calls that do more; how long they take is the machine's affair.
    start = 25 + 6 * (time.monotonic() - began)
    text = {
        "campaign_vantages": [{"hosts": "tcp_hosts", "device": DEVICE, "filter": f"icmp or tcp port {PORT}"}], "campaign_collect": "index",
        "campaign_start": f"+{start:.0f}s", "campaign_lead": "10s", "campaign_duration": "4s",
        "campaign_limits": {"bytes": "50M", "min_free": "1%"}, "campaign_settings": {"ethtool": {"features": {"tso": False, "gro": True}}},
        # A User-Mode Linux kernel's clock loses time while the machine is busy.
        "campaign_max_clock_error": "10s",
    }  # fmt: skip
    file = pathlib.Path(systems.inventory).parent / "campaigns" / "systems.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(text))
    words = "-e", "campaign=systems", "-e", f"campaign_evidence_root={root}"
    systems.set_clocks()
    keys = evidence(systems.playbook("capture_campaign.yml", *words), root)
    whole = evidence(systems.playbook("collect.yml", *words, "-e", "campaign_collect=whole"), root / "whole")
    found = json.loads((whole / "campaign.json").read_text())
    vantages = {vantage["host"]: vantage for vantage in found["vantages"]}
    files = {suite: capture(whole / "vantages" / vantage["vantage_id"]) for suite, vantage in vantages.items()}
    return {
        "vantages": vantages, "window": (found["window"]["t0_ns"] / 1e9, found["window"]["t1_ns"] / 1e9), "keys": keys, "files": files,
        "packets": {suite: packets(path) for suite, path in files.items()},
    }  # fmt: skip


def evidence(done, root):
    """Return the folder that a playbook published in *root*, each file of which is as it says itself."""
    assert done.returncode == 0, done.stdout
    (folder,) = [path for path in root.iterdir() if path.suffix != ".partial" and path.name != "whole"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    return folder


@on_each
def test_a_campaign_over_all_of_them(campaign, suite):
    """A campaign over all hosts at once: the window is captured whole, the evidence collected and verified."""
    vantage = campaign["vantages"][suite]
    assert (vantage["status"], vantage["reasons"], vantage["drops"]["kernel"]) == ("ok", [], 0)
    here, there = campaign["packets"][suite], campaign["packets"][PEER[suite]]
    begin, end = campaign["window"]
    for sender, receiver, what in ((suite, PEER[suite], "request"), (PEER[suite], suite, "reply")):
        path = f"IP {ADDRESS[sender]} > {ADDRESS[receiver]}: ICMP echo {what}"
        seen = echoes(here, path, begin, end)
        assert len(seen) > 20 and seen == list(range(seen[0], seen[-1] + 1)), "no echo of the window is missing"
        other = echoes(there, path)
        both = range(max(seen[0], other[0]), min(seen[-1], other[-1]) + 1)
        assert len(both) > 10 and set(both) <= set(other), "the other end has them too, in what is a window of both clocks"
    stream = f"IP {ADDRESS[suite]}."
    assert [line for line in here if stream in line and f" > {ADDRESS[PEER[suite]]}.{PORT}: " in line]


def echoes(lines, path, begin=0.0, end=float("inf")):
    """Return the sequence numbers of the echoes on a *path* between two moments, in the order of the lines."""
    numbers = [line.partition(" seq ")[2].partition(",")[0] for line in lines if path in line and begin <= float(line.split()[0]) < end]
    return [int(number) for number in numbers]


def capture(folder):
    (path,) = folder.rglob("*.pcap")
    return path


def packets(path):
    """Return what tcpdump says of the packets that a vantage brought home, with times in seconds since 1970."""
    return subprocess.run(["tcpdump", "-n", "-tt", "-r", str(path)], capture_output=True, text=True, check=True).stdout.splitlines()


@on_each
def test_packet_keys_come_home(campaign, suite, tmp_path):
    """`campaign_collect: index`: each host makes the packet keys of its capture, which are those that are made of it here."""
    name = campaign["vantages"][suite]["vantage_id"]
    assert not list(campaign["keys"].rglob("*.pcap*"))
    index(Wish([str(campaign["files"][suite])], str(tmp_path / "here.keys"), name))
    found = rows(campaign["keys"] / "vantages" / name / "keys/index.keys")
    assert found == rows(tmp_path / "here.keys") and len(found) == 152 * len(campaign["packets"][suite])


@on_each
def test_a_campaign_leaves_nothing(campaign, systems, before, suite):
    """After the campaign: settings as before, nothing of ours runs, the host's copy is gone."""
    wait_until(lambda: systems.ssh(suite, SHOWN) == before[suite], LONG, "settings are put back")
    wait_until(lambda: not systems.ssh(suite, "pgrep -f 'tcpdump|supervisor.pyz'", check=False), LONG, "nothing of ours runs")
    assert systems.ssh(suite, "find /var/lib/wirefleet/*-systems-* -name '*.pcap*'", check=False) == ""


@on_each
def test_a_killed_supervisor_is_cleaned_up(systems, before, suite):
    """The supervisor is killed with SIGKILL in its window: systemd has the settings put back from the journal."""
    wanted = session(host=suite)
    found = systems.module(suite, "capture_info", {"session": wanted})
    assert found["problems"] == []
    assert systems.module(suite, "capture_session", {"state": "started", "session": found["session"]})["changed"]
    heartbeat = f"cat /var/lib/wirefleet/{wanted['campaign']}/heartbeat.json"
    wait_until(lambda: '"capturing"' in systems.ssh(suite, heartbeat, check=False), LONG, "the window opens")
    assert "generic-receive-offload: on" in systems.ssh(suite, SHOWN)
    unit = f"wirefleet-{wanted['campaign']}"
    properties = systems.ssh(suite, f"systemctl show {unit} -p CPUAffinity,MemoryMax,MainPID")
    known = dict(line.split("=", 1) for line in properties.splitlines())
    assert (known["CPUAffinity"], known["MemoryMax"]) == ("0", "268435456")
    systems.ssh(suite, f"kill -KILL {known['MainPID']}")
    wait_until(lambda: systems.ssh(suite, SHOWN) == before[suite], LONG, "the settings are put back")
    (left,) = wait_until(lambda: ended(systems, suite, wanted["campaign"]), LONG, "there is a result")
    assert (left["state"], left["result"]["stop_reason"], left["open_changes"]) == ("failed", "supervisor_lost", [])
    assert systems.ssh(suite, f"pgrep -f {wanted['campaign']}", check=False) == ""
    systems.module(suite, "capture_session", {"campaign": wanted["campaign"], "state": "absent", "force": True})


def ended(systems, suite, campaign):
    captures = systems.module(suite, "capture_info", {"campaign": campaign})["captures"]
    return captures if captures and captures[0]["result"] else None
