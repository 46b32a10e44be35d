# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is left alone with its campaign: its supervisor is killed, its power is lost. It puts itself back."""

from __future__ import annotations

import json
import time
import typing as t
import uuid

import pytest

from tests.integration.fleet import wait_until

#: Whom it happens to; the other guest is other tests'.
HOST, OTHER = "guest2", "guest1"
LABNIC = "ens1f0np0"
MODPROBE = "/etc/modprobe.d/wirefleet-mlx4_core.conf"
#: What a session changes: four kinds that a reboot clears, and one that it does not.
SETTINGS: list[tuple[list[str], t.Any]] = [
    (["ethtool_feature", "eth1", "rx-gro"], False),
    (["ethtool_feature", "eth3", "rx-lro"], False),
    (["ethtool_ring", "eth2", "rx"], 512),
    (["ethtool_private_flag", LABNIC, "sniffer"], True),
    (["sysctl_floor", "", "net.core.rmem_max"], 4194304),
    (["modprobe_option", "mlx4_core", "log_num_mgm_entry_size"], "-1"),
]
#: Bytes of one echo or reply of ping in a pcap file.
ECHO = 16 + 98
#: Seconds in which what is waited for has happened also on a machine that has much else to do.
LONG = 300
CHANGED = (False, False, 512, True, 4194304, "options mlx4_core log_num_mgm_entry_size=-1")
#: The cards up, and the lab's own NIC module, which has the flag, loaded: after a boot too, since the flag is what that clears.
CARDS = f"ip link set eth2 up; ip link set eth3 up; modprobe labnic name={LABNIC}; ip link set {LABNIC} up; ip link set labwire0 up; udevadm settle"


def settings(guests, host):
    """Return what the settings are now, read behind Ansible's back."""
    shown = guests.ssh(
        host,
        f"ethtool -k eth1 | grep -c 'generic-receive-offload: on'; ethtool -k eth3 | grep -c 'large-receive-offload: on';"
        f"ethtool -g eth2 | awk '/^RX:/ {{rx=$2}} END {{print rx}}'; ethtool --show-priv-flags {LABNIC} | grep -c 'sniffer *: on';"
        f"sysctl -n net.core.rmem_max; tail -n 1 {MODPROBE} 2>/dev/null || echo",
    ).splitlines()
    return shown[0] == "1", shown[1] == "1", int(shown[2]), shown[3] == "1", int(shown[4]), shown[5] if len(shown) > 5 else ""


def start(guests, host):
    """Have *host* capture from now on, with the settings changed and limits on what the capture may use."""
    wanted = {
        "schema": 1, "campaign": f"20261123T101500Z-alone-{uuid.uuid4().hex[:6]}", "name": "alone", "host": host,
        "t0_ns": time.time_ns() + 600 * 10**9, "duration_s": 240.0, "lead_s": 1.0, "limits": {"bytes": 10_000_000},
        "settings": SETTINGS, "resources": {"cpus": "0", "memory_max": 268435456},
        "vantages": [{"device": "rxe0", "engine": "auto", "filter": "icmp", "snaplen": 256}],
    }  # fmt: skip
    found = guests.module(host, "capture_info", {"session": wanted})
    assert found["problems"] == []
    done = guests.module(host, "capture_session", {"state": "started", "session": found["session"]})
    assert done["changed"], done
    wait_until(lambda: heartbeat(guests, host, wanted["campaign"])["state"] == "capturing", LONG, "the window opens")
    assert settings(guests, host) == CHANGED
    return wanted["campaign"]


def heartbeat(guests, host, campaign):
    return json.loads(guests.ssh(host, f"cat /var/lib/wirefleet/{campaign}/heartbeat.json", check=False) or '{"state": ""}')


@pytest.fixture
def before(guest2):
    guest2.ssh(HOST, CARDS)
    found = settings(guest2, HOST)
    assert all(one != other for one, other in zip(found, CHANGED)), found
    yield found
    guest2.ssh(HOST, "rmmod labnic; ! grep -q ^mlx5_ib /proc/modules || rmmod mlx5_ib; ip link set eth2 down; ip link set eth3 down", check=False)


def test_killed_supervisor_is_cleaned_up_by_its_unit(guests, before):
    campaign = start(guests, HOST)
    words = ("CPUAffinity", "MemoryMax", "MainPID", "ExecStopPost", "RuntimeMaxUSec")
    shown = dict(line.split("=", 1) for line in guests.ssh(HOST, f"systemctl show wirefleet-{campaign} -p {','.join(words)}").splitlines())
    assert (shown["CPUAffinity"], shown["MemoryMax"]) == ("0", "268435456")
    assert "supervisor.pyz restore" in shown["ExecStopPost"] and shown["RuntimeMaxUSec"] != "infinity"
    guests.ssh(HOST, f"kill -KILL {shown['MainPID']}")
    wait_until(lambda: settings(guests, HOST) == before, LONG, "everything is put back")
    (found,) = wait_until(lambda: ended(guests, HOST, campaign), LONG, "there is a result")
    assert (found["state"], found["result"]["stop_reason"], found["open_changes"]) == ("failed", "supervisor_lost", [])
    assert guests.ssh(HOST, f"pgrep -f {campaign}", check=False) == ""
    guests.module(HOST, "capture_session", {"campaign": campaign, "state": "absent", "force": True})


def ended(guests, host, campaign):
    captures = guests.module(host, "capture_info", {"campaign": campaign})["captures"]
    return captures if captures and captures[0]["result"] else None


def test_power_that_is_lost_in_mid_window(guests, before, tmp_path):
    campaign = start(guests, HOST)
    guests.ssh(OTHER, "ping -q -c 200 -i 0.01 10.78.0.3")
    wait_until(lambda: heartbeat(guests, HOST, campaign)["vantages"][0]["bytes"] > 100 * ECHO, LONG, "tcpdump has written most of it")
    # The capture alone: what is needed to put things back has to be on the disk by itself.
    stored = int(guests.ssh(HOST, f"cd /var/lib/wirefleet/{campaign}/vantages && sync */raw/* && stat -c %s */raw/*"))
    guests.power_cycle(HOST)
    guests.ssh(HOST, CARDS)
    wait_until(lambda: settings(guests, HOST) == before, LONG, "the boot unit puts back what a reboot does not")
    wait_until(lambda: not guests.ssh(HOST, "ls -d /etc/systemd/system/wirefleet-restore-*", check=False), LONG, "the unit goes")
    done = guests.playbook("collect.yml", "-e", f"campaign={campaign}", "-e", f"campaign_evidence_root={tmp_path}")
    assert done.returncode == 0, done.stdout
    (vantage,) = json.loads((tmp_path / campaign / "campaign.json").read_text())["vantages"]
    assert (vantage["status"], vantage["counts"]["packets"]) == ("degraded", (stored - 24) // ECHO), vantage
    assert "supervisor_lost" in vantage["reasons"]
    assert {tuple(row["key"]) for row in vantage["settings"]["restored"]} == {tuple(key) for key, _value in SETTINGS}
    assert guests.ssh(HOST, "find /var/lib/wirefleet -name '*.pcap'", check=False) == ""
