# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.nxos import PLATFORM, parse, refuse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, plan, timers
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source

RUNNING = """\
!Command: show running-config monitor
version 9.3(13)

monitor erspan origin ip-address 10.0.0.1 global
monitor session 3 type erspan-source
  description CAP-A
  header-type 3
  erspan-id 156
  vrf default
  destination ip 11.11.11.11
  ip ttl 64
  ip dscp 0
  mtu 1518
  filter vlan 100-102
  source interface Ethernet1/31 both
  source interface Ethernet1/1-2 rx
  no shut
monitor session 4
  source interface port-channel1 rx
  source vlan 5,7-8 rx
  destination interface Ethernet2/1
monitor session 5 type warp
  marker-packet 100
monitor session 6 type erspan-source
  erspan-id 70000000000
  destination ip 11.11.11
  acl-name not specified
"""


def test_an_erspan_session_is_sent_from_the_address_of_the_switch() -> None:
    session = parse(RUNNING)["3"]
    assert (session.type, session.description, session.header_type, session.erspan_id) == ("erspan_source", "CAP-A", 3, 156)
    assert (session.destination_ip, session.source_ip, session.ttl, session.dscp) == ("11.11.11.11", "10.0.0.1", 64, 0)
    assert (session.vrf, session.mtu, session.vlans, session.enabled) == ("default", 1518, (100, 101, 102), True)
    assert session.sources == (
        Source("interface", "Ethernet1/1", "rx"),
        Source("interface", "Ethernet1/2", "rx"),
        Source("interface", "Ethernet1/31", "both"),
    )


def test_a_session_that_does_not_say_no_shut_is_shut() -> None:
    session = parse(RUNNING)["4"]
    assert (session.type, session.enabled, session.interfaces) == ("local", False, ("Ethernet2/1",))
    assert [source.name for source in session.sources] == ["port-channel1", "5", "7", "8"]


def test_other_kinds_and_bad_lines_are_kept() -> None:
    assert parse(RUNNING)["5"].unknown == ("type warp", "marker-packet 100")
    assert parse(RUNNING)["6"].unknown == ("erspan-id 70000000000", "destination ip 11.11.11")
    assert parse("") == {}


def test_without_an_origin_there_is_no_erspan() -> None:
    wish = Session("3", "erspan_source", source_ip="10.9.9.9")
    with pytest.raises(Refused, match="has an origin"):
        refuse(wish, "")
    with pytest.raises(Refused, match=r"from 10\.0\.0\.1: leave source_ip out"):
        refuse(wish, RUNNING)
    refuse(Session("3", "erspan_source", source_ip="10.0.0.1"), RUNNING)
    refuse(Session("4"), "")


def test_a_change_is_made_while_the_session_is_shut() -> None:
    wish = Session("3", "erspan_source", enabled=True, ttl=32, sources=(Source("interface", "Eth1/31", "both"),))
    assert plan(PLATFORM, wish, parse(RUNNING)["3"]).commands == [
        "monitor session 3 type erspan-source",
        "shut",
        "no source interface Ethernet1/1 rx",
        "no source interface Ethernet1/2 rx",
        "ip ttl 32",
        "no shut",
        "exit",
    ]


def test_enabling_is_no_change_of_anything_else() -> None:
    wish = Session("4", enabled=True)
    have = Session(**{**parse(RUNNING)["4"].__dict__, "sources": (Source("vlan", "5", "rx"),)})
    assert plan(PLATFORM, wish, have).commands == ["monitor session 4", "no shut", "exit"]


def test_vlans_are_mirrored_as_they_come_in() -> None:
    wish = Session("4", sources=(Source("vlan", "5", "both"),), interfaces=("Eth2/1",))
    with pytest.raises(Refused, match="nxos cannot do direction both of vlan sources: it mirrors rx"):
        plan(PLATFORM, wish, None)


def test_the_timer_starts_at_a_minute_of_the_switch() -> None:
    clock = "23:40:01.123 UTC Thu Dec 31 2026\nTime source is NTP\n"
    assert arm(PLATFORM, "3", 30, "", clock)[-2:] == ["time start 2027:01:01:00:11", "exit"]
    with pytest.raises(Refused, match="did not say what time it is: '% Invalid"):
        arm(PLATFORM, "3", 30, "", "% Invalid command")


def test_timers_of_others_are_not_ours() -> None:
    text = "scheduler job name backup\n copy running-config startup-config\nscheduler schedule name wirefleet-3\n  time start 2026:01:01:01:01\n"
    assert timers(PLATFORM, text) == {"3": "time start 2026:01:01:01:01"}
