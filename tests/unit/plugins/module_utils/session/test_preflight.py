# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host fills in where the campaign left it open."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.preflight import available_memory, with_buffers

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
