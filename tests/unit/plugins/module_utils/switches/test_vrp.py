# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import arm, plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.vrp import CLOUDENGINE, PLATFORM, parse, refuse

RUNNING = """\
!Software Version V200R019C10SPC500
#
observe-port 1 interface GigabitEthernet0/0/24
observe-port 2 interface XGigabitEthernet0/1/1 vlan 10
observe-port 3 interface 100GE1/0/2 cir 20000 kbps
observe-port group 1
#
vlan batch 10 20
#
vlan 20
 mirroring to observe-port 2 inbound
#
interface GigabitEthernet0/0/1
 port-mirroring to observe-port 1 both
#
interface GE0/0/2
 undo port-mirroring to observe-port 1
 port-mirroring to observe-port 1 inbound
#
interface 100GE1/0/7
 port-mirroring observe-port 3 outbound
#
return
"""


def test_what_is_within_interfaces_and_vlans_belongs_to_the_observe_port() -> None:
    local, remote = parse(RUNNING)["1"], parse(RUNNING)["2"]
    assert local.sources == (Source("interface", "GigabitEthernet0/0/1", "both"), Source("interface", "GigabitEthernet0/0/2", "rx"))
    assert (local.type, local.interfaces, local.unknown) == ("local", ("GigabitEthernet0/0/24",), ())
    assert (remote.type, remote.remote_vlan, remote.interfaces) == ("rspan_source", 10, ("XGigabitEthernet0/1/1",))
    assert remote.sources == (Source("vlan", "20", "rx"),)


def test_the_word_to_may_be_missing_and_what_is_not_understood_is_kept() -> None:
    session = parse(RUNNING)["3"]
    assert session.sources == (Source("interface", "100GE1/0/7", "tx"),)
    assert (session.interfaces, session.unknown) == (("100GE1/0/2",), ("interface 100GE1/0/2 cir 20000 kbps",))
    assert set(parse(RUNNING)) == {"1", "2", "3"}
    assert parse("") == {}


WISH = Session("4", sources=(Source("interface", "GE0/0/9", "rx"), Source("vlan", "7", "rx")), interfaces=("GE0/0/23",))


def test_both_kinds_of_huawei() -> None:
    assert plan(PLATFORM, WISH, None).commands == [
        "observe-port 4 interface GigabitEthernet0/0/23",
        "interface GigabitEthernet0/0/9",
        "port-mirroring to observe-port 4 inbound",
        "quit",
        "vlan 7",
        "mirroring to observe-port 4 inbound",
        "quit",
    ]
    assert plan(CLOUDENGINE, WISH, None).commands[2] == "port-mirroring observe-port 4 inbound"
    assert (PLATFORM.commit, CLOUDENGINE.commit) == (None, "commit")


def test_an_observe_port_goes_when_nothing_is_mirrored_to_it() -> None:
    assert removal(PLATFORM, "2", parse(RUNNING)["2"]).commands == [
        "vlan 20",
        "undo mirroring to observe-port 2",
        "quit",
        "undo observe-port 2",
    ]
    assert removal(CLOUDENGINE, "3", parse(RUNNING)["3"]).commands[1] == "undo port-mirroring observe-port 3 outbound"


def test_another_port_means_another_observe_port() -> None:
    change = plan(PLATFORM, Session("1", interfaces=("GE0/0/22",)), parse(RUNNING)["1"])
    assert change.how == "recreate"
    assert "undo observe-port 1" in change.commands and "observe-port 1 interface GigabitEthernet0/0/22" in change.commands


@pytest.mark.parametrize("platform", [PLATFORM, CLOUDENGINE])
def test_erspan_and_timers_are_refused_with_the_reason(platform: object) -> None:
    with pytest.raises(Refused, match="cannot do erspan_source: no document says reliably"):
        plan(platform, Session("1", "erspan_source"), None)
    with pytest.raises(Refused, match="cannot do timer: the S series runs no command later"):
        arm(platform, "1", 10, "")


def test_the_index_is_bounded() -> None:
    with pytest.raises(Refused, match="numbers its sessions from 1 to 8, not '9'"):
        plan(PLATFORM, Session("9"), None)


@pytest.mark.parametrize("kind, name", [("interface", "Eth-Trunk9"), ("vlan", "30")])
def test_what_is_not_there_is_not_made_by_mirroring_it(kind: str, name: str) -> None:
    refuse(Session("4", sources=(Source("interface", "GigabitEthernet0/0/2"), Source("vlan", "10", "rx"), Source("vlan", "20", "rx"))), RUNNING)
    with pytest.raises(Refused, match=f"the switch has no {kind} {name}"):
        refuse(Session("4", sources=(Source(kind, name, "rx"),)), RUNNING)
