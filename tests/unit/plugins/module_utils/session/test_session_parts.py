# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of capturing: what a session may say, limits, clocks, counters, the bundle, the unit."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import typing as t
import zipfile

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import (
    boot,
    bundle,
    capture,
    clock,
    counters,
    launch,
    limits,
    serve,
    spec,
)
from ansible_collections.wirefleet.capture.plugins.module_utils.session.folder import Folder
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

VANTAGE: dict[str, t.Any] = {"vantage_id": "h__eth1", "device": "eth1", "capture_on": "eth1", "engine": "tcpdump", "filter": "arp"}
SESSION: dict[str, t.Any] = {
    "schema": 1, "campaign": "20261123T101500Z-x-3fa9c1", "t0_ns": 10**18, "duration_s": 60.0, "vantages": [VANTAGE],
}  # fmt: skip


def with_vantage(**more: t.Any) -> dict[str, t.Any]:
    return {**SESSION, "vantages": [{**VANTAGE, **more}]}


def test_a_good_session_is_read() -> None:
    session = spec.parse_session(SESSION)
    assert (session.t1_ns, session.lead_s, session.vantages[0].snaplen) == (10**18 + 60 * 10**9, 2.0, 256)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({**SESSION, "schema": 2}, "schema 2"),
        ({**SESSION, "campaign": "../etc"}, "cannot be a campaign id"),
        ({**SESSION, "campaign": "a/b"}, "cannot be a campaign id"),
        ({**SESSION, "duration_s": 0}, "duration_s must be more than 0"),
        ({**SESSION, "duration_s": True}, "duration_s"),
        ({**SESSION, "t0_ns": 1.5}, "t0_ns must be a whole number"),
        ({**SESSION, "limits": {"byte": 3}}, "no limit called byte"),
        ({**SESSION, "limits": {"bytes": 0}}, "whole number above 0"),
        ({**SESSION, "collect": "keys"}, "collect must be whole or index"),
        ({**SESSION, "vantages": []}, "names no vantage"),
        ({**SESSION, "vantages": [VANTAGE, VANTAGE]}, "named twice"),
        (with_vantage(filter="-w /etc/passwd"), "begins with '-'"),
        (with_vantage(filter="arp\x00"), "control characters"),
        (with_vantage(capture_on=None), "not resolved"),
        (with_vantage(vantage_id="a/../b"), "vantage_id"),
        (with_vantage(capture_on="-i"), "not resolved"),
        (with_vantage(snaplen=-1), "snaplen"),
        (with_vantage(ring={"files": 1, "file_bytes": 5_000_000}), "a ring needs"),
        (with_vantage(ring={"files": 2, "file_bytes": 5_000_000}, split={"bytes": 1_000_000}), "exclude each other"),
        (with_vantage(split={"seconds": 0}), "split takes"),
    ],
)
def test_a_bad_session_gets_a_sentence(data: dict[str, t.Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        spec.parse_session(data)


def test_all_problems_come_at_once() -> None:
    assert len(spec.problems({**with_vantage(filter="-x", snaplen=-1), "duration_s": 0}, resolved=True)) == 3


@pytest.mark.parametrize(
    ("bounds", "progress", "reason"),
    [
        (spec.Limits(bytes=100), limits.Progress(99, 5), None),
        (spec.Limits(bytes=100), limits.Progress(100, 5), "bytes"),
        (spec.Limits(packets=5), limits.Progress(1, 5), "packets"),
        (spec.Limits(packets=5), limits.Progress(1, None), None),
    ],
)
def test_limits(bounds: spec.Limits, progress: limits.Progress, reason: str | None) -> None:
    assert limits.reached(bounds, progress) == reason


def test_the_larger_floor_counts() -> None:
    assert limits.floor_bytes(spec.Limits(min_free_bytes=50, min_free_percent=10), 1000) == 100
    assert limits.floor_bytes(spec.Limits(), 1000) == 0


@pytest.mark.parametrize(
    ("more", "host_limit", "expected"),
    [
        ({}, None, None),
        ({}, 500, 500),
        ({"limits": {"bytes": 300}}, 500, 300),
        ({"ring": {"files": 2, "file_bytes": 1_000_000}}, None, 2_000_000),
    ],
)
def test_budget(more: dict[str, t.Any], host_limit: int | None, expected: int | None) -> None:
    assert limits.budget(spec.parse_session({**with_vantage(**more), "limits": {"bytes": host_limit}})) == expected


TRACKING = "A29FC87B,162.159.200.123,4,1795428900.1,0.000021000,-0.00001,0.00003,-12.1,0.001,0.02,0.004000000,0.000500000,64.2,Normal\n"


def test_chrony_says_how_slow_we_are() -> None:
    found = clock.parse_tracking(TRACKING)
    assert (found.source, found.synchronised, found.offset_s) == ("chrony", True, -0.000021)
    assert found.error_s == pytest.approx(0.000021 + 0.002 + 0.0005)


@pytest.mark.parametrize("text", ["00000000,,0,0.0,0,0,0,0,0,0,1,1,0,Not synchronised\n", "506 Cannot talk to daemon", ""])
def test_an_unknown_clock_is_null_with_a_reason(text: str) -> None:
    found = clock.parse_tracking(text)
    assert (found.offset_s, found.error_s) == (None, None) and found.reason


@pytest.mark.parametrize(
    ("state", "status", "offset", "expected"),
    [
        (0, 0x2001, 21000, (True, -0.000021, 0.5)),
        (0, 0x0001, 21, (True, -0.000021, 0.5)),
        (5, 0x0040, 0, (False, None, None)),
        (-1, 0, 0, (None, None, None)),
    ],
)
def test_the_kernels_clock(state: int, status: int, offset: int, expected: tuple[t.Any, ...]) -> None:
    assert clock.judge_kernel(state, status, offset, 500000)[1:4] == expected


def test_counters_are_read_as_the_tools_write_them() -> None:
    assert counters.parse_softnet("0000001f 00000002 00000003 0 0\n") == [{"processed": 31, "dropped": 2, "time_squeeze": 3}]
    text = "NIC statistics:\n     peer_ifindex: 5\n     rx_vport_rdma_unicast_packets: 1203\n     rx_queue_0_xdp: none\n"
    assert counters.parse_ethtool_statistics(text) == {"peer_ifindex": 5, "rx_vport_rdma_unicast_packets": 1203}


def test_packet_sockets_that_run() -> None:
    text = (
        "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n"
        "00000000f1edef99 3      3    0003   3     1 0      0      8875  \n"
        "00000000f1edef98 3      3    0003   4     0 0      0      8876  \n"
    )
    assert capture.packet_sockets(text) == {"8875": 3}


def test_start_time_survives_a_name_with_brackets() -> None:
    fields = " ".join(str(number) for number in range(4, 30))
    assert capture.parse_start_time(f"7 (a) b) S {fields}") == 22
    assert capture.parse_start_time(f"7 (x) Z {fields}") is None


def test_bundle_is_deterministic_and_has_nothing_of_ansible() -> None:
    data = bundle.build()
    assert data == bundle.build()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        texts = [archive.read(name).decode() for name in names]
    assert {"__main__.py", "wirefleet/__init__.py", "wirefleet/host.py", "wirefleet/session/supervisor.py"} <= set(names)
    assert not [text for text in texts if "import ansible" in text or "from ansible" in text]


def test_bundle_made_from_inside_a_zip_is_the_same(tmp_path: t.Any) -> None:
    """As it is when Ansible sends module and module_utils to the host in one zip."""
    base = bundle.__file__[: bundle.__file__.index("/plugins/module_utils/")]
    prefix = "ansible_collections/wirefleet/capture"
    with zipfile.ZipFile(tmp_path / "payload.zip", "w") as archive:
        for name in ("ansible_collections", "ansible_collections/wirefleet", prefix, f"{prefix}/plugins", f"{prefix}/plugins/module_utils"):
            archive.writestr(f"{name}/__init__.py", "")
        for folder, _folders, files in os.walk(f"{base}/plugins/module_utils"):
            for file in files:
                if file.endswith(".py") and file != "_module.py" and not (folder.endswith("module_utils") and file == "__init__.py"):
                    path = os.path.join(folder, file)
                    archive.write(path, prefix + path[len(base) :])
    code = "import sys; from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle; sys.stdout.buffer.write(bundle.build())"
    script = f"import sys; sys.path[:0] = [{str(tmp_path / 'payload.zip')!r}]; {code}"
    made = subprocess.run([sys.executable, "-I", "-c", script], check=True, capture_output=True)
    assert made.stdout == bundle.build()


def test_bundle_runs_by_itself(tmp_path: t.Any) -> None:
    path = bundle.write(str(tmp_path), bundle.build())
    assert os.stat(path).st_mode & 0o777 == 0o600
    done = subprocess.run([sys.executable, "-I", path, "fly", str(tmp_path)], check=False, capture_output=True, text=True)
    assert (done.returncode, "there is no verb 'fly'" in done.stderr) == (2, True)


def test_unit_restores_whatever_ends_it_and_carries_the_resources() -> None:
    session = spec.parse_session({**SESSION, "resources": {"cpus": "2-3", "memory_max": 268435456}})
    argv = launch.systemd_argv(session, Folder("/var/lib/wirefleet/x"), 10**18 - 10 * 10**9)
    assert argv[:2] == ["systemd-run", "--unit=wirefleet-20261123T101500Z-x-3fa9c1"]
    assert {"--property=CPUAffinity=2-3", "--property=MemoryMax=268435456", "--property=RuntimeMaxSec=190"} <= set(argv)
    assert [word for word in argv if "ExecStopPost=" in word and word.endswith('"restore" "/var/lib/wirefleet/x"')]
    assert argv[-2:] == ["run", "/var/lib/wirefleet/x"] and "--property=SendSIGKILL=no" not in argv


def test_unit_of_an_engine_that_must_not_be_killed() -> None:
    argv = launch.systemd_argv(spec.parse_session(with_vantage(engine="ibdump", filter="")), Folder("/x/y"), 0)
    assert "--property=SendSIGKILL=no" in argv


def test_boot_unit() -> None:
    text = boot.unit_text(["/usr/bin/python3", "/x/supervisor.pyz", "restore", "/x"], "/x")
    assert 'ExecStart="/usr/bin/python3" "/x/supervisor.pyz" "restore" "/x"' in text and "WantedBy=multi-user.target" in text


@pytest.fixture
def store(tmp_path: t.Any) -> Folder:
    folder = Folder(str(tmp_path / "id"))
    raw = folder.part("v", "raw")
    os.makedirs(raw)
    with open(f"{raw}/0001.pcap", "wb") as handle:
        handle.write(os.urandom(3_000_000))
    os.symlink("/etc/passwd", f"{raw}/0002.pcap")
    os.symlink("/etc", folder.file("vantages/evil"))
    return folder


def ask(folder: Folder, *requests: t.Any) -> bytes:
    sink = io.BytesIO()
    text = b"".join((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n" for request in requests)
    serve.serve(folder, io.BytesIO(text), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "path",
    [
        "vantages/v/raw/0002.pcap", "vantages/v/raw/../../../session.json", "vantages/../id/vantages/v/raw/0001.pcap",
        "vantages/evil/raw/passwd", "/etc/passwd", "session.json", "vantages/v/raw", "vantages/v/raw/", "vantages/v/raw/nope", 7, None,
    ],
)  # fmt: skip
def test_serve_hands_out_nothing_but_evidence(store: Folder, path: t.Any) -> None:
    assert list(json.loads(ask(store, {"op": "get", "path": path}))) == ["error"]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"op": "rm"}', b"\xff\xfe", b'{"op": "verified"}'])
def test_serve_answers_nonsense_with_a_sentence(store: Folder, line: bytes) -> None:
    answers = ask(store, line, {"op": "time"}).splitlines()
    assert list(json.loads(answers[0])) == ["error"] and json.loads(answers[1])["t_ns"] > 0


def test_serve_lists_files_and_no_links(store: Folder) -> None:
    assert json.loads(ask(store, {"op": "list"})) == {"files": [{"path": "vantages/v/raw/0001.pcap", "bytes": 3_000_000}]}


def test_serve_removes_only_raw_files_and_only_at_the_end(store: Folder) -> None:
    request = {"op": "verified", "paths": ["vantages/v/raw/0001.pcap", "vantages/v/log/engine.log", "../x"]}
    assert "has not ended" in json.loads(ask(store, request))["error"]
    store.write_json("result.json", {"state": "done"})
    assert json.loads(ask(store, request)) == {"removed": ["vantages/v/raw/0001.pcap"]}
    assert json.loads(ask(store, request)) == {"removed": []}
