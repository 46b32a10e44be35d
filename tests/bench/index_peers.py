# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one would write with scapy or dpkt for a table of packet keys as CSV: index_peers.py scapy|dpkt IN OUT PACKETS."""

from __future__ import annotations

import csv
import itertools
import sys


def with_scapy(source: str, target: str, packets: int) -> None:
    from scapy.all import IP, TCP, UDP, PcapReader
    from scapy.contrib.roce import AETH, BTH

    with PcapReader(source) as reader, open(target, "w", newline="") as out:
        rows = csv.writer(out)
        for packet in itertools.islice(reader, packets):
            ip = packet[IP]
            row = [packet.time, len(packet), ip.src, ip.dst, ip.tos, ip.id, ip.proto]
            if TCP in packet:
                row += [packet[TCP].sport, packet[TCP].dport, packet[TCP].seq, packet[TCP].ack, int(packet[TCP].flags)]
            if BTH in packet:
                row += [packet[UDP].sport, packet[UDP].dport, packet[BTH].opcode, packet[BTH].dqpn, packet[BTH].psn]
            if AETH in packet:
                row += [packet[AETH].syndrome, packet[AETH].msn]
            rows.writerow(row)


def with_dpkt(source: str, target: str, packets: int) -> None:
    import dpkt

    with open(source, "rb") as reads, open(target, "w", newline="") as out:
        rows = csv.writer(out)
        for stamp, data in itertools.islice(dpkt.pcap.Reader(reads), packets):
            ip = dpkt.ethernet.Ethernet(data).data
            above = ip.data
            row = [stamp, len(data), ip.src.hex(), ip.dst.hex(), ip.tos, ip.id, ip.p, above.sport, above.dport]
            if isinstance(above, dpkt.tcp.TCP):
                row += [above.seq, above.ack, above.flags]
            elif above.dport == 4791:
                bth = bytes(above.data)
                row += [bth[0], int.from_bytes(bth[5:8], "big"), int.from_bytes(bth[9:12], "big")]
            rows.writerow(row)


if __name__ == "__main__":
    {"scapy": with_scapy, "dpkt": with_dpkt}[sys.argv[1]](*sys.argv[2:4], int(sys.argv[4]))
