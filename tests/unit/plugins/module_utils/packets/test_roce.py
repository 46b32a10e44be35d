# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Headers and frames of RoCE, as tshark reads them and as the specification spells them."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import roce
from ansible_collections.wirefleet.capture.tests.traffic import roce_frames
from hypothesis import given
from hypothesis import strategies as st

MACS = b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"
V4 = "10.78.0.2", "10.78.0.3"
V6 = "fd78::2", "fd78::3"


@pytest.mark.parametrize(
    "opcode, name",
    [
        (0x00, "RC SEND First"), (0x0A, "RC WRITE Only"), (0x10, "RC READ Response Only"), (0x11, "RC ACKNOWLEDGE"),
        (0x1D, "RC ATOMIC WRITE"), (0x2B, "UC WRITE Only with Immediate"), (0x64, "UD SEND Only"), (0xB7, "XRC SEND Only with Invalidate"),
        (0x81, "CNP"), (0x80, "reserved 0x80"), (0x2C, "reserved 0x2c"), (0x60, "reserved 0x60"), (0xD1, "manufacturer specific 0xd1"),
    ],
)  # fmt: skip
def test_opcode_names(opcode, name):
    assert roce.opcode_name(opcode) == name


@pytest.mark.parametrize(
    "syndrome, name",
    [(0x1F, "ACK"), (0x2E, "RNR NAK"), (0x60, "NAK, PSN sequence error"), (0x7F, "NAK, reserved code 31"), (0x40, "reserved")],
)
def test_syndrome_names(syndrome, name):
    assert roce.syndrome_name(syndrome) == name


BTHS = st.builds(
    roce.Bth, st.integers(0, 255), st.integers(0, 255), st.integers(0, 65535), st.integers(0, 0xFFFFFF), st.booleans(),
    st.integers(0, 0xFFFFFF), st.booleans(), st.booleans(),
)  # fmt: skip


@given(BTHS, st.integers(0, 40))
def test_bth_comes_back(bth, offset):
    assert roce.parse_bth(bytes(offset) + roce_frames.pack(bth), offset) == bth


@given(st.sampled_from([V4, V6]), BTHS, st.binary(max_size=64), st.integers(0, 255), st.integers(0, 255))
def test_icrc_holds_until_something_invariant_changes(ends, bth, rest, tos, ttl):
    packet = roce_frames.packet(*ends, bth, rest, tos=tos, ttl=ttl)
    assert roce.icrc_holds(packet)
    assert packet[-4:] == roce_frames.packet(*ends, bth, rest, tos=255 - tos, ttl=255 - ttl)[-4:]
    assert not roce.icrc_holds(packet[:-5] + bytes([packet[-5] ^ 1]) + packet[-4:])


def test_icrc_by_the_words_of_the_specification():
    """The masked packet written out by hand, IPv4 and RoCE v1."""
    bth = roce.Bth(0x11, 0x40, 0xFFFF, 0x1AE, False, 5)
    tail = bytes.fromhex("1140ffff ff0001ae 00000005 60000001")
    packet = roce_frames.packet(*V4, bth, roce_frames.aeth(0x60, 1), tos=105)
    masked = bytes.fromhex("45ff0030 00004000 ff11ffff 0a4e0002 0a4e0003 c00012b7 001cffff") + tail
    assert packet[-4:] == struct.pack("<I", zlib.crc32(b"\xff" * 8 + masked))
    v1 = roce_frames.frame_v1(*MACS, bth, roce_frames.aeth(0x60, 1), traffic_class=105)
    masked = bytes.fromhex("6fffffff 00141bff") + bytes(32) + tail
    assert v1[-4:] == struct.pack("<I", zlib.crc32(b"\xff" * 8 + masked))
    assert roce.icrc_holds(v1[14:])


def test_ipv4_checksum_adds_up():
    words = struct.unpack("!10H", roce_frames.packet(*V4, roce.Bth(4, 0, 0, 1, False, 1), bytes(1000), tos=0xFF)[:20])
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


def test_a_write_is_one_message_across_the_wrap():
    made = list(roce_frames.write_message(0xFFFFFE, 4, 0x1AE, bytes(256)))
    assert [bth.psn for bth, _rest in made] == [0xFFFFFE, 0xFFFFFF, 0, 1]
    assert [bth.opcode for bth, _rest in made] == [6, 7, 7, 8]
    assert [bth.ack_request for bth, _rest in made] == [False, False, False, True]
    assert roce.RETH.unpack(made[0][1][:16])[2] == 1024
    assert [bth.opcode for bth, _rest in roce_frames.write_message(0, 1, 1, b"")] == [0x0A]


def tshark(frames, tmp_path, *fields):
    """Return tshark's *fields* of each frame."""
    out = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    for frame in frames:
        out += struct.pack("<IIII", 1, 0, len(frame), len(frame)) + frame
    (tmp_path / "frames.pcap").write_bytes(out)
    words = [word for field in fields for word in ("-e", field)]
    command = ["tshark", "-r", tmp_path / "frames.pcap", "-T", "fields", "-E", "separator=,", *words]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line.split(",") for line in said.splitlines()]


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_what_was_meant(tmp_path):
    nak = roce.Bth(0x11, 0x40, 0xFFFF, 0x1AE, True, 0xFFFFFF, becn=True)
    frames = [
        roce_frames.frame(*MACS, roce_frames.packet(*V4, nak, roce_frames.aeth(0x60, 7), tos=106)),
        roce_frames.frame(*MACS, roce_frames.packet(*V4, nak, roce_frames.aeth(0x60, 7), tos=106), vlan=6),
        roce_frames.frame(*MACS, roce_frames.packet(*V6, nak, roce_frames.aeth(0x60, 7), tos=106), vlan=6),
        roce_frames.frame_v1(*MACS, nak, roce_frames.aeth(0x60, 7)),
    ]
    found = tshark(
        frames, tmp_path, "vlan.id", "ip.dsfield", "infiniband.bth.opcode", "infiniband.bth.destqp", "infiniband.bth.psn",
        "infiniband.bth.a", "infiniband.aeth.syndrome.error_code", "infiniband.aeth.msn", "infiniband.invariant.crc",
    )  # fmt: skip
    said = ["17", "0x0001ae", "16777215", "1", "0", "7"]
    crc = [f"0x{frame[-4:].hex()}" for frame in frames]
    assert [[*row[:2], *row[2:-1]] for row in found] == [["", "0x6a", *said], ["6", "0x6a", *said], ["6", "", *said], ["", "", *said]]
    assert [row[-1] for row in found] == crc


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_tshark_reads_where_a_write_goes(tmp_path):
    frames = [
        roce_frames.frame(*MACS, roce_frames.packet(*V4, bth, rest)) for bth, rest in roce_frames.write_message(9, 2, 0x1AE, bytes(256))
    ]
    found = tshark(frames, tmp_path, "infiniband.bth.opcode", "infiniband.reth.dmalen", "udp.dstport")
    assert found == [["6", "512", "4791"], ["8", "", "4791"]]
