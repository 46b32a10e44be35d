# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop over records of pcapfile.py in C: wf_count() of hot.py."""

from __future__ import annotations

import ctypes
import typing as t

from .pcapfile import Counted, Window, count_records

_i64, _u64, _u32 = ctypes.c_int64, ctypes.c_uint64, ctypes.c_uint32


class Tally(ctypes.Structure):
    """struct tally of hot.py."""

    _fields_ = [
        *((name, _i64) for name in ("t0", "t1", "previous", "first", "last")),
        *((name, _u64) for name in ("used", "packets", "inside", "captured", "wire", "disorder", "too_long")),
        *((name, _u32) for name in ("big", "scale")),
    ]


class HotCounter:
    """A Counter in C. Raises ValueError where *library* is laid out differently."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.wf_tally_size.restype = _u64
        if library.wf_tally_size() != ctypes.sizeof(Tally):
            raise ValueError("the compiled code disagrees on the layout of what it is handed")
        self._call: t.Any = library.wf_count
        self._call.argtypes, self._call.restype = [ctypes.c_void_p, _u64, ctypes.POINTER(Tally)], None

    def __call__(self, view: memoryview, order: str, scale: int, window: Window, previous: int) -> Counted:
        if view.readonly or not view:
            # There is no address to be had of memory that must not be written.
            return count_records(view, order, scale, window, previous)
        tally = Tally(t0=window.t0_ns, t1=window.t1_ns, previous=previous, big=order == ">", scale=scale)
        self._call(ctypes.addressof(ctypes.c_char.from_buffer(view)), len(view), tally)
        return Counted(
            tally.used,
            tally.packets,
            tally.inside,
            tally.captured,
            tally.wire,
            tally.disorder,
            tally.first if tally.packets else None,
            tally.last if tally.packets else None,
            tally.previous,
            f"a record of {tally.too_long} bytes" if tally.too_long else None,
        )
