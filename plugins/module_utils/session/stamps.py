# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mends capture files whose header calls microseconds nanoseconds, as those of dpdk-dumpcap -P (22.11) do: four bytes of the header."""

from __future__ import annotations

import struct
import typing as t

_NANO, _MICRO = 0xA1B23C4D, 0xA1B2C3D4
_HEADER = 24
_RECORD = struct.Struct("=IIII")
#: Records that are looked at: each of true nanoseconds would be below a million in one case of a thousand.
_ENOUGH = 1000
_MILLION = 1_000_000


def mend(path: str) -> bool:
    """Have the header of *path* promise what its records hold; returns whether that was needed. A damaged file is left alone."""
    with open(path, "r+b") as file:
        if file.read(4) != struct.pack("=I", _NANO) or not _all_micro(file):
            return False
        file.seek(0)
        file.write(struct.pack("=I", _MICRO))
    return True


def _all_micro(file: t.BinaryIO) -> bool:
    """Whether the first records, of which there must be one, all have a fraction that fits microseconds."""
    file.seek(_HEADER)
    for number in range(_ENOUGH):
        head = file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            return number > 0
        _seconds, fraction, stored, _wire = _RECORD.unpack(head)
        if fraction >= _MILLION:
            return False
        file.seek(stored, 1)
    return True
