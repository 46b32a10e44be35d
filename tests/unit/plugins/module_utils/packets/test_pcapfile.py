# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walker against files that real tools made or count, and against anything else one could hand it."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import native
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Walker
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile_hot import HotCounter
from hypothesis import given, settings
from hypothesis import strategies as st

LIBRARY = native.load(str(pathlib.Path(__file__).resolve().parents[5] / ".cache" / "native")).library
NS = 1_000_000_000
FRAME = bytes(range(60))


def pcap(times_ns, order="<", nano=True, length=60):
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, 1)
    for now in times_ns:
        out += struct.pack(order + "IIII", now // NS, now % NS // (1 if nano else 1000), length, length + 40) + FRAME[:length]
    return out


def pcapng(times_ns, order="<", resolution=9):
    def block(kind, body):
        total = 12 + len(body)
        return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", total)

    out = block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(order + "HHIHHB3xHH", 1, 0, 262144, 9, 1, resolution, 0, 0))
    for now in times_ns:
        ticks = now * 10**resolution // NS
        out += block(6, struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 60, 100) + FRAME)
    return out


def erf(times_ns, extensions=0):
    """Ethernet records with two bytes in front of the frame, and *extensions* headers that announce each other."""
    out = b""
    more = b"".join((b"\x80" if number + 1 < extensions else b"\x00") + bytes(7) for number in range(extensions))
    for now in times_ns:
        ticks = (now << 32) // NS + 1
        kind = 2 | (0x80 if extensions else 0)
        out += struct.pack("<Q", ticks) + struct.pack(">BBHHH", kind, 4, 16 + len(more) + 2 + 60, 0, 100) + more + bytes(2) + FRAME
    return out


def walk(data, t0=None, t1=None, step=None):
    """Walk with the loop in Python and, where there is a compiler, with the one in C: they must agree."""
    found = _walk(data, Walker(t0, t1), step)
    if LIBRARY is not None:
        assert _walk(data, Walker(t0, t1, HotCounter(LIBRARY)), step) == found
    return found


def _walk(data, walker, step):
    for at in range(0, len(data), step or max(1, len(data))):
        walker.feed(bytearray(data[at : at + (step or len(data))]))
    return walker.summary()


TIMES = [10 * NS + 5000, 11 * NS, 12 * NS + 7000, 11 * NS + 1000]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("make", [pcap, pcapng])
def test_counts_and_times(make, order):
    found = walk(make(TIMES, order), 11 * NS, 12 * NS)
    assert (found.packets, found.in_window, found.out_of_order, found.status) == (4, 2, 1, "ok")
    assert (found.first_ns, found.last_ns) == (TIMES[0], TIMES[2])
    assert (found.bytes_captured, found.bytes_wire, found.link_type) == (240, 400, 1)


def test_microseconds_count_as_such():
    assert walk(pcap(TIMES, nano=False)).first_ns == TIMES[0]
    assert walk(pcapng(TIMES, resolution=6)).first_ns == TIMES[0]


# what, the bytes, status, packets
BROKEN = [
    ("no bytes at all", b"", "unreadable", 0),
    ("three bytes", b"abc", "unreadable", 0),
    ("text", b"hello world, this is no capture", "unreadable", 0),
    ("modified pcap", b"\x34\xcd\xb2\xa1" + bytes(20), "unreadable", 0),
    ("header only", pcap([]), "empty", 0),
    ("pcapng without packets", pcapng([]), "empty", 0),
    ("cut in a packet", pcap(TIMES)[:-1], "truncated", 3),
    ("cut in a record header", pcap(TIMES)[:-70], "truncated", 3),
    ("cut in a block", pcapng(TIMES)[:-4], "truncated", 3),
    ("a record longer than anything", pcap(TIMES[:1]) + struct.pack("<IIII", 1, 1, 1 << 30, 1 << 30), "unreadable", 1),
    ("a block of no length", pcapng(TIMES) + struct.pack("<II", 6, 0) + bytes(8), "unreadable", 4),
]


@pytest.mark.parametrize("data, status, packets", [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_broken_files(data, status, packets):
    found = walk(data)
    assert (found.status, found.packets) == (status, packets)
    assert (found.reason is None) == (status in ("ok", "empty"))


@given(st.binary(max_size=400), st.sampled_from([b"", pcap(TIMES), pcapng(TIMES)]), st.integers(0, 500))
@settings(max_examples=300, deadline=None)
def test_nothing_crashes_it(noise, start, cut):
    walk(start[:cut] + noise + start)


TOO_LONG = pcap(TIMES) + struct.pack("<IIII", 1, 1, 1 << 30, 1 << 30) + bytes(100)


@given(st.sampled_from([pcap(TIMES), pcapng(TIMES), pcap(TIMES, ">")[:-7], pcapng(TIMES)[:-9], TOO_LONG]), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_the_pieces_do_not_matter(data, step):
    assert walk(data, step=step) == walk(data)


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("editcap") or not shutil.which("capinfos"), reason="wireshark-common is not installed")
@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
def test_against_wireshark(tmp_path, kind):
    since = 1_795_428_900 * NS + 5000
    (tmp_path / "in.pcap").write_bytes(pcap([since + n * 1000 for n in range(500)]))
    subprocess.run(["editcap", "-F", kind, tmp_path / "in.pcap", tmp_path / "out"], check=True)
    said = subprocess.run(["capinfos", "-TMrc", tmp_path / "out"], capture_output=True, text=True, check=True).stdout
    found = walk((tmp_path / "out").read_bytes(), step=1000)
    assert found.packets == int(said.split()[-1]) == 500
    assert (found.status, found.format) == ("ok", kind.replace("nsec", ""))
    assert abs(found.first_ns - since) <= 1
    assert (found.bytes_captured, found.bytes_wire) == (500 * 60, 500 * 100)


SINCE = 1_795_428_900 * NS


@pytest.mark.parametrize("extensions", [0, 1, 3])
def test_erf(extensions):
    data = erf([SINCE, SINCE + 7000, SINCE + 5000], extensions)
    found = walk(data)
    assert (found.format, found.link_type, found.packets, found.status) == ("erf", 197, 3, "ok")
    assert (found.first_ns, found.last_ns, found.out_of_order) == (SINCE, SINCE + 7000, 1)
    assert (found.bytes_captured, found.bytes_wire) == (180, 300)
    assert walk(data, step=1) == found
    assert (walk(data[:-1]).status, walk(data[:-1]).packets) == ("truncated", 2)


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("capinfos"), reason="wireshark-common is not installed")
def test_erf_against_wireshark(tmp_path):
    (tmp_path / "in.erf").write_bytes(erf([SINCE + n * 1000 for n in range(50)], 2))
    said = subprocess.run(["capinfos", "-TMrtcd", tmp_path / "in.erf"], capture_output=True, text=True, check=True).stdout
    assert said.split("\t")[1:3] == ["erf", "50"] and int(said.split("\t")[-1]) == 50 * 100


@pytest.mark.skipif(LIBRARY is None, reason="there is no C compiler")
def test_c_gives_what_python_gives_for_memory_that_must_not_be_written():
    data = pcap(TIMES)
    walker = Walker(count=HotCounter(LIBRARY))
    walker.feed(bytes(data))
    assert walker.summary() == walk(data)
