# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDMA a host has, from its files and the words of its tools."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import rdma
from ansible_collections.wirefleet.capture.plugins.module_utils.session.rdma import Gid

from tests.unit.plugins.module_utils.recorded import Recorded

DEVICE = f"{rdma.CLASS}/mlx5_0"
PORT = f"{DEVICE}/ports/1"
EMPTY = "0000:0000:0000:0000:0000:0000:0000:0000\n"
# Linux 6.1, a port without addresses on its second slot; type and netdev of an empty slot are EINVAL, so they are absent here.
SYSFS = {
    f"{PORT}/link_layer": "Ethernet\n",
    f"{PORT}/state": "4: ACTIVE\n",
    f"{PORT}/gids/0": "fe80:0000:0000:0000:e61d:2dff:fef2:a45c\n",
    f"{PORT}/gids/1": EMPTY,
    f"{PORT}/gids/10": "0000:0000:0000:0000:0000:ffff:0101:0602\n",
    f"{PORT}/gid_attrs/types/0": "IB/RoCE v1\n",
    f"{PORT}/gid_attrs/types/10": "RoCE v2\n",
    f"{PORT}/gid_attrs/ndevs/0": "ens1.6\n",
    f"{PORT}/gid_attrs/ndevs/10": "ens1.6\n",
}
DRIVER = {f"{DEVICE}/device/driver": "/sys/bus/pci/drivers/mlx5_core"}

TCPDUMP_D = """1.eth0 [Up, Running, Connected]
2.any (Pseudo-device that captures on all interfaces) [Up, Running]
3.rocep59s0f0 (RDMA sniffer)
4.mlx4_0 (RDMA sniffer)
"""
VERSION = """tcpdump version 4.99.3
libpcap version 1.10.3 (with TPACKET_V3)
OpenSSL 3.0.22 25 Aug 2026
"""
LDD_TCPDUMP = """\tlinux-vdso.so.1 (0x00007f081d5ba000)
\tlibpcap.so.0.8 => /lib/x86_64-linux-gnu/libpcap.so.0.8 (0x00007f081d55d000)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f081ca1e000)
"""
LDD_PCAP = "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f6d51b5d000)\n"
LDD_PCAP_RDMA = "\tlibibverbs.so.1 => /lib64/libibverbs.so.1 (0x00007f2f7f3d5000)\n" + LDD_PCAP
STATIC = "\tnot a dynamic executable\n"


def test_a_port_is_read_and_empty_slots_are_skipped() -> None:
    (port,) = rdma.read_ports(Recorded(SYSFS, links=DRIVER), "mlx5_0")
    assert (port.capture_name, port.link_layer, port.active, port.driver, port.netdev) == (
        "mlx5_0",
        "Ethernet",
        True,
        "mlx5_core",
        "ens1.6",
    )
    assert port.gids == [
        Gid(0, "fe80:0000:0000:0000:e61d:2dff:fef2:a45c", "IB/RoCE v1", "ens1.6"),
        Gid(10, "0000:0000:0000:0000:0000:ffff:0101:0602", "RoCE v2", "ens1.6"),
    ]


def test_two_ports_of_one_card_are_told_apart_by_dev_port() -> None:
    files = {
        **{f"{DEVICE}/ports/{n}/state": "4: ACTIVE\n" for n in (1, 2)},
        **{f"{DEVICE}/device/net/{name}/address": "\n" for name in ("ens1", "ens1d1")},
        "/sys/class/net/ens1/dev_port": "0\n",
        "/sys/class/net/ens1d1/dev_port": "1\n",
    }
    ports = rdma.read_ports(Recorded(files, links=DRIVER), "mlx5_0")
    assert [(port.capture_name, port.netdev) for port in ports] == [("mlx5_0", "ens1"), ("mlx5_0:2", "ens1d1")]


@pytest.mark.parametrize(("device", "driver"), [("rxe_eth0", "rxe"), ("siw0", "siw")])
def test_a_device_without_a_card_is_software(device: str, driver: str) -> None:
    files = {f"{rdma.CLASS}/{device}/ports/1/state": "4: ACTIVE\n", f"{rdma.CLASS}/{device}/parent": "eth0\n"}
    (port,) = rdma.read_ports(Recorded(files), device)
    assert (port.driver, port.netdev) == (driver, "eth0")


def tools(said: dict[str, tuple[int, str, str]], listing: str = "1.eth0 [Up, Running, Connected]\n") -> rdma.Tools:
    common = {"tcpdump --version": (0, VERSION, ""), "tcpdump -D": (0, listing, "")}
    return rdma.read_tools(Recorded({}, {**common, **said}))


def linked(pcap: str) -> dict[str, tuple[int, str, str]]:
    return {"ldd /usr/bin/tcpdump": (0, LDD_TCPDUMP, ""), "ldd /lib/x86_64-linux-gnu/libpcap.so.0.8": (0, pcap, "")}


@pytest.mark.parametrize(
    ("said", "listing", "capable", "why"),
    [
        (linked(LDD_PCAP), "", False, "/lib/x86_64-linux-gnu/libpcap.so.0.8 was built without RDMA support"),
        (linked(LDD_PCAP_RDMA), "", True, "is linked with libibverbs"),
        ({"ldd /usr/bin/tcpdump": (1, STATIC, "")}, "", None, "it is static"),
        ({"ldd /usr/bin/tcpdump": (1, STATIC, "")}, TCPDUMP_D, True, ""),
        ({}, "", None, "ldd is not installed"),
    ],
)
def test_whether_libpcap_has_rdma_is_seen_from_its_build(said: dict[str, t.Any], listing: str, capable: bool | None, why: str) -> None:
    found = tools(said, listing)
    assert found.libpcap_rdma is capable
    assert why in found.why


def test_versions_and_other_tools_are_found() -> None:
    found = tools({**linked(LDD_PCAP), "podman info": (0, "", "")})
    assert (found.tcpdump, found.libpcap, found.ibdump, found.container_runtime) == ("4.99.3", "1.10.3", None, "/usr/bin/podman")


def test_a_host_without_tcpdump_says_so() -> None:
    assert rdma.read_tools(Recorded()).why == "tcpdump is not installed"


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ((0, "EN10MB (Ethernet)\n", "Data link types for mlx5_0 (use option -y to set):\n"), rdma.Probe(True, "")),
        ((1, "", "tcpdump: mlx5_0: No such device exists\n(No such device exists)\n"), rdma.Probe(False, "(No such device exists)")),
        ((124, "", "no answer within 10 s"), rdma.Probe(False, "no answer within 10 s")),
    ],
)
def test_the_probe_is_believed_by_its_exit_code(answer: tuple[int, str, str], found: rdma.Probe) -> None:
    probe = rdma.probe(Recorded({}, {"tcpdump -i mlx5_0 -L": answer}), "mlx5_0")
    assert probe.works is found.works
    assert found.words in probe.words


def test_the_probe_without_tcpdump_says_so() -> None:
    assert not rdma.probe(Recorded(), "mlx5_0").works


def test_inbox_drivers_have_no_ofed() -> None:
    assert rdma.read_ofed(Recorded()) is None
    assert rdma.read_ofed(Recorded({}, {"ofed_info -s": (0, "MLNX_OFED_LINUX-4.9-5.1.0.0:\n", "")})) == "MLNX_OFED_LINUX-4.9-5.1.0.0"


def test_rdma_devices_are_found_in_the_listing() -> None:
    assert rdma.parse_listing(TCPDUMP_D) == ["rocep59s0f0", "mlx4_0"]


@pytest.mark.parametrize(("text", "state"), [("4: ACTIVE\n", "ACTIVE"), ("1: DOWN\n", "DOWN"), ("", "")])
def test_port_states_are_names(text: str, state: str) -> None:
    assert rdma.parse_state(text) == state


PRIVATE_FLAGS = """Private flags for ens1f0np0:
rx_cqe_moder       : on
sniffer            : off
"""
DRIVER_TEXT = "driver: mlx5_core\nversion: 4.6-1.0.1\nbus-info: 0000:3b:00.0\n"


def test_a_host_whose_cards_show_no_rdma_device_is_read_by_its_drivers_flags() -> None:
    files = {
        "/proc/net/dev": "Inter-|   Receive\n face |bytes\n    lo: 0 0\nens1f0np0: 0 0\n  eth0: 0 0\n",
        "/sys/class/net/ens1f0np0/operstate": "up\n",
    }
    said = {
        "ethtool -i ens1f0np0": (0, DRIVER_TEXT, ""),
        "ethtool --show-priv-flags ens1f0np0": (0, PRIVATE_FLAGS, ""),
        "ethtool -i eth0": (0, "driver: veth\n", ""),
        "ethtool --show-priv-flags eth0": (1, "", "netlink error: Operation not supported"),
    }
    found = rdma.gather(Recorded(files, said))
    assert found.ports == []
    assert found.netdevs["ens1f0np0"] == rdma.Netdev("ens1f0np0", "mlx5_core", "up", {"rx_cqe_moder": True, "sniffer": False})
    assert found.netdevs["eth0"] == rdma.Netdev("eth0", "veth", "unknown", {})
