# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: shipped to a host that is this one."""

from __future__ import annotations

import os

import pytest

from tests.unit.plugins.module_utils.packets.test_pcapfile import NS, pcap
from tests.unit.plugins.modules.test_pcap_decap import Host

TIMES = [number * NS for number in range(10)]


@pytest.fixture
def host(tmp_path):
    (tmp_path / "trace.pcap").write_bytes(pcap(TIMES))
    return Host(tmp_path, "pcap_split")


def test_check_do_and_do_again(host):
    wishes = {"src": host.path("trace.pcap"), "dest": host.path("out"), "seconds": 4}
    foreseen = host.module("--check", **wishes)
    assert foreseen["changed"] and not os.path.exists(host.path("out"))
    done = host.module(**wishes)
    assert done["changed"] and done["files"] == foreseen["files"]
    assert [(file["packets"], file["first_ns"], file["last_ns"]) for file in done["files"]] == [
        (4, 0, 3 * NS),
        (4, 4 * NS, 7 * NS),
        (2, 8 * NS, 9 * NS),
    ]
    assert not host.module(**wishes)["changed"]


def test_sizes_have_units_and_a_cut_capture_fails_once_all_is_written(host):
    (host.folder / "trace.pcap").write_bytes(pcap(TIMES)[:-1])
    wishes = {"src": host.path("trace.pcap"), "dest": host.path("out"), "bytes": "64M"}
    failed = host.module(**wishes)
    assert failed["failed"] and "not whole, 9 packets could be written" in failed["msg"]
    assert not host.module(**wishes, allow_incomplete=True)["failed"]


def test_bad_wishes_are_one_sentence(host):
    assert "there is no file" in host.module(src=host.path("none"), dest=host.path("out"), packets=1)["msg"]
    assert "bytes, seconds, packets" in host.module(src=host.path("trace.pcap"), dest=host.path("out"))["msg"]
