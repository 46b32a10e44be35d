# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far this host's clock may be from the true time, in the words of whoever keeps it."""

from __future__ import annotations

import ctypes
import typing as t

from ..host import CommandMissing

if t.TYPE_CHECKING:
    from ..host import Host

_UNSYNCHRONISED = 0x0040
_NANOSECONDS = 0x2000
_TIME_ERROR = 5


class Clock(t.NamedTuple):
    """offset_s is what to subtract from our stamps, error_s its bound; None with a reason where nobody knows."""

    source: str | None
    synchronised: bool | None
    offset_s: float | None
    error_s: float | None
    reason: str | None = None


def read_clock(host: Host) -> Clock:
    """Ask chrony, else the kernel, which knows what any other daemon told it."""
    try:
        result = host.run(["chronyc", "-n", "-c", "tracking"], timeout=5)
        if result.rc == 0:
            return parse_tracking(result.out)
    except CommandMissing:
        pass
    return _read_kernel()


def parse_tracking(text: str) -> Clock:
    """Read one line of `chronyc -c tracking`.

    The error is chrony's own bound: the offset now, half the root delay and the root dispersion.
    """
    fields = text.strip().split(",")
    if len(fields) < 14:
        return Clock("chrony", None, None, None, f"chronyc answered {len(fields)} fields where 14 were expected")
    if fields[2] in ("0", "16") or fields[13] == "Not synchronised":
        return Clock("chrony", False, None, None, "chrony has not synchronised this clock")
    try:
        offset, delay, dispersion = float(fields[4]), float(fields[10]), float(fields[11])
    except ValueError:
        return Clock("chrony", None, None, None, "chronyc answered something that is not a number")
    # tracking says how far NTP time is ahead when positive means our clock is slow.
    return Clock("chrony", True, -offset, abs(offset) + delay / 2 + dispersion)


class _Timex(ctypes.Structure):
    _fields_: t.ClassVar = [
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick")),
        ("more", ctypes.c_byte * 160),
    ]


def _read_kernel() -> Clock:
    found = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(found))
    except (OSError, AttributeError):
        return Clock(None, None, None, None, "this system has no adjtimex")
    return judge_kernel(state, found.status, found.offset, found.maxerror)


def judge_kernel(state: int, status: int, offset: int, maxerror_us: int) -> Clock:
    """Turn what adjtimex(2) returned into a Clock; *offset* is in ns or µs, as *status* says."""
    if state < 0:
        return Clock(None, None, None, None, "the kernel refused adjtimex")
    if status & _UNSYNCHRONISED or state == _TIME_ERROR:
        return Clock("kernel", False, None, None, "no time daemon has synchronised the kernel's clock")
    unit = 1e9 if status & _NANOSECONDS else 1e6
    return Clock("kernel", True, -offset / unit, maxerror_us / 1e6)
