# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interfaces of a network namespace that need not be ours, asked without a process for each question."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCGIFINDEX = 0x8933


class Interfaces:
    """Those of the namespace at *path*, or of our own where that is empty. Raises OSError where there is none.

    A socket belongs for ever to the namespace in which it was made, so it is made there once. The caller has one thread.
    """

    def __init__(self, path: str) -> None:
        self._socket = _socket_in(path) if path else socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def index(self, name: str) -> int | None:
        """Return the index of the interface *name*, which another of its name does not have; None where it is absent."""
        try:
            answer = fcntl.ioctl(self._socket, _SIOCGIFINDEX, struct.pack("16sI20x", name.encode()[:15], 0))
        except OSError:
            return None
        return int(struct.unpack_from("I", answer, 16)[0])

    def close(self) -> None:
        self._socket.close()


def _socket_in(path: str) -> socket.socket:
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _enter(target)
        finally:
            os.close(target)
        try:
            return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            _enter(own)
    finally:
        os.close(own)


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
