# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line as its user types it: files, compression, pipes that are still being written, and what ends it early."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import select
import shutil
import signal
import stat
import subprocess
import sys

import pytest

from tests.unit.plugins.module_utils.packets import wrapped as w

ROOT = pathlib.Path(__file__).resolve().parents[5]
COMMAND = [str(ROOT / "scripts" / "pcap-decap")]
FRAMES = [w.inner(0x10 + number, 90) for number in range(5)]
MIRRORED = [w.ethernet(w.ipv4(w.type2(frame, sequence=number))) for number, frame in enumerate(FRAMES)]
OTHER = w.ethernet(w.ipv4(bytes(30), protocol=17))
needs_zstd = pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")


def run(*words: object, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(ROOT / ".cache" / "xdg")}
    return subprocess.run([*COMMAND, *map(str, words)], input=data, capture_output=True, check=False, timeout=60, env=environment)


def packed(data: bytes, kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout if kind == "zstd" else data


def unpacked(path: pathlib.Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return subprocess.run(["zstd", "-dqc"], input=data, capture_output=True, check=True).stdout if path.suffix == ".zst" else data


@needs_zstd
@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("piped", [False, True])
def test_files_pipes_and_compression(kind, suffix, piped, tmp_path):
    source, out, rest, side = (tmp_path / name for name in ("in", "out.pcap" + suffix, "rest.pcap" + suffix, "side.csv"))
    source.write_bytes(packed(w.pcap([*MIRRORED, OTHER]), kind))
    done = run("-" if piped else source, out, "--rest", rest, "--side", side, data=source.read_bytes() if piped else None)
    assert (done.returncode, done.stdout) == (0, b"")
    assert unpacked(out) == w.pcap(FRAMES)
    assert unpacked(rest)[24 + 16 :] == OTHER
    assert side.read_text().count("\n") == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in (out, rest, side)} == {0o600}
    assert b"6 packets read, 5 mirrored frames written, 1 others" in done.stderr


def test_the_report_and_the_two_paths(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(MIRRORED))
    pure = run(tmp_path / "in", "-", "--pure", "--report", tmp_path / "pure")
    fast = run(tmp_path / "in", "-", "--report", tmp_path / "fast")
    assert pure.stdout == fast.stdout == w.pcap(FRAMES)
    said = [json.loads((tmp_path / name).read_text()) for name in ("pure", "fast")]
    assert (said[0].pop("loop"), said[0].pop("loop_reason")) == ("python", "pure Python was asked for")
    assert (said[1].pop("loop"), said[1].pop("loop_reason")) == (
        ("c", None) if shutil.which("cc") else ("python", "there is no C compiler (cc)")
    )
    assert said[0] == said[1] and said[0]["streams"][0]["missing"] == 0


@needs_zstd
@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_a_truncated_input_gives_what_is_readable(kind, tmp_path):
    frames = [os.urandom(1000) for _number in range(200)]
    whole = packed(w.pcap([w.ethernet(w.ipv4(w.type2(frame))) for frame in frames]), kind)
    (tmp_path / "in").write_bytes(whole[: len(whole) * 3 // 4])
    done = run(tmp_path / "in", tmp_path / "out")
    found = (tmp_path / "out").read_bytes()
    assert done.returncode == 1 and b"ended early" in done.stderr
    # zstd gives its data by blocks of 128 KiB
    least = 145 if kind != "zstd" else 100
    assert least <= len(found) // 1016 <= 150 and w.pcap(frames).startswith(found)


REFUSED = [
    ("no input", ["none", "out"], "there is no file none"),
    ("a folder", [".", "out"], "is a folder"),
    ("onto itself", ["in", "in"], "different files"),
    ("onto itself by another name", ["in", "link"], "different files"),
    ("the same file twice", ["in", "out", "--rest", "out"], "different files"),
    ("standard output twice", ["in", "-", "--side", "-"], "different files"),
    ("no folder", ["in", "nowhere/out"], "there is no folder nowhere"),
    ("a depth of 0", ["in", "out", "--depth", "0"], "from 1 to 8"),
]


@pytest.mark.parametrize("words, said", [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_before_anything_is_touched(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").write_bytes(w.pcap(MIRRORED))
    (tmp_path / "link").symlink_to("in")
    done = run(*words)
    assert done.returncode == 2 and said in done.stderr.decode()
    assert sorted(os.listdir()) == ["in", "link"] and (tmp_path / "in").read_bytes() == w.pcap(MIRRORED)


@pytest.mark.real
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("zstd"), reason="needs root, to hide zstd")
def test_zstd_without_the_program_is_refused(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(MIRRORED))
    hidden = f"mount --bind /dev/null {shutil.which('zstd')} && exec {' '.join(COMMAND)} in out --rest rest.zst"
    done = subprocess.run(["unshare", "--mount", "sh", "-c", hidden], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "zstd is not installed" in done.stderr
    assert os.listdir(tmp_path) == ["in"]


def test_a_disk_that_is_full_leaves_no_file_that_looks_whole(tmp_path):
    (tmp_path / "in").write_bytes(w.pcap(MIRRORED))
    done = run(tmp_path / "in", "/dev/full", "--side", tmp_path / "side")
    assert done.returncode == 2 and b"No space left" in done.stderr
    assert not (tmp_path / "side").exists()


def test_each_packet_is_there_before_the_next(tmp_path):
    """Live: what `tcpdump -U` has written of a packet leaves at once, with the file still open."""
    with subprocess.Popen(
        [*COMMAND, "-", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        whole, wanted = w.pcap(MIRRORED), w.pcap(FRAMES)
        child.stdin.write(whole[:24])
        assert arriving(child.stdout.fileno(), 24) == wanted[:24]
        step, part = len(MIRRORED[0]) + 16, len(FRAMES[0]) + 16
        for number in range(len(MIRRORED)):
            child.stdin.write(whole[24 + number * step : 24 + (number + 1) * step])
            assert arriving(child.stdout.fileno(), part) == wanted[24 + number * part : 24 + (number + 1) * part]
        child.send_signal(signal.SIGINT)  # Ctrl-C reaches the whole pipeline: whoever feeds it ends first
        child.stdin.close()
        assert child.wait(10) == 0


def arriving(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size and select.select([descriptor], [], [], 20)[0]:
        data += os.read(descriptor, size - len(data))
    return data


def test_a_reader_that_goes_away_ends_it(tmp_path):
    with subprocess.Popen(
        [*COMMAND, "-", "-", "--side", tmp_path / "side"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        child.stdout.close()
        child.stdin.write(w.pcap(MIRRORED))
        child.stdin.close()
        said = child.stderr.read()
        assert child.wait(20) == 1
    assert b"has gone" in said and b"Traceback" not in said
    assert (tmp_path / "side").read_text().startswith("packet,frame,")


@pytest.mark.real
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("tcpdump") or not shutil.which("unshare"), reason="needs root and tcpdump")
def test_live_from_tcpdump(tmp_path):
    """The pipeline of the manual, on an interface of its own."""
    script = f"""
    ip link add sends type veth peer name hears && ip link set sends up && ip link set hears up
    tcpdump -i hears -U -w - -c 5 ether proto 0x0800 and ip proto 47 2>{tmp_path}/log | {" ".join(COMMAND)} - {tmp_path}/out &
    for n in $(seq 100); do grep -q listening {tmp_path}/log && break; sleep 0.1; done
    {sys.executable} -c "
import socket, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); sender.bind(('sends', 0))
for line in open('{tmp_path}/frames'): sender.send(bytes.fromhex(line))"
    wait
    """
    (tmp_path / "frames").write_text("\n".join(frame.hex() for frame in MIRRORED))
    done = subprocess.run(["unshare", "--net", "sh", "-c", script], capture_output=True, timeout=60, check=False)
    found = (tmp_path / "out").read_bytes()
    assert [found[24 + n * 106 + 16 : 24 + (n + 1) * 106] for n in range(5)] == FRAMES, done.stderr
