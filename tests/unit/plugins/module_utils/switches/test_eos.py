# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.eos import PLATFORM, parse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, plan, removal, timers
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source

RUNNING = """\
monitor session CAP-A source Ethernet10-12 rx
monitor session CAP-A source Ethernet3, Ethernet5
monitor session CAP-A destination Ethernet48
monitor session TUN source Ethernet7 tx
monitor session TUN destination tunnel mode gre destination 10.2.2.2 source 10.1.1.1 ttl 9 vrf BLUE
monitor session TUN truncate size 160
monitor session ODD source Ethernet20 both ip access-group ACL4 priority 10
monitor session ODD destination Cpu
monitor session ODD header remove size 32
monitor session BAD destination tunnel mode gre source 10.1.1.1 destination 10.2.2.999
monitor session default encapsulation gre payload inner-packet
"""
TUNNEL = Session("W", "erspan_source", sources=(Source("interface", "Et7", "rx"),), destination_ip="10.2.2.2", source_ip="10.1.1.1")


def test_ranges_lists_and_left_out_directions_are_read() -> None:
    session = parse(RUNNING)["CAP-A"]
    assert session.sources[:2] == (Source("interface", "Ethernet10", "rx"), Source("interface", "Ethernet11", "rx"))
    assert session.sources[-1] == Source("interface", "Ethernet5", "both")
    assert session.interfaces == ("Ethernet48",)


def test_a_tunnel_is_read_by_its_words_in_any_order() -> None:
    session = parse(RUNNING)["TUN"]
    assert (session.type, session.source_ip, session.destination_ip) == ("erspan_source", "10.1.1.1", "10.2.2.2")
    assert (session.ttl, session.vrf, session.truncate) == (9, "BLUE", 160)


def test_what_is_not_understood_is_kept_and_stops_an_edit() -> None:
    odd = parse(RUNNING)["ODD"]
    assert odd.unknown == ("source Ethernet20 both ip access-group ACL4 priority 10", "header remove size 32")
    with pytest.raises(Refused, match="nobody here understands"):
        plan(PLATFORM, Session("ODD", sources=(Source("interface", "Ethernet1"),), interfaces=("Cpu",)), odd)
    assert removal(PLATFORM, "ODD", odd).commands == ["no monitor session ODD"]


def test_the_global_line_is_no_session() -> None:
    assert set(parse(RUNNING)) == {"CAP-A", "TUN", "ODD", "BAD"}
    assert parse("") == {}


def test_an_address_that_is_none_is_not_understood() -> None:
    assert parse(RUNNING)["BAD"].unknown == ("destination tunnel mode gre source 10.1.1.1 destination 10.2.2.999",)


def test_a_new_session_in_the_order_of_the_configuration() -> None:
    assert plan(PLATFORM, TUNNEL, None).commands == [
        "monitor session W source Ethernet7 rx",
        "monitor session W destination tunnel mode gre source 10.1.1.1 destination 10.2.2.2",
    ]


@pytest.mark.parametrize("option, value", [("erspan_id", 5), ("header_type", 2)])
def test_type_one_has_no_id_and_no_header(option: str, value: int) -> None:
    with pytest.raises(Refused, match=f"eos cannot do {option}: it sends ERSPAN type I"):
        plan(PLATFORM, TUNNEL.__class__(**{**TUNNEL.__dict__, option: value}), None)


def test_the_timer_is_an_event_handler_with_a_delay() -> None:
    commands = arm(PLATFORM, "CAP-A", 30, "event-handler wirefleet-CAP-A\n   delay 60\n")
    assert commands == [
        "no event-handler wirefleet-CAP-A",
        "event-handler wirefleet-CAP-A",
        "trigger on-boot",
        r"action bash FastCli -p15 -c $'configure\nno monitor session CAP-A\nno event-handler wirefleet-CAP-A'",
        "delay 1800",
        "asynchronous",
        "exit",
    ]
    assert timers(PLATFORM, "event-handler other\n   delay 60\n") == {}
