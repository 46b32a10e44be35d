# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet keys instead of captures: made by the program that hosts run, collected, published, and answering the same questions."""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import os
import pathlib
import subprocess
import sys

import jsonschema
import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import Reader
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle, indexer, indexing
from ansible_collections.wirefleet.capture.plugins.module_utils.session.folder import Folder
from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, collect, evidence, plan, report, schema, shipped

from tests.truth import talk
from tests.truth.world import START_NS, Spot, Wire, World

HOSTS = ("client", "tor", "server")
RAW, KEYS = "vantages/{0}__eth1/raw/0001.pcap", "vantages/{0}__eth1/keys/index.keys"
KEEP_S = 604800.0

if os.path.isdir("/run/systemd/system") and os.geteuid():
    pytest.skip("the indexer is a unit of systemd here, which takes root", allow_module_level=True)


def planned(**changes):
    context = plan.Context(lambda _pattern: list(HOSTS), str, START_NS - 10 * 10**9, "3fa9c1", lambda _host: None)
    written = {
        "campaign_vantages": [{"hosts": "all", "device": "eth1"}], "campaign_duration": "2s", "campaign_start": "+9.9s",
        "campaign_path": list(HOSTS), "campaign_collect": "index", **changes,
    }  # fmt: skip
    return plan.make("x", written, context)


@functools.cache
def programs() -> dict[str, bytes]:
    return {bundle.NAME: bundle.build(), indexing.BUNDLE: bundle.build(indexer.__name__)}


def lay(folder: pathlib.Path, session, capture: bytes, drops: int = 0) -> None:
    """Make what a host's folder holds when its window is over."""
    name = session["host"]
    for part in ("raw", "counters", "log"):
        (folder / "vantages" / f"{name}__eth1" / part).mkdir(parents=True)
    (folder / RAW.format(name)).write_bytes(capture)
    for when in ("before", "after"):
        (folder / "vantages" / f"{name}__eth1" / "counters" / f"{when}.json").write_text("{}")
    vantage = {
        "vantage_id": f"{name}__eth1", "engine": {"name": "tcpdump", "version": None, "argv": None, "exit_code": 0, "signal": None},
        "ready_ns": session["t0_ns"] - 10**8, "stopped_ns": session["t0_ns"] + 3 * 10**9, "late": False, "stop_reason": "time", "error": None, "reasons": [],
        "stats": {"captured": 1, "received": 1, "dropped_kernel": drops, "dropped_interface": 0, "trustworthy": True, "source": "tcpdump"},
        "files": [{"path": RAW.format(name), "bytes": len(capture)}],
    }  # fmt: skip
    settings = {"changes": [], "side_effects": [], "restored": [], "error": None}
    result = {"schema": 1, "state": "done", "error": None, "opened_ns": session["t0_ns"], "closed_ns": None, "stop_reason": "time", "vantages": [vantage]}
    (folder / "result.json").write_text(json.dumps({**result, "settings": settings}))
    resolved = {**session, "vantages": [{**session["vantages"][0], "engine": "tcpdump", "capture_on": "eth1", "buffer_mib": 4}]}
    (folder / "session.json").write_text(json.dumps(resolved))
    for name, data in programs().items():
        bundle.write(str(folder), data, name)


def stream(folder):
    return channel.Stream([sys.executable, str(folder / "supervisor.pyz"), "serve", str(folder)], timeout=60)


@pytest.fixture(scope="module")
def world():
    """Three vantages, loss on both hops and in the capture between them, two clocks that are off."""
    found = World([Spot("client"), Spot("tor", 0.2, loses=0.01), Spot("server", 0.5, 30e-6)], [Wire(loss=0.02), Wire(loss=0.004)], 3)
    talk.writes(found, 200)
    return found


@pytest.fixture
def hosts(world, tmp_path):
    """Return {host: folder}, as the window left them."""
    made = planned()
    found = {}
    (tmp_path / "captures").mkdir()
    for number, (name, file) in enumerate(zip(HOSTS, world.write(tmp_path / "captures"))):
        found[name] = tmp_path / name / made["campaign"]
        lay(found[name], made["sessions"][name], file.read_bytes(), world.dropped[number])
    return found


def opened(root, made) -> evidence.Run:
    run = evidence.Run(str(root), made["campaign"])
    run.create(made)
    for host in made["sessions"]:
        run.update(host, armed=True, clock={"offset_s": 0.0, "error_s": 0.001})
    return run


def published(run, hosts, what=None):
    for host, folder in hosts.items():
        collect.Collector(run, host, lambda folder=folder: stream(folder), "never", what).collect()
    folder, manifest = report.publish(run, {"wirefleet.capture": "0.1.0"}, lambda manifest: schema.problems(manifest, schema.load(schema.MANIFEST), "it"))
    jsonschema.validate(manifest, schema.load(schema.MANIFEST))
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    return pathlib.Path(folder), manifest


def test_keys_come_home_and_captures_stay(hosts, tmp_path):
    folder, manifest = published(opened(tmp_path / "evidence", planned()), hosts)
    assert manifest["collect"] == "index"
    assert not list(folder.rglob("*.pcap*")), "no payload travelled"
    for vantage in manifest["vantages"]:
        name = vantage["host"]
        capture = (hosts[name] / RAW.format(name)).read_bytes()
        assert [(left["path"], left["bytes"], left["sha256_raw"], left["parse_status"]) for left in vantage["left_out"]] == [
            (RAW.format(name), len(capture), hashlib.sha256(capture).hexdigest(), "ok")
        ]
        assert vantage["left_out"][0]["packets"] == vantage["counts"]["packets"] > 100 and vantage["status"] != "failed"
        index(Wish([str(hosts[name] / RAW.format(name))], str(tmp_path / "again.keys"), f"{name}__eth1"))
        assert rows(folder / KEYS.format(name)) == rows(tmp_path / "again.keys")
        assert b'"codec":"zlib"' in (folder / KEYS.format(name)).read_bytes()[:9000], "which every controller can read"
        assert not os.path.exists(hosts[name] / "cache"), "nothing of what was compiled stays"
    assert "index.keys" in report.table(manifest)


def rows(path):
    with open(path, "rb") as stream:
        return list(Reader(stream).planes())


def test_the_report_says_the_same_of_keys_as_of_captures(hosts, tmp_path):
    pytest.importorskip("duckdb")
    pytest.importorskip("pyarrow")
    from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import publish

    answers, manifests = {}, {}
    for what in ("index", "whole"):
        folder, manifests[what] = published(opened(tmp_path / what, planned()), hosts, what)
        assert bool(list(folder.rglob("*.pcap"))) == (what == "whole")
        answers[what] = publish.answer([str(folder)]).report
        assert ("0001.pcap stayed on client" in (folder / "report" / "report.html").read_text()) == (what == "index")
    assert not list(hosts["client"].rglob("*.pcap")), "what was brought home whole goes from the host"
    assert answers["index"]["verdict"]["answer"] == "network_loss"
    assert without_files(answers["index"]) == without_files(answers["whole"])
    for index_entry, whole_entry in zip(manifests["index"]["vantages"], manifests["whole"]["vantages"]):
        assert {name: index_entry[name] for name in ("status", "reasons", "counts", "drops")} == {
            name: whole_entry[name] for name in ("status", "reasons", "counts", "drops")
        }
        assert whole_entry["left_out"] == []


def without_files(found):
    """Return a report without where it was read, and when it was made."""
    found = copy.deepcopy(found)
    for vantage in found["vantages"]:
        vantage.pop("files")
    found.pop("created_ns", None)
    return found


def test_a_capture_that_is_kept_for_no_time_goes_once_its_keys_are_here(hosts, tmp_path):
    run = opened(tmp_path / "evidence", planned(campaign_keep="0s"))
    published(run, hosts)
    assert not any(list(folder.rglob("*.pcap")) for folder in hosts.values())


@pytest.mark.parametrize("moment", ["verified", "list"])
def test_a_collection_that_broke_off_goes_on(hosts, tmp_path, moment):
    class Without(channel.Stream):
        def ask(self, request):
            if request["op"] == moment:
                raise channel.ChannelError("the connection ended")
            return super().ask(request)

    run, folder = opened(tmp_path / "evidence", planned()), hosts["client"]
    words = [sys.executable, str(folder / "supervisor.pyz"), "serve", str(folder)]
    with pytest.raises(collect.CollectError, match="the connection ended; nothing was removed there"):
        collect.Collector(run, "client", lambda: Without(words, 60), "never").collect()
    made = os.stat(folder / KEYS.format("client")).st_mtime_ns
    assert collect.Collector(run, "client", lambda: stream(folder), "never").collect()["files"] == 3
    assert os.stat(folder / KEYS.format("client")).st_mtime_ns == made, "the index is made once"
    assert not run.record("client")["left_out"][RAW.format("client")]["summary"]["reason"]


def test_what_the_indexer_cannot_do_is_a_sentence_and_the_capture_stays(hosts, tmp_path):
    folder = hosts["client"]
    session = json.loads((folder / "session.json").read_text())
    limits = {**session["limits"], "min_free_bytes": 1 << 60}
    (folder / "session.json").write_text(json.dumps({**session, "limits": limits}))
    run = opened(tmp_path / "evidence", planned())
    with pytest.raises(collect.CollectError, match=r"no index .* MiB must stay so\. .* still there: .* add -e campaign_collect=whole"):
        collect.Collector(run, "client", lambda: stream(folder), "never").collect()
    assert (folder / RAW.format("client")).exists() and not (folder / KEYS.format("client")).exists()
    (folder / "session.json").write_text(json.dumps(session))
    collect.Collector(run, "client", lambda: stream(folder), "never").collect()
    assert run.record("client")["collected_ns"]


def test_an_index_of_a_session_that_was_armed_without_is_refused(hosts, tmp_path):
    os.unlink(hosts["client"] / indexing.BUNDLE)
    run = opened(tmp_path / "evidence", planned())
    with pytest.raises(collect.CollectError, match="was not armed with collect: index"):
        collect.Collector(run, "client", lambda: stream(hosts["client"]), "never").collect()


def test_an_indexer_that_was_killed_is_noticed_and_begun_again(hosts):
    folder, host = Folder(str(hosts["client"])), Host()
    folder.write_json(indexing.RECORD, {"schema": 1, "state": "running", "t_ns": 1, "bytes": 3})
    assert indexing.progress(host, folder, begin=False) == {"state": "failed", "error": indexing.GONE}
    with indexing.sole(folder):
        assert indexing.progress(host, folder, begin=True)["state"] == "running", "one is enough"
    folder.write_json(indexing.RECORD, {"schema": 1, "state": "starting", "t_ns": 1})
    assert indexing.progress(host, folder, begin=False)["state"] == "failed", "it had a minute to begin"
    subprocess.run([sys.executable, folder.file(indexing.BUNDLE), folder.path], check=True)
    assert indexing.progress(host, folder, begin=True)["state"] == "done"


def test_a_unit_for_the_indexer():
    argv = indexing.unit_argv("20261123T101500Z-x-3fa9c1", 1 << 28)
    assert argv[:2] == ["systemd-run", "--unit=wirefleet-index-20261123T101500Z-x-3fa9c1"]
    assert {"--property=IOSchedulingClass=idle", "--property=MemoryMax=268435456"} <= set(argv)


GOOD = {
    "path": RAW.format("client"), "bytes": 24, "sha256": "0" * 64,
    "summary": {
        "format": "pcap", "link_type": 1, "packets": 0, "in_window": 0, "first_ns": None, "last_ns": None, "bytes_captured": 0, "bytes_wire": 0,
        "out_of_order": 0, "status": "empty", "reason": None,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"path": "vantages/other__eth1/raw/0001.pcap"}, "belongs to no vantage"),
        ({"path": "vantages/client__eth1/raw/../x"}, "belongs to no vantage"),
        ({"path": "vantages/client__eth1/keys/index.keys"}, "belongs to no vantage"),
        ({"bytes": -1}, "its numbers"),
        ({"bytes": True}, "its numbers"),
        ({"sha256": "x"}, "the hash of"),
        ({"summary": None}, "lacks something"),
        ({"summary": {**GOOD["summary"], "packets": "7"}}, "its numbers"),
        ({"summary": {**GOOD["summary"], "status": "fine"}}, "its words"),
        ({"summary": {**GOOD["summary"], "reason": "x" * 2000}}, "its words"),
    ],
)
def test_what_a_host_says_of_its_captures_is_checked(change, words):
    session = {"vantages": [{"vantage_id": "client__eth1"}]}
    assert shipped.left_out({"vantages": [{"vantage_id": "client__eth1", "files": [GOOD]}]}, session)
    with pytest.raises(ValueError, match=words):
        shipped.left_out({"vantages": [{"vantage_id": "client__eth1", "files": [{**GOOD, **change}]}]}, session)


def test_an_index_that_is_none_of_the_capture_is_refused(hosts, tmp_path):
    capture = str(hosts["client"] / RAW.format("client"))
    index(Wish([capture], str(tmp_path / "x.keys"), "client__eth1"))
    with open(tmp_path / "x.keys", "rb") as stream:
        many = sum(len(planes) for planes in Reader(stream).planes()) // 152
    summary = {**GOOD["summary"], "packets": many, "status": "ok"}
    shipped.compare(str(tmp_path / "x.keys"), "client__eth1", [summary])
    for vantage, packets, words in (("client__eth1", many + 1, "rows, and its captures"), ("tor__eth1", many, "that of another vantage")):
        with pytest.raises(ValueError, match=words):
            shipped.compare(str(tmp_path / "x.keys"), vantage, [{**summary, "packets": packets}])
    data = (tmp_path / "x.keys").read_bytes()
    (tmp_path / "x.keys").write_bytes(data[:-10])
    with pytest.raises(ValueError, match="cannot be used"):
        shipped.compare(str(tmp_path / "x.keys"), "client__eth1", [summary])
    with pytest.raises(ValueError, match="did not come"):
        shipped.compare(str(tmp_path / "y.keys"), "client__eth1", [summary])
