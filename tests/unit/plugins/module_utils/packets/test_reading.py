# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a capture packet by packet: the same packets from every format, and as far as a damaged file goes."""

from __future__ import annotations

import gzip
import struct

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.reading import read

from tests.unit.plugins.module_utils.packets.test_pcapfile import FRAME, NS, pcap, pcapng

TIMES = [10 * NS + number * NS // 4 for number in range(40)]


def packets_of(tmp_path, data: bytes):
    path = tmp_path / "trace"
    path.write_bytes(data)
    found = []
    damage = read(str(path), lambda packet: found.append((packet.t_ns, packet.link_type, packet.wire, bytes(packet.data))))
    return found, damage


@pytest.mark.parametrize("data", [pcap(TIMES), pcap(TIMES, ">"), pcapng(TIMES), pcapng(TIMES, ">"), gzip.compress(pcapng(TIMES))])
def test_every_packet_once(tmp_path, data):
    assert packets_of(tmp_path, data) == ([(now, 1, 100, FRAME[:60]) for now in TIMES], None)


@pytest.mark.parametrize("make", [pcap, pcapng])
def test_what_is_whole_is_read(tmp_path, make):
    found, damage = packets_of(tmp_path, make(TIMES)[:-1])
    assert len(found) == len(TIMES) - 1
    assert "the file ends within a record" in damage


@pytest.mark.parametrize("data", [b"", b"nonsense that is no capture"])
def test_what_is_no_capture(tmp_path, data):
    found, damage = packets_of(tmp_path, data)
    assert (found, bool(damage)) == ([], True)


def test_packet_of_an_interface_that_nobody_described(tmp_path):
    data = bytearray(pcapng(TIMES))
    last = len(data) - (12 + 20 + len(FRAME))
    struct.pack_into("<I", data, last + 8, 7)
    found, damage = packets_of(tmp_path, bytes(data))
    assert (len(found), damage[:7]) == (len(TIMES) - 1, "at byte")


def test_packets_without_a_time_are_left_out(tmp_path):
    simple = struct.pack("<III", 3, 16 + 4, 4) + b"abcd" + struct.pack("<I", 20)
    found, damage = packets_of(tmp_path, pcapng(TIMES) + simple + pcapng(TIMES))
    assert (len(found), damage) == (2 * len(TIMES), None)
