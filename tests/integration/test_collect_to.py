# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign whose hosts write their captures to a real S3-compatible server of the lab's network: no packet reaches the controller."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import jsonschema
import pytest
import yaml

from tests.integration import store as ours
from tests.integration.fleet import ROOT
from tests.lab.fleet import HUB_ADDRESS

PORT = 8333
ENDPOINT = f"http://{HUB_ADDRESS}:{PORT}"
SCHEMA = ROOT / "docs/schemas/campaign.schema.json"
SECRET = ours.CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
#: Part of what ping sends.
PAYLOAD = bytes(range(0x10, 0x60))
KEPT = "find /var/lib/wirefleet/*-{name}-* -name '*.pcap*' 2>/dev/null"


@pytest.fixture(scope="module")
def store(pair, tmp_path_factory):
    """The server, inside the lab; returns what asks it by a client that is not ours."""
    ours.installed()
    folder = tmp_path_factory.mktemp("store")
    server = pair.start(sys.executable, "-m", "tests.lab.objectstore", str(folder), HUB_ADDRESS, str(PORT))
    said = server.stdout.readline()
    assert said == "serving\n", said + server.stdout.read()

    def ask(what):
        done = pair.inside(*given(), sys.executable, *ours.words(ENDPOINT, what))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    ask("make")
    yield ask
    pair.inside("pkill", "-f", "tests.lab.objectstore")
    server.wait(timeout=60)


def given(**changed):
    """Return the words that give a command inside the lab credentials."""
    return ["env", *(f"{name}={value}" for name, value in {**ours.CREDENTIALS, **changed}.items())]


@pytest.fixture
def campaign(pair, tmp_path):
    """Run a playbook on a campaign over both hosts and return how it ended."""

    def start(name, *words, playbook="capture_campaign.yml", credentials=None, **changes):
        text = {
            "campaign_vantages": [{"hosts": "tcp_hosts", "device": "eth1", "filter": "icmp or (vlan and icmp)", "snaplen": 0}],
            "campaign_start": pair.soon(logins=20),  # which the store is asked after, too
            "campaign_duration": "3s",
            "campaign_limits": {"bytes": "20M", "min_free": "1%"},
            "campaign_collect_to": f"s3://{ours.BUCKET}/{name}",
            "campaign_collect_endpoint": ENDPOINT,
            **changes,
        }
        file = pathlib.Path(pair.inventory).parent / "campaigns" / f"{name}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(text))
        root = ["-e", f"campaign={name}", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]
        done = pair.inside(*given(**(credentials or {})), *pair.playbook_words(playbook, *root, *words))
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return start


def published(tmp_path):
    (folder,) = [path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial"]
    return folder, json.loads((folder / "campaign.json").read_text())


def said(done):
    """Return what a playbook printed, however it was wrapped."""
    return " ".join((done.stdout + done.stderr).split())


def test_hosts_write_to_the_store_and_the_evidence_says_where(pair, store, campaign, echoes, tmp_path):
    done = campaign("stored", "-vvv")
    assert done.returncode == 0, done.stdout
    folder, manifest = published(tmp_path)
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    assert [vantage["status"] for vantage in manifest["vantages"]] == ["ok", "ok"]
    there = store("list")
    raw = [file for vantage in manifest["vantages"] for file in vantage["files"] if "/raw/" in file["path"]]
    assert len(raw) == 2 and len(there) == 2, "the probes are gone"
    for file in raw:
        assert file["object"]["url"] == f"s3://{ours.BUCKET}/stored/{manifest['campaign']}/{file['path']}"
        key = file["object"]["url"].partition(f"{ours.BUCKET}/")[2]
        assert there[key] == [file["stored_bytes"], file["sha256_stored"]], "as the host hashed it"
        assert file["packets"] >= 10 and file["parse_status"] == "ok"
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert {file["path"]: file["sha256_stored"] for file in raw}.items() <= sums.items()
    subprocess.run(["sha256sum", "-c", "--quiet", "--ignore-missing", "SHA256SUMS"], cwd=folder, check=True)

    assert not list(folder.rglob("*.pcap*")), "no capture came to the controller"
    assert sum(file.stat().st_size for file in folder.rglob("*")) < 1 << 20
    assert not any(PAYLOAD in file.read_bytes() for file in folder.rglob("*") if file.is_file()), "nor any of what ping sends"
    for host in ("node1", "node2"):
        assert pair.ssh(host, KEPT.format(name="stored"), check=False) == "", "the host's copy goes after the store's was confirmed"
        assert pair.ssh(host, f"grep -rl -e '{SECRET}' -e X-Amz-Signature /var/lib/wirefleet /tmp /var/tmp", check=False) == ""
    whole = done.stdout + done.stderr + "".join(file.read_text() for file in folder.rglob("*") if file.suffix in (".json", ".ndjson"))
    assert SECRET not in whole and "X-Amz-Signature" not in whole, "also not with -vvv"
    assert f"captures of {manifest['campaign']} are in s3://{ours.BUCKET}/stored/" in said(done) and "aws --endpoint-url" in said(done)
    analysed_after_download(pair, campaign, folder, f"stored/{manifest['campaign']}/")


#: Copies what lies below a prefix into a folder, as the tools of S3 do: argv is endpoint, bucket, prefix and folder.
DOWNLOAD = """
import botocore.session, os, sys
from botocore.config import Config
endpoint, bucket, prefix, folder = sys.argv[1:]
client = botocore.session.get_session().create_client("s3", region_name="us-east-1", endpoint_url=endpoint, config=Config(signature_version="s3v4"))
for entry in client.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
    path = os.path.join(folder, entry["Key"].removeprefix(prefix))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
"""


def analysed_after_download(pair, campaign, folder, prefix):
    got = pair.inside(*given(), sys.executable, "-c", DOWNLOAD, ENDPOINT, ours.BUCKET, prefix, str(folder))
    assert got.returncode == 0, got.stderr
    assert any(PAYLOAD in file.read_bytes() for file in folder.rglob("*.pcap*")), "the captures do hold what ping sends"
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    done = campaign("stored", playbook="analyse.yml")
    assert done.returncode == 0, done.stdout
    assert json.loads((folder / "report/report.json").read_text())["verdict"]["answer"] == "no_loss"


def test_keys_come_home_and_captures_go_to_the_store(pair, store, campaign, echoes, tmp_path):
    done = campaign("keyed", campaign_collect="index")
    assert done.returncode == 0, done.stdout
    folder, manifest = published(tmp_path)
    jsonschema.validate(manifest, json.loads(SCHEMA.read_text()))
    assert not list(folder.rglob("*.pcap*")) and len(list(folder.rglob("vantages/*/keys/*"))) == 2
    raw = [file for vantage in manifest["vantages"] for file in vantage["files"] if "/raw/" in file["path"]]
    there = store("list")
    assert [there[file["object"]["url"].partition(f"{ours.BUCKET}/")[2]][1] for file in raw] == [file["sha256_stored"] for file in raw]
    assert len(raw) == 2 and not any(vantage["left_out"] for vantage in manifest["vantages"]), "nothing stayed on a host"
    assert json.loads((folder / "report/report.json").read_text())["verdict"]["answer"] == "no_loss", "by the keys"


def test_a_dry_run_says_where_data_would_go_and_writes_nothing(pair, store, campaign, tmp_path):
    before = store("list")
    done = campaign("dry", "--check", "--diff")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(f"writes its captures to s3://{ours.BUCKET}/dry/") == done.stdout.count(f"at {ENDPOINT} itself") == 2
    assert store("list") == before and not (tmp_path / "evidence").exists()


# what is wrong, the campaign's words, the controller's credentials, and words of the one sentence
WRONG = [
    ("bucket", {"campaign_collect_to": "s3://elsewhere/x"}, {}, "NoSuchBucket"),
    ("secret", {}, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "check the secret key"),
    ("endpoint", {"campaign_collect_endpoint": f"http://{HUB_ADDRESS}:9"}, {}, "cannot be asked from the controller"),
    ("way of the hosts", {"campaign_collect_endpoint": f"http://127.0.0.1:{PORT}"}, {}, "cannot be reached from here"),
    ("scheme", {"campaign_collect_to": "gs://captures/x"}, {}, "names no bucket"),
]


@pytest.mark.parametrize("changes, credentials, words", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said_before_anything_is_touched(pair, store, campaign, tmp_path, changes, credentials, words):
    listing = "ls /var/lib/wirefleet 2>/dev/null"
    before = pair.ssh("node1", listing, check=False)
    relay = None
    if "127.0.0.1" in changes.get("campaign_collect_endpoint", ""):
        relay = pair.start(sys.executable, "-c", RELAY, HUB_ADDRESS, str(PORT))
        assert relay.stdout.readline() == "relaying\n"
    try:
        done = campaign("wrong", credentials=credentials, **changes)
    finally:
        if relay:
            pair.inside("pkill", "-f", "relaying")
            relay.wait(timeout=60)
    assert done.returncode != 0 and words in said(done), done.stdout
    assert pair.ssh("node1", listing, check=False) == before
    assert not [path for path in (tmp_path / "evidence").glob("*") if path.suffix != ".partial"]


#: Makes the store answer on the controller's own loopback address too, to which no host has a way.
RELAY = """
import socket, sys, threading
server = socket.create_server(("127.0.0.1", int(sys.argv[2])))
print("relaying", flush=True)
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
while True:
    near, _address = server.accept()
    far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
    for pair in ((near, far), (far, near)):
        threading.Thread(target=pump, args=pair, daemon=True).start()
"""
