# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of docs/rdma.md, row by row: a host of rdma_hosts.py, and what is to be answered on it."""

from __future__ import annotations

import typing as t

from tests.unit.plugins.modules import rdma_hosts as hosts

FLOW = "Failed to create flow for device {}"
STEERING = "set log_num_mgm_entry_size=-1 on mlx4_core"
MIRROR = "mirror the switch port (SPAN or ERSPAN) to a monitor host"
RDMA_PCAP = hosts.tcpdump(hosts.BUILT, hosts.LDD_RDMA, "mlx5_0")
INFINIBAND: dict[str, t.Any] = {"link_layer": "InfiniBand", "name": "mlx5_ib0"}


class Row(t.NamedTuple):
    """A row of the table: the host, and for its one device the engine (None: refused), where it captures, and words of the reason."""

    name: str
    host: hosts.Source
    engine: str | None
    capture_on: str | None
    words: str
    flags: tuple[str, ...] = ()
    warning: str | None = None


# fmt: off
ROWS = [
    Row("1 rxe", hosts.rxe(), "tcpdump", "eth1", "rxe is a software device"),
    Row("1 rxe on Linux 5.10", hosts.rxe(kernel_5_10=True), "tcpdump", "eth1", "rxe is a software device"),
    Row("1 siw on Linux 5.10", hosts.siw(), "tcpdump", "eth1", "siw is a software device"),
    Row("2 OFED 4.9", hosts.ofed_4_9(), "tcpdump", "eth03", "private flag sniffer", ("eth03",)),
    Row("3 mlx5, libpcap built with RDMA", hosts.gb10(stock=False), "tcpdump_rdma", "rocep1s0f0", "tcpdump can activate a capture"),
    Row("3 mlx5 on InfiniBand", hosts.mlx5(hosts.works("mlx5_ib0", "INFINIBAND (InfiniBand)"), **INFINIBAND),
        "tcpdump_rdma", "mlx5_ib0", "tcpdump can activate a capture"),
    Row("3 mlx5 subfunction", hosts.mlx5(hosts.works("mlx5_0"), driver="mlx5_core.sf"), "tcpdump_rdma", "mlx5_0", "tcpdump can activate"),
    Row("3 mlx4 that steers by device", hosts.mlx4(hosts.works("mlx4_0"), ports=1), "tcpdump_rdma", "mlx4_0", "tcpdump can activate"),
    Row("3 bnxt_re with a RoCE mirror", hosts.bnxt(hosts.works("bnxt_re0"), version=hosts.tcpdump(hosts.BUILT_BNXT, hosts.LDD_RDMA, "bnxt_re0")),
        "tcpdump_rdma", "bnxt_re0", "tcpdump can activate a capture"),
    Row("3 libibverbs without a provider", hosts.gb10(stock=True), None, None, "install libibverbs' driver for this card (ibverbs-providers"),
    Row("4 mlx5, Debian's libpcap, podman", hosts.mlx5(hosts.absent("mlx5_0"), hosts.PODMAN),
        "container", "mlx5_0", "was built without RDMA support (no libibverbs among its libraries), and /usr/bin/podman"),
    Row("4 mlx5, Debian's libpcap alone", hosts.mlx5(hosts.absent("mlx5_0")), None, None, "install a tcpdump whose libpcap has it, or docker"),
    Row("4 bnxt_re has no image that knows it", hosts.bnxt(hosts.absent("bnxt_re0"), hosts.PODMAN, version=hosts.PLAIN),
        None, None, "install a tcpdump whose libpcap has it"),
    Row("5 mlx5 on InfiniBand, ibdump", hosts.mlx5(hosts.fails("mlx5_ib0", "Failed to create QP for device mlx5_ib0"), hosts.IBDUMP, **INFINIBAND,
                                                   version=RDMA_PCAP),
        "ibdump", "mlx5_ib0", "Failed to create QP for device mlx5_ib0"),
    Row("5 mlx5 on InfiniBand without ibdump", hosts.mlx5(hosts.fails("mlx5_ib0", "Failed to create QP for device mlx5_ib0"), **INFINIBAND,
                                                          version=RDMA_PCAP), None, None, "install ibdump (built with mstflint)"),
    Row("5 mlx4 on InfiniBand, ibdump", hosts.mlx4(hosts.fails("mlx4_0", FLOW.format("mlx4_0")), hosts.IBDUMP, link_layer="InfiniBand", ports=1),
        "ibdump", "mlx4_0", FLOW.format("mlx4_0"), warning="ibdump builds since March 2023 refuse ConnectX-3"),
    Row("5 mlx4 on InfiniBand without ibdump", hosts.mlx4(hosts.fails("mlx4_0", "Failed to create QP for device mlx4_0"),
                                                          link_layer="InfiniBand", ports=1), None, None, "install an ibdump older than March 2023"),
    Row("6 mlx4 that does not steer by device", hosts.mlx4(hosts.fails("mlx4_0", FLOW.format("mlx4_0")), ports=1), None, None, STEERING),
    Row("6 mlx4 on InfiniBand", hosts.mlx4(hosts.fails("mlx4_0", FLOW.format("mlx4_0")), link_layer="InfiniBand", ports=1), None, None, STEERING),
    Row("6 mlx4, ibdump is no way on Ethernet", hosts.mlx4(hosts.fails("mlx4_0", FLOW.format("mlx4_0")), hosts.IBDUMP, ports=1),
        None, None, STEERING),
    Row("7 mlx5, firmware without the rule, ibdump", hosts.mlx5(hosts.fails("mlx5_0", FLOW.format("mlx5_0")), hosts.IBDUMP, version=RDMA_PCAP),
        "ibdump", "mlx5_0", FLOW.format("mlx5_0")),
    Row("7 mlx5, firmware without the rule", hosts.mlx5(hosts.fails("mlx5_0", FLOW.format("mlx5_0")), version=RDMA_PCAP),
        None, None, "update it, or install ibdump"),
    Row("8 irdma", hosts.irdma(), None, None, f"its driver ice cannot show RDMA traffic on the host: {MIRROR}"),
    *(Row(f"8 {driver}", hosts.other(driver, driver), None, None, f"its driver {driver} cannot show RDMA traffic on the host: {MIRROR}")
      for driver in ("qede", "cxgb4", "hns3", "efa", "mana", "erdma")),
    Row("8 bnxt_re without a RoCE mirror", hosts.bnxt(hosts.fails("bnxt_re0", FLOW.format("bnxt_re0")),
                                                      version=hosts.tcpdump(hosts.BUILT_BNXT, hosts.LDD_RDMA, "bnxt_re0")), None, None, MIRROR),
]
# fmt: on
