# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.junos import PLATFORM, parse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, plan, timers
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source

RUNNING = """\
set forwarding-options analyzer CAP-A input ingress interface ge-0/0/4.0
set forwarding-options analyzer CAP-A input egress interface ge-0/0/4.0
set forwarding-options analyzer CAP-A input ingress vlan 100
set forwarding-options analyzer CAP-A output interface ge-0/1/1.0
set forwarding-options analyzer FAR input ingress vlan employees
set forwarding-options analyzer FAR output vlan 999 no-tag
set forwarding-options analyzer TUN input egress interface xe-0/0/1
set forwarding-options analyzer TUN output ip-address 198.51.100.9
deactivate forwarding-options analyzer TUN
set forwarding-options analyzer ODD input ingress
set forwarding-options analyzer ODD output vlan remote
deactivate forwarding-options analyzer ODD output
set forwarding-options port-mirroring instance P1 input rate 1
"""


def test_an_interface_in_both_lists_is_mirrored_both_ways() -> None:
    session = parse(RUNNING)["CAP-A"]
    assert session.sources == (Source("interface", "ge-0/0/4.0", "both"), Source("vlan", "100", "rx"))
    assert (session.type, session.interfaces, session.enabled) == ("local", ("ge-0/1/1.0",), True)


def test_rspan_erspan_and_what_is_deactivated() -> None:
    far, tunnel = parse(RUNNING)["FAR"], parse(RUNNING)["TUN"]
    assert (far.type, far.remote_vlan, far.unknown) == ("rspan_source", 999, ("output vlan 999 no-tag",))
    assert (tunnel.type, tunnel.destination_ip, tunnel.enabled) == ("erspan_source", "198.51.100.9", False)
    assert tunnel.sources == (Source("interface", "xe-0/0/1.0", "tx"),)


def test_what_is_not_understood_is_kept() -> None:
    assert parse(RUNNING)["ODD"].unknown == ("input ingress", "output vlan remote", "deactivate output")
    assert parse("") == {} and set(parse(RUNNING)) == {"CAP-A", "FAR", "TUN", "ODD"}


def test_a_change_is_one_commit() -> None:
    wish = Session("TUN", "erspan_source", enabled=True, sources=(Source("interface", "xe-0/0/2", "both"),), destination_ip="198.51.100.7")
    assert PLATFORM.commit == "commit"
    assert plan(PLATFORM, wish, parse(RUNNING)["TUN"]).commands == [
        "set forwarding-options analyzer TUN input ingress interface xe-0/0/2.0",
        "set forwarding-options analyzer TUN input egress interface xe-0/0/2.0",
        "set forwarding-options analyzer TUN output ip-address 198.51.100.7",
        "delete forwarding-options analyzer TUN input egress interface xe-0/0/1.0",
        "activate forwarding-options analyzer TUN",
    ]


@pytest.mark.parametrize("option, value", [("source_ip", "10.0.0.1"), ("erspan_id", 5), ("ttl", 9), ("dscp", 1), ("vrf", "BLUE")])
def test_an_analyzer_knows_only_where_to_send(option: str, value: object) -> None:
    wish = Session("A", "erspan_source", sources=(Source("interface", "ge-0/0/1"),), destination_ip="10.0.0.9")
    with pytest.raises(Refused, match=f"junos cannot do {option}: an analyzer knows only where to send"):
        plan(PLATFORM, Session(**{**wish.__dict__, option: value}), None)


def test_the_timer_is_an_event_that_ends_with_its_first() -> None:
    commands = arm(PLATFORM, "CAP-A", 30, "")
    assert commands == [
        "set event-options generate-event wirefleet-CAP-A time-interval 1800",
        "set event-options policy wirefleet-CAP-A events wirefleet-CAP-A",
        'set event-options policy wirefleet-CAP-A then change-configuration commands "delete forwarding-options analyzer CAP-A"',
        'set event-options policy wirefleet-CAP-A then change-configuration commands "delete event-options policy wirefleet-CAP-A"',
        'set event-options policy wirefleet-CAP-A then change-configuration commands "delete event-options generate-event wirefleet-CAP-A"',
    ]
    assert timers(PLATFORM, "\n".join(commands)) == {"CAP-A": "time-interval 1800"}
    assert timers(PLATFORM, "set event-options generate-event nightly time-of-day 03:00:00") == {}
