# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERSPAN devices from recorded output of iproute2 6.1 on Linux 6.1, and every wish that no kernel could fulfil."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.link import LinkDevice, complete
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.link_text import argvs, parse_links
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

from tests.unit.plugins.module_utils.recorded import Recorded


def row(
    name: str, kind: str | None = None, mtu: int = 1450, link: str | None = None, flags: str = "BROADCAST", **data: t.Any
) -> dict[str, t.Any]:
    info = {"linkinfo": {"info_kind": kind, "info_data": data}} if kind else {}
    return {"ifindex": 10, "link": link, "ifname": name, "flags": flags.split(), "mtu": mtu, "inet6_addr_gen_mode": "eui64", **info}


ENDS = {"remote": "10.78.0.3", "local": "10.78.0.2", "pmtudisc": True}
KEY = {"ikey": "0.0.0.77", "okey": "0.0.0.77"}
TWO = row("er2", "erspan", link="ens1", **ENDS, **KEY, ttl=64, oseq=True, erspan_index=5, erspan_ver=1, tos="0x28")
ROWS = [
    row("lo", mtu=65536, flags="LOOPBACK UP"),
    row("ens1", mtu=9000, flags="UP"),
    row("er1", "erspan", mtu=1462, **ENDS, ttl=0, erspan_ver=0),
    TWO,
    row("er3", "erspan", **{**ENDS, "remote": "any"}, ikey="0.0.3.255", okey="0.0.3.255", ttl=5, tos="0x1", iseq=True, oseq=True,
        erspan_ver=2, erspan_dir="egress", erspan_hwid="0x3f"),
    row("er6", "ip6erspan", remote="fd00::2", local="fd00::1", ttl=64, encap_limit=4, tclass="0x28", flowlabel="0x00000", **KEY, oseq=True,
        erspan_index=5, erspan_ver=1),
    row("odd", "erspan", **ENDS, ikey="0.0.0.1", okey="0.0.0.2", ttl=64, fwmark="0x1", erspan_ver=1),
    row("dummy0", "dummy"),
]  # fmt: skip
TEXT = json.dumps(ROWS)
WISH = {"version": 1, "key": 78, "local": "10.78.0.2", "remote": "10.78.0.3"}


def reading(name: str) -> t.Any:
    return LinkDevice().read(Recorded(said={"ip -d -j link show": (0, TEXT, "")}), name, ["device"])


def resolved(name: str, wish: t.Any) -> t.Any:
    return LinkDevice().resolve(name, {"device": wish}, reading(name))["device"]


def test_devices_are_read_as_iproute2_says_them() -> None:
    links = parse_links(TEXT)
    assert links["er2"].device == {
        "kind": "erspan", "version": 1, "key": 77, "local": "10.78.0.2", "remote": "10.78.0.3", "dev": "ens1", "ttl": 64, "tos": 40,
        "index": 5, "direction": None, "hwid": None, "receive_in_order": False, "addrgenmode": "eui64", "mtu": 1450, "up": False,
    }  # fmt: skip
    assert (links["er1"].device["version"], links["er1"].device["key"], links["er1"].device["index"]) == (0, None, None)
    three = links["er3"].device
    assert (three["key"], three["remote"], three["direction"], three["hwid"], three["receive_in_order"], three["tos"]) == (
        1023,
        None,
        "egress",
        63,
        True,
        1,
    )
    assert (links["er6"].device["kind"], links["er6"].device["tos"], links["er6"].unknown) == ("ip6erspan", 40, ())
    assert links["odd"].unknown == ("fwmark", "okey")
    assert links["dummy0"].device == {"kind": "dummy", "mtu": 1450, "up": False}


def test_what_was_read_is_made_again() -> None:
    three = parse_links(TEXT)["er3"].device
    assert [" ".join(argv) for argv in argvs("er3", three, None)] == [
        "ip link add name er3 mtu 1450 type erspan erspan_ver 2 seq key 1023 local 10.78.0.2 erspan_dir egress erspan_hwid 63 ttl 5 tos 0x1",
        "ip link set dev er3 addrgenmode eui64",
    ]


def test_a_wish_is_completed_by_what_the_host_has() -> None:
    made = resolved("new", {**WISH, "dev": "ens1"})
    assert (made["mtu"], made["addrgenmode"], made["ttl"], made["tos"], made["index"], made["up"]) == (8950, "none", 64, 0, 0, True)
    assert resolved("new", WISH)["mtu"] == 1450
    assert resolved("new", {"version": 1, "key": 7, "local": "fd00::1"})["mtu"] == 1422, "as the kernel's own, with its option header"
    kept = resolved("er2", {**WISH, "key": 77, "dev": "ens1", "index": 5, "tos": 40, "up": False})
    assert kept == {**parse_links(TEXT)["er2"].device, "addrgenmode": "none"}, "a device keeps its MTU"


def test_changes_need_a_new_device_but_for_mtu_and_link() -> None:
    two = parse_links(TEXT)["er2"].device
    assert argvs("er2", {**two, "mtu": 1400, "up": True}, two) == [["ip", "link", "set", "dev", "er2", "mtu", "1400", "up"]]
    assert argvs("er2", None, two) == [["ip", "link", "delete", "dev", "er2"]]
    assert [argv[2] for argv in argvs("er2", {**two, "index": 6}, two)] == ["delete", "add", "set"]


@pytest.mark.parametrize(
    ("name", "wish", "words"),
    [
        ("a" * 16, WISH, "cannot be the name of a network device"),
        ("erspan0", WISH, "made by the kernel when it loads the tunnels' module"),
        ("dummy0", WISH, "is a device of another kind (dummy)"),
        ("ens1", None, "is a device of another kind (not a tunnel)"),
        ("odd", WISH, "could not be put back (fwmark, okey)"),
        ("new", {**WISH, "dev": "ens9"}, "there is no network device ens9"),
        ("new", {**WISH, "key": 77, "dev": "ens1"}, "er2 already receives session 77 from 10.78.0.3"),
        ("new", {**WISH, "key": 0}, "key is a number from 1 to 1023, not 0"),
        ("new", {**WISH, "key": 1024}, "key is a number from 1 to 1023, not 1024"),
        ("new", {**WISH, "key": None}, "type II needs the session's number as key"),
        ("new", {**WISH, "version": 0}, "ERSPAN type I has no key"),
        ("new", {**WISH, "version": 3}, "types I, II and III"),
        ("new", {**WISH, "version": 2, "index": 4}, "ERSPAN type III has no index"),
        ("new", {**WISH, "hwid": 4}, "ERSPAN type II has no hwid"),
        ("new", {**WISH, "version": 2, "hwid": 64}, "hwid is a number from 0 to 63"),
        ("new", {**WISH, "direction": "egress"}, "only ERSPAN type III has a direction"),
        ("new", {**WISH, "version": 2, "direction": "both"}, "direction is ingress or egress"),
        ("new", {**WISH, "local": None}, "local is needed"),
        ("new", {**WISH, "local": "tor1"}, "local is an IP address, not 'tor1'"),
        ("new", {**WISH, "remote": "224.0.0.1"}, "must be the address of one host"),
        ("new", {**WISH, "remote": "fd00::1"}, "are not of the same IP version"),
        ("new", {"version": 0, "local": "fd00::1"}, "the kernel takes type I over IPv4 only"),
        ("new", {**WISH, "ttl": 256}, "ttl is a number from 0 to 255"),
        ("new", {**WISH, "tos": True}, "tos is a number from 0 to 255"),
        ("new", {**WISH, "mtu": 67}, "mtu is a number from 68 to 65535"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(name: str, wish: t.Any, words: str) -> None:
    with pytest.raises(Refused) as refused:
        resolved(name, wish)
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "[", "3", '[{"ifname": "x", "linkinfo": {"info_kind": "erspan", "info_data": {"ikey": "0.0.x.1"}}}]'])
def test_output_that_cannot_be_read_is_no_empty_host(text: str) -> None:
    with pytest.raises(Refused, match="could not be read"):
        LinkDevice().read(Recorded(said={"ip -d -j link show": (1, text, 'Object "link" is unknown')}), "er1", ["device"])


def test_absent_is_no_wish_to_complete() -> None:
    assert resolved("nobody", None) is None
    assert complete("x", {**WISH, "up": False})["up"] is False
