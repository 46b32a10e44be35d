# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign that brings packet keys home, and the captures later: what travels, what stays, and what a rerun does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import signal
import subprocess
from functools import partial

import jsonschema
import pytest
import yaml
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import Reader

from tests.integration.fleet import ROOT, wait_until

NAME = "keysonly"
FEATURE = "ethtool -k eth1 | grep generic-receive-offload"
FOLDER = f"/var/lib/wirefleet/*-{NAME}-*"


@pytest.fixture
def words(tmp_path, pair):
    """Write the campaign and return the words that run it; its evidence lies in tmp_path."""
    text = {
        "campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth1", "filter": "icmp or (vlan and icmp)"}],
        "campaign_start": pair.soon(), "campaign_duration": "4s", "campaign_collect": "index", "campaign_path": ["node1", "node2"],
        "campaign_settings": {"ethtool": {"features": {"gro": False}}}, "campaign_limits": {"bytes": "20M", "min_free": "1%"},
    }  # fmt: skip
    file = pathlib.Path(pair.inventory).parent / "campaigns" / f"{NAME}.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(text))
    return ["-e", f"campaign={NAME}", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]


def rows(path):
    with open(path, "rb") as stream:
        return list(Reader(stream).planes())


def is_indexed(fleet, host):
    return '"done"' in fleet.ssh(host, f"cat {FOLDER}/index.json", check=False)


def copied(fleet, host, tmp_path):
    """Return a copy of the capture that *host* kept, fetched behind the collection's back."""
    file = tmp_path / f"{host}.pcap"
    file.write_bytes(base64.b64decode(fleet.ssh(host, f"base64 -w0 {FOLDER}/vantages/{host}__eth1/raw/0001.pcap")))
    return file


def run_of(root):
    (folder,) = [path for path in root.iterdir() if path.name != "whole"]
    assert folder.suffix != ".partial"
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    manifest = json.loads((folder / "campaign.json").read_text())
    jsonschema.validate(manifest, json.loads((ROOT / "docs/schemas/campaign.schema.json").read_text()))
    return folder, manifest


def test_keys_come_home_after_the_controller_died_and_the_captures_when_asked_for(pair, words, echoes, tmp_path):
    before = pair.ssh("node1", FEATURE)
    plan = pair.playbook("capture_campaign.yml", *words, "--check", "--diff")
    assert plan.returncode == 0, plan.stdout
    assert plan.stdout.count("ships its packet keys, at most 10.0 MiB and usually a fifth of that; the capture stays here for 7 days") == 2
    assert not (tmp_path / "evidence").exists()

    controller = pair.start(*pair.playbook_words("capture_campaign.yml", *words))
    wait_until(lambda: '"capturing"' in pair.ssh("node1", f"cat {FOLDER}/heartbeat.json", check=False), 300, "no window opened")
    os.killpg(controller.pid, signal.SIGKILL)
    for host in ("node1", "node2"):
        wait_until(partial(is_indexed, pair, host), 300, f"{host} made no index by itself")
        assert not pair.ssh(host, f"ls -d {FOLDER}/cache", check=False)
    assert pair.ssh("node1", FEATURE) == before

    collected = pair.playbook("collect.yml", *words)
    assert collected.returncode == 0, collected.stdout
    folder, manifest = run_of(tmp_path / "evidence")
    assert not list(folder.rglob("*.pcap*")) and manifest["collect"] == "index"
    for vantage in manifest["vantages"]:
        host, (left,) = vantage["host"], vantage["left_out"]
        kept = copied(pair, host, tmp_path)
        assert (left["bytes"], left["sha256_raw"]) == (kept.stat().st_size, hashlib.sha256(kept.read_bytes()).hexdigest())
        index(Wish([str(kept)], str(tmp_path / f"{host}.keys"), f"{host}__eth1"))
        assert rows(folder / f"vantages/{host}__eth1/keys/index.keys") == rows(tmp_path / f"{host}.keys")
        assert vantage["status"] == "ok" and 10 <= vantage["counts"]["in_window"] <= 84
        assert left["packets"] == vantage["counts"]["packets"]
    assert json.loads((folder / "report/report.json").read_text())["verdict"]["answer"] == "no_loss"
    assert (folder / "derived/node1__eth1/keys.parquet").exists() and "index.keys" in collected.stdout

    again = pair.playbook("collect.yml", *words)
    assert again.returncode == 0 and f"is collected already: {folder}" in again.stdout

    later = pair.playbook("collect.yml", *words, "-e", "campaign_collect=whole")
    assert later.returncode == 0, later.stdout
    whole, complete = run_of(tmp_path / "evidence" / "whole")
    assert whole.name == folder.name and complete["collect"] == "whole"
    for host in ("node1", "node2"):
        assert (whole / f"vantages/{host}__eth1/raw/0001.pcap").read_bytes() == (tmp_path / f"{host}.pcap").read_bytes()
        assert not pair.ssh(host, f"find {FOLDER} -name '*.pcap*'"), "the host's copy goes after verification"
    verdicts = [json.loads((run / "report/report.json").read_text())["verdict"] for run in (folder, whole)]
    assert verdicts[0] == verdicts[1]
    once_more = pair.playbook("collect.yml", *words, "-e", "campaign_collect=whole")
    assert f"is collected already: {whole}" in once_more.stdout


# what is wrong, what is added to the command line, words that the one sentence has
BAD = [
    ("unknown value", {"campaign_collect": "indx"}, "the campaign.campaign_collect is 'indx' (did you mean 'index'?); it must be one of whole, index"),
    ("no room for the index", {"campaign_limits": {"bytes": "{room}", "min_free": "0%"}}, "and its index"),
]


@pytest.mark.parametrize("changes, sentence", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_input_is_refused_before_anything_is_touched(pair, words, changes, sentence):
    listing = "find /var/lib/wirefleet 2>/dev/null | sort"
    state = pair.ssh("node1", listing)
    free = int(pair.ssh("node1", "df --output=avail -B1 /var/lib | tail -1"))
    text = json.dumps(changes).replace("{room}", str(free * 4 // 5))
    done = pair.playbook("capture_campaign.yml", *words, "-e", text)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode != 0 and sentence in said and "Traceback" not in said
    assert pair.ssh("node1", listing) == state
