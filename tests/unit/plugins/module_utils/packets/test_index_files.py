# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of packet keys: what is written is read again, by the row, by numpy and by DuckDB, and nothing else is believed."""

from __future__ import annotations

import collections
import gzip
import io
import json
import os
import pathlib
import shutil
import stat
import struct
import subprocess
import typing as t
import zlib

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import index_cli, index_files, keyfile, keys, keytable, side
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Sided, Wish, index
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.packets import keyed as k
from tests.unit.plugins.module_utils.packets import wrapped as w

ROOT = pathlib.Path(__file__).resolve().parents[5]
COMMAND = [str(ROOT / "scripts" / "pcap-index")]
FRAMES = list(k.FRAMES.values())


@pytest.fixture(autouse=True)
def cache(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(ROOT / ".cache" / "xdg"))


def read(path: pathlib.Path) -> tuple[bytes, keyfile.Reader]:
    with open(path, "rb") as stream:
        reader = keyfile.Reader(stream)
        return b"".join(reader.rows()), reader


def rows_of(path: pathlib.Path) -> list[keys.Key]:
    return [keys.Key(*row) for row in keys.ROW.iter_unpack(read(path)[0])]


def run(*words: object, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, words)], input=data, capture_output=True, check=False, timeout=60)


# ---------------------------------------------------------------------------------------------------- what is written


@pytest.fixture
def captures(tmp_path):
    """Three captures of one vantage: plain, gzip and pcapng."""
    contents = (w.pcap(FRAMES), gzip.compress(w.pcap(FRAMES[:5])), w.pcapng(FRAMES[3:9]))
    paths = [tmp_path / name for name in ("a.pcap", "b.pcap.gz", "c.pcapng")]
    for path, content in zip(paths, contents):
        path.write_bytes(content)
    return [str(path) for path in paths]


def test_one_table_of_several_captures(captures, tmp_path):
    changed, found = index(Wish(captures, str(tmp_path / "out.keys"), "node1__eth1", jobs=1))
    rows, reader = read(tmp_path / "out.keys")
    assert changed and found["complete"] and found["packets"] == len(FRAMES) + 5 + 6 == len(rows) // keys.ROW.size
    assert [key.number for key in rows_of(tmp_path / "out.keys")] == list(range(1, found["packets"] + 1))
    assert reader.head["vantage"] == "node1__eth1" and reader.counts["packets"] == found["packets"]
    assert [file["path"] for file in reader.counts["files"]] == ["a.pcap", "b.pcap.gz", "c.pcapng"]
    again = [row for row in reader.side if row["number"] > len(FRAMES)]
    assert len(reader.side) == found["side"] and {row["kind"] for row in reader.side} == {"REQ", "REP", "RTU", "DREQ", "REJ", "toa", "uoa"}
    assert all(row["t_ns"] == rows_of(tmp_path / "out.keys")[row["number"] - 1].t_ns for row in [*again, *reader.side])
    assert stat.S_IMODE((tmp_path / "out.keys").stat().st_mode) == 0o600


def test_in_processes_of_their_own_and_one_after_the_other_are_the_same(captures, tmp_path):
    for jobs in (1, 3):
        index(Wish(captures, str(tmp_path / f"{jobs}.keys"), "x", jobs=jobs))
    assert (tmp_path / "1.keys").read_bytes() == (tmp_path / "3.keys").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["1.keys", "3.keys", "a.pcap", "b.pcap.gz", "c.pcapng"]


def test_the_two_loops_write_the_same_rows(captures, tmp_path):
    found = [index(Wish(captures, str(tmp_path / f"{pure}.keys"), "x", pure=pure))[1] for pure in (True, False)]
    assert read(tmp_path / "True.keys")[0] == read(tmp_path / "False.keys")[0]
    assert read(tmp_path / "True.keys")[1].side == read(tmp_path / "False.keys")[1].side
    assert (found[0]["loop"], found[0]["loop_reason"]) == ("python", "pure Python was asked for")
    assert found[1]["loop"] == ("c" if shutil.which("cc") else "python")
    assert found[0]["flags"] == found[1]["flags"]


@pytest.mark.parametrize("name", ["out.keys", "out.parquet"])
def test_only_what_is_stale_is_changed_and_a_rehearsal_writes_nothing(captures, tmp_path, name):
    wish = Wish(captures, str(tmp_path / name), "x")
    assert index(wish, rehearse=True)[0] and not (tmp_path / name).exists()
    assert index(wish)[0]
    assert not index(wish, rehearse=True)[0] and not index(wish)[0]
    pathlib.Path(captures[0]).write_bytes(w.pcap(FRAMES[1:]))
    assert index(wish, rehearse=True)[0] and index(wish)[0]
    assert len(os.listdir(tmp_path)) == 4


def test_segments_are_full_but_the_last_of_a_capture():
    sink = io.BytesIO()
    writer = keyfile.Writer(sink, "x", keyfile.codec("zlib"))
    row = keys.ROW.pack(*(bytes(16) if field.code == "16s" else 1 for field in keys.FIELDS))
    for many in (keyfile.SEGMENT - 1, 3, 2 * keyfile.SEGMENT):
        writer.rows(row * many)
    writer.flush()
    writer.rows(row)
    writer.end([], {"packets": 1})
    sink.seek(0)
    assert [rows for rows, _packed in keyfile.Reader(sink).segments()] == [keyfile.SEGMENT] * 3 + [2, 1]


@pytest.mark.parametrize("name", ["zlib", "zstd"])
def test_codecs(name):
    codec = keyfile.codec(name)
    data = os.urandom(1000) + bytes(100_000)
    assert codec.unpack(codec.pack(data), len(data)) == data
    assert len(codec.unpack(codec.pack(data), 500)) == 501
    for broken in (b"", b"abc", codec.pack(data)[:-9] + b"\xff" * 9):
        try:
            assert codec.unpack(broken, len(data)) != data
        except ValueError:
            pass
    with pytest.raises(keyfile.BadKeys, match="install the package zstandard"):
        keyfile.codec("lzma")


def test_the_side_table_has_its_bounds(monkeypatch):
    monkeypatch.setattr(side, "MAX_ROWS", 3)
    sided = Sided()
    for number in range(5):
        sided.add({"number": number})
    assert (len(sided.rows), sided.left_out) == (3, 2)


# ---------------------------------------------------------------------------------------------------- numpy, Parquet, DuckDB


def test_numpy_has_the_rows_and_counts_what_is_repeated(captures, tmp_path):
    index(Wish(captures, str(tmp_path / "out.keys")))
    with open(tmp_path / "out.keys", "rb") as stream:
        table, reader = keytable.load(stream)
    seen: collections.Counter[int] = collections.Counter()
    wanted = []
    for key in rows_of(tmp_path / "out.keys"):
        wanted.append(key._replace(occurrence=seen[key.fingerprint]))
        seen[key.fingerprint] += 1
    assert [keys.Key(*row) for row in keys.ROW.iter_unpack(table.tobytes())] == wanted
    assert max(key.occurrence for key in wanted) >= 2 and reader.counts["packets"] == len(table)


@given(st.lists(st.integers(0, 5), max_size=60))
@settings(max_examples=100, deadline=None)
def test_occurrences(values):
    import numpy

    wanted = [values[:place].count(value) for place, value in enumerate(values)]
    assert keytable.occurrences(numpy.array(values, numpy.uint64)).tolist() == wanted


def test_parquet_says_what_the_rows_say(captures, tmp_path):
    import duckdb

    index(Wish(captures, str(tmp_path / "out.keys"), "node1"))
    index(Wish(captures, str(tmp_path / "out.parquet"), "node1"))
    with open(tmp_path / "out.keys", "rb") as stream:
        table, reader = keytable.load(stream)
    found = duckdb.sql(f"select * from '{tmp_path}/out.parquet' order by number")
    for row, values in zip(keys.ROW.iter_unpack(table.tobytes()), found.fetchall()):
        key, said = keys.Key(*row), dict(zip(found.columns, values))
        for field, value in zip(keys.FIELDS, key):
            there = keys.present(field.flag, key.flags)
            assert said[field.name] == ((side.address(value) if isinstance(value, bytes) else value) if there else None), field.name
        rdma = bool(key.flags & (keys.FLAGS["roce1"] | keys.FLAGS["roce2"]))
        assert said["vantage"] == "node1" and (said["roce"] is not None) == rdma
        assert said["icrc_valid"] == (bool(key.flags & keys.FLAGS["icrc_valid"]) if key.flags & keys.FLAGS["icrc"] else None)
        assert said["identified"] == bool(key.flags & keys.FLAGS["identified"])
    about = dict(duckdb.sql(f"select decode(key), decode(value) from parquet_kv_metadata('{tmp_path}/out.parquet')").fetchall())
    assert json.loads(about["wirefleet.index"])["packets"] == len(table)
    assert [json.loads(line) for line in about["wirefleet.side"].splitlines()] == reader.side


# ---------------------------------------------------------------------------------------------------- what is not as it should be


def test_each_capture_is_read_as_far_as_it_goes(tmp_path):
    contents = {
        "cut.pcap": w.pcap(FRAMES)[:-5], "empty.pcap": w.pcap([]), "text.pcap": b"no capture at all", "nothing.pcap": b"",
        "foreign.pcap": w.pcap(FRAMES[:2], link=105), "good.pcap": w.pcap(FRAMES[:3]), "cut.gz": gzip.compress(w.pcap(FRAMES))[:-20],
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    _changed, found = index(Wish([str(tmp_path / name) for name in contents], str(tmp_path / "out.keys"), "x", jobs=2))
    packets = {os.path.basename(file["path"]): file["packets"] for file in found["files"]}
    assert packets | {"cut.pcap": len(FRAMES) - 1, "empty.pcap": 0, "text.pcap": 0, "foreign.pcap": 2, "good.pcap": 3} == packets
    assert not found["complete"] and found["packets"] == len(rows_of(tmp_path / "out.keys"))
    said = "\n".join(found["reasons"])
    for words in ("cut.pcap is not whole", "empty.pcap has no packet", "neither pcap nor", "not one byte", "link types are 105", "gzip"):
        assert words in said
    assert "good.pcap" not in said and str(tmp_path) not in "\n".join(read(tmp_path / "out.keys")[1].counts["reasons"])


def chunk(tag: bytes, rows: int, data: bytes) -> bytes:
    return struct.pack("<4sIII", tag, rows, len(data), zlib.crc32(data)) + data


HEAD = json.dumps({"schema": 1, "columns": keyfile.columns(), "codec": "zlib"}).encode()
BEGIN = keyfile.MAGIC + chunk(b"HEAD", 0, HEAD)
BAD = [
    ("nothing", b"", "no file of packet keys"),
    ("something else", w.pcap(FRAMES), "no file of packet keys"),
    ("only the beginning", keyfile.MAGIC, "ends before its counts"),
    ("no head", keyfile.MAGIC + chunk(b"ROWS", 0, b""), "another version"),
    ("a head that is a list", keyfile.MAGIC + chunk(b"HEAD", 0, b"[]"), "JSON object"),
    ("a head that is nested", keyfile.MAGIC + chunk(b"HEAD", 0, b"[" * 100_000), "not"),
    ("other columns", keyfile.MAGIC + chunk(b"HEAD", 0, HEAD.replace(b"psn", b"pns")), "another version"),
    ("no counts", BEGIN, "ends before its counts"),
    ("an unknown chunk", BEGIN + chunk(b"WHAT", 0, b""), "nothing is known"),
    ("a chunk larger than anything", BEGIN + struct.pack("<4sIII", b"ROWS", 1, 1 << 31, 0), "cannot be"),
    ("more rows than anything", BEGIN + struct.pack("<4sIII", b"ROWS", 1 << 31, 9, 0), "cannot be"),
    ("a bomb", BEGIN + chunk(b"ROWS", 1, zlib.compress(bytes(10_000_000))), "another size"),
    ("a bomb in the side table", BEGIN + chunk(b"SIDE", 1, zlib.compress(bytes((64 << 20) + 9))), "another size"),
    ("too few rows", BEGIN + chunk(b"ROWS", 9, zlib.compress(bytes(152))), "another size"),
    ("what is not compressed", BEGIN + chunk(b"ROWS", 1, bytes(152)), "cannot be unpacked"),
    ("a chunk that was altered", BEGIN + chunk(b"ROWS", 1, zlib.compress(bytes(152)))[:-1] + b"\xff", "checksum"),
    ("more behind the end", BEGIN + chunk(b"DONE", 0, b"{}") + b"x", "follows its end"),
    ("a codec from the future", keyfile.MAGIC + chunk(b"HEAD", 0, HEAD.replace(b"zlib", b"zzzz")), "compressed with"),
]


@pytest.mark.parametrize("data, said", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_is_read_is_not_believed(data, said):
    with pytest.raises(keyfile.BadKeys, match=said):
        list(keyfile.Reader(io.BytesIO(data)).rows())


def good() -> bytes:
    sink = io.BytesIO()
    writer = keyfile.Writer(sink, "x", keyfile.codec("zlib"))
    writer.rows(os.urandom(152 * 3))
    writer.end([{"a": 1}], {"packets": 3})
    return sink.getvalue()


GOOD = good()


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
@settings(max_examples=300, deadline=None)
def test_whatever_is_altered_is_told_in_a_sentence(changes, end):
    data = bytearray(GOOD)
    for at, value in changes:
        data[at] = value
    try:
        rows = b"".join(keyfile.Reader(io.BytesIO(bytes(data[:end]))).rows())
    except keyfile.BadKeys as problem:
        assert str(problem)
    else:
        assert len(rows) == 152 * 3


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")
@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("piped", [False, True])
def test_the_command_reads_files_and_pipes(kind, piped, tmp_path):
    data = w.pcap(FRAMES)
    packed = {"plain": lambda: data, "gzip": lambda: gzip.compress(data)}.get(
        kind, lambda: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    )()
    (tmp_path / "in").write_bytes(packed)
    out: t.Any = "-" if piped else tmp_path / "out.keys"
    done = run("-" if piped else tmp_path / "in", out, "--report", tmp_path / "report", data=packed if piped else None)
    if piped:
        (tmp_path / "out.keys").write_bytes(done.stdout)
    assert done.returncode == 0 and len(rows_of(tmp_path / "out.keys")) == len(FRAMES)
    assert json.loads((tmp_path / "report").read_text())["packets"] == len(FRAMES)
    assert f"{len(FRAMES)} packets of {'capture' if piped else 'in'}".encode() in done.stderr
    assert b"have a wrong ICRC" in done.stderr and b"rows of the side table" in done.stderr


def test_damage_has_an_exit_code_and_a_reason(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(FRAMES)[:-5])
    done = run(tmp_path / "in", tmp_path / "out.keys")
    assert done.returncode == 1 and b"is not whole" in done.stderr and b"Traceback" not in done.stderr
    assert len(rows_of(tmp_path / "out.keys")) == len(FRAMES) - 1


REFUSED = [
    ("no input", ["none", "out"], "there is no file none"),
    ("a folder", [".", "out"], "is a folder"),
    ("onto itself", ["in", "in"], "is another file"),
    ("onto itself by another name", ["in", "link"], "is another file"),
    ("twice", ["in", "in", "out"], "named once"),
    ("no folder", ["in", "nowhere/out"], "there is no folder nowhere"),
    ("compressed", ["in", "out.keys.zst"], "compressed inside"),
    ("no job", ["in", "out", "--jobs", "0"], "at least one job"),
    ("no name", ["in", "out", "--vantage", ""], "the name of a vantage"),
]


@pytest.mark.parametrize("words, said", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_before_anything_is_touched(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_bytes(w.pcap(FRAMES))
    (tmp_path / "link").symlink_to("in")
    done = run(*words)
    assert done.returncode == 2 and said in done.stderr.decode()
    assert sorted(os.listdir()) == ["in", "link"] and (tmp_path / "in").read_bytes() == w.pcap(FRAMES)


def test_parquet_without_pyarrow_is_refused(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(FRAMES))
    plugins = str(ROOT / "plugins")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); sys.modules['pyarrow'] = None; from module_utils.packets.index_cli import run; run()"
    argv = ["python3", "-I", "-S", "-B", "-c", code, plugins, str(tmp_path / "in"), str(tmp_path / "out.parquet")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "not installed on this host: install it first" in done.stderr
    assert os.listdir(tmp_path) == ["in"]


@pytest.mark.real
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("zstd"), reason="needs root, to hide zstd")
def test_zstd_without_the_program_is_refused(tmp_path):
    (tmp_path / "in").write_bytes(subprocess.run(["zstd", "-qc"], input=w.pcap(FRAMES), capture_output=True, check=True).stdout)
    hidden = f"mount --bind /dev/null {shutil.which('zstd')} && exec {' '.join(COMMAND)} in out.keys"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", hidden], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "zstd is not installed" in done.stderr
    assert os.listdir(tmp_path) == ["in"]


def test_a_reader_that_was_killed_is_told_in_a_sentence(captures, tmp_path, monkeypatch):
    monkeypatch.setattr(index_files, "_part", _dies)
    with pytest.raises(OSError, match="was killed"):
        index(Wish(captures, str(tmp_path / "out.keys"), jobs=2))
    assert not (tmp_path / "out.keys").exists()


def _dies(*_words: object) -> t.NoReturn:
    os._exit(9)


def test_a_disk_that_is_full(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(FRAMES))
    done = run(tmp_path / "in", "/dev/full")
    assert done.returncode == 2 and b"No space left" in done.stderr


def test_progress_is_told_after_a_few_seconds(capsys):
    now = iter((0.0, 1.0, 2.9, 3.1, 4.0, 6.2))
    progress = index_cli.Progress(lambda: next(now))
    for packets in (1, 2, 3, 4, 5):
        progress("/x/in.pcap", packets)
    assert capsys.readouterr().err == "pcap-index: in.pcap: 3 packets so far\npcap-index: in.pcap: 5 packets so far\n"
