# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is and which hosts make a fleet: the one description from which every kind of host is made."""

from __future__ import annotations

import dataclasses
import typing as t

from .problem import Problem
from .rootfs import SUITE

HUB_ADDRESS = "10.77.255.254"
DATA_MTU = 9000
#: A frame fits into the 1500 bytes of a User-Mode Linux host's NIC with a mirror's headers around it.
BEHIND_MTU = 1400


@dataclasses.dataclass(frozen=True)
class Host:
    """One test host. *kind* says how it is made, *number* gives its addresses and MACs within the lab."""

    name: str
    number: int
    kind: str = "namespace"
    init: str = "systemd"
    #: Whose userland a namespace host has, whose kernel too a User-Mode Linux host, and whose QEMU emulates a guest.
    suite: str = SUITE
    groups: tuple[str, ...] = ()
    data_device: str = "eth1"
    memory_mib: int = 256
    #: How many doubles of DPVS run on it.
    dpvs: int = 0
    #: What makes it a switch: ovs (Open vSwitch) or bridge (Linux). Its ports swp1 ... lead to the hosts named in *ports*.
    switch: str = ""
    ports: tuple[str, ...] = ()
    #: The switch that its data device is plugged into, instead of the data network.
    behind: str = ""
    #: Of its data device; without it 9000, or behind a switch what a mirror can still wrap for a link of 1500.
    mtu: int = 0
    clock_offset_s: float = 0.0

    @property
    def address(self) -> str:
        """The address that Ansible uses."""
        return f"10.77.{self.number // 250}.{self.number % 250 + 1}"

    @property
    def data_address(self) -> str:
        """The address on the network whose traffic is captured."""
        return f"10.78.{self.number // 250}.{self.number % 250 + 1}"

    def mac(self, network: str) -> str:
        """Return the MAC of the host's device on *network* (mgmt or data)."""
        return f"52:54:00:{'77' if network == 'mgmt' else '78'}:00:{self.number:02x}"

    def port(self, network: str) -> str:
        """Return the name of the hub's end of the host's link to *network*."""
        return f"{network[0]}-{self.name}"

    @property
    def wire(self) -> str:
        """What its data device is plugged into: the data network, or the cable to a switch."""
        return cable(self.name) if self.behind else "data"

    @property
    def data_mtu(self) -> int:
        """The MTU of its data device."""
        return self.mtu or (BEHIND_MTU if self.behind else DATA_MTU)


def cable(name: str) -> str:
    """Return the name of the wire between host *name* and its switch."""
    return f"c-{name}"


def _rdma(name: str, number: int, **more: t.Any) -> Host:
    return Host(name, number, kind="uml", groups=("rdma_hosts",), data_device="ens1f0np0", **more)


def _ends(first: int) -> tuple[Host, ...]:
    """Return two hosts that reach each other through the switch sw1."""
    return tuple(Host(f"node{n}", first + n - 1, groups=("switched_hosts",), behind="sw1") for n in (1, 2))


def _switch(switch: str, *ports: str, **more: t.Any) -> Host:
    return Host("sw1", switch=switch, ports=ports, groups=("switches",), **more)


def _guest(number: int, **more: t.Any) -> Host:
    return Host(f"guest{number}", number, kind="qemu", groups=("rdma_hosts",), memory_mib=512, **more)


def _mirrored(*ports: str) -> tuple[Host, ...]:
    """Return a switch with hosts 1 and 2 behind its *ports*, and where its mirrors go; both have ERSPAN devices."""
    switch = _switch("bridge", *ports, number=3, kind="uml", data_device="ens1f0np0")
    return switch, Host("mon1", 4, kind="uml", groups=("monitors",), data_device="ens1f0np0")


#: Suites of Debian whose userland the unit on hosts is proven on, from the oldest Python that we support to the newest.
SYSTEMS = ("bullseye", "bookworm", "trixie", "sid")

#: Fleets by name. The RoCE peers have a kernel of their own, so that private flags and sysctls are really theirs.
FLEETS: t.Mapping[str, tuple[Host, ...]] = {
    "demo": (
        _rdma("rdma1", 1),
        _rdma("rdma2", 2),
        Host("client1", 3, groups=("tcp_hosts",)),
        Host("server1", 4, groups=("tcp_hosts",)),
        Host("mon1", 5, groups=("monitors",)),
        Host("spare1", 6, groups=("spares",)),
        Host("lb1", 7, groups=("dpvs",), dpvs=2),
        _switch("ovs", "node1", "node2", number=8),
        *_ends(9),
    ),
    "pair": (Host("node1", 1, groups=("tcp_hosts",)), Host("node2", 2, groups=("tcp_hosts",))),
    "mixed": (_rdma("rdma1", 1), Host("node1", 2, groups=("tcp_hosts",)), Host("bare1", 3, init="sshd", groups=("tcp_hosts",))),
    "rdma": (_rdma("rdma1", 1), _rdma("rdma2", 2)),
    "dpvs": (Host("lb1", 1, groups=("dpvs",), dpvs=2),),
    "clocks": (_rdma("rdma1", 1, clock_offset_s=1.5), _rdma("rdma2", 2, clock_offset_s=-3.0)),
    "ovs": (_switch("ovs", "node1", "node2", number=1), *_ends(2), Host("mon1", 4, groups=("monitors",))),
    "tc": (
        _switch("bridge", "node1", "node2", number=1, kind="uml", data_device="ens1f0np0"), *_ends(2), Host("mon1", 4, groups=("monitors",)),
    ),
    "rdma-guests": (_guest(1), _guest(2)),
    "igb": (_guest(1, suite="trixie"),),
    "span": (Host("left1", 1, behind="sw1", mtu=1500), Host("right1", 2, behind="sw1", mtu=1500), *_mirrored("left1", "right1")),
    "span-guests": (_guest(1, behind="sw1"), _guest(2, behind="sw1"), *_mirrored("guest1", "guest2")),
    "systems": tuple(Host(suite, n, suite=suite, groups=("tcp_hosts",)) for n, suite in enumerate(SYSTEMS, 1)),
    "kernels": tuple(Host(suite, n, kind="uml", suite=suite, groups=("tcp_hosts",)) for n, suite in enumerate(SYSTEMS, 1)),
    "bench": tuple(Host(f"node{n}", n, groups=("tcp_hosts",)) for n in range(1, 9)),
}


def fleet(name: str) -> tuple[Host, ...]:
    if name not in FLEETS:
        raise Problem(f"there is no fleet {name!r}: choose one of {', '.join(FLEETS)}")
    return FLEETS[name]
