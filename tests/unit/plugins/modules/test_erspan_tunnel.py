# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What erspan_tunnel makes of its options, whose devices it leaves alone, and which modules are its business."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Held, State
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.link_text import Link
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused
from ansible_collections.wirefleet.capture.plugins.modules import erspan_tunnel

from tests.unit.plugins.module_utils.recorded import Recorded

UNSAID = dict.fromkeys(("key", "local", "remote", "dev", "index", "direction", "hwid", "mtu"))


def tunnel(name: str, **said: t.Any) -> dict[str, t.Any]:
    return {"name": name, "type": "II", "ttl": 64, "tos": 0, "up": True, **UNSAID, **said}


def wishes(*tunnels: dict[str, t.Any], state: str = "present") -> dict[str, t.Any]:
    return erspan_tunnel.wishes({"tunnels": list(tunnels), "state": state})


def test_options_become_devices_and_names_become_none() -> None:
    wanted = wishes(tunnel("a", key=1, local="10.0.0.1"), tunnel("b", type="I", local="10.0.0.1"))
    assert {name: (device["version"], device["key"]) for name, device in wanted.items()} == {"a": (1, 1), "b": (0, None)}
    assert wishes(tunnel("a"), tunnel("b"), state="absent") == {"a": None, "b": None}


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (tunnel("a", key=2, local="10.0.0.1"), "a is there twice"),
        (tunnel("b", key=1, local="10.0.0.1", type="III"), "a and b would both receive session 1"),
    ],
)
def test_two_for_one_session_or_name_are_refused(second: dict[str, t.Any], words: str) -> None:
    with pytest.raises(Refused) as refused:
        wishes(tunnel("a", key=1, local="10.0.0.1"), second)
    assert words in str(refused.value)


def test_a_found_device_is_left_alone_unless_it_is_as_wanted_or_ours() -> None:
    wanted = wishes(tunnel("a", key=1, local="10.0.0.1"))
    same = {"a": Link({**wanted["a"], "mtu": 1450, "addrgenmode": "none"})}
    other = {"a": Link({**wanted["a"], "mtu": 1450, "addrgenmode": "none", "ttl": 3})}
    erspan_tunnel.refuse_foreign(wanted, same, set())
    erspan_tunnel.refuse_foreign(wanted, other, {"a"})
    erspan_tunnel.refuse_foreign(wanted, {}, set())
    for wish in (wanted, {"a": None}):
        with pytest.raises(Refused, match="a was not made by this collection"):
            erspan_tunnel.refuse_foreign(wish, other, set())


def state(leases: dict[Key, t.Any] | None = None, held: dict[Key, Held] | None = None) -> State:
    return State({}, leases or {}, held or {}, 0, {}, None, False)


def test_devices_that_a_journal_found_are_not_ours() -> None:
    made, found = Key("link", "made", "device"), Key("link", "found", "device")
    held = {
        made: Held(None, {}, True, "b"),
        found: Held({}, {}, True, "b"),
        Key("module", "ip_gre", "loaded"): Held(False, True, True, "b"),
    }
    assert erspan_tunnel.made_by_us([state(held=held)]) == {"made"}


DEPENDS = "".join(f"insmod /lib/modules/6.1/kernel/net/ipv4/{name}.ko \n" for name in ("gre", "ip_tunnel", "ip_gre"))
SAID = {"modprobe --show-depends ip_gre": (0, DEPENDS, "")}
FOUND = {f"modinfo -F filename {name}": (0, f"/lib/{name}.ko\n", "") for name in ("gre", "ip_tunnel", "ip_gre")}


def test_modules_that_are_not_loaded_are_wanted_and_others_are_nobody_of_ours() -> None:
    keys = erspan_tunnel.modules_for(Recorded({"/sys/module/gre/refcnt": "1"}, {**SAID, **FOUND}), "erspan", [])
    assert [key.scope for key in keys] == ["ip_tunnel", "ip_gre"]
    lent = state(leases={Key("module", "gre", "loaded"): True})
    keys = erspan_tunnel.modules_for(Recorded({"/sys/module/gre/refcnt": "1"}, {**SAID, **FOUND}), "erspan", [lent])
    assert [key.scope for key in keys] == ["gre", "ip_tunnel", "ip_gre"], "shared with the campaign that loaded it"


def test_a_kernel_that_has_it_built_in_needs_none_and_one_without_is_refused() -> None:
    built_in = {"modinfo -F filename ip_gre": (0, "(builtin)\n", "")}
    assert erspan_tunnel.modules_for(Recorded(said=built_in), "erspan", []) == {}
    with pytest.raises(Refused, match="capture the outer packets"):
        erspan_tunnel.modules_for(Recorded(said={"modinfo -F filename ip_gre": (1, "", ""), "uname -r": (0, "6.18\n", "")}), "erspan", [])


def test_room_is_that_of_the_device_below() -> None:
    wanted = wishes(tunnel("a", key=1, local="10.0.0.1", dev="e0"), tunnel("b", key=1, local="10.0.0.2"))
    links = {"e0": Link({"kind": None, "mtu": 1600, "up": True})}
    assert erspan_tunnel.room(wanted["a"], links, 1514) == (1564, None)
    largest, warning = erspan_tunnel.room(wanted["b"], links, 1514)
    assert largest == 1464 and "need an MTU of 1550" in str(warning)
