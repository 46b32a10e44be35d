# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder beside tshark, and on anything else."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import layers, roce
from ansible_collections.wirefleet.capture.tests.traffic import roce_frames
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugins.module_utils.packets import wrapped as w

MACS = (bytes.fromhex("0242ac110002"), bytes.fromhex("0242ac110003"))
BTH = roce.Bth(4, 0x40, 0xFFFF, 0x1AE, True, 77)
V2 = roce_frames.packet("192.0.2.1", "192.0.2.2", BTH, bytes(8))
VXLAN = struct.pack("!HHHHII", 5555, 4789, 16 + 64, 0, 0x08000000, 42 << 8) + w.inner()
TCP = struct.pack("!HHIIBBHHH", 80, 81, 1, 2, 6 << 4, 16, 100, 0, 0) + bytes(4) + b"payload"
FRAMES = {
    **w.variants(w.inner()),
    "RoCE v2": roce_frames.frame(*MACS, V2),
    "RoCE v2, VLAN": roce_frames.frame(*MACS, V2, vlan=100),
    "RoCE v2, IPv6": roce_frames.frame(*MACS, roce_frames.packet("2001:db8::1", "2001:db8::2", BTH, bytes(8))),
    "RoCE v1": roce_frames.frame_v1(*MACS, BTH, bytes(8)),
    "RoCE v2 in type II": w.ethernet(w.ipv4(w.type2(roce_frames.frame(*MACS, V2)))),
    "VXLAN": w.ethernet(w.ipv4(VXLAN, protocol=17)),
    "TCP with options": w.ethernet(w.ipv4(TCP, protocol=6)),
    "IP in IP": w.ethernet(w.ipv4(w.ipv4(TCP, protocol=6), protocol=4)),
    "ARP": w.ethernet(bytes(46), 0x0806),
}
#: What tshark calls our layers; "" where it shows no layer of its own.
TSHARK = {
    "ethernet": "eth", "ipv4": "ip", "erspan1": "erspan", "bridged": "", "mellanox": "", "bth": "infiniband", "grh": "",
}  # fmt: skip
SAME = {"ieee8021ad": "vlan", "ipv6.hopopts": "extension", "ipv6.dstopts": "extension"}


def spoken_by_tshark(path: pathlib.Path) -> list[list[str]]:
    argv = ["tshark", "-r", str(path), "-T", "fields", "-e", "frame.protocols"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    known = {TSHARK.get(name, name) for step in vars(layers).values() if isinstance(step, layers.Step) for name in [step.name]}
    return [[name for word in line.split(":") if (name := SAME.get(word, word)) in known - {""}] for line in said.splitlines()]


@pytest.mark.real
@pytest.mark.skipif(not shutil.which("tshark"), reason="tshark is not installed")
def test_the_layers_are_those_of_tshark(tmp_path):
    frames = dict(FRAMES)
    del frames["Mellanox"]  # which tshark does not know
    del frames["type II, truncated bit"]  # of whose UDP header it also names what is left
    (tmp_path / "in").write_bytes(w.pcap(frames.values()))
    found = [[TSHARK.get(layer.name, layer.name) for layer in layers.decode(frame).layers] for frame in frames.values()]
    found = [[name for name in names if name] for names in found]
    assert dict(zip(frames, found)) == dict(zip(frames, spoken_by_tshark(tmp_path / "in")))


def test_where_headers_begin_and_contents_end():
    padded = roce_frames.frame(*MACS, V2, vlan=7) + bytes(10)
    found = layers.decode(padded, wire=len(padded) + 100).layers
    assert [(layer.name, layer.at, layer.size) for layer in found] == [
        ("ethernet", 0, 14), ("vlan", 14, 4), ("ipv4", 18, 20), ("udp", 38, 8), ("bth", 46, 12),
    ]  # fmt: skip
    assert found[0].end == len(padded) + 100 and found[2].end == found[4].end == len(padded) - 10
    assert roce.parse_bth(padded, found[4].at) == BTH


@pytest.mark.parametrize("frame", [FRAMES["RoCE v2"], FRAMES["TCP with options"], FRAMES["type III, sub-header"]])
def test_a_cut_frame_is_read_as_far_as_it_goes(frame):
    whole = layers.decode(frame).layers
    for size in range(len(frame)):
        cut = layers.decode(frame[:size], len(frame))
        assert cut.layers == [layer for layer in whole if layer.inside <= size][: len(cut.layers)]
        assert (cut.stop == layers.SHORT) == (len(cut.layers) < len(whole))


def test_fragments_of_a_transport_show_the_ports_of_the_first():
    first, *others = w.fragments(w.ipv4(TCP * 4, protocol=6))
    assert [layer.name for layer in layers.decode(first).layers] == ["ethernet", "ipv4", "tcp"]
    assert others and all(layers.decode(other).stop == layers.FRAGMENT for other in others)


@given(st.binary(max_size=300), st.integers(0, 70000), st.sampled_from(sorted(layers.LINK_TYPES)))
@settings(max_examples=500, deadline=None)
def test_nothing_crashes_it_and_nothing_lies_outside(data, wire, link):
    found = layers.decode(data, wire, layers.LINK_TYPES[link])
    assert all(layer.inside <= len(data) and layer.inside <= layer.end for layer in found.layers)


def test_headers_without_end_come_to_one():
    tags = w.ethernet(b"", tags=[(0x8100, 1)] * 200)
    assert len(layers.decode(tags).layers) == layers.MAX_LAYERS
