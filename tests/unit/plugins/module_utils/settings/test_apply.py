# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided before anything is written."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import CommandMissing
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import registry
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import (
    Restored,
    Seen,
    in_order,
    judge,
    kind_of,
    make_plan,
    refuse_conflicts,
    relied_values,
    touched,
)
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.ethtool_text import parse_private_flags, parse_rings
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Held, fold
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Gone, Key, Reading, Refused, diff_of
from recordings_and_veth import recorded

RX, TX = Key("ethtool_ring", "e0", "rx"), Key("ethtool_ring", "e0", "tx")
SNIFFER, GRO = Key("ethtool_private_flag", "e0", "sniffer"), Key("ethtool_feature", "e0", "rx-gro")
RMEM = Key("sysctl_floor", "", "net.core.rmem_max")
STORED = Key("modprobe_option", "mlx4_core", "debug_level")

RINGS = parse_rings(recorded("labnic_g.txt"))
READINGS = {
    ("ethtool_ring", "e0"): Reading(RINGS.current, {"maximum": RINGS.maximum}),
    ("ethtool_private_flag", "e0"): Reading(parse_private_flags(recorded("labnic_show-priv-flags.txt"))),
    ("ethtool_feature", "e0"): Reading({"rx-gro": True, "rx-lro": False}, {"fixed": set()}),
}


def test_plan_sets_rings_first_then_flags_then_features() -> None:
    plan = make_plan({Key("ethtool_feature", "e0", "gro"): False, SNIFFER: True, RX: "max", TX: 1024}, READINGS)
    assert plan.targets == {RX: 8192, TX: 1024, SNIFFER: True, GRO: False}
    assert plan.changes == [Change(RX, 1024, 8192), Change(SNIFFER, False, True), Change(GRO, True, False)]
    assert plan.commands == ["ethtool -G e0 rx 8192", "ethtool --set-priv-flags e0 sniffer on", "ethtool -K e0 rx-gro off"]
    assert len(plan.snapshot) == 2 + 9 + 2


def test_plan_of_what_is_so_already_is_empty() -> None:
    plan = make_plan({SNIFFER: False, GRO: True, RX: 1024}, READINGS)
    assert (plan.changes, plan.commands) == ([], [])


def test_whatever_a_change_can_move_is_read_too() -> None:
    assert touched([RX]) == {("ethtool_ring", "e0"): ["rx"], ("ethtool_private_flag", "e0"): [], ("ethtool_feature", "e0"): []}
    assert touched([RMEM]) == {("sysctl_floor", ""): ["net.core.rmem_max"]}


def test_order_of_the_kinds_is_kept_over_several_devices() -> None:
    groups = [("ethtool_feature", "a"), ("ethtool_ring", "a"), ("ethtool_feature", "b"), ("ethtool_private_flag", "b")]
    assert in_order(groups) == [("ethtool_ring", "a"), ("ethtool_private_flag", "b"), ("ethtool_feature", "a"), ("ethtool_feature", "b")]


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(Refused, match="unknown kind of setting 'ethtool_speed': known are dpvs_conf, dpvs_link, ethtool_feature, "):
        kind_of(Key("ethtool_speed", "e0", ""))


LEASED = fold(
    [
        {"do": "open", "schema": 1},
        {"do": "intent", "n": 1, "changes": [[SNIFFER, False, True]], "snapshot": []},
        {"do": "done", "n": 1, "values": [[SNIFFER, True]], "side_effects": [[GRO, True, False]]},
        {"do": "lease", "keys": [[SNIFFER, True], [RMEM, 4096]]},
    ]
)


@pytest.mark.parametrize(
    ("campaign", "targets", "conflict"),
    [
        ("other", {SNIFFER: True}, False),
        ("other", {RX: 8192}, False),
        ("other", {SNIFFER: False}, True),
        # a side effect of the first campaign is not free to be changed either
        ("other", {GRO: True}, True),
        # floors share
        ("other", {RMEM: 8192}, False),
        # one may change one's mind
        ("first", {SNIFFER: False}, False),
    ],
)
def test_conflicts(campaign: str, targets: dict[Key, t.Any], conflict: bool) -> None:
    try:
        refuse_conflicts({"first": LEASED}, campaign, targets)
        refused = ""
    except Refused as error:
        refused = str(error)
    assert ("the open campaign first relies on" in refused, bool(refused)) == (conflict, conflict)


def test_changes_must_not_move_what_another_campaign_asked_for() -> None:
    """A ring change clears `sniffer`, which enable_rdma_sniffer.yml may have set."""
    readings = {**READINGS, ("ethtool_private_flag", "e0"): Reading({"sniffer": True})}
    assert relied_values([LEASED], make_plan({RX: "max"}, readings)) == {SNIFFER: True}
    assert relied_values([LEASED], make_plan({RX: "max", SNIFFER: False}, readings)) == {}
    assert relied_values([LEASED], make_plan({RX: "max"}, READINGS)) == {}, "what drifted is nobody's to keep"


NO_DEVICE, NO_ANSWER = Gone("there is no network device 'e0' on this host"), Refused("ethtool -k e0: timed out")
SURE, UNSURE = Held(True, False, True, "b1"), Held(True, False, False, "b1")


@pytest.mark.parametrize(
    ("held", "found", "boot", "outcome"),
    [
        (SURE, False, "b1", "restored"),
        (SURE, True, "b1", "already"),
        (Held(512, 1024, True, "b1"), 4096, "b1", "drift"),
        # of an interrupted change nobody knows where it stood
        (Held(512, 1024, False, "b1"), 4096, "b1", "restored"),
        (UNSURE, True, "b1", "already"),
        (SURE, NO_DEVICE, "b1", "gone"),
        (SURE, NO_ANSWER, "b1", "failed"),
        (SURE, CommandMissing("ethtool"), "b1", "failed"),
        # a reboot ended the change, whatever the value is now
        (SURE, False, "b2", "already"),
        (Held(512, 1024, True, "b1"), 4096, "b2", "already"),
        # a journal that does not know its boot is believed
        (SURE._replace(boot=None), False, "b2", "restored"),
        (SURE._replace(boot=""), False, "b2", "restored"),
    ],
)
def test_judgement_of_what_is_held(held: Held, found: t.Any, boot: str, outcome: str) -> None:
    errors = {("ethtool_feature", "e0"): found} if isinstance(found, Exception) else {}
    result = judge(GRO, held, Seen({} if errors else {GRO: found}, errors), boot)
    assert (result.outcome, result.wanted) == (outcome, held.before)
    assert result.found == (None if errors else found)
    assert bool(result.reason) == (outcome in ("drift", "gone", "failed") or (outcome == "already" and found != held.before))


def test_reboot_clears_no_files() -> None:
    result = judge(STORED, Held(None, "5", True, "b1"), Seen({STORED: "5"}, {}), "b2")
    assert result == Restored(STORED, "restored", None, "5")


# --- The registry ----------------------------------------------------------------------------------------------------


def test_every_kind_is_registered() -> None:
    folder = pathlib.Path(registry.__file__).parent
    defined = {path.stem for path in folder.glob("*.py") if "(Kind):" in path.read_text()}
    assert defined == {type(kind).__module__.rpartition(".")[2] for kind in registry.KINDS.values()}


@pytest.mark.parametrize("kind", registry.KINDS.values(), ids=registry.KINDS)
def test_kinds_know_each_other(kind: t.Any) -> None:
    assert {*kind.follows, *kind.disturbs} <= set(registry.KINDS) - {kind.name}
    assert not [other for other in kind.follows if kind.name in registry.KINDS[other].follows]


# --- What people read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Change(Key("ethtool_feature", "eth1", "rx-gro"), True, False), "eth1 rx-gro: on -> off"),
        (Change(Key("ethtool_ring", "eth1", "rx"), 256, 8192), "eth1 ring rx: 256 -> 8192"),
        (Change(Key("ethtool_private_flag", "eth1", "sniffer"), False, True), "eth1 private flag sniffer: off -> on"),
        (Change(Key("sysctl_floor", "", "net.core.rmem_max"), 1, 2), "sysctl floor net.core.rmem_max: 1 -> 2"),
        (Change(Key("modprobe_option", "mlx4_core", "debug"), None, "1"), "mlx4_core modprobe option debug: absent -> 1"),
    ],
)
def test_a_change_in_words(change: Change, said: str) -> None:
    assert str(change) == said
    assert diff_of([change, change]) == {"prepared": f"{said}\n{said}\n"}
