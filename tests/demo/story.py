# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo knows to be true before it looks at any capture, and how it says whether the evidence agrees."""

from __future__ import annotations

import struct
import typing as t

PACKETS = 4000
PSN_MASK = 0x3F
PSN_VALUE = 0x15


class Balancer(t.NamedTuple):
    """An instance of DPVS, the vantage on its first port, and how many echo requests go through it."""

    ipc_file: str
    vantage_id: str
    echoes: int


BALANCERS = (Balancer("/var/run/dpvs.ipc", "lb1__dpdk0", 40), Balancer("/var/run/dpvs2.ipc", "lb1__dpdk0_var_run_dpvs2", 25))


class Mirror(t.NamedTuple):
    """The switch whose mirror the monitor captures, that vantage, and how many echo requests go through the switch."""

    switch: str
    monitor_address: str
    vantage_id: str
    echoes: int


MIRROR = Mirror("sw1", "10.78.0.6", "mon1__eth1", 60)


class Flow(t.NamedTuple):
    """A RoCEv2 flow that the demo sends: how many packets, and the PSN of the first."""

    packets: int
    first_psn: int

    def dropped(self) -> int:
        """Return how many packets of the flow the drop rule of the lab's switch matches; PSNs are 24 bits wide."""
        return sum(1 for n in range(self.packets) if (self.first_psn + n) % (1 << 24) & PSN_MASK == PSN_VALUE)


class Check(t.NamedTuple):
    what: str
    expected: object
    found: object

    @property
    def good(self) -> bool:
        return self.expected == self.found

    def __str__(self) -> str:
        mark = "ok " if self.good else "BAD"
        return f"  {mark} {self.what}: expected {self.expected}, found {self.found}"


def flag_of(text: str, flag: str) -> str | None:
    """Return `on` or `off` for *flag* in the output of `ethtool --show-priv-flags`, None where it is not listed."""
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and name.strip() == flag:
            return value.strip()
    return None


def packets_at(manifest: dict[str, t.Any], vantage_id: str) -> int | None:
    """Return the packets inside the window that one vantage holds, None where it holds none that could be counted."""
    return next((row["counts"]["in_window"] for row in manifest["vantages"] if row["vantage_id"] == vantage_id), None)


def copies_of(text: str) -> str | None:
    """Return whether the output of `dpip link show DEV` says that packets are copied, None where it shows no device."""
    lines = text.splitlines()
    return None if len(lines) < 2 else "on" if {"forward2kni", "foward2kni"} & set(lines[1].split()) else "off"


def packets_of(manifest: dict[str, t.Any], host: str) -> int | None:
    """Return the packets inside the window that *host*'s vantages hold, None where none was captured there."""
    counts = [vantage["counts"]["in_window"] for vantage in manifest["vantages"] if vantage["host"] == host]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def echoes_in(pcap: bytes) -> int:
    """Return how many echo requests and replies (IPv4) are in a capture of Ethernet frames, little-endian pcap."""
    found, at = 0, 24
    while at + 16 <= len(pcap):
        size = struct.unpack_from("<I", pcap, at + 8)[0]
        frame = pcap[at + 16 : at + 16 + size]
        found += frame[12:14] == b"\x08\x00" and frame[23:24] == b"\x01" and frame[34:35] in (b"\x00", b"\x08")
        at += 16 + size
    return found
