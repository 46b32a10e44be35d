# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors that Linux itself wraps, on a host with a kernel of its own, decapsulated there by the module."""

from __future__ import annotations

import base64

import pytest

from tests.integration.fleet import frames
from tests.integration.span import WITHIN

HOST, DEVICE = "rdma1", "ens1f0np0"
SETUP = f"""
modprobe ip_gre && modprobe ip6_gre
ip -6 addr add fd78::2/64 dev {DEVICE} nodad && ip -6 neigh add fd78::3 lladdr 52:54:00:78:00:02 dev {DEVICE} nud permanent
ends='local 10.78.0.2 remote 10.78.0.3' ends6='local fd78::2 remote fd78::3'
ip link add m0 type erspan key 70 $ends erspan_ver 0
ip link add m1 type erspan seq key 71 $ends erspan_ver 1 erspan 5
ip link add m2 type erspan seq key 72 $ends erspan_ver 2 erspan_dir egress erspan_hwid 17
ip link add m3 type gretap key 73 csum $ends
ip link add m4 type ip6erspan seq key 74 $ends6 erspan_ver 1 erspan 6
ip link add m5 type ip6erspan seq key 75 $ends6 erspan_ver 2 erspan_dir ingress erspan_hwid 3
for n in 0 1 2 3 4 5; do sysctl -qw net.ipv6.conf.m$n.disable_ipv6=1; ip link set m$n up; done
"""
UNDO = f"for n in 0 1 2 3 4 5; do ip link del m$n; done; ip -6 addr del fd78::2/64 dev {DEVICE}; rm -f /var/tmp/m.*"
SEND = """
import socket, time
for device in range(6):
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((f"m{device}", 0))
    for number in range(10):
        frame = bytes([0x10 * (number % 3), device, 0, 0, 0, number]) + bytes(6) + b"\\x88\\xb5" + bytes([device]) * (50 + 100 * number)
        sender.send(frame)
        time.sleep(0.002)
"""
#: type, session (Linux takes it from the key), direction, sequence numbers, addresses
WANTED = [
    ("erspan1", None, None, False, "10.78.0.2"),
    ("erspan2", 71, "", True, "10.78.0.2"),
    ("erspan3", 72, "egress", True, "10.78.0.2"),
    ("bridged", None, None, False, "10.78.0.2"),
    ("erspan2", 74, "", True, "fd78::2"),
    ("erspan3", 75, "ingress", True, "fd78::2"),
]


def sent(device: int, number: int) -> bytes:
    return bytes([0x10 * (number % 3), device, 0, 0, 0, number]) + bytes(6) + b"\x88\xb5" + bytes([device]) * (50 + 100 * number)


@pytest.fixture
def mirrored(mixed):
    """A capture of what six kinds of device sent, ten frames each."""
    mixed.ssh(HOST, SETUP)
    script = base64.b64encode(SEND.encode()).decode()
    mixed.ssh(
        HOST,
        f"{WITHIN}timeout 300 tcpdump -i {DEVICE} -U -c 60 -w /var/tmp/m.pcap '(ip proto 47 and src host 10.78.0.2) or ip6 proto 47' 2>/var/tmp/m.log & "
        "within 'grep -q listening /var/tmp/m.log' /var/tmp/m.log; "
        f"echo {script} | base64 -d | python3 - ; wait",
    )
    yield mixed
    mixed.ssh(HOST, UNDO, check=False)


def test_what_linux_wraps_is_undone_where_it_was_captured(mirrored):
    wishes = {"src": "/var/tmp/m.pcap", "dest": "/var/tmp/m.frames", "side": "/var/tmp/m.csv", "rest": "/var/tmp/m.rest"}
    foreseen = mirrored.module(HOST, "pcap_decap", wishes, check=True)
    assert mirrored.ssh(HOST, "ls /var/tmp/m.*").split() == ["/var/tmp/m.log", "/var/tmp/m.pcap"]
    done = mirrored.module(HOST, "pcap_decap", wishes)
    assert (foreseen["changed"], done["changed"], done["complete"], done["packets"], done["frames"]) == (True, True, True, 60, 60)
    assert mirrored.module(HOST, "pcap_decap", wishes)["changed"] is False
    data = base64.b64decode(mirrored.ssh(HOST, "base64 -w0 /var/tmp/m.frames"))
    assert frames(data) == [sent(device, number) for device in range(6) for number in range(10)]
    streams = [(s["type"], s["session"], s["source"], s["packets"], s["missing"]) for s in done["streams"]]
    assert streams == [(kind, session, source, 10, 0 if numbered else None) for kind, session, _side, numbered, source in WANTED]
    rows = [line.split(",") for line in mirrored.ssh(HOST, "cat /var/tmp/m.csv").splitlines()[1:]]
    assert [row[11] for row in rows[::10]] == [side or "" for _kind, _session, side, _numbered, _source in WANTED]
