# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's two networks inside the hub, and the switch port on which packets can be dropped on purpose."""

from __future__ import annotations

import re
import typing as t

from .fleet import DATA_MTU, HUB_ADDRESS, Host, cable
from .problem import Problem
from .rootfs import run

if t.TYPE_CHECKING:
    from collections.abc import Iterable

NETWORKS = ("mgmt", "data")
ROCE_PORT = 4791
#: Where dropped packets go: a wire to nowhere, since not every kernel has the tc action that drops (act_gact).
SINK = "sink"
#: Offset of AckReq and PSN (4 bytes) from the start of an IPv4 header without options: 20 IPv4, 8 UDP, 8 into the BTH.
PSN_OFFSET = 36


def make_bridges() -> None:
    for bridge in NETWORKS:
        run(["ip", "link", "add", bridge, "type", "bridge", "forward_delay", "0"])
        run(["ip", "link", "set", bridge, "up"])
    run(["ip", "link", "set", "data", "mtu", str(DATA_MTU)])
    run(["ip", "address", "add", f"{HUB_ADDRESS}/16", "dev", "mgmt"])
    run(["ip", "link", "add", SINK, "type", "veth", "peer", "name", f"{SINK}-end"])
    run(["ip", "link", "set", SINK, "up"])
    run(["ip", "link", "set", f"{SINK}-end", "up"])


def make_cables(hosts: Iterable[Host]) -> None:
    """Lay a wire, which is a bridge that says nothing of its own, for each host that is plugged into a switch."""
    for host in hosts:
        if host.behind:
            run(["ip", "link", "add", host.wire, "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"])
            run(["ip", "link", "set", host.wire, "addrgenmode", "none", "up"])


def make_veth(host: Host, pid: int) -> None:
    """Join a namespace host (its PID 1 as the hub sees it) to both networks as eth0 and eth1, a switch to its cables as swp1 ..."""
    _veth(host.port("mgmt"), "mgmt", "eth0", host.mac("mgmt"), pid, [])
    shape = ["mtu", str(host.data_mtu), "numtxqueues", "4", "numrxqueues", "4"]
    _veth(host.port("data"), host.wire, "eth1", host.mac("data"), pid, shape)
    for number, (port, wire, mac) in enumerate(_switch_ports(host), 1):
        _veth(port, wire, f"swp{number}", mac, pid, [])


def _veth(port: str, wire: str, device: str, mac: str, pid: int, shape: list[str]) -> None:
    peer = ["peer", "name", device, "address", mac, "netns", str(pid)]
    run(["ip", "link", "add", port, *shape, "type", "veth", *peer, *shape])
    run(["ip", "link", "set", port, "master", wire, "up"])


def make_taps(host: Host, tuntap: bool) -> list[str]:
    """Make the hub's ends of a User-Mode Linux host's links, those of a switch to its cables last; return the kernel's words for its NICs.

    *tuntap* says whether its kernel has the older driver. Later ones have only `vec`, which crashes when asked for its rings, and
    drops the large segments that the hub's TCP sends unless it has gro.
    """
    links = [(host.port("mgmt"), "mgmt", host.mac("mgmt")), (host.port("data"), host.wire, host.mac("data")), *_switch_ports(host)]
    for port, wire, _mac in links:
        run(["ip", "tuntap", "add", port, "mode", "tap"])
        run(["ip", "link", "set", port, "master", wire, "up"])
    form = "eth{}=tuntap,{},{}" if tuntap else "vec{}:transport=tap,ifname={},mac={},gro=1"
    return [form.format(number, port, mac) for number, (port, _wire, mac) in enumerate(links)]


def _switch_ports(switch: Host) -> list[tuple[str, str, str]]:
    """Return the hub's ends of the ports of *switch*, the cables they are plugged into, and the MACs of the switch's ends."""
    return [(f"p-{name}", cable(name), f"52:54:00:79:{switch.number:02x}:{n:02x}") for n, name in enumerate(switch.ports, 1)]


def make_guest_taps(host: Host, count: int) -> list[tuple[str, str]]:
    """Make the hub's ends of a QEMU guest's links: one to mgmt, the others to data; return their names and the guest's MACs."""
    made = []
    for number in range(count):
        network = NETWORKS[min(number, 1)]
        port = host.port(network) if number < 2 else f"{number}{host.port(network)}"
        mac = host.mac(network) if number < 2 else f"52:54:00:{0x77 + number:x}:00:{host.number:02x}"
        run(["ip", "tuntap", "add", port, "mode", "tap", "vnet_hdr"])
        if network == "data":
            run(["ip", "link", "set", port, "mtu", str(host.data_mtu)])
        run(["ip", "link", "set", port, "master", host.wire if number == 1 else network, "up"])
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
