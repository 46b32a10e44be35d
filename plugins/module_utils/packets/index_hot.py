# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop over packets of index_loop.py in C: the buffers and counts that wf_index() of hot.py works on."""

from __future__ import annotations

import ctypes
import sys
import typing as t

from .decap import MAX_INTERFACES, PCAP
from .decap_hot import STEPS, at
from .index import Note
from .index_loop import Batch, Interface, Totals
from .keyfile import SEGMENT, Segment
from .keys import FLAGS, ROW
from .layers import LINK_TYPES
from .roce import EXTENSIONS

#: Rows and notes of one call; a call that fills them comes back early.
ROWS, NOTES = 4_096, 1_024
_TABLES = 16
_NO_EXTENSION = 255

_u8, _u32, _u64, _i64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64


class NoteRecord(ctypes.Structure):
    """struct note of hot.py."""

    _fields_ = [("at", _u64), ("size", _u32), ("row", _u32), ("kind", _u32), ("unused", _u32)]


class ClockRecord(ctypes.Structure):
    """struct clock of hot.py: what is added to the time, modulo 2^64; ticks in a second, of a pcap file ns in a fraction."""

    _fields_ = [("offset", _u64), ("divisor", _u64)]


class IndexRequest(ctypes.Structure):
    """struct index_request of hot.py."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("in_", "out", "notes", "links", "extensions", "clocks", "snaplens", "tables")),
        *((name, _u64) for name in ("in_size", "out_size", "note_size", "in_used", "rows", "note_count")),
        *((name, _u64) for name in ("packets", "foreign", "captured", "wire", "disorder")),
        ("counts", _u64 * len(FLAGS)),
        *((name, _i64) for name in ("first", "last", "previous")),
        *((name, _u32) for name in ("link_count", "format", "big", "why")),
    ]


class HotKernel:
    """The loop over packets in C. Raises ValueError where *library* is laid out differently, or the machine is."""

    loop = "c"

    def __init__(self, library: ctypes.CDLL, rows: int = ROWS, notes: int = NOTES) -> None:
        library.wf_index_size.restype = _u64
        sizes = ctypes.sizeof(IndexRequest) << 32 | ROW.size << 16 | ctypes.sizeof(NoteRecord)
        if library.wf_index_size() != sizes or sys.byteorder != "little":
            raise ValueError("the compiled code disagrees on the layout of what it is handed")
        self._call = library.wf_index
        self._call.argtypes, self._call.restype = [ctypes.POINTER(IndexRequest)], None
        self._request = IndexRequest(out_size=rows, note_size=notes, first=(1 << 63) - 1, last=-(1 << 63), previous=-(1 << 63))
        self._out = bytearray(rows * ROW.size)
        self._notes = (NoteRecord * notes)()
        self._links, self._snaplens = (_u8 * MAX_INTERFACES)(), (_u32 * MAX_INTERFACES)()
        self._clocks = (ClockRecord * MAX_INTERFACES)()
        self._tables = (_u32 * (256 * _TABLES))()
        library.wf_crc_tables(ctypes.byref(self._tables))
        self._extensions = (_u8 * 1024)(*(_NO_EXTENSION if field is None else field for entry in EXTENSIONS for field in entry))
        for name in ("notes", "links", "extensions", "clocks", "snaplens", "tables"):
            setattr(self._request, name, ctypes.addressof(getattr(self, f"_{name}")))
        self._request.out = ctypes.addressof(at(self._out))
        self._scale = 1000

    def begin(self, kind: str, order: str, scale: int) -> None:
        self._request.format, self._request.big, self._request.link_count = int(kind != PCAP), int(order == ">"), 0
        self._scale = scale

    def interface(self, interface: Interface) -> None:
        first, place = LINK_TYPES.get(interface.link_type), self._request.link_count
        self._links[place] = STEPS[first.name] if first else 0
        self._snaplens[place] = interface.snaplen
        clock = interface.clock
        divisor = clock.divisor if self._request.format else self._scale
        self._clocks[place] = ClockRecord(clock.offset_ns % (1 << 64), divisor)
        self._request.link_count += 1

    def run(self, view: memoryview) -> Batch:
        """Go through *view*, which is writable memory; the rows are valid until the next call."""
        request = self._request
        request.in_, request.in_size = ctypes.addressof(at(view)), len(view)
        self._call(request)
        notes = [self._note(view, self._notes[number]) for number in range(request.note_count)]
        return Batch(request.in_used, request.why, memoryview(self._out)[: request.rows * ROW.size], notes)

    @staticmethod
    def _note(view: memoryview, record: t.Any) -> Note:
        return Note(record.row, record.kind, bytes(view[record.at : record.at + record.size]))

    def totals(self) -> Totals:
        request = self._request
        timed = request.first <= request.last
        first, last = (request.first, request.last) if timed else (None, None)
        flags = dict(zip(FLAGS, request.counts))
        return Totals(request.packets, request.foreign, request.captured, request.wire, request.disorder, first, last, flags)


class HotSegment(Segment):
    """Rows become planes as they are put, in C."""

    def __init__(self, library: ctypes.CDLL) -> None:
        super().__init__()
        self._call = library.wf_planes
        self._call.argtypes, self._call.restype = [ctypes.c_void_p, _u64, _u64, ctypes.c_void_p, _u64], None

    def put(self, rows: memoryview, behind: int) -> None:
        """As Segment does; *rows* is writable memory."""
        many = len(rows) // ROW.size
        if behind + many > SEGMENT:
            raise ValueError("more rows than a segment has room for")
        self._call(ctypes.addressof(at(rows)), many, ROW.size, ctypes.addressof(at(self._room)) + behind, SEGMENT)

    def planes(self, many: int) -> t.Any:
        room = memoryview(self._room)
        return room if many == SEGMENT else b"".join(room[begin : begin + many] for begin in range(0, len(room), SEGMENT))
