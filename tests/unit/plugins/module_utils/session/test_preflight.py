# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host fills in where the campaign left it open."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.preflight import available_memory, predict, with_buffers
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import parse_session

GIB = 1 << 30


@pytest.mark.parametrize(
    ("vantages", "available", "buffers"),
    [
        ([{"snaplen": 256}], 8 * GIB, [64]),
        ([{"snaplen": 0}], 8 * GIB, [256]),
        ([{"snaplen": 9000}, {"snaplen": 256}], 8 * GIB, [256, 64]),
        ([{"snaplen": 0, "buffer_mib": 1000}], GIB, [1000]),
        ([{"snaplen": 0}], 256 << 20, [32]),
        ([{"snaplen": 0}, {"snaplen": 0}], 256 << 20, [16, 16]),
        ([{"snaplen": 0}], 1 << 20, [4]),
        ([{"snaplen": 0}], None, [256]),
        ([], GIB, []),
    ],
)
def test_buffers_fit_the_packets_and_the_memory(vantages, available, buffers) -> None:
    assert [vantage["buffer_mib"] for vantage in with_buffers(vantages, available)] == buffers


def test_available_memory() -> None:
    assert available_memory("MemTotal:       24 kB\nMemAvailable:    1024 kB\n") == 1 << 20
    assert available_memory("") is None


@pytest.mark.parametrize(
    ("collect", "limit", "index", "problem"),
    [
        ("whole", 4 * GIB, None, None),
        ("index", 4 * GIB, 2 * GIB, None),
        ("index", 5 * GIB, 5 * GIB // 2, "the capture may take 5120 MiB and its index 2560 MiB, and 7168 MiB are there to use"),
        ("index", 8 * GIB, 4 * GIB, "the capture may take 8192 MiB and 7168 MiB are there to use"),
    ],
)
def test_there_must_be_room_for_an_index_beside_the_capture(collect, limit, index, problem) -> None:
    vantage = {"vantage_id": "h__eth1", "device": "eth1", "capture_on": "eth1", "engine": "tcpdump"}
    limits = {"bytes": limit, "min_free_bytes": GIB}
    session = {"schema": 1, "campaign": "20261123T101500Z-x-3fa9c1", "t0_ns": 1, "duration_s": 1, "vantages": [vantage], "limits": limits}
    predicted, problems = predict(parse_session({**session, "collect": collect}), 8 * GIB, 100 * GIB)
    assert predicted["index_bytes"] == index
    assert [sentence[: len(problem or "")] for sentence in problems] == ([problem] if problem else [])
