# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded: veth_k.txt on Linux 6.18, the same to the byte from ethtool 5.9, 6.1, 6.14.2 and 7.2; labnic_*.txt from the
lab's emulation of a ConnectX under MLNX_OFED 4.6, Linux 6.1, ethtool 6.1."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import ethtool_text as text
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_device import device_names
from hypothesis import given
from hypothesis import strategies as st
from recordings_and_veth import recorded

VETH = text.parse_features(recorded("veth_k.txt"))
SG_OFF = text.parse_features(recorded("veth_k_sg_off.txt"))
LABNIC = text.parse_features(recorded("labnic_k.txt"))


def test_features_have_their_kernel_names_and_sums_are_left_out() -> None:
    assert len(VETH) == 60
    assert not set(VETH) & {*text.LONG_NAMES, *text.SUMS, "Features for v0"}
    assert {"rx-gro", "rx-lro", "tx-generic-segmentation", "rx-checksum", "tx-checksum-ip-generic", "hsr-dup-offload"} <= set(VETH)


@pytest.mark.parametrize(
    ("features", "name", "expected"),
    [
        # active, fixed, requested
        (VETH, "rx-gro", (False, False, False)),
        (VETH, "rx-lro", (False, True, False)),
        (VETH, "tx-generic-segmentation", (True, False, True)),
        (SG_OFF, "tx-scatter-gather", (False, False, False)),
        (SG_OFF, "tx-tcp-segmentation", (False, False, True)),
        (SG_OFF, "tx-generic-segmentation", (False, False, True)),
        (LABNIC, "rx-lro", (False, False, False)),
        (LABNIC, "highdma", (False, True, False)),
    ],
)
def test_feature(features: dict[str, text.Feature], name: str, expected: tuple[bool, bool, bool]) -> None:
    assert features[name] == text.Feature(*expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gro", ["rx-gro"]),
        ("lro", ["rx-lro"]),
        ("rx", ["rx-checksum"]),
        ("rxvlan", ["rx-vlan-hw-parse"]),
        ("txvlan", ["tx-vlan-hw-insert"]),
        ("ntuple", ["rx-ntuple-filter"]),
        ("rxhash", ["rx-hashing"]),
        ("sg", ["tx-scatter-gather", "tx-scatter-gather-fraglist"]),
        (
            "tso",
            [
                "tx-tcp-segmentation",
                "tx-tcp-ecn-segmentation",
                "tx-tcp-mangleid-segmentation",
                "tx-tcp6-segmentation",
                "tx-tcp-accecn-segmentation",
            ],
        ),
        ("gso", ["tx-generic-segmentation"]),
        ("generic-receive-offload", ["rx-gro"]),
        ("generic_receive_offload", ["rx-gro"]),
        ("tcp-segmentation-offload", text.kernel_names("tso", VETH)),
        ("rx-gro-hw", ["rx-gro-hw"]),
        ("rx_gro_hw", ["rx-gro-hw"]),
        ("tx-udp_tnl-segmentation", ["tx-udp_tnl-segmentation"]),
        ("tx_udp_tnl_segmentation", ["tx-udp_tnl-segmentation"]),
        ("ufo", []),
        ("nosuch", []),
        ("*", []),
        ("rx-gr?", []),
        ("[a-z]*", []),
    ],
)
def test_names_that_users_write(name: str, expected: list[str]) -> None:
    assert text.kernel_names(name, VETH) == expected


def test_private_flags_are_verbatim() -> None:
    flags = text.parse_private_flags(recorded("labnic_show-priv-flags.txt"))
    assert list(flags) == [
        "rx_cqe_moder",
        "tx_cqe_moder",
        "rx_cqe_compress",
        "rx_striding_rq",
        "rx_no_csum_complete",
        "sniffer",
        "dropless_rq",
        "per_channel_stats",
        "tx_xdp_hw_checksum",
    ]
    assert {name for name, value in flags.items() if value} == {"rx_cqe_moder", "rx_striding_rq", "per_channel_stats"}


def test_private_flag_names_may_hold_anything() -> None:
    shown = "Private flags for eth0:\nlink-down-on-close      : on\nVF true-promisc support: off\nvf-ipsec               : on\n"
    assert text.parse_private_flags(shown) == {"link-down-on-close": True, "VF true-promisc support": False, "vf-ipsec": True}


BEFORE_5_8 = """Ring parameters for eth0:
Pre-set maximums:
RX:		4096
RX Mini:	0
RX Jumbo:	2048
TX:		4096
Current hardware settings:
RX:		512
RX Mini:	0
RX Jumbo:	256
TX:		512
"""
WITHOUT_MINI = "Ring parameters for eth0:\nPre-set maximums:\nRX:\t256\nTX:\t256\nCurrent hardware settings:\nRX:\t128\nTX:\t64\n"


@pytest.mark.parametrize(
    ("shown", "maximum", "current"),
    [
        (recorded("labnic_g.txt"), {"rx": 8192, "tx": 8192}, {"rx": 1024, "tx": 1024}),
        (BEFORE_5_8, {"rx": 4096, "rx_jumbo": 2048, "tx": 4096}, {"rx": 512, "rx_jumbo": 256, "tx": 512}),
        (WITHOUT_MINI, {"rx": 256, "tx": 256}, {"rx": 128, "tx": 64}),
        ("", {}, {}),
    ],
)
def test_rings(shown: str, maximum: dict[str, int], current: dict[str, int]) -> None:
    assert text.parse_rings(shown) == text.Rings(maximum, current)


def test_driver() -> None:
    assert text.parse_driver(recorded("labnic_i.txt")) == "mlx5_core"
    assert text.parse_driver("version: 1.0\n") == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("netlink error: Operation not supported\n", True),
        ("Cannot get device ring settings: Operation not supported\n", True),
        ("No private flags defined\n", True),
        ("netlink error: No such device\n", False),
        ("netlink error: Invalid argument\n", False),
    ],
)
def test_what_the_driver_lacks_is_told_from_other_errors(words: str, expected: bool) -> None:
    assert text.unsupported(words) is expected


def test_devices_are_those_of_the_namespace() -> None:
    assert device_names(recorded("proc_net_dev")) == ["lo", "eth0", "eth1", "ens1f0np0", "labwire0", "cable"]


@given(st.text(max_size=400))
def test_no_text_is_too_odd(shown: str) -> None:
    text.parse_features(shown)
    text.parse_private_flags(shown)
    rings = text.parse_rings(shown)
    assert set(rings.current) <= set(rings.maximum)
