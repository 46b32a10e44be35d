# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network devices and sockets of the double: TAPs as KNI devices, packet sockets as the ports of its network cards."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x1002
_SIOCGIFMTU, _SIOCSIFHWADDR, _SIOCGIFHWADDR = 0x8921, 0x8924, 0x8927
_ARPHRD_ETHER = 1
_OUTGOING = 4
_ETH_P_ALL = 3
LARGEST = 65536


class Tap:
    """A TAP device that is down until somebody raises it; it goes when it is closed or its process ends."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.descriptor, _TUNSETIFF, struct.pack("16sH14x", name.encode(), _IFF_TAP_NO_PI))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sH6s8x", name.encode(), _ARPHRD_ETHER, bytes.fromhex(address.replace(":", "")))
            fcntl.ioctl(control, _SIOCSIFHWADDR, request)

    def fileno(self) -> int:
        return self.descriptor

    def give(self, frame: bytes) -> None:
        """Have the kernel receive *frame*; like a KNI's full ring, a device that is down loses it without a word."""
        try:
            os.write(self.descriptor, frame)
        except OSError:
            pass

    def drain(self) -> None:
        """Throw away what the kernel sends on its own as soon as the device is up."""
        try:
            while os.read(self.descriptor, LARGEST):
                pass
        except OSError:
            pass


class Wire:
    """A port's network card: every frame that *interface* receives, and a way to send."""

    def __init__(self, interface: str) -> None:
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self.socket.bind((interface, _ETH_P_ALL))
        self.socket.setblocking(False)
        request = struct.pack("16s24x", interface.encode())
        self.address = fcntl.ioctl(self.socket, _SIOCGIFHWADDR, request)[18:24].hex(":").upper()
        self.mtu: int = struct.unpack("16xi20x", fcntl.ioctl(self.socket, _SIOCGIFMTU, request))[0]

    def fileno(self) -> int:
        return self.socket.fileno()

    def frames(self) -> list[bytes]:
        """Return the frames that came from outside since the last call."""
        found = []
        try:
            while True:
                frame, address = self.socket.recvfrom(LARGEST)
                if address[2] != _OUTGOING:
                    found.append(frame)
        except OSError:
            return found

    def send(self, frame: bytes) -> None:
        try:
            self.socket.send(frame)
        except OSError:
            pass
