# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every filter is compiled by the real tcpdump and run on frames of which is known what should pass."""

from __future__ import annotations

import itertools
import shutil
import struct
import subprocess
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import bpf, roce
from ansible_collections.wirefleet.capture.tests.traffic import roce_frames

# label: (opcode, dest QP, bytes after the BTH)
PACKETS = {
    "send": (0x04, 0x1A4, b"data"),
    "write": (0x0A, 0x1AE, roce.RETH.pack(1, 2, 4) + b"data"),
    "read": (0x0C, 0x1AE, roce.RETH.pack(1, 2, 4)),
    "ack": (0x11, 0x1A4, roce_frames.aeth(0x1F, 1)),
    "seq_nak": (0x11, 0x1A4, roce_frames.aeth(0x60, 1)),
    "access_nak": (0x11, 0x2A4, roce_frames.aeth(0x62, 1)),
    "rnr": (0x11, 0x1A4, roce_frames.aeth(0x2E, 1)),
    "xrc_nak": (0xB1, 0x1A4, roce_frames.aeth(0x60, 1)),
    "atomic": (0x14, 0x1AE, bytes(28)),
    "cnp": (0x81, 0x1AE, bytes(16)),
    "cm": (0x64, 1, roce.DETH.pack(0x80010000, 1) + bytes(256)),
    "ud": (0x64, 0x1AE, roce.DETH.pack(7, 9) + bytes(8)),
    "vendor": (0xD1, 0x1AE, roce_frames.aeth(0x60, 1)),
}
CARRIERS = ("v2_ipv4", "v2_ipv6", "v1")
TAGS = (None, 6, 7)
MACS = b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"
V4 = "10.78.0.2", "10.78.0.3"
V6 = "fd78::2", "fd78::3"


class Frame(t.NamedTuple):
    label: str
    carrier: str
    tag: int | None
    marked: bool
    data: bytes


def made(label: str, carrier: str, tag: int | None, marked: bool) -> Frame:
    opcode, qp, rest = PACKETS[label]
    bth, tos = roce.Bth(opcode, 0x40, 0xFFFF, qp, False, 42), (26 << 2 | 3) if marked else 0
    if carrier == "v1":
        data = roce_frames.frame_v1(*MACS, bth, rest, tag, tos)
    else:
        data = roce_frames.frame(*MACS, roce_frames.packet(*(V4 if carrier == "v2_ipv4" else V6), bth, rest, tos=tos), tag)
    return Frame(label, carrier, tag, marked, data)


def other(label: str, protocol: int, body: bytes, tag: int | None) -> Frame:
    """Not RoCE: UDP and TCP whose payload would look like it to a filter with one wrong offset."""
    packet = bytearray(roce_frames.packet(*V4, roce.Bth(0x11, 0x40, 0xFFFF, 0x1AE, False, 42), roce_frames.aeth(0x60, 1)))
    packet[9], packet[20:28] = protocol, body
    return Frame(label, "other", tag, False, roce_frames.frame(*MACS, bytes(packet), tag))


FRAMES = [
    *(made(*row) for row in itertools.product(PACKETS, CARRIERS, TAGS, (False, True))),
    *(other("dns", 17, struct.pack("!HHHH", 4791, 53, 30, 0), tag) for tag in TAGS),
    *(other("tcp", 6, struct.pack("!HHI", 50000, 4791, 1), tag) for tag in TAGS),
    *(Frame("arp", "other", tag, False, b"".join(MACS) + (struct.pack("!HH", 0x8100, tag) if tag else b"") + b"\x08\x06" + bytes(60)) for tag in TAGS),
]  # fmt: skip
NAKS = ("seq_nak", "access_nak", "xrc_nak")


def is_roce(frame: Frame) -> bool:
    return frame.carrier != "other"


def labels(*wanted: str) -> t.Callable[[Frame], bool]:
    return lambda frame: is_roce(frame) and frame.label in wanted


def qp(*wanted: int) -> t.Callable[[Frame], bool]:
    return lambda frame: is_roce(frame) and PACKETS[frame.label][1] in wanted


CASES: list[tuple[t.Any, t.Callable[[Frame], bool]]] = [
    ("roce", is_roce),
    ("rocev1", lambda frame: frame.carrier == "v1"),
    ("rocev2", lambda frame: frame.carrier in ("v2_ipv4", "v2_ipv6")),
    ("cnp", labels("cnp")),
    ("nak", labels(*NAKS)),
    ("rnr", labels("rnr")),
    ("nak_any", labels(*NAKS, "rnr")),
    ("seq_nak", labels("seq_nak", "xrc_nak")),
    ("cm", labels("cm")),
    ("ecn_ce", lambda frame: frame.marked),
    ({"qp": 0x1AE}, qp(0x1AE)),
    ({"qp": "0x1ae", "roce": True}, qp(0x1AE)),
    ({"connection": [0x1A4, 0x2A4]}, qp(0x1A4, 0x2A4)),
    ({"opcode": 0xD1}, labels("vendor")),
    ({"verb": "send"}, labels("send")),
    ({"verb": "write"}, labels("write")),
    ({"verb": ["read", "atomic"]}, labels("read", "atomic")),
    ({"verb": "ack"}, labels("ack", "seq_nak", "access_nak", "rnr")),
    ({"dscp": 26}, lambda frame: frame.marked),
    ({"dscp": 0, "roce": True}, lambda frame: is_roce(frame) and not frame.marked),
    ({"roce": True, "vlan": 6}, lambda frame: is_roce(frame) and frame.tag == 6),
    ({"vlan": 6}, lambda frame: frame.tag == 6),
    ({"host": V4[1]}, lambda frame: frame.carrier == "v2_ipv4" or frame.label in ("dns", "tcp")),
    ({"host": V6[0], "cnp": True}, lambda frame: frame.carrier == "v2_ipv6" and frame.label == "cnp"),
    ({"net": "fd78::/16"}, lambda frame: frame.carrier == "v2_ipv6"),
    ({"net": "192.0.2.0/24"}, lambda frame: False),
    ({"port": 53}, lambda frame: frame.label == "dns"),
    ({"port": 49152, "rnr": True}, lambda frame: frame.label == "rnr" and frame.carrier != "v1"),
    ({"qp": 0x1AE, "dscp": 26, "vlan": 7, "verb": "write", "rocev2": True},
     lambda frame: frame.label == "write" and frame.tag == 7 and frame.marked and frame.carrier != "v1"),
]  # fmt: skip


def run(expression: str, frames: t.Sequence[Frame], tmp_path: t.Any) -> set[int]:
    """Return which *frames* pass, told by their number in the place of the time."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for number, frame in enumerate(frames):
        out += struct.pack("<IIII", number, 0, len(frame.data), len(frame.data)) + frame.data
    (tmp_path / "frames.pcap").write_bytes(out)
    command = ["tcpdump", "-ttnr", tmp_path / "frames.pcap", "-w", "-", expression]
    passed = subprocess.run(command, capture_output=True, check=True).stdout
    at, found = 24, set()
    while at < len(passed):
        number, _fraction, length, _original = struct.unpack_from("<IIII", passed, at)
        found.add(number)
        at += 16 + length
    return found


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
@pytest.mark.parametrize("wishes, wanted", CASES, ids=[str(case[0]) for case in CASES])
def test_filters_match_exactly_what_they_say(wishes, wanted, tmp_path):
    found = run(bpf.expand(wishes), FRAMES, tmp_path)
    expected = {number for number, frame in enumerate(FRAMES) if wanted(frame)}
    wrong = [(FRAMES[number][:4], number in found) for number in found ^ expected]
    assert not wrong


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("tcpdump"), reason="tcpdump is not installed")
def test_gids_of_roce_v1_are_addresses(tmp_path):
    frames = []
    for ends, tag in itertools.product([V4, V6, ("192.0.2.1", "192.0.2.2")], (None, 6)):
        gids = roce_frames.gid(ends[0]) + roce_frames.gid(ends[1])
        frame = bytearray(made("write", "v1", tag, False).data)
        at = 22 if tag is None else 26
        frame[at : at + 32] = gids
        frames.append(Frame("write", "v1", tag, False, bytes(frame)))
    assert run(bpf.expand({"host": V4[0]}), frames, tmp_path) == {0, 1}
    assert run(bpf.expand({"host": V6[1]}), frames, tmp_path) == {2, 3}
    assert run(bpf.expand({"net": "192.0.2.0/24", "verb": "write"}), frames, tmp_path) == {4, 5}
    assert run(bpf.expand({"net": "0.0.0.0/0"}), frames, tmp_path) == {0, 1, 4, 5}


# wishes, a word of the sentence
BAD = [
    ({"nack": True}, "did you mean 'nak'"),
    ({"zzz": 1}, "there are roce"),
    ({}, "without terms"),
    ({"qp": 1 << 24}, "0xffffff"),
    ({"qp": True}, "qp is a number"),
    ({"dscp": 64}, "0x3f"),
    ({"vlan": 4095, "roce": True}, "0xffe"),
    ({"verb": []}, "verb is one of send"),
    ({"verb": [{}]}, "verb is one of send"),
    ({"connection": [1]}, "both ends"),
    ({"host": "rdma1"}, "IPv4 or IPv6 address"),
    ({"net": "10.0.0.1/8"}, "without host bits"),
    ({"rocev1": True, "port": 5}, "nothing can match"),
    ({"roce": "no"}, "takes no value"),
    ("qp", "needs a value"),
]


@pytest.mark.parametrize("wishes, words", BAD, ids=[str(row[0]) for row in BAD])
def test_bad_wishes_are_one_sentence(wishes, words):
    with pytest.raises(bpf.BadFilter, match="^[^\n]+$") as caught:
        bpf.expand(wishes)
    assert words in str(caught.value)


def test_other_text_is_a_filter_already():
    assert bpf.expand(" tcp port 443 ") == "tcp port 443"


@pytest.mark.parametrize(
    "expression, lacks", [("udp port 4791", True), ("", False), ("vlan and udp", False), (bpf.expand("roce"), False), ("host vlany", True)]
)
def test_lacks_vlan_branch(expression, lacks):
    assert bpf.lacks_vlan_branch(expression) is lacks
