# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.sonic import CONFIG, PLATFORM, STATE, parse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.transcript import entry

ROWS = """{
    "everflow0": {"dscp": "8", "dst_ip": "2.2.2.2", "gre_type": "0x8949", "policer": "slow", "src_ip": "1.1.1.1", "ttl": "255", "type": "ERSPAN"},
    "CAP-A": {
        "direction": "RX", "dscp": "8", "dst_ip": "10.0.0.9", "gre_type": "35006", "queue": "0", "src_ip": "10.0.0.1",
        "src_port": "Ethernet4,Ethernet0", "ttl": "64", "type": "ERSPAN"
    },
    "S": {"dst_port": "Ethernet8", "src_port": "PortChannel0001", "direction": "BOTH", "type": "SPAN"}
}"""
STATES = '{"MIRROR_SESSION_TABLE|CAP-A": {"expireat": 1.0, "ttl": -0.001, "type": "hash", "value": {"status": "inactive"}}}'
TEXT = entry(CONFIG, ROWS) + entry(STATE, STATES)
WISH = Session(
    "CAP-A", "erspan_source", sources=(Source("interface", "Ethernet0", "rx"),), destination_ip="10.0.0.9", source_ip="10.0.0.1", gre_protocol=0x88BE
)


def test_config_db_is_read_with_numbers_as_numbers() -> None:
    sessions = parse(TEXT)
    assert sessions["CAP-A"].gre_protocol == 0x88BE
    assert sessions["CAP-A"].sources == (Source("interface", "Ethernet0", "rx"), Source("interface", "Ethernet4", "rx"))
    assert (sessions["S"].type, sessions["S"].interfaces, sessions["S"].sources[0].direction) == ("local", ("Ethernet8",), "both")


def test_what_state_db_says_is_a_fault() -> None:
    assert "inactive" in str(parse(TEXT)["CAP-A"].fault)
    assert parse(TEXT)["S"].fault is None


def test_a_policer_is_not_ours_to_keep() -> None:
    assert parse(TEXT)["everflow0"].unknown == ("policer slow",)


def test_a_change_is_a_removal_and_an_addition_with_every_argument() -> None:
    have = parse(TEXT)["CAP-A"]
    assert plan(PLATFORM, dataclasses.replace(WISH, dscp=8, ttl=64), have).commands == [
        "config mirror_session remove CAP-A",
        "config mirror_session erspan add CAP-A 10.0.0.1 10.0.0.9 8 64 35006 0 Ethernet0 rx",
    ]
    assert removal(PLATFORM, "CAP-A", have).commands == ["config mirror_session remove CAP-A"]


def test_the_gre_protocol_has_to_be_said_and_directions_are_not_mixed() -> None:
    with pytest.raises(Refused, match="needs gre_protocol"):
        plan(PLATFORM, dataclasses.replace(WISH, gre_protocol=None), None)
    with pytest.raises(Refused, match="a session for each direction"):
        plan(PLATFORM, dataclasses.replace(WISH, sources=(*WISH.sources, Source("interface", "Ethernet4", "tx"))), None)


def test_no_table_is_no_sessions() -> None:
    assert parse(entry(CONFIG, "") + entry(STATE, "{}")) == {}
