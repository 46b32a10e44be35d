# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private flags, rings and LRO on the lab's emulation of a ConnectX: sniffer is lost when a ring changes, LRO needs
rx_striding_rq, rings are rounded to powers of two."""

from __future__ import annotations

import json
import pathlib
import time
from functools import partial

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle

from tests.integration.fleet import wait_until

HOST, DEVICE, WIRE = "rdma1", "ens1f0np0", "wire0"
CRASH = pathlib.Path(__file__).with_name("crash_on_host.py")


@pytest.fixture
def ethtool(mixed):
    """Call the module on the host with a kernel of its own; afterwards that is as it was."""
    before = shown(mixed)

    def call(check=False, **arguments):
        return mixed.module(HOST, "ethtool", {"device": DEVICE, **arguments}, check=check)

    yield call
    mixed.ssh(
        HOST,
        f"ethtool -K {DEVICE} lro off; ethtool -G {DEVICE} rx 1024 tx 1024; ethtool --set-priv-flags {DEVICE} rx_striding_rq on sniffer off",
    )
    mixed.ssh(HOST, "rm -rf /var/lib/wirefleet")
    assert shown(mixed) == before


def shown(fleet):
    return fleet.ssh(HOST, f"ethtool -g {DEVICE}; ethtool --show-priv-flags {DEVICE}; ethtool -k {DEVICE}")


def restored(fleet, campaign="standing"):
    result = fleet.module(HOST, "capture_session", {"campaign": campaign, "state": "restored"})
    return {" ".join(row["key"][::2]): row["outcome"] for row in result["restored"]}


def test_sniffer_goes_on_once_and_off_again(mixed, ethtool):
    before = shown(mixed)
    foreseen = ethtool(check=True, private_flags={"sniffer": True})
    assert shown(mixed) == before
    assert mixed.ssh(HOST, "ls /var/lib/wirefleet 2>/dev/null", check=False) == ""
    done = ethtool(private_flags={"sniffer": True})
    assert done["commands"] == foreseen["commands"] == [f"ethtool --set-priv-flags {DEVICE} sniffer on"]
    assert (done["before"], done["after"]) == (foreseen["before"], foreseen["after"])
    assert "sniffer            : on" in shown(mixed)
    assert ethtool(private_flags={"sniffer": True})["changed"] is False
    assert restored(mixed) == {"ethtool_private_flag sniffer": "restored"}
    assert shown(mixed) == before


def test_playbooks_that_make_rdma_visible_and_invisible(mixed):
    """What the command line says is text; a switch of it must count as one."""
    before = shown(mixed)
    on = mixed.playbook("enable_rdma_sniffer.yml", "--diff", "-e", "rdma_sniffer_mlx4_steering=true")
    assert on.returncode == 0, on.stdout
    assert "private flag sniffer: off -> on\n" in on.stdout
    off = mixed.playbook("disable_rdma_sniffer.yml", "--diff")
    assert off.returncode == 0, off.stdout
    assert "private flag sniffer: on -> off\n" in off.stdout
    assert "arg spec" not in off.stdout
    assert shown(mixed) == before


def test_flag_that_a_ring_change_clears_is_set_after_it(mixed, ethtool):
    before = shown(mixed)
    done = ethtool(private_flags={"sniffer": True}, ring={"rx": "max"}, features={"gro": False})
    assert done["commands"][0] == f"ethtool -G {DEVICE} rx 8192"
    assert done["after"][DEVICE]["ring"] == {"rx": 8192}
    assert "sniffer            : on" in shown(mixed)
    restored(mixed)
    assert shown(mixed) == before


def test_flag_that_is_on_already_survives_the_ring_change(mixed, ethtool):
    ethtool(private_flags={"sniffer": True})
    assert ethtool(private_flags={"sniffer": True}, ring={"rx": 4096})["changed"] is True
    assert "sniffer            : on" in shown(mixed)


def test_flag_of_somebody_else_is_a_side_effect_and_comes_back(mixed, ethtool):
    mixed.ssh(HOST, f"ethtool --set-priv-flags {DEVICE} sniffer on")
    before = shown(mixed)
    done = ethtool(ring={"rx": 2048, "tx": 2048})
    assert done["side_effects"] == [{"setting": f"ethtool_private_flag {DEVICE} sniffer", "before": True, "after": False}]
    assert restored(mixed) == {"ethtool_ring rx": "restored", "ethtool_ring tx": "restored", "ethtool_private_flag sniffer": "restored"}
    assert shown(mixed) == before


def test_rounded_ring_is_a_failure_that_leaves_nothing(mixed, ethtool):
    before = shown(mixed)
    failed = ethtool(ring={"rx": 3000}, features={"gro": False})
    assert failed["msg"] == (
        f"ethtool_ring {DEVICE} rx was set to 3000, but reads 4096 afterwards (the driver or kernel rounded or ignored it); nothing stays changed"
    )
    assert shown(mixed) == before


def test_bad_input_is_refused_before_anything_is_touched(mixed, ethtool):
    before = shown(mixed)
    failed = ethtool(features={"gro": False}, ring={"rx": 10000})
    assert failed["msg"] == f"{DEVICE}: rx ring of 10000 is out of range: the driver allows 1 to 8192, or say max"
    assert shown(mixed) == before


def test_lro_waits_for_striding_rq_and_striding_rq_for_lro(mixed, ethtool):
    mixed.ssh(HOST, f"ethtool --set-priv-flags {DEVICE} rx_striding_rq off")
    before = shown(mixed)
    assert "depends on something that is not so now" in ethtool(features={"lro": True})["msg"]
    assert shown(mixed) == before, "no wish may stay behind in the kernel"
    ethtool(features={"lro": True}, private_flags={"rx_striding_rq": True})
    assert "large-receive-offload: on" in shown(mixed)
    ethtool(features={"lro": False}, private_flags={"rx_striding_rq": False})
    ethtool(features={"lro": True}, private_flags={"rx_striding_rq": True})
    restored(mixed)
    assert shown(mixed) == before


def test_ring_that_somebody_else_changed_is_reported_and_left_alone(mixed, ethtool):
    ethtool(ring={"rx": 4096, "tx": 4096})
    mixed.ssh(HOST, f"ethtool -G {DEVICE} rx 512")
    assert restored(mixed) == {"ethtool_ring rx": "drift", "ethtool_ring tx": "restored"}
    rings = mixed.ssh(HOST, f"ethtool -g {DEVICE}")
    assert [line.split()[1] for line in rings.splitlines() if line.startswith(("RX:", "TX:"))] == ["8192", "8192", "512", "1024"]


def test_ring_of_one_campaign_does_not_take_the_flag_of_another(mixed, ethtool):
    before = shown(mixed)
    ethtool(private_flags={"sniffer": True}, campaign="standing-rdma-sniffer")
    ethtool(ring={"rx": "max"}, campaign="one")
    assert "sniffer            : on" in shown(mixed)
    assert restored(mixed, "one") == {"ethtool_ring rx": "restored"}
    assert "sniffer            : on" in shown(mixed), "restoring the ring clears the flag, which is not ours"
    assert "the open campaign standing-rdma-sniffer relies on on" in ethtool(private_flags={"sniffer": False}, campaign="two")["msg"]
    restored(mixed, "standing-rdma-sniffer")
    assert shown(mixed) == before


def test_several_devices_take_one_call(mixed, ethtool):
    done = mixed.module(HOST, "ethtool", {"devices": [DEVICE, WIRE], "features": {"gro": False}})
    assert sorted(done.get("after", done)) == [DEVICE, WIRE]
    assert done["after"][WIRE] == {"features": {"rx-gro": False}}
    restored(mixed)


def test_host_puts_it_back_by_itself_when_the_time_is_over(mixed, ethtool):
    before = shown(mixed)
    until = ethtool(ring={"rx": "max"}, expires="10m")["expires_at"]
    assert ethtool(private_flags={"sniffer": True})["expires_at"] == until, "a call that says nothing about the time leaves it as it is"
    assert shown(mixed) != before
    assert ethtool(ring={"rx": "max"}, expires="1s")["expires_at"] < until
    wait_until(lambda: shown(mixed) == before, 240, "the time of 1 s is over")


def test_time_can_be_taken_away_again(mixed, ethtool):
    ethtool(ring={"rx": "max"}, expires="10m")
    assert ethtool(ring={"rx": "max"}, expires="forever")["expires_at"] is None
    wait_until(lambda: not mixed.ssh(HOST, "pgrep -f 'supervisor.pyz expire'", check=False), 120, "nobody waits any more")
    restored(mixed)


def test_host_without_systemd_puts_it_back_whoever_is_killed(mixed):
    """Two processes that restore for each other: the first of them is replaced, the last one restores."""
    host, campaign = "bare1", "20260101T000000Z-bare-000001"
    before = mixed.ssh(host, "ethtool -k eth1")
    vantage = {
        "vantage_id": f"{host}__eth1", "device": "eth1", "capture_on": "eth1", "engine": "tcpdump", "engine_reason": "asked for",
        "filter": "", "snaplen": 128, "buffer_mib": 8, "ring": None, "split": None, "limits": {},
    }  # fmt: skip
    session = {
        "schema": 1, "campaign": campaign, "name": "bare", "host": host, "t0_ns": time.time_ns() + 600 * 10**9, "duration_s": 1.0,
        "limits": {}, "settings": [[["ethtool_feature", "eth1", "tso"], False]], "vantages": [vantage],
    }  # fmt: skip
    assert mixed.module(host, "capture_session", {"state": "armed", "session": session})["changed"]
    assert mixed.ssh(host, "ethtool -k eth1") != before
    guards = partial(mixed.ssh, host, "pgrep -f 'supervisor.pyz guard'", False)
    first = wait_until(guards, 120, "the supervisor has a guard")
    mixed.ssh(host, f"kill -KILL {first}")
    wait_until(lambda: guards() not in ("", first), 120, "a killed guard is replaced")
    mixed.ssh(host, "pkill -KILL -f 'supervisor.pyz run'")
    wait_until(lambda: mixed.ssh(host, "ethtool -k eth1") == before, 240, "the guard restores")
    result = json.loads(wait_until(partial(mixed.ssh, host, f"cat /var/lib/wirefleet/{campaign}/result.json", False), 120, "a result"))
    assert (result["state"], result["stop_reason"]) == ("failed", "supervisor_lost")
    mixed.ssh(host, "rm -rf /var/lib/wirefleet")


def test_killed_at_any_step_everything_goes_back(mixed, tmp_path):
    (tmp_path / "supervisor.pyz").write_bytes(bundle.build())
    for path in (tmp_path / "supervisor.pyz", CRASH):
        mixed.inside("ansible", "-i", mixed.inventory, HOST, "-m", "ansible.builtin.copy", "-a", f"src={path} dest=/var/tmp/{path.name}")
    mixed.ssh(HOST, f"ethtool --set-priv-flags {DEVICE} sniffer on rx_striding_rq off")
    wishes = [
        [["ethtool_ring", DEVICE, "rx"], "max"],
        [["ethtool_private_flag", DEVICE, "rx_striding_rq"], True],
        [["ethtool_feature", DEVICE, "lro"], True],
        [["ethtool_feature", DEVICE, "gro"], False],
    ]
    said = mixed.ssh(HOST, f"PYTHONPATH=/var/tmp/supervisor.pyz python3 /var/tmp/crash_on_host.py /var/tmp/store {DEVICE} '{json.dumps(wishes)}'")
    rows = json.loads(said)
    # open, intent, -G, --set-priv-flags, -K, done, lease, and once to the end
    assert [killed for _step, killed, _differs in rows] == [True] * 7 + [False]
    assert [row for row in rows if row[2]] == []
    mixed.ssh(HOST, f"ethtool --set-priv-flags {DEVICE} sniffer off rx_striding_rq on; rm -rf /var/tmp/store")
