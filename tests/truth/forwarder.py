# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A forwarder between two wires that follows a script, and a tcpdump at each end of both: a - b, forwarder, c - d.

Run in a network of its own: unshare -n python3 -m tests.truth.forwarder FOLDER SEED. It leaves a.pcap to d.pcap in FOLDER and prints the
drops that each tcpdump admits.
"""

from __future__ import annotations

import json
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth

from tests.traffic.roce_frames import aeth, frame, packet

PORTS = ("a", "b", "c", "d")
#: What becomes of a packet: it is lost, comes twice, is overtaken by two others, is marked, or, by scripts of odd seeds, not captured at c.
KINDS = ("lose", "double", "hold", "mark", "miss")
#: Nothing happens to the first and last packets, of which nobody could say whether they were lost or outside of the window.
PACKETS, APART, MARGIN, FIRST = 1200, 10, 100, (1 << 24) - 300
ENDS, MACS, QPS = ("10.79.0.1", "10.79.0.2"), (bytes.fromhex("020000000001"), bytes.fromhex("020000000002")), (0x1AE, 0x1A4)
_IP = 0x0800
PATIENCE_S = 20.0


def script(seed: int) -> dict[int, str]:
    """Return what becomes of which packets, by number; the same for the same *seed*. No two of them are near each other. Pure."""
    chosen = list(range(MARGIN, PACKETS - MARGIN, APART))
    random.Random(seed).shuffle(chosen)
    kinds = KINDS if seed % 2 else KINDS[:-1]
    return {number: kinds[at % len(kinds)] for at, number in enumerate(chosen)}


def psn(number: int) -> int:
    return (FIRST + number) % (1 << 24)


def request(number: int) -> bytes:
    bth = Bth(0x0A, 0x40, 0xFFFF, QPS[0], True, psn(number))
    return frame(MACS[1], MACS[0], packet(*ENDS, bth, bytes(16) + number.to_bytes(4, "big") * 12, tos=0x02))


def answer(number: int) -> bytes:
    return frame(MACS[0], MACS[1], packet(*ENDS[::-1], Bth(0x11, 0x40, 0xFFFF, QPS[1], False, psn(number)), aeth(0x1F, number)))


def marked(data: bytes) -> bytes:
    """Return the frame with "congestion experienced" in its IPv4 header, and the checksum of that. Pure."""
    header = bytearray(data[14:34])
    header[1] |= 3
    header[10:12] = b"\0\0"
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    header[10:12] = struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)
    return data[:14] + bytes(header) + data[34:]


class Forwarder:
    """Follows the script with what comes at b, and lets pass what comes at c."""

    def __init__(self, seed: int) -> None:
        self._script = script(seed)
        self._held: list[tuple[int, bytes]] = []
        self._links = {name: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_IP)) for name in PORTS}
        for name, link in self._links.items():
            link.bind((name, _IP))
            link.settimeout(10)

    def run(self) -> None:
        for number in range(PACKETS):
            self._links["a"].send(request(number))
            for data in self._passing(number, self._links["b"].recv(2048)):
                self._links["c"].send(data)
            self._links["d"].send(answer(number))
            self._links["b"].send(self._links["c"].recv(2048))
            time.sleep(2e-4)

    def _passing(self, number: int, data: bytes) -> t.Iterator[bytes]:
        kind = self._script.get(number)
        if kind == "hold":
            self._held.append((number + 2, data))
        elif kind != "lose":
            yield marked(data) if kind == "mark" else data
        if kind == "double":
            yield data
        while self._held and self._held[0][0] == number:
            yield self._held.pop()[1]


def watch(port: str, folder: pathlib.Path, seed: int) -> subprocess.Popen[str]:
    """Have tcpdump listen at *port*, where at c a filter hides from it what the script says."""
    missed = [psn(number) for number, kind in script(seed).items() if kind == "miss" and port == "c"]
    words = " and ".join(["udp port 4791", *(f"not (udp[8] = 0x0a and udp[16:4] & 0xffffff = {number})" for number in missed)])
    argv = ["tcpdump", "-i", port, "-U", "-B", "16384", "-s", "256", "--time-stamp-precision=nano", "-w", str(folder / f"{port}.pcap"), words]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    if process.stderr and "listening" not in process.stderr.readline():
        raise RuntimeError(f"tcpdump did not begin at {port}")
    return process


def written(port: str, seed: int) -> int:
    """Return the size of the file of a tcpdump at *port* that has all there is to see. Pure."""
    kinds = list(script(seed).values())
    passing = PACKETS if port in "ab" else PACKETS - kinds.count("lose") + kinds.count("double")
    requests = passing - (kinds.count("miss") if port == "c" else 0)
    return 24 + requests * (16 + len(request(0))) + PACKETS * (16 + len(answer(0)))


def wait_for(folder: pathlib.Path, seed: int) -> None:
    """Wait until libpcap has handed over what it has, once a second or later. What was dropped never comes."""
    until = time.monotonic() + PATIENCE_S
    while any((folder / f"{port}.pcap").stat().st_size < written(port, seed) for port in PORTS) and time.monotonic() < until:
        time.sleep(0.05)


def main(folder: pathlib.Path, seed: int) -> None:
    for one, other in (PORTS[:2], PORTS[2:]):
        subprocess.run(["ip", "link", "add", "name", one, "type", "veth", "peer", "name", other], check=True)
    for port in PORTS:
        pathlib.Path(f"/proc/sys/net/ipv6/conf/{port}/disable_ipv6").write_text("1")
        subprocess.run(["ip", "link", "set", "dev", port, "up", "promisc", "on"], check=True)
    watching = {port: watch(port, folder, seed) for port in PORTS}
    try:
        Forwarder(seed).run()
        wait_for(folder, seed)
    finally:
        for process in watching.values():
            process.send_signal(signal.SIGINT)
        said = {port: process.communicate(timeout=60)[1] for port, process in watching.items()}
    print(json.dumps({port: int(re.findall(r"(\d+) packets? dropped by kernel", text)[0]) for port, text in said.items()}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
