# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine captures a device: one test for each row of the table in docs/rdma.md, with the words of real tools."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.choose import Choice, choose, expand
from ansible_collections.wirefleet.capture.plugins.module_utils.session.rdma import Facts, Netdev, Port, Probe, Tools
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused

LIBPCAP = "/lib/x86_64-linux-gnu/libpcap.so.0.8"
WITH = Tools("4.99.4", "1.10.4", True, f"{LIBPCAP} is linked with libibverbs", ["mlx5_0"], None, None)
WITHOUT = WITH._replace(libpcap_rdma=False, why=f"{LIBPCAP} was built without RDMA support", listed=[])
# What tcpdump -L says: works, libpcap without RDMA, and the steps of libpcap's pcap-rdmasniff.c that can fail.
WORKS = Probe(True, "EN10MB (Ethernet)")
UNKNOWN = Probe(False, "(No such device exists)")
NO_FLOW = Probe(False, "tcpdump: Failed to create flow for device mlx5_0")
NO_QP = Probe(False, "tcpdump: Failed to create QP for device mlx5_0")

# Private flags of MLNX_OFED 4.6 and of Linux 6.1.
OFED_FLAGS = {"rx_cqe_moder": True, "rx_cqe_compress": False, "sniffer": False, "dropless_rq": False}
INBOX_FLAGS = {"rx_cqe_moder": True, "rx_cqe_compress": False, "rx_striding_rq": True}


def port(driver: str = "mlx5_core", **more: object) -> Port:
    return Port("mlx5_0", 1, "Ethernet", "ACTIVE", driver, "ens1", [])._replace(**more)


def facts(found: Port | None, tools: Tools = WITH, flags: dict[str, bool] | None = None) -> Facts:
    netdevs = {name: Netdev(name, "mlx5_core", "up", given) for name, given in (("ens1", flags or INBOX_FLAGS), ("eth0", {}))}
    return Facts([found] if found else [], netdevs, None, tools)


def chosen(found: Facts, device: str, words: Probe) -> Choice:
    return choose(found, device, lambda name: words)


def refusal(found: Facts, device: str, words: Probe) -> str:
    with pytest.raises(Refused) as refused:
        chosen(found, device, words)
    return str(refused.value)


@pytest.mark.parametrize("driver", ["rxe", "siw"])
def test_software_devices_are_captured_on_their_interface(driver: str) -> None:
    choice = chosen(facts(port(driver)), "mlx5_0", UNKNOWN)
    assert (choice.engine, choice.capture_on, choice.settings) == ("tcpdump", "ens1", {})


@pytest.mark.parametrize("device", ["mlx5_0", "ens1"])
def test_a_driver_with_the_sniffer_flag_is_captured_on_its_interface_with_the_flag_on(device: str) -> None:
    choice = chosen(facts(port(), WITHOUT, OFED_FLAGS), device, UNKNOWN)
    assert (choice.engine, choice.capture_on) == ("tcpdump", "ens1")
    assert choice.settings == {Key("ethtool_private_flag", "ens1", "sniffer"): True}


def test_the_flag_alone_is_enough_where_the_host_shows_no_rdma_device() -> None:
    choice = chosen(facts(None, WITHOUT, OFED_FLAGS), "ens1", UNKNOWN)
    assert list(choice.settings) == [Key("ethtool_private_flag", "ens1", "sniffer")]


@pytest.mark.parametrize("driver", ["mlx5_core", "mlx4_core", "bnxt_en"])
@pytest.mark.parametrize("link_layer", ["Ethernet", "InfiniBand"])
def test_a_capture_that_can_be_activated_is_taken(driver: str, link_layer: str) -> None:
    choice = chosen(facts(port(driver, link_layer=link_layer)), "mlx5_0", WORKS)
    assert (choice.engine, choice.capture_on) == ("tcpdump_rdma", "mlx5_0")


def test_a_second_port_is_named_as_libpcap_names_it() -> None:
    asked = []
    found = facts(port(port=2))
    assert choose(found, "mlx5_0:2", lambda name: asked.append(name) or WORKS).capture_on == "mlx5_0:2"
    assert asked == ["mlx5_0:2"]


@pytest.mark.parametrize("driver", ["mlx5_core", "mlx4_core"])
def test_a_libpcap_without_rdma_is_gone_round_by_a_container(driver: str) -> None:
    choice = chosen(facts(port(driver), WITHOUT._replace(container_runtime="/usr/bin/podman")), "mlx5_0", UNKNOWN)
    assert choice.engine == "container"
    assert "built without RDMA support, and /usr/bin/podman" in choice.reason


def test_ibdump_stands_in_for_a_libpcap_without_rdma() -> None:
    assert chosen(facts(port(), WITHOUT._replace(ibdump="/usr/bin/ibdump")), "mlx5_0", UNKNOWN).engine == "ibdump"


def test_an_infiniband_port_prefers_ibdump_to_a_container() -> None:
    tools = WITHOUT._replace(ibdump="/usr/bin/ibdump", container_runtime="/usr/bin/docker")
    assert chosen(facts(port(link_layer="InfiniBand"), tools), "mlx5_0", UNKNOWN).engine == "ibdump"


@pytest.mark.parametrize(("driver", "warned"), [("mlx5_core", False), ("mlx4_core", True)])
def test_an_infiniband_port_is_captured_by_ibdump_where_tcpdump_cannot(driver: str, warned: bool) -> None:
    choice = chosen(facts(port(driver, link_layer="InfiniBand"), WITH._replace(ibdump="/usr/bin/ibdump")), "mlx5_0", NO_QP)
    assert (choice.engine, choice.warning is not None) == ("ibdump", warned)
    assert "Failed to create QP" in choice.reason


def test_mlx5_firmware_without_the_sniffer_rule_is_captured_by_ibdump() -> None:
    assert chosen(facts(port(), WITH._replace(ibdump="/usr/bin/ibdump")), "mlx5_0", NO_FLOW).engine == "ibdump"


@pytest.mark.parametrize(
    ("found", "tools", "words", "advice"),
    [
        (port("mlx4_core"), WITH, NO_FLOW, "log_num_mgm_entry_size=-1 on mlx4_core (module modprobe_options) and reload the driver"),
        (port("mlx5_core"), WITH, NO_FLOW, "update it, or install ibdump"),
        (port("bnxt_en"), WITH, NO_FLOW, "mirror the switch port"),
        (port("bnxt_en"), WITHOUT._replace(container_runtime="/usr/bin/docker"), UNKNOWN, "install a tcpdump whose libpcap has it"),
        (port("mlx5_core"), WITHOUT, UNKNOWN, "built without RDMA support: install a tcpdump"),
        (port("mlx5_core"), WITH._replace(tcpdump=None), UNKNOWN, "tcpdump is not installed on this host"),
        (port("mlx5_core"), WITH, UNKNOWN, "load ib_uverbs and install libibverbs' driver"),
        (port("mlx5_core"), WITH, NO_QP, "needs root with CAP_NET_RAW"),
        (port("mlx5_core", link_layer="InfiniBand"), WITH, NO_QP, "install ibdump (built with mstflint)"),
        (port("ice"), WITH, WORKS, "its driver ice cannot show RDMA traffic on the host: mirror the switch port"),
        (port("hns3"), WITH, WORKS, "its driver hns3 cannot"),
        (port("rxe", netdev=None), WITH, WORKS, "name the interface"),
    ],
)
def test_what_cannot_be_captured_says_the_way_out(found: Port, tools: Tools, words: Probe, advice: str) -> None:
    assert advice in refusal(facts(found, tools), "mlx5_0", words)


def test_an_interface_beside_rdma_is_captured_with_a_warning() -> None:
    choice = chosen(facts(port()), "ens1", WORKS)
    assert (choice.engine, choice.capture_on) == ("tcpdump", "ens1")
    assert choice.warning == "RDMA traffic bypasses ens1: capture device mlx5_0 or auto_rdma to see it"


def test_an_interface_without_rdma_needs_no_warning() -> None:
    assert chosen(facts(port()), "eth0", WORKS).warning is None


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    assert "it has ens1, eth0, mlx5_0" in refusal(facts(port()), "eth9", WORKS)


def test_auto_rdma_stands_for_ports_that_are_up_and_flags_beside_them() -> None:
    ports = [port(), port(device="mlx5_1", netdev="ens2", state="DOWN")]
    netdevs = {name: Netdev(name, "mlx5_core", "up", OFED_FLAGS) for name in ("ens1", "ens2", "ens3")}
    assert expand(Facts(ports, netdevs, None, WITH), "auto_rdma") == ["mlx5_0", "ens3"]
    assert expand(facts(None), "eth0") == ["eth0"]


def test_auto_rdma_that_finds_nothing_says_what_is_down() -> None:
    with pytest.raises(Refused, match="no RDMA device that is up: mlx5_0 is DOWN"):
        expand(facts(port(state="DOWN")), "auto_rdma")
    with pytest.raises(Refused, match="no driver with a sniffer flag"):
        expand(facts(None), "auto_rdma")
