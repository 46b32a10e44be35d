# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop over packets of decap.py in C: the buffers and counts that wf_decap() of hot.py works on."""

from __future__ import annotations

import ctypes
import typing as t

from .decap import MAX_INTERFACES, PCAP, Batch, Totals, Wanted
from .layers import LINK_TYPES
from .mirrors import MAX_STREAMS, Stream, StreamId

SLOTS = 8192
SIDE = 1 << 20
#: The numbers of hot.py's enum step for what a link type begins with.
STEPS = {"ethernet": 1, "cooked": 3, "cooked2": 4, "raw": 5, "ipv4": 6, "ipv6": 7}
_TYPES = ("erspan1", "bridged", "mellanox", "erspan2", "erspan3")
_HAS_SESSION, _HAS_KEY = 1, 2

_u8, _u16, _u32, _u64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64


class StreamRecord(ctypes.Structure):
    """struct stream of hot.py."""

    _fields_ = [
        *((name, _u8 * 16) for name in ("source", "target")),
        *((name, _u8) for name in ("address_size", "type", "depth", "has")),
        *((name, _u32) for name in ("session", "key", "first", "next", "numbered")),
        *((name, _u64) for name in ("packets", "bytes", "skipped", "gaps", "late", "restarts")),
    ]


class Request(ctypes.Structure):
    """struct request of hot.py."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("in_", "out", "rest", "side", "links", "streams", "slots")),
        *((name, _u64) for name in ("in_size", "side_size", "in_used", "out_used", "rest_used", "side_used")),
        *((name, _u64) for name in ("packets", "frames", "others", "shorts", "fragments", "unknowns", "left_out")),
        *((name, _u32) for name in ("link_count", "stream_count", "last_stream", "format", "big", "depth", "want_rest")),
        *((name, _u32) for name in ("want_side", "why")),
    ]


class HotKernel:
    """The loop over packets in C. Raises ValueError where *library* is laid out differently."""

    loop = "c"

    def __init__(self, library: ctypes.CDLL, wanted: Wanted) -> None:
        library.wf_decap_size.restype = _u64
        if library.wf_decap_size() != ctypes.sizeof(Request) << 32 | ctypes.sizeof(StreamRecord):
            raise ValueError("the compiled code disagrees on the layout of what it is handed")
        self._call = library.wf_decap
        self._call.argtypes, self._call.restype = [ctypes.POINTER(Request)], None
        self._request = Request(depth=wanted.depth, want_rest=wanted.rest, want_side=wanted.side, side_size=SIDE)
        self._streams = (StreamRecord * MAX_STREAMS)()
        self._slots, self._links = (_u16 * SLOTS)(), (_u8 * MAX_INTERFACES)()
        self._side = bytearray(SIDE)
        self._out, self._rest = bytearray(), bytearray()
        for name, table in (("streams", self._streams), ("slots", self._slots), ("links", self._links), ("side", at(self._side))):
            setattr(self._request, name, ctypes.addressof(table))

    def begin(self, kind: str, order: str) -> None:
        self._request.format, self._request.big, self._request.link_count = int(kind != PCAP), int(order == ">"), 0

    def interface(self, link_type: int) -> None:
        first = LINK_TYPES.get(link_type)
        self._links[self._request.link_count] = STEPS[first.name] if first else 0
        self._request.link_count += 1

    def run(self, view: memoryview) -> Batch:
        """Go through *view*, which is writable memory; what comes back is valid until the next call."""
        request = self._request
        self._make_room(len(view))
        request.in_, request.in_size = ctypes.addressof(at(view)), len(view)
        self._call(request)
        return Batch(
            request.in_used,
            request.why,
            memoryview(self._out)[: request.out_used],
            memoryview(self._rest)[: request.rest_used],
            memoryview(self._side)[: request.side_used],
        )

    def _make_room(self, size: int) -> None:
        """No packet grows, so that what goes in also fits what comes out."""
        if len(self._out) < size:
            self._out = bytearray(size)
            self._rest = bytearray(size if self._request.want_rest else 1)
            self._request.out, self._request.rest = ctypes.addressof(at(self._out)), ctypes.addressof(at(self._rest))

    def totals(self) -> Totals:
        counts = ("packets", "frames", "others", "shorts", "fragments", "unknowns", "left_out")
        return Totals(*(getattr(self._request, name) for name in counts))

    def streams(self) -> list[tuple[StreamId, Stream]]:
        return [_stream(self._streams[number]) for number in range(self._request.stream_count)]


def at(buffer: t.Any) -> t.Any:
    """Return the first byte of *buffer*, whose address is that of all. An array would be a new type for each new length."""
    return ctypes.c_char.from_buffer(buffer)


def _stream(record: StreamRecord) -> tuple[StreamId, Stream]:
    size = record.address_size
    name = StreamId(
        bytes(record.source[:size]) + bytes(record.target[:size]),
        _TYPES[record.type],
        record.session if record.has & _HAS_SESSION else None,
        record.key if record.has & _HAS_KEY else None,
        record.depth,
    )
    stream = Stream()
    for field in ("packets", "bytes", "skipped", "gaps", "late", "restarts", "next"):
        setattr(stream, field, getattr(record, field))
    stream.first = record.first if record.numbered else None
    return name, stream
