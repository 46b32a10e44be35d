# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decapsulation in Python and in C: each against tshark, and both against each other on whatever one could hand them."""

from __future__ import annotations

import csv
import io
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import hot, native
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.decap import Decap, PythonKernel, Wanted, summary
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.decap_hot import HotKernel
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.packets import wrapped as w

LIBRARY = native.load(str(pathlib.Path(__file__).resolve().parents[5] / ".cache" / "native"))
needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")


class Memory:
    """Bytes that come in pieces of *step*, and bytes that were written."""

    def __init__(self, data: bytes = b"", step: int | None = None) -> None:
        self.data, self._at, self._step = data, 0, step or max(1, len(data))

    def read_into(self, view: memoryview) -> int:
        piece = self.data[self._at : self._at + min(self._step, len(view))]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def write(self, data: t.Any) -> None:
        self.data += bytes(data)

    def close(self) -> None:
        pass


class Result(t.NamedTuple):
    out: bytes
    rest: bytes
    side: str
    summary: dict[str, t.Any]

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.side)))


def kernel_of(path: str, wanted: Wanted) -> t.Any:
    if path == "python":
        return PythonKernel(wanted)
    if LIBRARY.library is None:
        pytest.skip(LIBRARY.reason or "")
    return HotKernel(LIBRARY.library, wanted)


def run(data: bytes, path: str = "python", step: int | None = None, depth: int = 8) -> Result:
    kernel = kernel_of(path, Wanted(rest=True, side=True, depth=depth))
    out, rest, side = Memory(), Memory(), Memory()
    decap = Decap(t.cast("t.Any", Memory(data, step)), *t.cast("t.Any", (out, rest, side)), kernel)
    decap.run()
    found = summary(kernel, decap.damage)
    found.pop("loop")
    return Result(out.data, rest.data, side.data.decode(), found)


both = pytest.mark.parametrize("path", ["python", "c"])


def exported(data: bytes, folder: pathlib.Path) -> list[bytes]:
    """Return for each packet the innermost Ethernet frame that tshark finds, as a pcap record without its time."""
    (folder / "in").write_bytes(data)
    argv = ["tshark", "-r", str(folder / "in"), "-U", "Ethernet", "-F", "nsecpcap", "-w", str(folder / "frames")]
    subprocess.run(argv, check=True, capture_output=True)
    last = {}
    for stamp, record in records((folder / "frames").read_bytes()):
        last[stamp] = record
    return list(last.values())


def records(data: bytes) -> t.Iterator[tuple[bytes, bytes]]:
    at = 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at : at + 8], data[at + 8 : at + 16 + size]
        at += 16 + size


# ---------------------------------------------------------------------------------------------------- against tshark


@pytest.mark.real
@needs_tshark
@both
@pytest.mark.parametrize("first_byte", [0x00, 0x10, 0x1A, 0x20, 0x2F, 0x33])
@pytest.mark.parametrize("snap, more", [(262144, 0), (128, 0), (160, 1000)])
def test_every_variant_is_what_tshark_finds(path, first_byte, snap, more, tmp_path):
    frame = w.inner(first_byte, 200)
    wrapped = w.variants(frame)
    wrapped.pop("Mellanox")  # which tshark does not know
    data = w.pcap(wrapped.values(), nano=True, snap=snap, more=more)
    wanted = exported(data, tmp_path)
    found = [record for _stamp, record in records(run(data, path).out)]
    assert len(found) == len(wrapped)
    assert dict(zip(wrapped, found)) == dict(zip(wrapped, wanted))


@both
def test_what_mellanox_switches_send(path):
    frame = w.inner(0x20)
    found = run(w.pcap([w.variants(frame)["Mellanox"]]), path)
    assert found.out[24 + 16 :] == frame
    assert (found.rows[0]["type"], found.rows[0]["session"]) == ("mellanox", "")


FIELDS = {
    "session": "erspan.spanid", "vlan": "erspan.vlan", "cos": "erspan.cos", "en": "erspan.encap", "truncated": "erspan.truncated",
    "index": "erspan.index", "timestamp": "erspan.timestamp", "granularity": "erspan.gra", "sgt": "erspan.sgt", "bso": "erspan.bso",
    "sequence": "gre.sequence_number", "key": "gre.key", "direction": "erspan.direction",
}  # fmt: skip
NAMES = {"100us": 0, "100ns": 1, "ieee1588": 2, "user": 3, "ingress": 0, "egress": 1}


@pytest.mark.real
@needs_tshark
@both
def test_the_side_table_says_what_tshark_says(path, tmp_path):
    packets = list(w.variants(w.inner()).values())
    (tmp_path / "in").write_bytes(w.pcap(packets))
    asked = [word for name in FIELDS.values() for word in ("-e", name)]
    argv = ["tshark", "-r", str(tmp_path / "in"), "-T", "fields", "-E", "occurrence=a", "-e", "frame.number", *asked]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    wanted = {}
    for line in said.splitlines():
        number, *cells = line.split("\t")
        wanted[number] = dict(zip(FIELDS, ([int(word, 0) for word in cell.split(",") if word] for cell in cells)))
    found: dict[str, t.Any] = {number: {name: [] for name in FIELDS} for number in wanted}
    for row in run(w.pcap(packets), path).rows:
        for name in FIELDS:
            found[row["packet"]][name] += [NAMES.get(row[name], row[name]) and int(NAMES.get(row[name], row[name]))] if row[name] else []
    assert found == wanted


# ---------------------------------------------------------------------------------------------------- formats


FORMATS = [(make, order, nano) for make in (w.pcap, w.pcapng) for order in "<>" for nano in (False, True)]


@both
@pytest.mark.parametrize("make, order, nano", FORMATS)
def test_the_file_stays_what_it_was(path, make, order, nano):
    plain = w.ethernet(w.ipv4(b"x" * 30, protocol=17))
    frames = [w.inner(first, size) for first, size in ((0x10, 64), (0x20, 99), (0x02, 1400))]
    mixed = [plain, *(w.ethernet(w.ipv4(w.type2(frame))) for frame in frames[:2]), plain, w.ethernet(w.ipv4(w.type3(frames[2])))]
    found = run(make(mixed, order=order, nano=nano), path, step=37)
    stamps = [1, 2, 4]
    whole = make([frames[stamps.index(number)] if number in stamps else b"" for number in range(5)], order=order, nano=nano)
    assert found.out == without(whole, make is w.pcap, order, lambda size: size == 0)
    whole = make([b"" if number in stamps else plain for number in range(5)], order=order, nano=nano)
    assert found.rest == without(whole, make is w.pcap, order, lambda size: size == 0)
    assert found.summary["complete"] and (found.summary["packets"], found.summary["frames"], found.summary["other"]) == (5, 3, 2)


def without(data: bytes, is_pcap: bool, order: str, unwanted: t.Callable[[int], bool]) -> bytes:
    """Return the file less the packets whose captured size is *unwanted*."""
    at, kept = (24, data[:24]) if is_pcap else (0, b"")
    while at < len(data):
        if is_pcap:
            size = struct.unpack_from(order + "I", data, at + 8)[0]
            total, drop = 16 + size, unwanted(size)
        else:
            kind, total = struct.unpack_from(order + "II", data, at)
            drop = kind == 6 and unwanted(struct.unpack_from(order + "I", data, at + 20)[0])
        kept += b"" if drop else data[at : at + total]
        at += total
    return kept


@both
@pytest.mark.parametrize(
    "link, prefix", [(1, w.ethernet(b"")), (101, b""), (228, b""), (113, bytes(14) + b"\x08\x00"), (276, b"\x08\x00" + bytes(18))]
)
@pytest.mark.parametrize("make", [w.pcap, w.pcapng])
def test_other_link_types_become_ethernet(path, make, link, prefix):
    frame = w.inner(0x21)
    found = run(make([prefix + w.ipv4(w.type2(frame))], link=link), path)
    assert found.out == make([frame], link=1)
    assert found.rest == make([], link=link)


@both
def test_a_pcapng_with_more_in_it(path):
    """Two sections, two interfaces, options on packets, statistics; an interface of a link type that holds no mirror."""
    frame = w.inner(0x12)
    mirrored = w.ethernet(w.ipv4(w.type2(frame)))
    keep, end = w.option(1, b"a comment"), w.option(0, b"")
    statistics = w.block(5, struct.pack("<III", 0, 1, 2))
    head = w.section(length=4711) + w.interface(options=w.option(13, b"\x04")) + w.interface(link=105)
    second = w.section(">") + w.interface(">") + w.packet(mirrored, 9, ">")
    data = (
        head + w.packet(mirrored, 7, options=keep + w.option(3, b"\x02hash") + end) + w.packet(mirrored, 8, number=1) + statistics + second
    )
    found = run(data, path, step=11)
    assert found.out == (
        w.section() + w.interface() + w.interface(link=105) + w.packet(frame, 7, options=keep + end) + statistics
        + w.section(">") + w.interface(">") + w.packet(frame, 9, ">")
    )  # fmt: skip
    assert w.packet(mirrored, 8, number=1) in found.rest and mirrored not in found.out


@both
def test_simple_packets_are_kept_and_counted(path):
    simple = w.block(3, struct.pack("<I", 60) + bytes(60))
    found = run(w.section() + w.interface() + simple, path)
    assert found.rest.endswith(simple)
    assert (found.summary["unknown"], found.summary["complete"]) == (1, False)


# ---------------------------------------------------------------------------------------------------- what cannot be undone


def odd(body: bytes, protocol: int = 0x22EB) -> bytes:
    return w.ethernet(w.ipv4(w.gre(body, protocol, 1)))


ROUTED = w.ethernet(w.ipv4(b"\x40\x00\x88\xbe" + bytes(4) + w.inner()))
NOT_UNDONE = [
    ("cut in the GRE header", [w.variants(w.inner())["type II"][:40]], "short"),
    ("cut in the ERSPAN header", [w.variants(w.inner())["type II"][:47]], "short"),
    ("cut in the sub-header", [w.variants(w.inner())["type III, sub-header"][:60]], "short"),
    ("an IP length that ends in the ERSPAN header", [w.ethernet(w.ipv4(w.type2(b"")[:-4])) + bytes(40)], "short"),
    ("a version of ERSPAN that nobody knows", [odd(b"\x30" + bytes(80))], "unknown"),
    ("an IP packet instead of a frame", [odd(struct.pack("!III", 2 << 28, 0, 2 << 10) + bytes(60))], "unknown"),
    ("GRE with routing", [ROUTED], "unknown"),
    ("GRE version 1", [w.ethernet(w.ipv4(b"\x30\x01\x88\x0b" + bytes(60)))], "other"),
    ("GRE with IP in it", [w.ethernet(w.ipv4(w.gre(w.ipv4(b"", 17), 0x0800)))], "other"),
    ("fragments", w.fragments(w.ipv4(w.type2(w.inner()))), "fragments"),
    ("fragments of something else", w.fragments(w.ipv4(bytes(100), protocol=17)), "other"),
    ("ARP", [w.ethernet(bytes(46), 0x0806)], "other"),
    ("nothing", [b""], "other"),
]


@both
@pytest.mark.parametrize("packets, kind", [row[1:] for row in NOT_UNDONE], ids=[row[0] for row in NOT_UNDONE])
def test_what_is_not_undone_is_kept_and_counted(path, packets, kind):
    data = w.pcap(packets)
    found = run(data, path)
    counts = {name: found.summary[name] for name in ("other", "short", "fragments", "unknown") if found.summary[name]}
    assert counts == {kind: len(packets)}
    assert (found.rest, found.out) == (data, w.pcap([]))
    assert found.summary["complete"] == (kind == "other")


@both
def test_only_the_outermost_on_request(path):
    frame = w.inner(0x11)
    middle = w.ethernet(w.ipv4(w.type2(frame, session=3)))
    data = w.pcap([w.ethernet(w.ipv4(w.type2(middle, session=4)))])
    assert run(data, path, depth=1).out == w.pcap([middle])
    assert [(row["depth"], row["session"]) for row in run(data, path).rows] == [("0", "4"), ("1", "3")]


# ---------------------------------------------------------------------------------------------------- sequences

TOP = 0xFFFFFFFF
# what, the numbers, gaps, missing, late, restarts, last
SEQUENCES = [
    ("in order", [5, 6, 7, 8], 0, 0, 0, 0, 8),
    ("over the top", [TOP - 1, TOP, 0, 1], 0, 0, 0, 0, 1),
    ("a gap over the top", [TOP - 1, 2, 3], 1, 3, 0, 0, 3),
    ("two gaps", [1, 3, 4, 10], 2, 6, 0, 0, 10),
    ("swapped", [1, 3, 2, 4], 1, 0, 1, 0, 4),
    ("swapped over the top", [TOP - 1, 0, TOP, 1], 1, 0, 1, 0, 1),
    ("begun anew", [100_000, 100_001, 0, 1], 0, 0, 0, 1, 1),
    ("not counted by the sender", [0, 0, 0, 0], None, None, None, None, 0),
]


@both
@pytest.mark.parametrize("numbers, gaps, missing, late, restarts, last", [row[1:] for row in SEQUENCES], ids=[row[0] for row in SEQUENCES])
def test_sequences(path, numbers, gaps, missing, late, restarts, last):
    found = run(w.pcap([w.ethernet(w.ipv4(w.type2(w.inner(), sequence=number))) for number in numbers]), path).summary["streams"]
    (stream,) = found
    counted = tuple(stream[name] for name in ("gaps", "missing", "late", "restarts", "sequence_last"))
    assert counted == (gaps, missing, late, restarts, last)
    assert (stream["source"], stream["target"], stream["session"], stream["packets"]) == ("10.9.0.1", "10.9.0.2", 100, len(numbers))


@both
def test_sessions_count_by_themselves(path):
    frames = [w.ethernet(w.ipv4(w.type2(w.inner(), sequence=n, session=n % 3))) for n in range(30)]
    found = run(w.pcap(frames), path).summary["streams"]
    assert [(stream["session"], stream["gaps"], stream["missing"]) for stream in found] == [(0, 9, 18), (1, 9, 18), (2, 9, 18)]


@both
def test_more_streams_than_are_told_apart(path):
    frames = [w.ethernet(w.ipv4(w.type1(b"", key=key))) for key in range(4200)]
    found = run(w.pcap(frames), path)
    assert (found.summary["frames"], found.summary["left_out"], len(found.summary["streams"])) == (4200, 104, 4096)
    assert found.rows[4096]["stream"] == ""


# ---------------------------------------------------------------------------------------------------- damage

GOOD = [w.ethernet(w.ipv4(w.type2(w.inner(size=99), sequence=number))) for number in range(4)]
DAMAGED = [
    ("no bytes", b"", 0, "not one byte"),
    ("three bytes", b"abc", 0, "ends within"),
    ("text", b"hello world, this is no capture", 0, "neither pcap nor pcapng"),
    ("half a header", w.pcap([])[:20], 0, "ends within"),
    ("cut in a packet", w.pcap(GOOD)[:-1], 3, "ends within"),
    ("cut in a record header", w.pcap(GOOD)[: -len(GOOD[0]) - 3], 3, "ends within"),
    ("cut in a block", w.pcapng(GOOD)[:-2], 3, "ends within"),
    ("a record longer than anything", w.pcap(GOOD[:2]) + struct.pack("<IIII", 1, 1, 1 << 30, 9), 2, "more than"),
    ("a block of no length", w.pcapng(GOOD) + struct.pack("<II", 6, 0) + bytes(8), 4, "cannot be"),
    ("lengths that differ", w.pcapng(GOOD)[:-1] + b"\x01", 3, "differ"),
    ("an unknown interface", w.pcapng(GOOD) + w.packet(GOOD[0], 5, number=3), 4, "nothing was said"),
    ("a packet larger than its block", w.pcapng(GOOD) + w.block(6, struct.pack("<IIIII", 0, 0, 0, 999, 999)), 4, "does not fit"),
    ("a link type that holds no mirror", w.pcap(GOOD, link=105), 0, "link type"),
]


@both
@pytest.mark.parametrize("data, frames, said", [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_damage_ends_it_after_everything_readable(path, data, frames, said):
    found = run(data, path)
    assert found.summary["frames"] == frames
    assert said in found.summary["damage"] and not found.summary["complete"]


# ---------------------------------------------------------------------------------------------------- anything at all

VALID = [make(w.variants(w.inner(0x17, 90)).values(), order=order) for make in (w.pcap, w.pcapng) for order in "<>"]


@st.composite
def mutated(draw: t.Any) -> bytes:
    """Return a good file with some bytes overwritten, and some cut out or put in."""
    data = bytearray(draw(st.sampled_from(VALID)))
    for _change in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data)


@st.composite
def noisy_packets(draw: t.Any) -> bytes:
    """Return a good file of packets whose headers are not: most noise dies in the file's own structure otherwise."""
    packets = []
    for _packet in range(draw(st.integers(1, 6))):
        data = bytearray(draw(st.sampled_from(sorted(w.variants(w.inner(0x21, 90)).values()))))
        for _change in range(draw(st.integers(0, 4))):
            data[draw(st.integers(12, len(data) - 1))] = draw(st.integers(0, 255))
        packets.append(bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data))
    make = draw(st.sampled_from([w.pcap, w.pcapng]))
    return make(
        packets, order=draw(st.sampled_from("<>")), link=draw(st.sampled_from([1, 1, 1, 101, 113, 276])), more=draw(st.integers(0, 60))
    )


@given(mutated() | noisy_packets() | st.binary(max_size=200), st.integers(1, 400), st.integers(1, 8))
@example(VALID[0], 1, 8)
@settings(max_examples=600, deadline=None)
def test_both_paths_give_the_same_bytes_however_it_comes(data, step, depth):
    slow = run(data, "python", depth=depth)
    assert run(data, "python", step, depth) == slow
    if LIBRARY.library is not None:
        assert run(data, "c", step, depth) == slow


@given(noisy_packets())
@settings(max_examples=300, deadline=None)
def test_no_packet_gets_lost_and_none_grows(data):
    found = run(data)
    counts = found.summary
    assert counts["packets"] == counts["frames"] + counts["other"] + counts["short"] + counts["fragments"] + counts["unknown"]
    assert len(found.out) <= len(data) and counts["damage"] is None


@pytest.mark.skipif(LIBRARY.library is None, reason=LIBRARY.reason or "")
def test_the_c_loop_touches_nothing_outside(tmp_path):
    """Under the compiler's sanitizers, in buffers that end where they must."""
    library = tmp_path / "hot.so"
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra", "-Werror"]
    built = subprocess.run([*native.CC, *flags, "-o", library, "-"], input=hot.SOURCE.encode(), capture_output=True, check=False)
    runtime = subprocess.run(["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    if b"cannot find" in built.stderr or not os.path.isabs(runtime):
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr.decode()
    watched = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    argv = [sys.executable, str(pathlib.Path(__file__).with_name("fuzz_hot.py")), str(library), "5000", "1"]
    done = subprocess.run(argv, env=watched, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stdout) == (0, "5000 rounds\n"), done.stderr[-3000:]
