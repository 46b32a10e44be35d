# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor that hosts run writes to a real S3-compatible server (OpenStack Swift), and the collector confirms what that has."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import socket
import struct
import subprocess
import sys

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle
from ansible_collections.wirefleet.capture.plugins.module_utils.session import objects as on_host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, collect, evidence, objects, units

from tests.integration import store as ours
from tests.integration.fleet import ROOT, wait_until

RUN = "20261123T101500Z-x-3fa9c1"
T0 = 1_795_428_900
PATH = "vantages/node1__eth1/raw/0001.pcap"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    """A server with an empty bucket."""
    ours.installed()
    port = free_ports()
    folder = tmp_path_factory.mktemp("store")
    words = [sys.executable, "-m", "tests.lab.objectstore", str(folder), "127.0.0.1", str(port)]
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=out) as server:
        try:
            wait_until(lambda: "serving" in log.read_text() or server.poll() is not None, 800, "the store does not come up")
            assert server.poll() is None, log.read_text()
            found = f"http://127.0.0.1:{port}"
            asked(found, "make")
            yield found
        finally:
            server.terminate()


def free_ports():
    """Return a port that nobody listens on, nor on the three that follow it."""
    return next(base for base in range(21000, 60000, 10) if all(free(base + number) for number in range(4)))


def free(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) != 0


def asked(endpoint, what):
    """Return {key: [bytes, sha256]} of what the server has, by a client that is not ours."""
    done = subprocess.run([sys.executable, *ours.words(endpoint, what)], env=ours.environment(), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture
def credentials(monkeypatch):
    for name, value in ours.CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def host(tmp_path):
    """A session's folder as a host leaves it, with the real supervisor and a capture of three segments in it."""
    folder = tmp_path / "host"
    (folder / PATH).parent.mkdir(parents=True)
    (folder / "vantages/node1__eth1/log").mkdir()
    (folder / "vantages/node1__eth1/log/engine.stderr").write_text("listening\n")
    (folder / "result.json").write_text(json.dumps({"schema": 1, "state": "done", "vantages": []}))
    write_pcap(folder / PATH, 118_000)
    bundle.write(str(folder), bundle.build())
    return folder


def write_pcap(path, packets, size=1200):
    noise = random.Random(7)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(packets):
            file.write(struct.pack("<IIII", T0 + number % 60, number % 1_000_000, size, size) + noise.randbytes(size // 2) + bytes(size - size // 2))


@pytest.fixture
def run(tmp_path):
    found = evidence.Run(str(tmp_path / "evidence"), RUN)
    session = {"host": "node1", "t0_ns": T0 * 10**9, "duration_s": 60.0, "vantages": [{"vantage_id": "node1__eth1"}]}
    found.create({"sessions": {"node1": session}})
    return found


def serving(host):
    return [sys.executable, str(host / "supervisor.pyz"), "serve", str(host)]


def stream(host):
    return channel.Stream(serving(host), timeout=60)


def pieces(host, tmp_path):
    """The way of connections without a stream, which copies files."""
    commands = []

    def execute(command, as_root):
        commands.append(command)
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def copy(source, target):
        with open(source, "rb") as read, open(target, "wb") as write:
            write.write(read.read())

    for name in ("remote", "local"):
        (tmp_path / name).mkdir(exist_ok=True)
    return channel.Pieces(serving(host), execute, copy, str(tmp_path / "remote"), str(tmp_path / "local"), copy), commands


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def uploaded(run):
    with open(run.path("events.ndjson"), encoding="utf-8") as file:
        return [event for event in map(json.loads, file) if event["event"] == "uploaded"]


class Cut(channel.Stream):
    """A host that is killed once the store has a part; it never was told where the second goes, so it is no matter when it dies."""

    def follow(self, request):
        for answer in super().follow({**request, "urls": request["urls"][:1]}):
            yield answer
            if "part" in answer:
                self._process.kill()


class Counting(channel.Stream):
    """A connection that counts what the host says."""

    count = 0

    def _fill(self, buffer):
        count = super()._fill(buffer)
        self.count += count
        return count


@pytest.mark.parametrize("compress", ["never", "gzip"])
def test_an_interrupted_upload_goes_on_and_the_object_is_what_was_captured(endpoint, credentials, host, run, tmp_path, compress):
    prefix = f"resumed-{compress}"
    wanted, size = sha256(host / PATH), (host / PATH).stat().st_size
    assert size > 2 * channel.SEGMENT
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/{prefix}", endpoint))
    with pytest.raises(collect.CollectError, match="nothing was removed there"):
        collect.Collector(run, "node1", lambda: Cut(serving(host), timeout=60), compress, store=store).collect()
    assert (host / PATH).exists()

    heard = Counting(serving(host), timeout=60)
    done = collect.Collector(run, "node1", lambda: heard, compress, store=store).collect()
    file = run.record("node1")["files"][PATH]
    assert (done["files"], file["sha256_raw"]) == (2, wanted)
    assert file["summary"]["packets"] == 118_000 and file["summary"]["status"] == "ok"
    (event,) = uploaded(run)
    assert event["already_there"] == file["segments"][0]["stored_bytes"], "the first part was not sent again"
    key = f"{prefix}/{RUN}/{PATH}" + {"never": "", "gzip": ".gz"}[compress]
    assert event["url"] == f"s3://{ours.BUCKET}/{key}"
    assert asked(endpoint, "list")[key] == [collect.stored(file), file["sha256_stored"]]
    if compress == "gzip":
        assert inflated(store, key) == wanted
    assert not (host / PATH).exists(), "the host's copy goes after the store's was confirmed"
    assert heard.count < 64 << 10 and not list(tmp_path.glob("evidence/**/*.pcap*")), f"no capture came to the controller, which heard {heard.count} bytes"
    assert (tmp_path / "evidence" / f"{RUN}.partial/vantages/node1__eth1/log/engine.stderr").read_text() == "listening\n"


def inflated(store, key):
    digest = hashlib.sha256()
    with gzip.open(store._client.get_object(Bucket=store.place.bucket, Key=key)["Body"]) as raw:
        for block in iter(lambda: raw.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def test_a_connection_without_a_stream_names_no_url_in_a_command(endpoint, credentials, host, run, tmp_path):
    write_pcap(host / PATH, 100)
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/pieces", endpoint))
    opened, commands = pieces(host, tmp_path)
    collect.Collector(run, "node1", lambda: opened, "auto", store=store).collect()
    assert asked(endpoint, "list")[f"pieces/{RUN}/{PATH}"][1] == run.record("node1")["files"][PATH]["sha256_raw"]
    assert commands and not any("X-Amz" in command for command in commands)
    assert "X-Amz" not in json.dumps(run.record("node1"))


def test_auto_compresses_where_the_way_to_the_store_is_slow(endpoint, credentials, host, run, monkeypatch):
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/slow", endpoint))
    original = collect.codecs.choose
    monkeypatch.setattr(collect.codecs, "choose", lambda link, ratio, theirs: original(5e6, ratio, ("gzip",)))
    collect.Collector(run, "node1", lambda: stream(host), "auto", store=store).collect()
    assert [key for key in asked(endpoint, "list") if key.startswith("slow/")] == [f"slow/{RUN}/{PATH}.gz"], "and the trial left nothing"


def test_the_store_checks_what_comes(endpoint, credentials):
    """A byte that changed on the way is refused by the server, so that an object is never silently another one."""
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/md5", endpoint))
    right, other = b"as captured", b"AS CAPTURED"
    md5 = hashlib.md5(right).hexdigest()
    bodies = iter([other, other, right])
    sent = []

    def body():
        sent.append(next(bodies))
        return sent[-1]

    assert on_host.put(store.put_url("md5/x"), body, len(right), md5, pause_s=0) == md5
    assert sent == [other, other, right]


# what is wrong with the place, the endpoint or the credentials; words that the one sentence has
WRONG = [
    ("no such bucket", {"bucket": "elsewhere"}, {}, "NoSuchBucket.*create the bucket"),
    ("unknown key", {}, {"AWS_ACCESS_KEY_ID": "lab:nobody"}, "403 .*check the"),
    ("wrong secret", {}, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch.*check the secret key"),
    ("nobody listens", {"endpoint": "http://127.0.0.1:9"}, {}, "cannot be asked from the controller.*campaign_collect_endpoint"),
]


@pytest.mark.parametrize("touch", [True, False], ids=["for real", "dry run"])
@pytest.mark.parametrize("place, environment, words", [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_one_sentence_on_the_controller(endpoint, credentials, monkeypatch, place, environment, words, touch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    where = objects.place(f"s3://{place.get('bucket', ours.BUCKET)}/x", place.get("endpoint", endpoint))
    with pytest.raises(units.Unusable, match=words) as caught:
        objects.Store(where).check(RUN, touch)
    assert str(caught.value).count("\n") == 0 and ours.CREDENTIALS["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


@pytest.mark.parametrize("touch", [True, False], ids=["for real", "dry run"])
def test_a_probe_leaves_nothing(endpoint, credentials, touch):
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/probed", endpoint))
    store.check(RUN, touch)
    assert on_host.probe(store.probe_urls(RUN, "node1", touch)) is None
    assert not [key for key in asked(endpoint, "list") if key.startswith("probed/")]


def test_a_url_serves_one_object_only(endpoint, credentials):
    store = objects.Store(objects.place(f"s3://{ours.BUCKET}/x", endpoint))
    other = store.put_url("mine").replace("/mine?", "/yours?")
    with pytest.raises(Refused, match="SignatureDoesNotMatch") as caught:
        on_host.put(other, lambda: b"x", 1, hashlib.md5(b"x").hexdigest(), pause_s=0)
    assert "X-Amz" not in str(caught.value), "URLs are secrets"
