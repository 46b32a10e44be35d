# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_feature import EthtoolFeature
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_private_flag import EthtoolPrivateFlag
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_ring import EthtoolRing
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_text import parse_features, parse_rings
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_wish import desired_settings
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Reading, Refused
from recordings_and_veth import recorded


def features_of(recording: str) -> Reading:
    features = parse_features(recorded(recording))
    return Reading(
        {name: feature.active for name, feature in features.items()}, {"fixed": {name for name in features if features[name].fixed}}
    )


VETH, LABNIC = features_of("veth_k.txt"), features_of("labnic_k.txt")
RINGS = parse_rings(recorded("labnic_g.txt"))


@pytest.mark.parametrize(
    ("reading", "wanted", "expected"),
    [
        (VETH, {"gro": True}, {"rx-gro": True}),
        (VETH, {"sg": False}, {"tx-scatter-gather": False, "tx-scatter-gather-fraglist": False}),
        # fixed members of a group are left as they are
        (LABNIC, {"tso": False}, dict.fromkeys(["tx-tcp-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation"], False)),
        (LABNIC, {"tx": False}, {"tx-checksum-ip-generic": False}),
        # fixed, but as wanted
        (VETH, {"lro": False}, {"rx-lro": False}),
        (VETH, {"rx_gro_hw": False}, {"rx-gro-hw": False}),
        # twice the same by two names
        (VETH, {"gro": True, "rx-gro": True}, {"rx-gro": True}),
    ],
)
def test_features_to_reach(reading: Reading, wanted: dict[str, bool], expected: dict[str, bool]) -> None:
    assert EthtoolFeature().resolve("eth0", wanted, reading) == expected


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"lro": True}, "eth0: the driver keeps lro off ([fixed] in ethtool -k), so it cannot be turned on"),
        ({"ufo": False}, "eth0 has no offload feature 'ufo': UDP fragmentation offload was removed from Linux 4.14, leave it out"),
        ({"rx-gor": False}, "eth0 has no offload feature 'rx-gor': did you mean rx-gro"),
        ({"qqq": False}, "eth0 has no offload feature 'qqq': `ethtool -k eth0` lists what there is"),
        ({"*": False}, "eth0 has no offload feature '*': `ethtool -k eth0` lists what there is"),
        (
            {"tso": False, "tx-tcp-segmentation": True},
            "eth0: tx-tcp-segmentation is wanted both on and off, once by the name tx-tcp-segmentation: leave one of them out",
        ),
    ],
)
def test_features_that_cannot_be(wanted: dict[str, bool], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        EthtoolFeature().resolve("eth0", wanted, VETH)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [({"rx": "max"}, {"rx": 8192}), ({"rx": 4096, "tx": 64}, {"rx": 4096, "tx": 64}), ({"tx": 8192}, {"tx": 8192})],
)
def test_rings_to_reach(wanted: dict[str, t.Any], expected: dict[str, int]) -> None:
    assert EthtoolRing().resolve("eth0", wanted, Reading(RINGS.current, {"maximum": RINGS.maximum})) == expected


@pytest.mark.parametrize(
    ("wanted", "maximum", "sentence"),
    [
        ({"rx": 10000}, RINGS.maximum, "eth0: rx ring of 10000 is out of range: the driver allows 1 to 8192, or say max"),
        ({"rx_mini": 64}, RINGS.maximum, "eth0 has no rx_mini ring: its driver has rx, tx"),
        ({"rx": "max"}, {}, "eth0 has no rx ring: its driver has none that can be set"),
    ],
)
def test_rings_that_cannot_be(wanted: dict[str, t.Any], maximum: dict[str, int], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        EthtoolRing().resolve("eth0", wanted, Reading({}, {"maximum": maximum}))
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("driver", "rdma", "words"),
    [
        ("mlx5_core", True, "capture on the RDMA device instead"),
        ("mlx4_en", True, "log_num_mgm_entry_size=-1"),
        ("bnxt_en", True, "rdma-core 60"),
        ("ice", True, "mirror the switch port (SPAN or ERSPAN)"),
        ("ice", False, "plain tcpdump on it already sees every packet"),
        ("veth", False, "plain tcpdump on it already sees every packet"),
    ],
)
def test_without_sniffer_flag_another_way_is_named(driver: str, rdma: bool, words: str) -> None:
    with pytest.raises(Refused, match=f"its driver {driver} has no private flag 'sniffer'") as refused:
        EthtoolPrivateFlag().resolve("eth0", {"sniffer": True}, Reading({}, {"driver": driver, "rdma": rdma}))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("have", "sentence"),
    [
        ({"legacy-rx": True}, "eth0: its driver igb has no private flag 'legacy_rx': it has legacy-rx"),
        ({}, "eth0: its driver igb has no private flag 'legacy_rx': it has none"),
    ],
)
def test_private_flags_are_never_normalised(have: dict[str, bool], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        EthtoolPrivateFlag().resolve("eth0", {"legacy_rx": True}, Reading(have, {"driver": "igb", "rdma": False}))
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("kind", "wanted", "command"),
    [
        (EthtoolFeature(), {"rx-gro": False, "rx-lro": True}, "ethtool -K eth0 rx-gro off rx-lro on"),
        (EthtoolPrivateFlag(), {"sniffer": True, "a flag": False}, "ethtool --set-priv-flags eth0 sniffer on 'a flag' off"),
        (EthtoolRing(), {"rx": 8192, "rx_mini": 64}, "ethtool -G eth0 rx 8192 rx-mini 64"),
    ],
)
def test_one_command_for_all_of_a_kind(kind: t.Any, wanted: dict[str, t.Any], command: str) -> None:
    assert kind.commands("eth0", wanted, {}) == [command]


def test_what_a_user_writes_becomes_keys() -> None:
    options = {"features": {"gro": "off", "lro": None}, "private_flags": {"sniffer": True}, "ring": {"rx": "4096", "tx": "max"}}
    assert desired_settings(["e0", "e1"], options) == {
        Key("ethtool_feature", "e0", "gro"): False,
        Key("ethtool_private_flag", "e0", "sniffer"): True,
        Key("ethtool_ring", "e0", "rx"): 4096,
        Key("ethtool_ring", "e0", "tx"): "max",
        Key("ethtool_feature", "e1", "gro"): False,
        Key("ethtool_private_flag", "e1", "sniffer"): True,
        Key("ethtool_ring", "e1", "rx"): 4096,
        Key("ethtool_ring", "e1", "tx"): "max",
    }


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"features": {"gro": "maybe"}}, "gro is either true or false, not 'maybe'"),
        ({"private_flags": {"sniffer": 2}}, "sniffer is either true or false, not 2"),
        ({"ring": {"rx": "0"}}, "ring rx is a number of descriptors or max, not '0'"),
        ({"ring": {"rx": "-5"}}, "ring rx is a number of descriptors or max, not '-5'"),
        ({"ring": {"rx": "4k"}}, "ring rx is a number of descriptors or max, not '4k'"),
    ],
)
def test_what_is_no_value(options: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        desired_settings(["e0"], options)
    assert str(refused.value) == sentence
