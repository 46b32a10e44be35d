# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Floors of kernel parameters: what is raised, what is refused, and the drop-in that keeps them."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host, Result
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Gone, Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.sysctl_floor import (
    DROP_IN,
    SysctlDropIn,
    SysctlFloor,
    parse_drop_in,
    path_of,
    render_drop_in,
)

from tests.unit.plugins.module_utils.recorded import Recorded

RMEM = "net.core.rmem_max"
HOST = Recorded({"/proc/sys/net/core/rmem_max": "212992\n", "/proc/sys/net/ipv4/tcp_rmem": "4096\t131072\t6291456\n"})


@pytest.mark.parametrize(("wanted", "reached"), [(100, 212992), (212992, 212992), (4194304, 4194304)])
def test_a_floor_raises_and_never_lowers(wanted: int, reached: int) -> None:
    kind = SysctlFloor()
    assert kind.resolve("", {RMEM: wanted}, kind.read(HOST, "", [RMEM])) == {RMEM: reached}


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("net.core.netdev_max_backlog", Gone, "no kernel parameter net.core.netdev_max_backlog here: network namespaces"),
        ("net.ipv4.tcp_rmem", Refused, "not one number"),
        ("net/../../etc/passwd", Refused, "is not the name of a kernel parameter"),
        ("rmem_max", Refused, "is not the name of a kernel parameter"),
    ],
)
def test_what_has_no_floor_is_refused_in_one_sentence(name: str, error: type[Refused], words: str) -> None:
    with pytest.raises(error, match=words):
        SysctlFloor().read(HOST, "", [name])


@pytest.mark.parametrize(
    ("rc", "err", "accepted"),
    [
        (0, "", True),
        (0, 'sysctl: setting key "net.core.rmem_max": Invalid argument', False),  # procps 4.0.2 in a network namespace
        (0, 'sysctl: permission denied on key "net.core.rmem_max", ignoring', False),  # procps 4.0.2, /proc/sys read-only
        (1, "", False),
    ],
)
def test_sysctl_is_not_believed_when_it_exits_with_0(rc: int, err: str, accepted: bool) -> None:
    assert SysctlFloor().accepted(Result(["sysctl"], rc, "", err)) is accepted


def test_a_parameter_that_is_only_shown_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever sysctl says: that of Debian 11 has `No such file or directory` or nothing to say of it."""
    monkeypatch.setattr(HOST, "read_only", lambda path: path == "/proc/sys/net/core/rmem_max")
    with pytest.raises(Refused, match="net.core.rmem_max is read-only here: it can be set on the machine itself"):
        SysctlFloor().write(HOST, "", {RMEM: 1 << 30}, {RMEM: 212992})
    assert (Host().read_only("/proc/version"), Host().read_only(__file__), Host().read_only("/nowhere")) == (True, False, False)


def test_dots_of_an_interface_stay_in_a_name_with_slashes() -> None:
    assert path_of("net/ipv4/conf/eth0.7/rp_filter") == "/proc/sys/net/ipv4/conf/eth0.7/rp_filter"
    assert path_of(RMEM) == "/proc/sys/net/core/rmem_max"


def test_the_drop_in_is_merged_and_goes_when_it_is_empty() -> None:
    host, kind = Recorded(), SysctlDropIn()
    kind.write(host, "", {RMEM: 4194304}, {})
    kind.write(host, "", {"net.core.rmem_default": 1048576}, {})
    assert kind.read(host, "", [RMEM]).values == {RMEM: 4194304, "net.core.rmem_default": 1048576}
    kind.write(host, "", {RMEM: None}, {})
    assert parse_drop_in(host.files[DROP_IN]) == {"net.core.rmem_default": 1048576}
    kind.write(host, "", {"net.core.rmem_default": None}, {})
    assert DROP_IN not in host.files


def test_a_drop_in_is_raised_and_never_lowered() -> None:
    host, kind = Recorded({DROP_IN: render_drop_in({RMEM: 4194304})}), SysctlDropIn()
    reading = kind.read(host, "", [RMEM])
    assert kind.resolve("", {RMEM: 1000}, reading) == {RMEM: 4194304}
    assert kind.resolve("", {RMEM: None}, reading) == {RMEM: None}


def test_a_drop_in_does_not_lower_at_boot_what_another_file_sets() -> None:
    host, kind = Recorded({"/proc/sys/net/core/rmem_max": "8388608\n"}), SysctlDropIn()
    assert kind.resolve("", {RMEM: 4194304}, kind.read(host, "", [RMEM])) == {RMEM: 8388608}
