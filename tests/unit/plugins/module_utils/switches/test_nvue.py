# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.nvue import APPLIED, PENDING, PLATFORM, parse, refuse
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import plan, removal
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import Session, Source
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.transcript import entry

#: The form of NVIDIA's reference for `nv show system port-mirror session -o json`.
TREE = """{
  "1": {"erspan": {"destination": {"dest-ip": {"10.10.10.234": {}}, "source-ip": {"10.10.10.1": {}}}, "direction": "egress", "source-port": {"swp1": {}}}},
  "2": {"span": {"destination": {"swp9": {}}, "direction": "ingress", "source-port": {"swp2-4": {}}, "truncate": {"size": 96}, "enable": "off"}}
}"""
WISH = Session("2", sources=(Source("interface", "swp2", "rx"),), interfaces=("swp8",))


def text(pending: str = "") -> str:
    return entry(APPLIED, TREE) + entry(PENDING, pending)


def test_sessions_are_read_with_their_sets() -> None:
    sessions = parse(text())
    assert (sessions["1"].destination_ip, sessions["1"].source_ip, sessions["1"].sources) == (
        "10.10.10.234", "10.10.10.1", (Source("interface", "swp1", "tx"),),
    )  # fmt: skip
    assert [source.name for source in sessions["2"].sources] == ["swp2", "swp3", "swp4"]
    assert (sessions["2"].truncate, sessions["2"].enabled) == (96, False)


def test_a_change_unsets_the_session_first_since_sets_grow() -> None:
    assert plan(PLATFORM, WISH, parse(text())["2"]).commands == [
        "nv unset system port-mirror session 2",
        "nv set system port-mirror session 2 span direction ingress",
        "nv set system port-mirror session 2 span source-port swp2",
        "nv set system port-mirror session 2 span destination swp8",
        "nv set system port-mirror session 2 span truncate size 96",
        "nv set system port-mirror session 2 span enable off",
        "nv config apply -y",
    ]
    assert removal(PLATFORM, "2", parse(text())["2"]).commands == ["nv unset system port-mirror session 2", "nv config apply -y"]


def test_what_is_still_pending_of_a_session_is_done_anew() -> None:
    pending = "nv set system port-mirror session 2 span source-port swp7"
    have = parse(text(pending))["2"]
    assert plan(PLATFORM, WISH, have).how == "change"
    refuse(WISH, text(pending))


@pytest.mark.parametrize("pending", ["nv set interface swp1 mtu 9000", "nv unset system port-mirror session 1"])
def test_what_else_is_pending_would_be_applied_too(pending: str) -> None:
    with pytest.raises(Refused, match="other changes are pending"):
        refuse(WISH, text(f"nv set system port-mirror session 2 span direction ingress\n{pending}"))


def test_both_directions_need_two_sessions() -> None:
    with pytest.raises(Refused, match="make two sessions"):
        plan(PLATFORM, Session("2", sources=(Source("interface", "swp2", "both"),), interfaces=("swp8",)), None)


def test_truncation_is_in_words_of_four_bytes() -> None:
    with pytest.raises(Refused, match="multiple of 4"):
        plan(PLATFORM, Session("2", sources=WISH.sources, interfaces=("swp8",), truncate=97), None)
