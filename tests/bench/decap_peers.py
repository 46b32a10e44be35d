# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one would write with scapy or dpkt to take ERSPAN II off a capture: decap_peers.py scapy|dpkt IN OUT PACKETS."""

from __future__ import annotations

import itertools
import sys


def with_scapy(source: str, target: str, packets: int) -> None:
    from scapy.all import PcapReader, PcapWriter, load_contrib
    from scapy.layers.l2 import Ether

    load_contrib("erspan")
    with PcapReader(source) as reader, PcapWriter(target) as writer:
        for packet in itertools.islice(reader, packets):
            frame = packet[Ether:2]
            frame.time = packet.time
            writer.write(frame)


def with_dpkt(source: str, target: str, packets: int) -> None:
    import dpkt

    with open(source, "rb") as reads, open(target, "wb") as writes:
        writer = dpkt.pcap.Writer(writes)
        for stamp, data in itertools.islice(dpkt.pcap.Reader(reads), packets):
            gre = dpkt.ethernet.Ethernet(data).data.data
            writer.writepkt(bytes(gre.data)[8:], stamp)


if __name__ == "__main__":
    {"scapy": with_scapy, "dpkt": with_dpkt}[sys.argv[1]](*sys.argv[2:4], int(sys.argv[4]))
