# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes the kernel itself, on the kernel of every suite."""

from __future__ import annotations

import pytest

from tests.matrix.hosts import ADDRESS, DEVICE, in_turn, on_each, outcomes, restored, shown
from tests.matrix.page import SUITES

pytestmark = pytest.mark.own_kernel

FILE, VALUE = "/etc/modprobe.d/wirefleet-loop.conf", "/sys/module/loop/parameters/max_part"
OPTIONS = {"name": "loop", "options": {"max_part": 15}}
TUNNEL = "mirror7"
#: Who is at the other end: mirrors go between kernels next to each other in age.
OTHER_END = dict(zip(SUITES, (*SUITES[1::-1], *SUITES[:1:-1])))
WITHIN = {suite: f"10.79.0.{number}" for number, suite in enumerate(SUITES, 1)}
STATE = f"cat {VALUE}; tail -n 1 {FILE}; ip -br link | cut -d' ' -f1; lsmod | cut -d' ' -f1"


def by_host(values):
    """Return the template that is each host's own of *values*."""
    return f"{{{{ {values}[inventory_hostname] }}}}"


@pytest.fixture(scope="module")
def changed(systems):
    """Options and a device, asked for again, looked at and put back; what the modules said, and what hosts showed before, in between and after."""
    ends = {"local": by_host(ADDRESS), "remote": by_host({suite: ADDRESS[other] for suite, other in OTHER_END.items()})}
    tunnel = {"tunnels": [{"name": TUNNEL, "key": 7, "index": 5, "dev": DEVICE, **ends}]}
    shown(systems, "modprobe loop")
    before = shown(systems, STATE)
    wishes = ("modprobe_options", OPTIONS), ("modprobe_options", {**OPTIONS, "reload": True}), ("erspan_tunnel", tunnel)
    said = in_turn(systems, *wishes, ("modprobe_options", OPTIONS), ("erspan_tunnel", tunnel))
    between = shown(systems, f"{STATE}; ip -d link show {TUNNEL}")
    for suite in SUITES:
        systems.ssh(suite, f"ip address add {WITHIN[suite]}/24 dev {TUNNEL}")
    echoes = {suite: systems.ssh(suite, f"ping -q -c 3 -i 0.2 {WITHIN[OTHER_END[suite]]}", check=False) for suite in SUITES}
    back = restored(systems)
    shown(systems, "modprobe -r loop; modprobe loop")
    after = shown(systems, STATE)
    shown(systems, "modprobe -r loop")
    return {"before": before, "said": said, "between": between, "echoes": echoes, "back": back, "after": after}


@on_each
def test_options_of_a_module_are_stored_and_loaded(changed, suite):
    """`modprobe_options`: stored, the live value read, the module reloaded, and put back."""
    stored, reloaded, _tunnel, again, _tunnel_again = changed["said"][suite]
    assert (stored["commands"], stored["running"], stored["reload_required"]) == ([f"write {FILE}: options loop max_part=15"], {"max_part": "0"}, True)
    assert (reloaded["commands"], reloaded["running"], reloaded["reload_required"]) == (
        ["modprobe -r loop", "modprobe loop"], {"max_part": "15"}, False,
    )  # fmt: skip
    assert again["changed"] is False
    assert changed["between"][suite].splitlines()[:2] == ["15", "options loop max_part=15"]
    assert outcomes(changed["back"][suite])["modprobe_option", "max_part"] == "restored"
    assert changed["after"][suite] == changed["before"][suite]
    assert changed["after"][suite].startswith("0\n")


@on_each
def test_mirrors_are_received(changed, suite):
    """`erspan_tunnel`, type II: made, frames of another kernel come out of it, not made again, and put back."""
    made, again = (changed["said"][suite][place] for place in (2, 4))
    assert any(command.startswith(f"ip link add name {TUNNEL} ") for command in made["commands"])
    assert (again["changed"], again["commands"]) == (False, [])
    seen = changed["between"][suite]
    assert f"erspan remote {ADDRESS[OTHER_END[suite]]} local {ADDRESS[suite]} dev {DEVICE}" in seen and "erspan_index 5 erspan_ver 1" in seen
    assert "3 packets transmitted, 3 received" in changed["echoes"][suite]
    assert set(outcomes(changed["back"][suite]).values()) == {"restored"}
    assert changed["after"][suite] == changed["before"][suite]
