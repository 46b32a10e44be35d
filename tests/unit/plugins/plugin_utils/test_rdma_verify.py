# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence held against perftest's reports: a table, and a sentence for all that differs."""

from __future__ import annotations

import struct

import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import rdma_verify
from ansible_collections.wirefleet.capture.plugins.plugin_utils.units import Unusable

from tests.unit.plugins.module_utils.packets.test_roce_check import CLIENT, MESSAGES, SERVER, SIZE, roce_frames, test_of

frames_of = test_of
CLIENT_END, SERVER_END = ({"gid": roce_frames.gid(address).hex(), "qp": qp} for address, qp in ((CLIENT, 0x11), (SERVER, 0x22)))
VERBS = ("send", "write", "read")


def side(role, local, remote):
    runs = [
        {
            "verb": verb, "size": SIZE, "iterations": MESSAGES, "tos": 104, "local": local, "remote": remote,
            "began_ns": number * 1000, "ended_ns": number * 1000 + 900, "command": f"ib_{verb}_bw",
        }
        for number, verb in enumerate(VERBS)
    ]  # fmt: skip
    return {"role": role, "runs": runs}


@pytest.fixture
def reported():
    return {"one": side("client", CLIENT_END, SERVER_END), "two": side("server", SERVER_END, CLIENT_END)}


@pytest.fixture
def evidence(tmp_path):
    """Write what both hosts captured and return the manifest; a thousandth of a microsecond of clock separates the tests."""
    data = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    for number, verb in enumerate(VERBS):
        for place, frame in enumerate(frames_of(verb)):
            data += struct.pack("<IIII", 0, number * 1000 + place, len(frame), len(frame)) + frame
    vantages = []
    for host in ("one", "two"):
        path = f"vantages/{host}__rxe0/raw/0001.pcap"
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(data)
        vantages.append({"host": host, "files": [{"path": path}, {"path": f"vantages/{host}__rxe0/log/tcpdump.log"}]})
    return {"vantages": vantages}


def test_all_is_well(tmp_path, evidence, reported):
    rows = rdma_verify.verify(str(tmp_path), evidence, reported)
    assert [(row.test, row.host, row.problems) for row in rows] == [
        (f"{verb} {SIZE} B", host, []) for verb in VERBS for host in ("one", "two")
    ]
    assert {(row.messages, row.bytes, row.missing, tuple(row.dscps)) for row in rows} == {(MESSAGES, MESSAGES * SIZE, 0, (26,))}
    assert rdma_verify.sentences(rows) == []
    lines = rdma_verify.table(rows).splitlines()
    assert len(lines) == 7 and all(line.endswith(" ok") for line in lines[1:])


def test_capture_that_was_cut(tmp_path, evidence, reported):
    path = tmp_path / evidence["vantages"][1]["files"][0]["path"]
    path.write_bytes(path.read_bytes()[:-30])
    wrong = rdma_verify.sentences(rdma_verify.verify(str(tmp_path), evidence, reported))
    assert wrong[-1].startswith(f"read {SIZE} B at two: it has 3 of 4 messages; it has ")
    assert "the file ends within a record" in wrong[-1]


def test_host_without_a_capture(tmp_path, evidence, reported):
    evidence["vantages"].pop()
    wrong = rdma_verify.sentences(rdma_verify.verify(str(tmp_path), evidence, reported))
    assert wrong[0] == f"send {SIZE} B at two: it captured no packet of this test; it captured nothing."


def test_test_that_failed_is_said_in_its_own_words(tmp_path, evidence, reported):
    reported["one"] = {"failed": True, "msg": "ib_send_bw failed: it said nothing"}
    reported["two"] = {}
    with pytest.raises(Unusable, match="one: ib_send_bw failed: it said nothing. two: it was not asked."):
        rdma_verify.verify(str(tmp_path), evidence, reported)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda both: both["two"]["runs"].pop(), "did not run the same tests"),
        (lambda both: both["two"].update(role="client"), "there must be a client and a server"),
        (lambda both: both["two"]["runs"][1].update(local={**SERVER_END, "qp": 7}), "do not speak of the same connection"),
        (lambda both: both["two"]["runs"][1].pop("local"), "is not what the module perftest returns"),
        (lambda both: [run[end].update(gid="x") for host in both.values() for run in host["runs"] for end in ("local", "remote")], "is not what"),
        (lambda both: both["two"].update(runs=None), "is not what the module perftest returns"),
        (lambda both: both.update(two=[]), "is not what the module perftest returns"),
    ],
)
def test_reports_that_do_not_fit_each_other(tmp_path, evidence, reported, change, words):
    change(reported)
    with pytest.raises(Unusable, match=words):
        rdma_verify.verify(str(tmp_path), evidence, reported)
