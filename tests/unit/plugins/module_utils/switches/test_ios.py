# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.ios import PLATFORM, XE, parse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, check_others, plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source

#: Short names, lists with blanks, any order, and what others made.
RUNNING = """\
monitor session 1 source interface Gi1/0/1 - 2 , Gi1/0/5 rx
monitor session 1 source interface Po1
monitor session 1 destination interface Twe1/0/24
monitor session 2 source vlan 20 , 30 - 31 tx
monitor session 2 filter vlan 10 - 12
monitor session 2 destination remote vlan 99
monitor session 4 source remote vlan 99
monitor session 4 destination interface FortyGigE1/1/1 encapsulation replicate
monitor session 3 type erspan-source
 buffer-size 64
 description CAP-A
 destination
  erspan-id 101
  ip address 10.1.1.1
  mtu 1464
  origin ip address 20.1.1.1
 shutdown
 source interface GigabitEthernet4/1 rx
!
monitor session 5 type erspan-destination
 destination interface Gi4/2
 source
  erspan-id 101
  ip address 10.1.1.1
 no shutdown
monitor session 6 type erspan-source
 source interface Gi1/0/9
 filter ip access-group ROCE
 destination
  erspan-id 7
  ip address 10.1.1.999
  ip prec 5
interface GigabitEthernet1/0/9
 shutdown
"""
ERSPAN = Session(
    "3", "erspan_source", enabled=True, sources=(Source("interface", "Gi4/1", "rx"),), destination_ip="10.1.1.1", source_ip="20.1.1.1", erspan_id=9
)


def test_nothing_is_no_session() -> None:
    assert parse("") == {}


def test_short_names_ranges_and_left_out_directions() -> None:
    session = parse(RUNNING)["1"]
    assert session.sources == (
        Source("interface", "GigabitEthernet1/0/1", "rx"),
        Source("interface", "GigabitEthernet1/0/2", "rx"),
        Source("interface", "GigabitEthernet1/0/5", "rx"),
        Source("interface", "Port-channel1", "both"),
    )
    assert (session.type, session.interfaces, session.enabled) == ("local", ("TwentyFiveGigE1/0/24",), True)


def test_both_ends_of_rspan() -> None:
    near, far = parse(RUNNING)["2"], parse(RUNNING)["4"]
    assert (near.type, near.remote_vlan, near.vlans) == ("rspan_source", 99, (10, 11, 12))
    assert near.sources == tuple(Source("vlan", str(vlan), "tx") for vlan in (20, 30, 31))
    assert (far.type, far.remote_vlan, far.interfaces) == ("rspan_destination", 99, ("FortyGigabitEthernet1/1/1",))
    assert far.unknown == ("destination interface FortyGigE1/1/1 encapsulation replicate",)


def test_a_shut_session_in_another_order_than_typed() -> None:
    session = parse(RUNNING)["3"]
    assert (session.type, session.description, session.enabled) == ("erspan_source", "CAP-A", False)
    assert (session.erspan_id, session.destination_ip, session.source_ip, session.mtu) == (101, "10.1.1.1", "20.1.1.1", 1464)
    assert session.unknown == ("buffer-size 64",)


def test_an_erspan_destination() -> None:
    session = parse(RUNNING)["5"]
    assert (session.type, session.interfaces, session.enabled) == ("erspan_destination", ("GigabitEthernet4/2",), True)
    assert (session.erspan_id, session.destination_ip) == (101, "10.1.1.1")


def test_lines_that_make_no_sense_are_kept_and_the_next_stanza_is_not_the_session() -> None:
    session = parse(RUNNING)["6"]
    assert session.unknown == ("ip address 10.1.1.999", "ip prec 5")
    assert (session.acl, session.acl_type, session.enabled) == ("ROCE", "ip", True)


def test_what_is_not_understood_is_not_edited_but_can_be_removed() -> None:
    with pytest.raises(Refused, match="buffer-size 64"):
        plan(PLATFORM, ERSPAN, parse(RUNNING)["3"])
    assert removal(PLATFORM, "3", parse(RUNNING)["3"]).commands == ["no monitor session 3"]


def test_a_port_of_somebody_else_is_refused() -> None:
    wish = Session("7", sources=(Source("interface", "GigabitEthernet1/0/1"),), interfaces=("GigabitEthernet1/0/30",))
    with pytest.raises(Refused, match="GigabitEthernet1/0/1 is used by session 1 already"):
        check_others(PLATFORM, wish, parse(RUNNING))


def test_a_new_erspan_session_is_enabled_last() -> None:
    assert plan(PLATFORM, ERSPAN, None).commands == [
        "monitor session 3 type erspan-source",
        "source interface GigabitEthernet4/1 rx",
        "destination",
        "ip address 10.1.1.1",
        "origin ip address 20.1.1.1",
        "erspan-id 9",
        "exit",
        "no shutdown",
        "exit",
    ]


def test_an_acl_lets_go_of_a_session_that_was_shut_and_left() -> None:
    have = parse(RUNNING)["6"]
    wish = Session("6", "erspan_source", enabled=True, acl="OTHER", acl_type="ip", destination_ip="10.1.1.1", source_ip="20.1.1.1")
    assert plan(XE, wish, Session(**{**have.__dict__, "unknown": ()})).commands[:5] == [
        "monitor session 6 type erspan-source",
        "shutdown",
        "exit",
        "monitor session 6 type erspan-source",
        "no filter ip access-group ROCE",
    ]


@pytest.mark.parametrize(
    "platform, option, value, why",
    [
        (PLATFORM, "acl", "A", "ios cannot do acl: its sessions filter by VLAN only"),
        (PLATFORM, "header_type", 3, "ios cannot do header_type"),
        (XE, "gre_protocol", 1, "iosxe cannot do gre_protocol"),
        (XE, "header_type", 1, "iosxe takes header_type from 2 to 3, not 1"),
        (XE, "destination_ip", "fd00::1", "it takes IPv4 only"),
    ],
)
def test_what_is_refused(platform: object, option: str, value: object, why: str) -> None:
    with pytest.raises(Refused, match=why):
        plan(platform, Session(**{**ERSPAN.__dict__, option: value}), None)


def test_only_erspan_can_be_shut() -> None:
    wish = Session("1", enabled=False, sources=(Source("interface", "Gi1/0/1"),), interfaces=("Gi1/0/2",))
    with pytest.raises(Refused, match="ios cannot do enabled"):
        plan(PLATFORM, wish, None)


def test_vlans_are_sources_or_a_filter() -> None:
    wish = Session("1", sources=(Source("vlan", "7"),), vlans=(7,), interfaces=("Gi1/0/2",))
    with pytest.raises(Refused, match="ios cannot do vlan sources and vlans in one session"):
        plan(PLATFORM, wish, None)


def test_the_timer_counts_down_and_removes_itself_too() -> None:
    assert arm(PLATFORM, "3", 30, "event manager applet wirefleet-3 authorization bypass\n event timer countdown time 60\n") == [
        "no event manager applet wirefleet-3",
        "event manager applet wirefleet-3 authorization bypass",
        "event timer countdown time 1800",
        'action 1.0 cli command "enable"',
        'action 2.0 cli command "configure terminal"',
        'action 3.0 cli command "no monitor session 3"',
        'action 4.0 cli command "no event manager applet wirefleet-3"',
        'action 5.0 cli command "end"',
        "exit",
    ]
