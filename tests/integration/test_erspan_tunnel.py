# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mirror path on kernels of its own: two hosts, a switch between them that mirrors by ERSPAN, a collector that takes it off."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.bpf import expand
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle

from tests.integration.fleet import RESTORED, ROOT
from tests.integration.span import MONITOR, RULES, SWITCH, TYPES, asked, harvest, mirror, sniff, tunnels

CRASH = pathlib.Path(__file__).with_name("crash_on_host.py")
SENDER = [ROOT / "plugins/module_utils/packets/roce.py", *(ROOT / "tests/traffic" / name for name in ("roce_frames.py", "roce_send.py"))]
SEND = (
    "cd /var/tmp && python3 roce_send.py --device eth1 --source 10.78.0.2 --target 10.78.0.3 --target-mac 52:54:00:78:00:02 --pps 1000 "
    "--packets {packets} --payload {payload} --per-message {per_message}"
)
#: Ethernet, IPv4, UDP, BTH, RETH and ICRC.
HEADERS = 14 + 20 + 8 + 12 + 16 + 4
#: The devices anew, as the module made them: their sequence numbers begin again.
RENUMBER = (
    f"ends='local {SWITCH} remote {MONITOR} ttl 64'; tc filter del dev swp1 ingress; tc filter del dev swp1 egress; "
    "ip link del type2; ip link add type2 type erspan oseq key 2 $ends erspan_ver 1 erspan 5; ip link set type2 up; "
    "ip link del type3; ip link add type3 type erspan oseq key 3 $ends erspan_ver 2 erspan_dir egress erspan_hwid 7; ip link set type3 up"
)


@pytest.fixture(scope="module", name="switch")
def switch_that_mirrors(span):
    """The fleet, whose switch mirrors what passes its first port to the monitor in all three types at once, and nothing twice."""
    span.put("left1", *SENDER)
    mirror(span)
    return span


@pytest.fixture(name="monitor")
def monitor_as_it_was(switch):
    """The same; afterwards the monitor has to be as before."""
    before = state(switch)
    yield switch
    if state(switch, "pkill -x tcpdump; ") != before:
        switch.module("mon1", *RESTORED)
        assert state(switch) == before


def state(fleet, first=""):
    return fleet.ssh("mon1", f"{first}ip -br link | cut -d@ -f1 | awk '{{print $1}}'; ls /sys/module; ls /var/tmp")


def absent(*names, **options):
    return "erspan_tunnel", {"tunnels": [{"name": name} for name in names], "state": "absent", **options}


def outcomes(result):
    return {(row["key"][0], row["key"][1]): row["outcome"] for row in result["restored"]}


def passed(fleet, devices, packets, payload=1024, *frame_sizes, deaf=()):
    """Send RoCE through the switch, two frames each of *frame_sizes*, and echoes; return the RoCE sent and what *devices* showed.

    Those that are *deaf* are not waited for.
    """
    sniff(fleet, "mon1", expand("roce"), *devices)
    sniff(fleet, "left1", "udp port 4791", "eth1", options="-Q out")
    runs = [SEND.format(packets=packets, payload=payload, per_message=8)]
    runs += [SEND.format(packets=2, payload=size - HEADERS, per_message=1) for size in frame_sizes]
    fleet.ssh("left1", " && ".join([*runs, "ping -q -c 2 -i 0.2 10.78.0.3"]))
    expected = packets + 2 * len(frame_sizes)
    sent = harvest(fleet, "left1", "eth1", expected=expected, on=["eth1"])[0]
    assert [len(frame) for frame in sent[packets:]] == [size for size in frame_sizes for _twice in range(2)]
    return sent, harvest(fleet, "mon1", *devices, expected=expected, on=[name for name in devices if name not in deaf])


def test_what_was_sent_arrives_packet_for_packet_in_every_type(monitor):
    before = state(monitor)
    (foreseen,) = monitor.sequence("mon1", asked(), check=True)
    assert all(name in foreseen["diff"]["prepared"] for name in TYPES)
    assert state(monitor) == before
    done = tunnels(monitor)
    assert (done["changed"], done["commands"], done["after"]) == (True, foreseen["commands"], foreseen["after"])
    assert done["commands"][:3] == ["modprobe gre", "modprobe ip_tunnel", "modprobe ip_gre"]
    assert done["largest_frame"] == {"type1": 1476, "type2": 1464, "type3": 1460}
    seen = monitor.ssh("mon1", "ip -d link show type2")
    assert "erspan remote 10.78.0.4 local 10.78.0.5 dev ens1f0np0" in seen and "erspan_index 5 erspan_ver 1" in seen
    sent, found = passed(monitor, TYPES, 300, 1024, 1460, 1464, 1476, 1477)
    for name, frames_found in zip(TYPES, found):
        largest = done["largest_frame"][name]
        assert frames_found == [frame[:largest] for frame in sent], f"{name}: {len(frames_found)} of {len(sent)}"
    again, result = monitor.sequence("mon1", asked(), RESTORED)
    assert (again["changed"], again["commands"]) == (False, [])
    outcome = outcomes(result)
    assert set(outcome.values()) == {"restored"} and {scope for _kind, scope in outcome} == {*TYPES, "gre", "ip_tunnel", "ip_gre"}
    assert state(monitor) == before, "erspan0, gre0 and gretap0 are gone with their module"


def test_switch_that_counts_anew_is_still_heard(monitor):
    """A device made with `seq`, as most instructions say, is silent after that; ours is not."""
    tunnels(monitor, wanted={"type2": TYPES["type2"]})
    monitor.ssh("mon1", f"ip link add strict type erspan seq key 3 local {MONITOR} remote {SWITCH} erspan_ver 2 && ip link set strict up")
    sent, found = passed(monitor, ["type2", "strict"], 50)
    assert found == [sent, sent]
    monitor.ssh("sw1", f"{RENUMBER}; {RULES}")
    sent, (ours, strict) = passed(monitor, ["type2", "strict"], 20, deaf=["strict"])
    monitor.ssh("mon1", "ip link del strict")
    assert (ours, strict) == (sent, [])


def test_change_and_removal_one_of_several(monitor):
    wanted = {**TYPES, "type2": {**TYPES["type2"], "mtu": 1400}, "type3": {**TYPES["type3"], "hwid": 8}}
    calls = asked(), asked(wanted), absent("type2", "nobody"), absent("type2"), RESTORED
    _made, changed, removed, again, result = monitor.sequence("mon1", *calls)
    assert changed["commands"][:2] == ["ip link set dev type2 mtu 1400", "ip link delete dev type3"]
    assert not any("type1" in command for command in changed["commands"])
    assert removed["commands"] == ["ip link delete dev type2"]
    assert again["changed"] is False
    assert outcomes(result)["link", "type2"] == "already"


def test_somebody_elses_device_is_left_alone_unless_asked_and_comes_back(monitor):
    theirs = f"type erspan seq key 2 local {MONITOR} remote {SWITCH} erspan_ver 1 erspan 9"
    monitor.ssh("mon1", f"ip link add type2 mtu 1300 {theirs}; ip link add other type dummy")
    link = "ip -d link show type2 | grep -o 'mtu 1300\\|erspan remote .*erspan_ver 1'"
    before = monitor.ssh("mon1", link)
    calls = asked(), absent("type2"), absent("other", force=True), asked({"mine": {"key": 2}})
    *refused, other, twin = monitor.sequence("mon1", *calls)
    for failed in refused:
        assert failed["msg"] == "type2 was not made by this collection and is not as wanted: choose another name, or say force"
    assert "other is a device of another kind (dummy)" in other["msg"]
    assert twin["msg"] == f"mine: type2 already receives session 2 from {SWITCH}: use it, or remove it"
    assert monitor.ssh("mon1", link) == before
    taken, result = monitor.sequence("mon1", asked(force=True), RESTORED)
    assert taken["changed"]
    outcome = outcomes(result)
    assert (outcome["link", "type2"], monitor.ssh("mon1", link)) == ("restored", before)
    monitor.ssh("mon1", "ip link del type2; ip link del other; rmmod ip_gre ip_tunnel gre dummy", check=False)


def test_kernel_without_the_module_says_what_to_do_instead(switch):
    failed = tunnels(switch, "left1", local="10.78.0.2")
    assert "has no module ip_gre, without which it has no erspan devices: capture the outer packets (filter `ip proto 47`)" in failed["msg"]


def test_killed_at_any_step_everything_goes_back(monitor, tmp_path):
    (tmp_path / "supervisor.pyz").write_bytes(bundle.build())
    monitor.put("mon1", tmp_path / "supervisor.pyz", CRASH)
    device = tunnels(monitor, check=True)["after"]["tunnels"]["type2"]
    monitor.ssh("mon1", "modprobe ip_tunnel; modprobe gre; modprobe dummy")
    wishes = [[["module", "dummy", "loaded"], False], [["module", "ip_gre", "loaded"], True], [["link", "type2", "device"], device]]
    run = f"PYTHONPATH=/var/tmp/supervisor.pyz python3 /var/tmp/crash_on_host.py /var/tmp/store ens1f0np0 '{json.dumps(wishes)}'"
    rows = json.loads(monitor.ssh("mon1", run))
    # open, intent, rmmod, modprobe, add, addrgenmode, up, done, lease, and once to the end
    assert [killed for _step, killed, _differs in rows] == [True] * 9 + [False]
    assert [row for row in rows if row[2]] == []
    monitor.ssh("mon1", "rmmod dummy ip_tunnel gre; rm -rf /var/tmp/store /var/tmp/supervisor.pyz /var/tmp/crash_on_host.py")
