# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's two networks inside the hub, and the switch port on which packets can be dropped on purpose."""

from __future__ import annotations

import re

from .fleet import HUB_ADDRESS, Host
from .problem import Problem
from .rootfs import run

NETWORKS = ("mgmt", "data")
DATA_MTU = 9000
ROCE_PORT = 4791
#: Where dropped packets go: a wire to nowhere, since not every kernel has the tc action that drops (act_gact).
SINK = "sink"
#: Offset of AckReq and PSN (4 bytes) from the start of an IPv4 header without options: 20 IPv4, 8 UDP, 8 into the BTH.
PSN_OFFSET = 36


def make_bridges(hosts: tuple[Host, ...]) -> None:
    for bridge in dict.fromkeys((*NETWORKS, *(host.segment for host in hosts))):
        mtu = [] if bridge == "mgmt" else ["mtu", str(DATA_MTU)]
        run(["ip", "link", "add", bridge, *mtu, "type", "bridge", "forward_delay", "0"])
        run(["ip", "link", "set", bridge, "up"])
    run(["ip", "address", "add", f"{HUB_ADDRESS}/16", "dev", "mgmt"])
    run(["ip", "link", "add", SINK, "type", "veth", "peer", "name", f"{SINK}-end"])
    run(["ip", "link", "set", SINK, "up"])
    run(["ip", "link", "set", f"{SINK}-end", "up"])


def make_veth(host: Host, pid: int) -> None:
    """Join a namespace host (its PID 1 as the hub sees it) to both networks as eth0 and eth1."""
    for network, device in zip(NETWORKS, ("eth0", "eth1")):
        queues = ["numtxqueues", "4", "numrxqueues", "4"] if network == "data" else []
        mtu = ["mtu", str(DATA_MTU)] if network == "data" else []
        peer = ["peer", "name", device, "address", host.mac(network), "netns", str(pid)]
        run(["ip", "link", "add", host.port(network), *mtu, *queues, "type", "veth", *peer, *mtu, *queues])
        run(["ip", "link", "set", host.port(network), "master", bridge_of(host, network), "up"])


def bridge_of(host: Host, network: str) -> str:
    return host.segment if network == "data" else network


def make_taps(host: Host) -> list[str]:
    """Make the hub's ends of a User-Mode Linux host's links; return the kernel's words for its NICs."""
    words = []
    for number, network in enumerate(NETWORKS):
        words.append(_tap(f"eth{number}", host.port(network), bridge_of(host, network), host.mac(network)))
    for number, segment in enumerate(host.switches):
        mac = f"52:54:00:{0x79 + number:x}:00:{host.number:02x}"
        words.append(_tap(f"eth{len(NETWORKS) + number}", host.switch_port(number), segment, mac))
    return words


def _tap(device: str, port: str, bridge: str, mac: str) -> str:
    run(["ip", "tuntap", "add", port, "mode", "tap"])
    run(["ip", "link", "set", port, "master", bridge, "up"])
    return f"{device}=tuntap,{port},{mac}"


def make_guest_taps(host: Host, count: int) -> list[tuple[str, str]]:
    """Make the hub's ends of a QEMU guest's links: one to mgmt, the others to data; return their names and the guest's MACs."""
    made = []
    for number in range(count):
        network = NETWORKS[min(number, 1)]
        port = host.port(network) if number < 2 else f"{number}{host.port(network)}"
        mac = host.mac(network) if number < 2 else f"52:54:00:{0x77 + number:x}:00:{host.number:02x}"
        run(["ip", "tuntap", "add", port, "mode", "tap", "vnet_hdr"])
        if network == "data":
            run(["ip", "link", "set", port, "mtu", str(DATA_MTU)])
        run(["ip", "link", "set", port, "master", bridge_of(host, network) if number < 2 else network, "up"])
        made.append((port, mac))
    return made


def drop_on(host: Host, mask: int, value: int) -> None:
    """Drop, where *host*'s packets enter the switch, every RoCEv2 packet (IPv4) whose PSN & mask == value."""
    drop_off(host)
    port = host.port("data")
    run(["tc", "qdisc", "add", "dev", port, "clsact"])
    match = ["match", "ip", "protocol", "17", "0xff", "match", "ip", "dport", str(ROCE_PORT), "0xffff"]
    psn = ["match", "u32", hex(value), hex(mask & 0xFFFFFF), "at", str(PSN_OFFSET)]
    run(["tc", "filter", "add", "dev", port, "ingress", "protocol", "ip", "u32", *match, *psn, "action", "mirred", "egress", "redirect", "dev", SINK])


def drop_off(host: Host) -> None:
    if "clsact" in run(["tc", "qdisc", "show", "dev", host.port("data")]).stdout:
        run(["tc", "qdisc", "del", "dev", host.port("data"), "clsact"])


def dropped(host: Host) -> int:
    """Return how many packets the rule on *host*'s port has dropped so far."""
    text = run(["tc", "-s", "filter", "show", "dev", host.port("data"), "ingress"]).stdout
    found = re.search(r"Sent \d+ bytes (\d+) pkt", text)
    if not found:
        raise Problem(f"no drop rule is installed on the port of {host.name}: python3 -m tests.lab drop on")
    return int(found[1])
