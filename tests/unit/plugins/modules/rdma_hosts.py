# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with RDMA hardware, as their tools described them to somebody who published it; each names its source.

What a source does not show is filled in from the text of the program itself: libpcap's pcap-rdmasniff.c for what `tcpdump -L` says,
Linux' sysfs for the files. Linkage and versions of Debian's tcpdump were recorded on Debian 12.
"""

from __future__ import annotations

import typing as t

from tests.unit.plugins.module_utils.recorded import Recorded

CLASS = "/sys/class/infiniband"
PCAP = "/lib/x86_64-linux-gnu/libpcap.so.0.8"
LDD_TCPDUMP = f"\tlibpcap.so.0.8 => {PCAP} (0x00007f6758348000)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f675781e000)\n"
LDD_PLAIN = (
    "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f85eac59000)\n"
    "\tlibdbus-1.so.3 => /lib/x86_64-linux-gnu/libdbus-1.so.3 (0x00007f85eac03000)\n"
)
LDD_RDMA = "\tlibibverbs.so.1 => /lib/x86_64-linux-gnu/libibverbs.so.1 (0x00007f2f7f3d5000)\n" + LDD_PLAIN
DEBIAN_12 = "tcpdump version 4.99.3\nlibpcap version 1.10.3 (with TPACKET_V3)\nOpenSSL 3.0.19 27 Jan 2026\n"
BUILT = "tcpdump version 4.99.6\nlibpcap version 1.10.6 (with TPACKET_V3)\n"
# libpcap issue 1532 (2025): tcpdump on a BCM57xxx of Broadcom, both built from source.
BUILT_BNXT = "tcpdump version 5.0.0-PRE-GIT\nlibpcap version 1.11.0-PRE-GIT (with TPACKET_V3)\nOpenSSL 1.1.1k  FIPS 25 Mar 2021\n"

Said = dict[str, tuple[int, str, str]]


def port(device: str, number: int = 1, link_layer: str = "Ethernet", state: str = "4: ACTIVE", netdev: str = "") -> dict[str, str]:
    """Return the files of one port in sysfs."""
    folder = f"{CLASS}/{device}/ports/{number}"
    files = {f"{folder}/link_layer": f"{link_layer}\n", f"{folder}/state": f"{state}\n"}
    if netdev:
        files[f"{folder}/gids/0"] = "fe80:0000:0000:0000:e61d:2dff:fef2:a45c\n"
        files[f"{folder}/gid_attrs/types/0"] = "RoCE v2\n"
        files[f"{folder}/gid_attrs/ndevs/0"] = f"{netdev}\n"
    return files


def bound(device: str, driver: str) -> dict[str, str]:
    return {f"{CLASS}/{device}/device/driver": f"/sys/bus/pci/drivers/{driver}"}


def nic(name: str, driver: str, flags: str = "") -> Said:
    """Return what ethtool says of a netdev; *flags* are lines under the heading of --show-priv-flags."""
    shown = (0, f"Private flags for {name}:\n{flags}", "") if flags else (1, "", "netlink error: Operation not supported")
    return {f"ethtool -i {name}": (0, f"driver: {driver}\n", ""), f"ethtool --show-priv-flags {name}": shown}


def netdevs(*names: str) -> dict[str, str]:
    return {"/proc/net/dev": "Inter-|   Receive\n face |bytes\n    lo: 0 0\n" + "".join(f"{name}: 0 0\n" for name in names)}


def tcpdump(version: str, linked: str, *listed: str, warning: str = "") -> Said:
    listing = "1.any (Pseudo-device that captures on all interfaces) [Up, Running]\n2.lo [Up, Running, Loopback]\n"
    listing += "".join(f"{number}.{name} (RDMA sniffer)\n" for number, name in enumerate(listed, 3))
    return {
        "tcpdump --version": (0, version, ""),
        "tcpdump -D": (0, listing, warning),
        "ldd /usr/bin/tcpdump": (0, LDD_TCPDUMP, ""),
        f"ldd {PCAP}": (0, linked, ""),
    }


def works(name: str, link_type: str = "EN10MB (Ethernet)") -> Said:
    return {f"tcpdump -i {name} -L": (0, f"  {link_type}\n", f"Data link types for {name} (use option -y to set):\n")}


def fails(name: str, words: str, warning: str = "") -> Said:
    return {f"tcpdump -i {name} -L": (1, "", f"{warning}tcpdump: {words}\n")}


def absent(name: str, warning: str = "") -> Said:
    return fails(name, f"{name}: No such device exists\n(No such device exists)", warning)


# For these it counts only that they are installed.
PODMAN: Said = {"podman info": (0, "", "")}
IBDUMP: Said = {"ibdump --version": (0, "", "")}
PLAIN = tcpdump(DEBIAN_12, LDD_PLAIN)
INBOX_FLAGS = """rx_cqe_moder       : on
tx_cqe_moder       : off
rx_cqe_compress    : off
rx_striding_rq     : on
rx_no_csum_complete: off
xdp_tx_mpwqe       : on
skb_tx_mpwqe       : on
tx_port_ts         : off
"""
SNIFFER_FLAGS = """rx_cqe_moder       : on
tx_cqe_moder       : off
rx_cqe_compress    : off
tx_cqe_compress    : off
rx_striding_rq     : off
rx_no_csum_complete: off
xdp_tx_mpwqe       : off
sniffer            : off
dropless_rq        : off
per_channel_stats  : on
tx_xdp_hw_checksum : off
"""
MLX4_FLAGS = """blueflame                     : on
phv-bit                       : off
qcn_disable_32_14_4_e         : off
mlx4_flow_steering_ethernet_l2: on
mlx4_flow_steering_ipv4       : off
mlx4_flow_steering_tcp        : off
mlx4_flow_steering_udp        : off
disable_mc_loopback           : off
rx-copy                       : off
"""
ICE_FLAGS = """link-down-on-close : off
fw-lldp-agent : off
channel-inline-flow-director : off
vf-true-promisc-support : off
mdd-auto-reset-vf : off
vf-vlan-pruning : off
legacy-rx : off
"""


class Source(t.NamedTuple):
    """A host and where its words come from."""

    source: str
    host: Recorded


def rxe(*, kernel_5_10: bool = False) -> Source:
    """Soft-RoCE below a virtio NIC."""
    files = {**netdevs("eth1"), **port("rxe0", netdev="eth1"), f"{CLASS}/rxe0/parent": "eth1\n", f"{CLASS}/rxe0/node_desc": "rxe\n"}
    links = bound("rxe0", "virtio_net") if kernel_5_10 else {}
    source = "Linux 5.10 rxe_verbs.c (dev.parent is the interface's device)" if kernel_5_10 else "a guest of tests/rdma, Debian 12"
    return Source(source, Recorded(files, {**PLAIN, **nic("eth1", "virtio_net")}, links))


def siw() -> Source:
    """Soft-iWARP under a name that udev gave it, as Linux 5.10 shows it."""
    files = {**netdevs("eth1"), **port("iwp0s4", netdev="eth1"), f"{CLASS}/iwp0s4/node_desc": "Software iWARP stack\n"}
    source = "Linux 5.10 siw_main.c, include/uapi/rdma/siw-abi.h, rdma-core's persistent naming"
    return Source(source, Recorded(files, {**PLAIN, **nic("eth1", "virtio_net")}, bound("iwp0s4", "virtio_net")))


def ofed_4_9() -> Source:
    """ConnectX-4 whose driver has the flag."""
    said = {**PLAIN, **nic("eth03", "mlx5_core", SNIFFER_FLAGS), "ofed_info -s": (0, "MLNX_OFED_LINUX-4.9-5.1.0.0:\n", "")}
    source = "ethtool --show-priv-flags eth03 in notes on capturing beside DPVS (2023); ofed_info of NVIDIA's MLNX_OFED 4.9-5.1.0.0 LTS"
    return Source(source, Recorded({**netdevs("eth03"), **port("mlx5_0", netdev="eth03")}, said, bound("mlx5_0", "mlx5_core")))


def gb10(*, stock: bool) -> Source:
    """GB10 with two RoCE ports, one of them up: with Ubuntu's tcpdump, and with one built on the host."""
    files = {
        **netdevs("enP7s7", "enp1s0f0np0", "enp1s0f1np1"),
        **port("rocep1s0f0", netdev="enp1s0f0np0"),
        **port("rocep1s0f1", netdev="enp1s0f1np1", state="1: DOWN"),
    }
    warning = "libibverbs: Warning: couldn't open config directory '/etc/libibverbs.d'.\n" if stock else ""
    tool = tcpdump(BUILT, LDD_RDMA, *([] if stock else ["rocep1s0f0", "rocep1s0f1"]), warning=warning)
    said = {**tool, **nic("enp1s0f0np0", "mlx5_core", INBOX_FLAGS), **nic("enp1s0f1np1", "mlx5_core", INBOX_FLAGS), **nic("enP7s7", "r8127")}
    said.update(absent("rocep1s0f0", warning) if stock else works("rocep1s0f0"))
    links = {**bound("rocep1s0f0", "mlx5_core"), **bound("rocep1s0f1", "mlx5_core")}
    return Source("tcpdump -D in 'Building tcpdump with RDMA Sniffing Support on NVIDIA GB10' (2026-06-01)", Recorded(files, said, links))


def mlx5(*more: Said, link_layer: str = "Ethernet", driver: str = "mlx5_core", name: str = "mlx5_0", version: Said | None = None) -> Source:
    """ConnectX-5 or -6 with the drivers of the kernel."""
    netdev = "mlx5p1" if link_layer == "Ethernet" else ""
    said = {**(version or PLAIN), **nic("mlx5p1", "mlx5_core", INBOX_FLAGS)}
    for one in more:
        said.update(one)
    source = {
        "Ethernet": "ethtool --show-priv-flags mlx5p1, J. D. Brouer on netdev (2023-05), Linux 6.4.0-rc2",
        "InfiniBand": "ibv_devinfo of a ConnectX-6 (MT4124) of an HPC virtual machine: mlx5_ib0, PORT_ACTIVE, InfiniBand",
    }[link_layer]
    return Source(source, Recorded({**netdevs("mlx5p1"), **port(name, 1, link_layer, netdev=netdev)}, said, bound(name, driver)))


def mlx4(*more: Said, link_layer: str = "Ethernet", ports: int = 2) -> Source:
    """ConnectX-3 with two ports."""
    files = netdevs("ens1", "ens1d1")
    for number in range(1, ports + 1):
        files.update(port("mlx4_0", number, link_layer, netdev=("ens1", "ens1d1")[number - 1] if link_layer == "Ethernet" else ""))
    said = {**tcpdump(DEBIAN_12, LDD_RDMA, "mlx4_0"), **nic("ens1", "mlx4_en", MLX4_FLAGS), **nic("ens1d1", "mlx4_en", MLX4_FLAGS)}
    for one in more:
        said.update(one)
    source = "ethtool -i, --show-priv-flags and ibv_devinfo of a ConnectX-3 (MT4099, fw 2.40.7000, MLNX_OFED 4.2-1.2.0, two ports)"
    return Source(source, Recorded(files, said, bound("mlx4_0", "mlx4_core")))


def bnxt(*more: Said, version: Said) -> Source:
    files = {**netdevs("enp94s0f0np0"), **port("bnxt_re0", netdev="enp94s0f0np0")}
    said = {**version, **nic("enp94s0f0np0", "bnxt_en")}
    for one in more:
        said.update(one)
    source = "libpcap issue 1532 (bnxt_re0, tcpdump 5.0.0-PRE-GIT); inxi of a BCM57416 (enp94s0f0np0, bnxt_en)"
    return Source(source, Recorded(files, said, bound("bnxt_re0", "bnxt_en")))


def irdma() -> Source:
    files = {**netdevs("ens801f0"), **port("rocep175s0f0", netdev="ens801f0")}
    said = {**tcpdump(BUILT, LDD_RDMA, "rocep175s0f0"), **nic("ens801f0", "ice", ICE_FLAGS)}
    return Source("ethtool --show-priv-flags ens801f0 in Intel's README of ice (E810)", Recorded(files, said, bound("rocep175s0f0", "ice")))


def other(driver: str, netdev_driver: str) -> Source:
    """A card whose provider has no create_flow, by its symbols in Debian 12's modules."""
    files = {**netdevs("eth1"), **port("rdma0", netdev="eth1")}
    said = {**tcpdump(BUILT, LDD_RDMA, "rdma0"), **nic("eth1", netdev_driver)}
    return Source("Debian 12 modules: no create_flow", Recorded(files, said, bound("rdma0", driver)))
