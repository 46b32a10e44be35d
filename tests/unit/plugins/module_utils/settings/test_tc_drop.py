# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that ends received GRE, on real devices with real tc: set, found again, taken away, and others' left alone."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import apply, preview, restore
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.tc_drop import PREFERENCE
from recordings_and_veth import Inside

GRE, CLSACT = Key("tc_drop", "v0", "gre"), Key("tc_drop", "v0", "clsact")
OTHERS = ["tc", "filter", "add", "dev", "v0", "ingress", "pref", "7", "protocol", "ip", "u32", "match", "u32", "0", "0", "classid", "1:1"]


def filters(host: Inside) -> str:
    return host.run(["tc", "filter", "show", "dev", "v0", "ingress"]).out


def qdiscs(host: Inside) -> str:
    return host.run(["tc", "qdisc", "show", "dev", "v0"]).out


def outcomes(host: Inside, store: Store) -> dict[Key, str]:
    return {row.key: row.outcome for row in restore(host, store, "c")}


def test_set_once_and_all_gone_again(veth: Inside, store: Store) -> None:
    done = apply(veth, store, Owner("c"), {GRE: True})
    assert [change.key for change in done.side_effects] == [CLSACT]
    assert f"pref {PREFERENCE} bpf" in filters(veth) and "direct-action" in filters(veth)
    assert apply(veth, store, Owner("c"), {GRE: True}).changes == []
    assert outcomes(veth, store) == {GRE: "restored", CLSACT: "restored"}
    assert "clsact" not in qdiscs(veth)


def test_filters_of_others_stay_and_so_does_what_they_hang_on(veth: Inside, store: Store) -> None:
    veth.run(["tc", "qdisc", "add", "dev", "v0", "clsact"])
    assert veth.run(OTHERS).rc == 0
    before = filters(veth)
    assert apply(veth, store, Owner("c"), {GRE: True}).side_effects == []
    assert outcomes(veth, store) == {GRE: "restored"}
    assert filters(veth) == before


def test_filter_that_came_later_keeps_the_qdisc(veth: Inside, store: Store) -> None:
    apply(veth, store, Owner("c"), {GRE: True})
    assert veth.run(OTHERS).rc == 0
    assert outcomes(veth, store) == {GRE: "restored", CLSACT: "failed"}
    assert "pref 7" in filters(veth) and str(PREFERENCE) not in filters(veth)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (["tc", "qdisc", "add", "dev", "v0", "ingress"], "has the qdisc ingress, which clsact would replace"),
        (["tc", "qdisc", "add", "dev", "v0", "clsact"], f"filter of somebody else with preference {PREFERENCE}"),
    ],
)
def test_what_would_take_somebodys_filters_is_refused(veth: Inside, before: list[str], words: str) -> None:
    veth.run(before)
    if "clsact" in before:
        veth.run([str(PREFERENCE) if word == "7" else word for word in OTHERS])
    with pytest.raises(Refused) as refused:
        preview(veth, {GRE: True})
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"), [(Key("tc_drop", "v0", "arp"), True), (Key("tc_drop", "v0", "gre"), 1), (Key("tc_drop", "nobody", "gre"), True)]
)
def test_what_is_no_such_thing_is_refused(veth: Inside, key: Key, value: object) -> None:
    with pytest.raises(Refused):
        preview(veth, {key: value})
