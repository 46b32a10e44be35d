# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and module options on a host with a kernel of its own, over ssh."""

from __future__ import annotations

import pytest

from tests.integration.fleet import RESTORED

HOST = "rdma1"
RMEM, BACKLOG = "net.core.rmem_max", "net.core.netdev_max_backlog"
DROP_IN = "/etc/sysctl.d/90-wirefleet.conf"
OURS, OTHERS = "/etc/modprobe.d/wirefleet-loop.conf", "/etc/modprobe.d/somebody.conf"
MAX_PART = "/sys/module/loop/parameters/max_part"


@pytest.fixture
def host(mixed):
    """The host, which is afterwards as it was: its parameters, files and the module loop, which is not loaded."""
    before = state(mixed)
    yield mixed
    mixed.ssh(HOST, f"losetup -D; modprobe -r loop; rm -rf /var/lib/wirefleet /var/tmp/disk {OTHERS}")
    assert state(mixed) == before


def state(fleet):
    return fleet.ssh(HOST, f"sysctl {RMEM} {BACKLOG}; ls /etc/sysctl.d /etc/modprobe.d; ls -d /sys/module/loop", check=False)


def restored(fleet):
    result = fleet.module(HOST, *RESTORED)
    return {(row["key"][0], row["key"][2]): row["outcome"] for row in result["restored"]}


def floor(fleet, check=False, persistent=False, **values):
    named = {name.replace("__", "."): value for name, value in values.items()}
    return fleet.module(HOST, "sysctl_floor", {"values": named, "persistent": persistent}, check=check)


def options(fleet, check=False, name="loop", **arguments):
    return fleet.module(HOST, "modprobe_options", {"name": name, **arguments}, check=check)


def test_floors_rise_never_fall_and_go_back(host):
    before = state(host)
    wanted = {"net__core__rmem_max": 4194304, "net__core__netdev_max_backlog": 10}
    foreseen = floor(host, check=True, **wanted)
    assert state(host) == before
    assert host.ssh(HOST, "ls /var/lib/wirefleet 2>/dev/null", check=False) == ""
    done = floor(host, **wanted)
    assert done["commands"] == foreseen["commands"] == [f"sysctl -q -w {RMEM}=4194304"]
    assert done["after"] == foreseen["after"]
    assert host.ssh(HOST, f"sysctl -n {RMEM} {BACKLOG}").split() == ["4194304", "1000"]
    again = floor(host, **wanted)
    assert (again["changed"], again["commands"]) == (False, [])
    assert floor(host, net__core__rmem_max=4194303)["changed"] is False
    assert restored(host) == {("sysctl_floor", RMEM): "restored"}
    assert state(host) == before


def test_drop_in_keeps_the_running_value_where_that_is_higher(host):
    wanted = {"net__core__rmem_max": 4194304, "net__core__netdev_max_backlog": 10}
    done = floor(host, persistent=True, **wanted)
    assert done["after"]["stored"] == {RMEM: 4194304, BACKLOG: 1000}
    lines = host.ssh(HOST, f"cat {DROP_IN}").splitlines()
    assert lines[1:] == [f"{BACKLOG} = 1000", f"{RMEM} = 4194304"]
    assert host.ssh(HOST, f"stat -c %a {DROP_IN}") == "644"
    assert floor(host, persistent=True, **wanted)["changed"] is False
    assert set(restored(host).values()) == {"restored"}
    assert host.ssh(HOST, f"ls {DROP_IN}", check=False) == ""


def test_drop_in_is_what_sysctl_sets_at_boot(host):
    floor(host, persistent=True, net__core__rmem_max=4194304)
    host.ssh(HOST, f"sysctl -q -w {RMEM}=212992 && /lib/systemd/systemd-sysctl")
    assert host.ssh(HOST, f"sysctl -n {RMEM}") == "4194304"
    restored(host)


def test_parameter_that_cannot_be_written_is_a_failure_that_leaves_nothing(host):
    before = state(host)
    failed = floor(host, net__core__rmem_max=4194304, kernel__ngroups_max=1000000)
    assert failed["msg"].startswith("sysctl_floor kernel.ngroups_max was set to 1000000, but reads 65536 afterwards")
    assert failed["msg"].endswith("nothing stays changed")
    assert state(host) == before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("net__core__no_such", 1, "there is no kernel parameter net.core.no_such here"),
        ("net__ipv4__tcp_rmem", 1, "not one number"),
        ("net__core__rmem_max", "4M", "the least value of net.core.rmem_max is a whole number, not '4M'"),
    ],
)
def test_what_has_no_floor_is_refused(host, name, value, words):
    before = state(host)
    assert words in floor(host, net__core__netdev_max_backlog=5000, **{name: value})["msg"]
    assert state(host) == before


def test_options_are_stored_reported_and_taken_out_again(host):
    before = state(host)
    foreseen = options(host, check=True, options={"max_part": 16, "max_loop": 4})
    assert state(host) == before
    done = options(host, options={"max_part": 16, "max_loop": 4})
    assert done["commands"] == foreseen["commands"] == [f"write {OURS}: options loop max_part=16 max_loop=4"]
    assert (done["before"], done["after"]) == ({"max_part": None, "max_loop": None}, {"max_part": "16", "max_loop": "4"})
    assert (done["running"], done["reload_required"]) == ({"max_part": None, "max_loop": None}, False), "it is not loaded"
    assert options(host, options={"max_part": 16, "max_loop": 4})["changed"] is False
    host.ssh(HOST, "modprobe loop")
    assert host.ssh(HOST, f"cat {MAX_PART} /sys/module/loop/parameters/max_loop").split()[1] == "4"
    taken = options(host, options={"max_loop": 4}, state="absent")
    assert (taken["after"], taken["reload_required"]) == ({"max_loop": None}, True)
    assert host.ssh(HOST, f"tail -n 1 {OURS}") == "options loop max_part=16"
    assert restored(host) == {("modprobe_option", "max_part"): "restored", ("modprobe_option", "max_loop"): "already"}


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"max_part": "= -1:"}, "'= -1:' is no value for loop max_part (int), the module would not load: it must be one word"),
        ({"max_part": "-1:"}, "'-1:' is no value for loop max_part (int), the module would not load: it must be a whole number"),
        ({"log_num_mgm_entry_size": -1}, "loop has no parameter 'log_num_mgm_entry_size', and would ignore it with a warning"),
    ],
)
def test_options_that_the_module_would_not_take_are_refused(host, wanted, words):
    assert words in options(host, options={"max_loop": 4, **wanted})["msg"]
    assert host.ssh(HOST, "ls /etc/modprobe.d") == ""


def test_file_of_somebody_else_is_named_and_left_alone(host):
    text = "# ours since 2019\noptions loop max_part=8"
    host.ssh(HOST, f"printf '{text}\\n' > {OTHERS}")
    failed = options(host, options={"max_part": 16})
    assert failed["msg"] == f"{OTHERS}:2 sets loop max_part=8, which would contend with max_part=16: change it there"
    assert options(host, options={"max_loop": 4})["changed"] is True, "another parameter is nobody's business"
    assert host.ssh(HOST, f"cat {OTHERS}") == text
    restored(host)
    assert host.ssh(HOST, f"cat {OTHERS}") == text


def test_module_is_reloaded_only_where_that_is_asked_for(host):
    host.ssh(HOST, "modprobe loop")
    assert host.ssh(HOST, f"cat {MAX_PART}") == "0"
    done = options(host, options={"max_part": 15})
    assert (done["running"], done["reload_required"]) == ({"max_part": "0"}, True)
    assert host.ssh(HOST, f"cat {MAX_PART}") == "0"
    foreseen = options(host, check=True, options={"max_part": 15}, reload=True)
    assert foreseen["commands"] == ["modprobe -r loop", "modprobe loop"]
    assert host.ssh(HOST, f"cat {MAX_PART}") == "0"
    done = options(host, options={"max_part": 15}, reload=True)
    assert (done["changed"], done["commands"], done["running"]) == (True, foreseen["commands"], {"max_part": "15"})
    assert options(host, options={"max_part": 15}, reload=True)["changed"] is False
    assert restored(host) == {("modprobe_option", "max_part"): "restored"}


def test_module_in_use_is_not_reloaded_and_nothing_is_written(host):
    host.ssh(HOST, "modprobe loop && truncate -s 1M /var/tmp/disk && losetup -f /var/tmp/disk")
    failed = options(host, options={"max_part": 15}, reload=True)
    assert failed["msg"] == "loop is not reloaded: it is in use (its reference count is 1)"
    assert host.ssh(HOST, f"ls {OURS}", check=False) == ""
    assert host.ssh(HOST, "losetup -n -O BACK-FILE") == "/var/tmp/disk"
    host.ssh(HOST, "losetup -D")
    assert options(host, options={"max_part": 15}, reload=True)["running"] == {"max_part": "15"}
    restored(host)


def test_module_that_others_stand_on_is_not_reloaded(host):
    failed = options(host, name="ipv6", options={"autoconf": 0}, reload=True)
    assert failed["msg"].startswith("ipv6 is not reloaded: ")
    assert host.ssh(HOST, "ls /etc/modprobe.d") == ""
