# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import shlex

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.ovs import PLATFORM, PURGE, READ, parse, tunnel
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.transcript import entry

#: Recorded from Open vSwitch 3.1.0: a mirror of ours by ERSPAN, whose tunnel was refused, and one of somebody else.
TABLES = """\
{"data":[["br0",["set",[["uuid","fcc"],["uuid","0e6"]]]]]
,"headings":["name","mirrors"]}
{"data":[[["uuid","fcc"],["map",[["description","a b"],["owner","wirefleet"]]],"cap1",["uuid","596"],["set",[]],false,["uuid","05e"]
,["set",[["uuid","05e"],["uuid","7b6"]]],["set",[]],["set",[]],["map",[["tx_bytes",7]]]]
,[["uuid","0e6"],["map",[]],"theirs",["uuid","05e"],["set",[]],true,["set",[]],["set",[]],["set",[]],["set",[]],["map",[]]]]
,"headings":["_uuid","external_ids","name",
"output_port","output_vlan","select_all","select_dst_port","select_src_port","select_vlan","snaplen","statistics"]}
{"data":[[["uuid","596"],"er-cap1",["uuid","e37"]],[["uuid","7b6"],"swp2",["uuid","c71"]],[["uuid","05e"],"swp1",["uuid","b6d"]]]
,"headings":["_uuid","name","interfaces"]}
{"data":[[["uuid","e37"],"er-cap1","erspan",["map",[["erspan_ver","1"],["key","7"],["local_ip","10.78.0.2"],["remote_ip","10.78.0.3"],["tos","40"]]]
,"could not add network device er-cap1 to ofproto (File exists)"]
,[["uuid","b6d"],"swp1","",["map",[]],["set",[]]],[["uuid","c71"],"swp2","",["map",[]],["set",[]]]]
,"headings":["_uuid","name","type","options","error"]}
"""
TEXT = entry(READ, TABLES)
WISH = Session("cap1", "erspan_source", bridge="br0", erspan_id=7, destination_ip="10.78.0.3", sources=(Source("interface", "swp1", "rx"),))


def words(command: str) -> list[str]:
    return shlex.split(command)


def test_a_mirror_is_read_with_its_tunnel() -> None:
    session = parse(TEXT)["cap1"]
    assert (session.type, session.erspan_id, session.header_type, session.dscp, session.bridge) == ("erspan_source", 7, 2, 10, "br0")
    assert session.sources == (Source("interface", "swp1", "both"), Source("interface", "swp2", "rx"))
    assert (session.mine, session.unknown) == (True, ())


def test_a_tunnel_that_was_refused_is_a_fault_whatever_the_program_said() -> None:
    assert "File exists" in str(parse(TEXT)["cap1"].fault)


def test_a_mirror_of_somebody_else_is_not_ours_nor_edited() -> None:
    theirs = parse(TEXT)["theirs"]
    assert (theirs.mine, theirs.unknown) == (False, ("select_all",))
    with pytest.raises(Refused, match="nobody here understands"):
        plan(PLATFORM, Session("theirs", bridge="br0", interfaces=("swp1",), sources=(Source("interface", "swp2"),)), theirs)


def test_a_session_is_one_transaction_and_the_flows_are_purged() -> None:
    transaction, purge = plan(PLATFORM, WISH, None).commands
    assert purge == PURGE
    assert [action.split()[0] for action in shlex.join(words(transaction)[2:]).split("-- ")[1:]] == [
        "--may-exist", "set", "--id=@p0", "--id=@p1", "--id=@m", "add"
    ]  # fmt: skip
    assert "options={remote_ip=10.78.0.3,key=7,erspan_ver=1}" in words(transaction)


def test_all_options_of_the_tunnel_are_replaced_and_type_three_has_a_direction() -> None:
    wish = dataclasses.replace(WISH, header_type=3, ttl=9, dscp=10, sources=(Source("interface", "swp1", "tx"),))
    transaction = plan(PLATFORM, wish, dataclasses.replace(parse(TEXT)["cap1"], fault=None)).commands[0]
    assert "options={remote_ip=10.78.0.3,local_ip=10.78.0.2,key=7,ttl=9,tos=40,erspan_ver=2,erspan_dir=1}" in words(transaction)


def test_the_tunnel_goes_with_our_session_and_stays_with_another_s() -> None:
    ours = parse(TEXT)["cap1"]
    assert "del-port br0 er-cap1" in removal(PLATFORM, "cap1", ours).commands[0]
    assert "del-port" not in removal(PLATFORM, "cap1", dataclasses.replace(ours, mine=False)).commands[0]


def test_two_mirrors_of_one_name_are_not_edited() -> None:
    twice = parse(TEXT.replace('"theirs"', '"cap1"'))["cap1"]
    assert "another mirror of the same name" in twice.unknown


@pytest.mark.parametrize("name", ["a", "abcdefghijkl", "abcdefghijklm", "x" * 32])
def test_the_port_of_a_tunnel_has_a_name_that_linux_takes(name: str) -> None:
    assert len(tunnel(name)) <= 15


@pytest.mark.parametrize("out", ["{}", "[]\n[]\n[]\n[]", '{"headings": ["name"], "data": [[1]]}\n' * 4])
def test_an_answer_of_another_form_is_told(out: str) -> None:
    try:
        assert parse(entry(READ, out)) == {}
    except Refused as refusal:
        assert "ovs-vsctl answers" in str(refusal)
