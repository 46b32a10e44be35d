# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serve protocol and the collection, against the supervisor that hosts really run."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import types

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, codecs, collect, evidence

T0 = 1_795_428_900
SEGMENT = channel.SEGMENT


def pcap(packets: int, size: int = 200) -> bytes:
    """Return a capture file of *packets* packets of random payload."""
    random.seed(7)
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    payload = random.randbytes(size)
    for number in range(packets):
        records.append(struct.pack("<IIII", T0 + number % 60, number % 1_000_000, size, size) + payload)
    return b"".join(records)


@pytest.fixture
def host(tmp_path):
    """A session's folder as a host leaves it, with the real supervisor in it."""
    folder = tmp_path / "host"
    raw = folder / "vantages" / "node1__eth1" / "raw"
    raw.mkdir(parents=True)
    (raw / "0001.pcap").write_bytes(pcap(1000))
    (folder / "vantages" / "node1__eth1" / "log").mkdir()
    (folder / "vantages" / "node1__eth1" / "log" / "engine.stderr").write_text("listening\n")
    (folder / "result.json").write_text(json.dumps({"schema": 1, "state": "done", "vantages": []}))
    (folder / "heartbeat.json").write_text(json.dumps({"state": "done", "vantages": []}))
    bundle.write(str(folder), bundle.build())
    return folder


@pytest.fixture
def run(tmp_path):
    found = evidence.Run(str(tmp_path / "evidence"), "20261123T101500Z-x-3fa9c1")
    session = {"host": "node1", "t0_ns": T0 * 10**9, "duration_s": 60.0, "vantages": [{"vantage_id": "node1__eth1"}]}
    found.create({"sessions": {"node1": session}})
    return found


def serve(host):
    return [sys.executable, str(host / "supervisor.pyz"), "serve", str(host)]


def stream(host):
    return channel.Stream(serve(host), timeout=30)


def pieces(host, tmp_path):
    def execute(command, as_root):
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def fetch(remote, local):
        with open(remote, "rb") as source, open(local, "wb") as sink:
            sink.write(source.read())

    for name in ("remote", "local"):
        (tmp_path / name).mkdir(exist_ok=True)
    return channel.Pieces(serve(host), execute, fetch, str(tmp_path / "remote"), str(tmp_path / "local"))


def everything(host):
    raw = host / "vantages" / "node1__eth1" / "raw" / "0001.pcap"
    return hashlib.sha256(raw.read_bytes()).hexdigest()


@pytest.mark.parametrize("codec", ["never", "gzip", "zstd"])
@pytest.mark.parametrize("way", ["stream", "pieces"])
def test_collect_verifies_and_lets_the_host_remove(host, run, tmp_path, way, codec):
    if codec == "zstd" and (codecs.zstandard is None or subprocess.run(["which", "zstd"], check=False).returncode):
        pytest.skip("zstd is not installed")
    sha = everything(host)
    opened = (lambda: stream(host)) if way == "stream" else (lambda: pieces(host, tmp_path))
    done = collect.Collector(run, "node1", opened, codec).collect()
    assert done["files"] == 2
    file = run.record("node1")["files"]["vantages/node1__eth1/raw/0001.pcap"]
    assert file["sha256_raw"] == sha
    assert file["summary"]["packets"] == 1000 and file["summary"]["status"] == "ok"
    path = run.path("vantages/node1__eth1/raw/0001.pcap") + codecs.SUFFIX[file["codec"]]
    assert evidence.file_sha256(path) == file["sha256_stored"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert not (host / "vantages" / "node1__eth1" / "raw" / "0001.pcap").exists()


#: Collects what the words after folder and id of the run serve, and is killed in the second segment of a file.
KILLED = """
import os, signal, sys
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, collect, evidence

class Cut:
    def __init__(self, answer):
        self._answer = answer

    @property
    def header(self):
        return self._answer.header

    def __iter__(self):
        yield next(iter(self._answer))
        os.kill(os.getpid(), signal.SIGKILL)

class Stream(channel.Stream):
    def get(self, wanted):
        for number, answer in enumerate(super().get(wanted)):
            yield Cut(answer) if number else answer

run = evidence.Run(*sys.argv[1:3])
collect.Collector(run, "node1", lambda: Stream(sys.argv[3:], 300), "never").collect()
"""


def test_a_killed_collection_goes_on_at_its_segment(host, run, tmp_path):
    raw = host / "vantages" / "node1__eth1" / "raw" / "0001.pcap"
    raw.write_bytes(pcap(200_000, 1200))
    sha, size = everything(host), raw.stat().st_size
    assert size > 3 * SEGMENT
    words = [sys.executable, "-c", KILLED, os.path.dirname(run.folder), run.id, *serve(host)]
    killed = subprocess.run(words, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert SEGMENT < os.path.getsize(run.path("vantages/node1__eth1/raw/0001.pcap")) < 2 * SEGMENT
    before = run.record("node1")["files"]["vantages/node1__eth1/raw/0001.pcap"]
    assert not before["done"] and before["segments"]

    asked = []

    class Counting(channel.Stream):
        def get(self, wanted):
            asked.extend(wanted)
            return super().get(wanted)

    collect.Collector(run, "node1", lambda: Counting(serve(host), 30), "never").collect()
    again = [one.segment for one in asked if one.path.endswith(".pcap")]
    assert again == list(range(len(before["segments"]), -(-size // SEGMENT)))
    assert evidence.file_sha256(run.path("vantages/node1__eth1/raw/0001.pcap")) == sha


def test_segments_that_are_asked_for_apart_are_verified_too(host, run, tmp_path):
    raw = host / "vantages" / "node1__eth1" / "raw" / "0001.pcap"
    raw.write_bytes(pcap(70_000, 1200))
    sha = everything(host)
    collect.Collector(run, "node1", lambda: pieces(host, tmp_path), "never").collect()
    file = run.record("node1")["files"]["vantages/node1__eth1/raw/0001.pcap"]
    assert len(file["segments"]) == 2 and file["sha256_raw"] == sha and file["summary"]["packets"] == 70_000


def test_what_was_damaged_here_is_fetched_again(host, run):
    sha = everything(host)
    with pytest.raises(collect.CollectError, match="nothing was removed"):
        collect.Collector(run, "node1", lambda: Without(host, "verified"), "never").collect()
    record = run.record("node1")
    file = record["files"]["vantages/node1__eth1/raw/0001.pcap"]
    file["done"] = False
    run.update("node1", files=record["files"])
    with open(run.path("vantages/node1__eth1/raw/0001.pcap"), "r+b") as handle:
        handle.seek(5000)
        handle.write(b"damage")
    collect.Collector(run, "node1", lambda: stream(host), "never").collect()
    assert evidence.file_sha256(run.path("vantages/node1__eth1/raw/0001.pcap")) == sha


class Without(channel.Stream):
    """A host that hangs up when it hears one word."""

    def __init__(self, host, word):
        super().__init__(serve(host), timeout=30)
        self._word = word

    def ask(self, request):
        if request["op"] == self._word:
            raise channel.ChannelError("the connection ended")
        return super().ask(request)


class Lying(channel.Stream):
    """A line that changes one byte of the data on the way."""

    def get(self, wanted):
        for answer in super().get(wanted):
            yield Bent(answer)


class Bent:
    def __init__(self, answer):
        self._answer = answer

    def __iter__(self):
        for piece in self._answer:
            yield bytes([piece[0] ^ 1]) + bytes(piece[1:])

    @property
    def header(self):
        return self._answer.header

    @property
    def trailer(self):
        return self._answer.trailer


@pytest.mark.parametrize("codec", ["never", "gzip"])
def test_a_byte_that_changed_on_the_way_is_never_accepted(host, run, codec):
    with pytest.raises(collect.CollectError, match="does not have the hash|cannot be decompressed") as caught:
        collect.Collector(run, "node1", lambda: Lying(serve(host), 30), codec).collect()
    assert "nothing was removed there" in str(caught.value)
    assert (host / "vantages" / "node1__eth1" / "raw" / "0001.pcap").exists()


def test_a_full_disk_is_said_and_loses_nothing(host, run, tmp_path):
    small = tmp_path / "evidence"
    saved = {path: (small / path).read_bytes() for path in map(str, evidence.files_below(str(small)))}
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        for path, data in saved.items():
            (small / path).parent.mkdir(parents=True, exist_ok=True)
            (small / path).write_bytes(data)
        raw = host / "vantages" / "node1__eth1" / "raw" / "0001.pcap"
        raw.write_bytes(pcap(10_000))
        with pytest.raises(collect.CollectError, match="disk .* is full .* make room and run collect.yml"):
            collect.Collector(run, "node1", lambda: stream(host), "never").collect()
        assert raw.exists()
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        collect.Collector(run, "node1", lambda: stream(host), "never").collect()
        assert run.record("node1")["files"]["vantages/node1__eth1/raw/0001.pcap"]["summary"]["packets"] == 10_000
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_slow_link_makes_auto_compress(host, run):
    raw = host / "vantages" / "node1__eth1" / "raw" / "0001.pcap"
    raw.write_bytes(pcap(70_000, 1200))
    sha = everything(host)
    collector = collect.Collector(run, "node1", lambda: stream(host), "auto")
    collector._common = lambda _channel: ("gzip",)
    original = codecs.choose
    codecs.choose = lambda link, ratio, codecs: original(1e6, ratio, codecs)
    try:
        collector.collect()
    finally:
        codecs.choose = original
    file = run.record("node1")["files"]["vantages/node1__eth1/raw/0001.pcap"]
    assert file["codec"] == "gzip" and len(file["segments"]) == 2
    with gzip.open(run.path("vantages/node1__eth1/raw/0001.pcap.gz"), "rb") as handle:
        assert hashlib.file_digest(handle, "sha256").hexdigest() == sha == file["sha256_raw"]


@pytest.mark.parametrize(
    "link, ratio, offered, codec",
    [
        (1e9, 0.5, ("zstd", "gzip"), "raw"),
        (10e6, 0.5, ("zstd", "gzip"), "zstd"),
        (10e6, 0.5, ("gzip",), "gzip"),
        (10e6, 0.99, ("zstd", "gzip"), "raw"),
        (100e6, 0.5, ("gzip",), "raw"),
        (100e6, 0.5, (), "raw"),
    ],
)
def test_compression_must_pay(link, ratio, offered, codec):
    assert codecs.choose(link, ratio, offered) == codec


@pytest.mark.parametrize(
    "path",
    [
        "../etc/passwd",
        "/etc/passwd",
        "vantages/other__eth1/raw/0001.pcap",
        "vantages/node1__eth1/raw/../x",
        "vantages/node1__eth1/elsewhere/x",
        "vantages/node1__eth1/raw/.hidden",
        "vantages/node1__eth1/raw/a/b",
        "result.json",
    ],
)
def test_a_host_cannot_name_files_elsewhere(path):
    session = {"host": "node1", "vantages": [{"vantage_id": "node1__eth1"}]}
    with pytest.raises(collect.CollectError, match="belongs to no vantage"):
        collect.check_list({"files": [{"path": path, "bytes": 1}]}, session)


def test_a_host_that_is_silent_is_given_up():
    with channel.Stream(["sleep", "30"], timeout=0.2) as silent:
        with pytest.raises(channel.ChannelError, match="no answer within 0.2 s"):
            silent.ask({"op": "time"})
        silent._process.kill()


def test_the_hosts_own_words_come_through():
    refusal = ["/bin/sh", "-c", "echo Permission denied >&2; exit 255"]
    with channel.Stream(refusal, timeout=5) as refused, pytest.raises(channel.ChannelError, match="Permission denied"):
        refused.ask({"op": "time"})


def test_escalation_answers_one_prompt_and_keeps_what_follows():
    script = (
        "printf 'key password:' >&2; read -r word; echo noise; echo DONE-$word; read -r line; printf '{\"t_ns\": 5}\\n'"
    )
    escalation = channel.Escalation(success=b"DONE-secret", prompt=b"key password:", password=b"secret")
    with channel.Stream(["/bin/sh", "-c", script], 5, escalation) as opened:
        assert opened.ask({"op": "time"}) == {"t_ns": 5}


def test_clock_offset_takes_the_fastest_exchange(monkeypatch):
    trips, ours = iter([50_000_000, 4_000_000, 20_000_000]), [0]
    monkeypatch.setattr(channel, "time", types.SimpleNamespace(time_ns=lambda: ours[0], monotonic_ns=lambda: ours[0]))

    def exchange():
        ours[0] += next(trips)
        return ours[0] + 10_000_000_000

    found = channel.clock_offset(exchange)
    assert found == {"offset_s": pytest.approx(10.002), "error_s": pytest.approx(0.002)}, "at the end of the trip, not in its middle"
