# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.comware import PLATFORM, parse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, plan, removal, timers
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source

RUNNING = """\
#
 version 7.1.070, Release 2612
#
 mirroring-group 1 local
 mirroring-group 2 remote-source
 mirroring-group 2 mirroring-vlan 1 to 3 5 inbound
 mirroring-group 2 remote-probe vlan 1900
 mirroring-group 3 local
 mirroring-group 4 local sampler SAM
 mirroring-group 4 mirroring-cpu slot 1 both
 mirroring-group 5 remote-source
#
interface GigabitEthernet1/2/0/1
 port link-mode bridge
 mirroring-group 1 mirroring-port both
#
interface GigabitEthernet1/2/0/2
 mirroring-group 1 mirroring-port outbound
#
interface GigabitEthernet1/2/0/16
 mirroring-group 1 monitor-port
#
interface XGE1/0/5
 mirroring-group 2 monitor-egress
#
interface Ten-GigabitEthernet1/0/2
 mirroring-group 3 monitor-port destination-ip 40.1.1.2 source-ip 20.1.1.1 dscp 8 vrf-instance MON
#
interface Ten-GigabitEthernet1/0/3
 mirroring-group 3 mirroring-port inbound
#
interface Ten-GigabitEthernet1/0/4
 mirroring-group 4 monitor-port destination-ip 40.1.1.999 source-ip 20.1.1.1
#
interface Ten-GigabitEthernet1/0/6
 mirroring-group 5 reflector-port
#
return
"""


def test_what_is_within_the_interfaces_belongs_to_the_group() -> None:
    session = parse(RUNNING)["1"]
    assert session.sources == (Source("interface", "GigabitEthernet1/2/0/1", "both"), Source("interface", "GigabitEthernet1/2/0/2", "tx"))
    assert (session.type, session.interfaces, session.unknown) == ("local", ("GigabitEthernet1/2/0/16",), ())


def test_a_remote_source_group() -> None:
    session = parse(RUNNING)["2"]
    assert (session.type, session.remote_vlan, session.interfaces) == ("rspan_source", 1900, ("Ten-GigabitEthernet1/0/5",))
    assert session.sources == tuple(Source("vlan", str(vlan), "rx") for vlan in (1, 2, 3, 5))


def test_erspan_is_a_local_group_whose_monitor_port_has_addresses() -> None:
    session = parse(RUNNING)["3"]
    assert (session.type, session.interfaces) == ("erspan_source", ("Ten-GigabitEthernet1/0/2",))
    assert (session.destination_ip, session.source_ip, session.dscp, session.vrf) == ("40.1.1.2", "20.1.1.1", 8, "MON")


def test_what_is_not_understood_is_kept() -> None:
    assert parse(RUNNING)["4"].unknown == (
        "local sampler SAM",
        "mirroring-cpu slot 1 both",
        "Ten-GigabitEthernet1/0/4 monitor-port destination-ip 40.1.1.999 source-ip 20.1.1.1",
    )
    assert (parse(RUNNING)["5"].reflector_port, parse(RUNNING)["5"].unknown) == ("Ten-GigabitEthernet1/0/6", ())
    assert parse("") == {}


def test_a_new_group_is_typed_in_system_view_its_end_first() -> None:
    wish = Session(
        "7", "erspan_source", sources=(Source("interface", "XGE1/0/1", "rx"),), interfaces=("XGE1/0/2",), destination_ip="10.0.0.9", source_ip="10.0.0.1"
    )
    assert plan(PLATFORM, wish, None).commands == [
        "mirroring-group 7 local",
        "mirroring-group 7 monitor-port Ten-GigabitEthernet1/0/2 destination-ip 10.0.0.9 source-ip 10.0.0.1",
        "mirroring-group 7 mirroring-port Ten-GigabitEthernet1/0/1 inbound",
    ]
    assert removal(PLATFORM, "7", wish).commands == ["undo mirroring-group 7"]


def test_new_addresses_take_the_monitor_port_out_and_in_again() -> None:
    wish = Session("3", "erspan_source", destination_ip="40.1.1.9")
    assert plan(PLATFORM, wish, parse(RUNNING)["3"]).commands == [
        "undo mirroring-group 3 monitor-port Ten-GigabitEthernet1/0/2",
        "mirroring-group 3 monitor-port Ten-GigabitEthernet1/0/2 destination-ip 40.1.1.9 source-ip 20.1.1.1 dscp 8 vrf-instance MON",
    ]


def test_there_is_no_session_id() -> None:
    wish = Session("7", "erspan_source", sources=(Source("interface", "XGE1/0/1"),), erspan_id=4)
    with pytest.raises(Refused, match="comware cannot do erspan_id: its monitor port has no session id"):
        plan(PLATFORM, wish, None)


def test_the_timer_runs_once_after_a_delay() -> None:
    assert arm(PLATFORM, "3", 90, "#\nscheduler job wirefleet-3\n command 1 system-view\n#\n") == [
        "undo scheduler job wirefleet-3",
        "scheduler job wirefleet-3",
        "command 1 system-view",
        "command 2 undo mirroring-group 3",
        "quit",
        "scheduler schedule wirefleet-3",
        "job wirefleet-3",
        "time once delay 01:30",
        "quit",
    ]
    with pytest.raises(Refused, match="takes a timer of 1 to 5999 minutes, not 6000"):
        arm(PLATFORM, "3", 6000, "")
    assert timers(PLATFORM, "scheduler schedule backup\n time repeating at 03:00\n") == {}
