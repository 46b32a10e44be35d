# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two people have a demo each on one machine, in labs of different names."""

from __future__ import annotations

import pathlib
import shutil
import struct
import subprocess
import sys

import pytest
from ansible_collections.wirefleet.capture.tests.demo.__main__ import Lab, default_evidence
from ansible_collections.wirefleet.capture.tests.demo.story import copies_of, echoes_in, packets_at

ROOT = pathlib.Path(__file__).resolve().parents[3]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_hands_the_name_on() -> None:
    done = subprocess.run(["make", "-n", "demo", "LAB=mine"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "tests.demo --lab mine" in done.stdout


def test_every_verb_is_for_the_lab_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("echo"))
    assert Lab("mine")("down", capture_output=True).stdout == "-m tests.lab down --lab mine\n"


def test_each_has_evidence_of_its_own() -> None:
    assert len({default_evidence(name) for name in ("demo", "mine", "yours")}) == 3


def test_dpip_spells_the_flag_in_two_ways() -> None:
    head = "1: dpdk0: socket 0 mtu 1500 rx-queue 1 tx-queue 1\n    UP 10000 Mbps full-duplex fixed-nego promisc "
    assert [copies_of(text) for text in (head, f"{head}foward2kni", f"{head}forward2kni", "")] == ["off", "on", "on", None]


def test_a_vantage_that_is_not_there_has_no_count() -> None:
    found = {"vantages": [{"vantage_id": "lb1__dpdk0", "counts": {"in_window": 80}}]}
    assert [packets_at(found, name) for name in ("lb1__dpdk0", "lb1__dpdk1")] == [80, None]


def test_echoes_are_told_from_what_else_is_mirrored() -> None:
    head = bytes(12) + b"\x08\x00\x45" + bytes(8)
    frames = [head + bytes([protocol]) + bytes(10) + bytes([kind]) + bytes(7) for protocol, kind in ((1, 8), (1, 0), (1, 3), (17, 8))]
    frames.append(bytes(12) + b"\x08\x06" + bytes(40))
    records = [struct.pack("<4I", 1, 0, len(frame), len(frame)) + frame for frame in frames]
    assert echoes_in(bytes(24) + b"".join(records)) == 2
