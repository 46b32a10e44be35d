# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of captures: every packet in one of them, as it was, in files that real tools read; and input that is none."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.split import Rule
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.split_files import Unsplittable, names_for, split
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.packets.test_pcapfile import NS, pcap, pcapng, walk

ROOT = pathlib.Path(__file__).resolve().parents[5]
COMMAND = str(ROOT / "scripts" / "pcap-split")
TIMES = [10 * NS + number * NS // 4 for number in range(40)]
needs_wireshark = pytest.mark.skipif(not shutil.which("editcap"), reason="editcap is not installed")


def pieces_of(data: bytes, folder: pathlib.Path, rule: Rule, name: str = "trace.pcap"):
    """Return the bytes of each piece, and what split() said."""
    (folder / name).write_bytes(data)
    _changed, found = split(str(folder / name), str(folder / "out"), rule)
    return [pathlib.Path(file["path"]).read_bytes() for file in found["files"]], found


def records(data: bytes, order: str = "<") -> list[bytes]:
    """Return the records of a pcap file, or the packet blocks of a pcapng file."""
    found, at = [], 0 if data[:4] == b"\n\r\r\n" else 24
    ng = at == 0
    while at < len(data):
        kind, total = struct.unpack_from(order + "II", data, at) if ng else (6, 16 + struct.unpack_from(order + "I", data, at + 8)[0])
        if kind in (2, 3, 6):
            found.append(data[at : at + total])
        at += total
    return found


RULES = st.builds(
    Rule,
    st.none() | st.integers(1024, 5000),
    st.none() | st.floats(0.01, 20),
    st.integers(1, 60),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    times=st.lists(st.integers(0, 60 * NS), max_size=60), order=st.sampled_from("<>"), make=st.sampled_from([pcap, pcapng]), rule=RULES
)
def test_no_packet_is_lost_changed_or_moved(tmp_path, times, order, make, rule):
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    data = make(times, order)
    pieces, found = pieces_of(data, tmp_path, rule)
    assert found["complete"] and found["packets"] == len(times)
    assert [one for piece in pieces for one in records(piece, order)] == records(data, order)
    for piece, file in zip(pieces, found["files"]):
        about = walk(piece)
        assert (about.status, about.packets, about.first_ns, about.last_ns) == ("ok", file["packets"], file["first_ns"], file["last_ns"])
        assert len(piece) == file["bytes"] and about.packets <= rule.packets
        assert rule.size is None or len(piece) <= rule.size or about.packets == 1


@needs_wireshark
@pytest.mark.parametrize("make", [pcap, pcapng])
@pytest.mark.parametrize(("rule", "option"), [(Rule(packets=7), "-c7"), (Rule(seconds=2.9), "-i2.9")])
def test_the_same_cuts_as_editcap(tmp_path, make, rule, option):
    """No packet lies on the edge of two intervals, where editcap counts it to the earlier one."""
    pieces, _found = pieces_of(make(TIMES), tmp_path, rule)
    peer = tmp_path / "peer"
    peer.mkdir()
    subprocess.run(["editcap", option, str(tmp_path / "trace.pcap"), str(peer / "trace.pcap")], check=True, capture_output=True)
    counts = [counted(path) for path in sorted(peer.iterdir())]
    assert [walk(piece).packets for piece in pieces] == counts


def counted(path: pathlib.Path) -> int:
    said = subprocess.run(["capinfos", "-Mc", str(path)], check=True, capture_output=True, text=True).stdout
    return int(said.rsplit(":", 1)[1])


@needs_wireshark
@pytest.mark.parametrize("make", [pcap, pcapng])
def test_capinfos_reads_every_piece(tmp_path, make):
    _pieces, found = pieces_of(make(TIMES), tmp_path, Rule(size=1100))
    assert sum(counted(pathlib.Path(file["path"])) for file in found["files"]) == len(TIMES)


def block(kind: int, body: bytes) -> bytes:
    total = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + total + body + total


def test_names_and_secrets_go_into_every_piece_and_statistics_where_they_were(tmp_path):
    names, secrets, statistics = block(4, b"\0" * 4), block(10, b"TLSK" + bytes(4)), block(5, bytes(12))
    data = pcapng(TIMES[:1]) + names + secrets + b"".join(records(pcapng(TIMES[1:3]))) + statistics
    pieces, _found = pieces_of(data, tmp_path, Rule(packets=1))
    assert [(piece.count(names), piece.count(secrets), piece.count(statistics)) for piece in pieces] == [(1, 1, 0), (1, 1, 0), (1, 1, 1)]


def test_what_comes_before_the_first_packet_is_in_the_first_piece(tmp_path):
    statistics = block(5, bytes(12))
    head = len(pcapng([]))
    data = pcapng([])[:head] + statistics + pcapng(TIMES[:2])[head:]
    pieces, _found = pieces_of(data, tmp_path, Rule(packets=1))
    assert [piece.count(statistics) for piece in pieces] == [1, 0]


def test_an_earlier_packet_stays_with_the_one_before_it_and_empty_intervals_make_no_file(tmp_path):
    times = [10 * NS, 30 * NS, 11 * NS, 31 * NS]
    _pieces, found = pieces_of(pcap(times), tmp_path, Rule(seconds=5))
    assert [(file["packets"], file["first_ns"]) for file in found["files"]] == [(1, 10 * NS), (3, 11 * NS)]


# what, the bytes, words of the damage, packets
BROKEN = [
    ("nothing", b"", "not one byte", 0),
    ("text", b"hello, world, this is no capture", "neither pcap nor pcapng", 0),
    ("cut within a packet", pcap(TIMES)[:-3], "ends within a record", 39),
    ("a giant length", pcap(TIMES[:2]) + struct.pack("<IIII", 1, 1, 1 << 30, 1) + bytes(99), "a record of more than", 2),
    ("a block of 10 bytes", pcapng(TIMES[:2]) + struct.pack("<II", 6, 10) + bytes(99), "a block of a length", 2),
    ("two lengths", pcapng(TIMES[:2])[:-4] + b"abcd", "two lengths differ", 1),
    ("an unknown interface", pcapng(TIMES[:2]) + block(6, struct.pack("<IIIII", 9, 0, 0, 0, 0)), "of which nothing was said", 2),
    ("a packet larger than its block", pcapng(TIMES[:2]) + block(6, struct.pack("<IIIII", 0, 0, 0, 50, 0)), "does not fit", 2),
]


@pytest.mark.parametrize(("data", "words", "packets"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_is_damaged_gives_all_that_could_be_read_and_says_where_it_ends(tmp_path, data, words, packets):
    pieces, found = pieces_of(data, tmp_path, Rule(packets=10))
    assert not found["complete"] and words in found["damage"]
    assert found["packets"] == sum(len(records(piece)) for piece in pieces) == packets


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=400) | st.tuples(st.sampled_from([pcap(TIMES[:9]), pcapng(TIMES[:9])]), st.integers(0, 700), st.binary(max_size=9)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    )
)  # fmt: skip
def test_whatever_the_bytes_are_the_pieces_are_captures(tmp_path, data):
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    pieces, found = pieces_of(data, tmp_path, Rule(packets=4))
    assert sum(file["packets"] for file in found["files"]) == found["packets"]
    assert all(walk(piece).status in ("ok", "unreadable") for piece in pieces)


def test_a_second_run_changes_nothing_and_a_rehearsal_writes_nothing(tmp_path):
    source, out, rule = tmp_path / "trace.pcap.gz", tmp_path / "out", Rule(packets=15)
    source.write_bytes(gzip.compress(pcap(TIMES)))
    foreseen = split(str(source), str(out), rule, rehearse=True)
    assert foreseen[0] and not out.exists()
    assert split(str(source), str(out), rule) == foreseen
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o600}
    assert sorted(path.name for path in out.iterdir()) == [f"trace_0000{number}.pcap.gz" for number in (1, 2, 3)]
    for rehearse in (True, False):
        changed, found = split(str(source), str(out), rule, rehearse)
        assert not changed and found == foreseen[1]
    changed, found = split(str(source), str(out), Rule(packets=30))
    assert changed and found["stale"] == [str(out / "trace_00003.pcap.gz")]
    assert source.exists()


def test_a_folder_that_was_there_keeps_its_mode(tmp_path):
    (tmp_path / "out").mkdir(mode=0o755)
    pieces_of(pcap(TIMES), tmp_path, Rule(packets=15))
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("source", "folder", "rule", "words"),
    [
        ("none.pcap", "out", Rule(packets=1), "there is no file"),
        (".", "out", Rule(packets=1), "is a folder"),
        ("trace.pcap", "trace.pcap", Rule(packets=1), "is a file"),
        ("trace.pcap", "a/b", Rule(packets=1), "there is no folder"),
        ("trace.pcap", "out", Rule(), "say where to cut"),
        ("trace.pcap", "out", Rule(packets=0), "at least"),
        ("trace.pcap", "out", Rule(size=1), "at least"),
        ("trace.pcap", "out", Rule(seconds=0.0), "at least"),
        ("trace.pcap", "out", Rule(seconds=float("nan")), "at least"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_touched(tmp_path, source, folder, rule, words):
    (tmp_path / "trace.pcap").write_bytes(pcap(TIMES))
    with pytest.raises(Unsplittable, match=words):
        split(str(tmp_path / source), str(tmp_path / folder), rule)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.pcap"]


@pytest.mark.parametrize(
    ("source", "first"),
    [
        ("/a/trace.pcap.zst", "out/trace_00001.pcap.zst"),
        ("trace.v2.pcapng", "out/trace.v2_00001.pcapng"),
        ("trace", "out/trace_00001"),
        (".pcap", "out/capture_00001.pcap"),
    ],
)
def test_names(source, first):
    assert names_for(source, "out").path(1) == first


def command(*words: object, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=60, cwd=folder)


def test_the_command_tells_of_each_piece_and_of_what_is_wrong(tmp_path):
    (tmp_path / "trace.pcap").write_bytes(pcap(TIMES))
    done = command("-C", "1K", "--report", "report.json", "trace.pcap", "out", folder=tmp_path)
    assert done.returncode == 0 and "out/trace_00001.pcap: 13 packets, 1012 bytes, 1970-01-01T00:00:10.000000Z to" in done.stderr
    assert "40 packets in 4 pieces" in done.stderr
    assert json.loads((tmp_path / "report.json").read_text())["packets"] == 40
    (tmp_path / "cut.pcap").write_bytes(pcap(TIMES)[:-1])
    done = command("-c", 20, "--quiet", "cut.pcap", "out", folder=tmp_path)
    assert done.returncode == 1 and "the capture is not whole: at byte" in done.stderr
    assert command("trace.pcap", "out", folder=tmp_path).returncode == 2
    assert command("-C", "1X", "trace.pcap", "out", folder=tmp_path).returncode == 2


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
def test_zstd_stays_zstd(tmp_path):
    packed = subprocess.run(["zstd", "-qc"], input=pcap(TIMES), capture_output=True, check=True).stdout
    pieces, _found = pieces_of(packed, tmp_path, Rule(packets=20), "trace.pcap.zst")
    plain = [subprocess.run(["zstd", "-dqc"], input=piece, capture_output=True, check=True).stdout for piece in pieces]
    assert [len(records(piece)) for piece in plain] == [20, 20]
    assert not os.path.exists(tmp_path / "out" / "trace_00001.pcap.zst.partial")
