# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.tc import LINKS, PLATFORM, QDISCS, more, parse, refuse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.transcript import entry

#: Recorded from iproute2 6.1 on Linux 6.1.
LINK = (
    '[{"ifname":"lo","flags":["UP"],"mtu":65536},{"ifname":"wf-erspan7","flags":["BROADCAST","UP"],"mtu":1450,"linkinfo":{"info_kind":"erspan",'
    '"info_data":{"remote":"10.78.0.3","local":"10.78.0.2","ttl":9,"tos":"0x28","pmtudisc":true,"ikey":"0.0.1.5","okey":"0.0.1.5","iseq":true,'
    '"oseq":true,"erspan_index":0,"erspan_ver":1}}}]'
)
QDISC = '[{"kind":"noqueue","handle":"0:","dev":"lo","root":true,"refcnt":2,"options":{}},{"kind":"clsact","handle":"ffff:","dev":"swp1","options":{}}]'


def rule(pref: int, target: str, cookie: str = ',"cookie":"77697265666c656574"', kind: str = "matchall") -> str:
    return (
        f'[{{"protocol":"all","pref":{pref},"kind":"{kind}","chain":0}},{{"protocol":"all","pref":{pref},"kind":"{kind}","chain":0,"options":'
        '{"handle":1,"not_in_hw":true,"actions":[{"order":1,"kind":"mirred","mirred_action":"mirror","direction":"egress",'
        f'"to_dev":"{target}","control_action":{{"type":"continue"}},"index":1,"ref":1,"bind":1{cookie}}}]}}}}]'
    )


def shown(ingress: str, egress: str = "[]", links: str = LINK) -> str:
    filters = {f"tc -j filter show dev swp1 {hook}": out for hook, out in (("ingress", ingress), ("egress", egress))}
    return "".join(entry(line, out) for line, out in {LINKS: links, QDISCS: QDISC, **filters}.items())


def test_the_filters_of_every_device_with_hooks_are_read() -> None:
    assert more(shown("[]")) == ("tc -j filter show dev swp1 ingress", "tc -j filter show dev swp1 egress")


def test_a_session_is_its_tunnel_and_its_filters() -> None:
    session = parse(shown(rule(20014, "wf-erspan7"), rule(20015, "wf-erspan7")))["7"]
    assert (session.type, session.destination_ip, session.erspan_id, session.ttl, session.dscp) == ("erspan_source", "10.78.0.3", 261, 9, 10)
    assert (session.sources, session.header_type, session.mine, session.unknown, session.fault) == (
        (Source("interface", "swp1", "both"),), 2, True, (), None,
    )  # fmt: skip


def test_a_filter_without_our_cookie_is_somebody_else_s() -> None:
    assert parse(shown(rule(20016, "lo", cookie="")))["8"].mine is False


def test_filters_outside_our_preferences_are_no_sessions() -> None:
    assert set(parse(shown(rule(49152, "lo"), rule(1, "lo"), links="[]"))) == set()


def test_a_device_that_is_gone_is_a_fault_and_mended() -> None:
    session = parse(shown(rule(20016, "*"), links="[]"))["8"]
    assert session.fault == "the device it copies to is gone"
    wish = Session("8", interfaces=("swp2",), sources=(Source("interface", "swp1", "rx"),))
    assert plan(PLATFORM, wish, session).commands == [
        "tc filter del dev swp1 ingress protocol all pref 20016",
        "tc qdisc replace dev swp1 clsact",
        "tc filter add dev swp1 ingress protocol all pref 20016 matchall action mirred egress mirror dev swp2 continue cookie 77697265666c656574",
    ]


def test_something_else_at_our_preference_is_not_edited() -> None:
    assert parse(shown(rule(20016, "lo", kind="u32")))["8"].unknown == ("filter u32 on swp1 ingress",)


def test_removing_takes_filters_before_their_tunnel() -> None:
    session = parse(shown(rule(20014, "wf-erspan7")))["7"]
    assert removal(PLATFORM, "7", session).commands == [
        "tc filter del dev swp1 ingress protocol all pref 20014", "ip link del dev wf-erspan7",
    ]  # fmt: skip


def test_type_three_is_made_anew_where_its_one_direction_is_another() -> None:
    have = dataclasses.replace(parse(shown(rule(20014, "wf-erspan7")))["7"], header_type=3)
    commands = plan(PLATFORM, dataclasses.replace(have, sources=(Source("interface", "swp1", "tx"),)), have).commands
    assert "ip link del dev wf-erspan7" in commands
    assert any("erspan_ver 2 erspan_dir egress" in command for command in commands)


def test_an_older_hook_is_told_of() -> None:
    text = entry(QDISCS, '[{"kind":"ingress","dev":"swp1"}]')
    with pytest.raises(Refused, match="swp1 has an ingress qdisc"):
        refuse(Session("7", sources=(Source("interface", "swp1"),)), text)
