# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of Debian's kernel that captures meet: Open vSwitch's own datapath, whose mirror an ERSPAN device takes off, and hugepages."""

from __future__ import annotations

import collections

import pytest

from tests.integration.fleet import RESTORED
from tests.integration.span import harvest, send, sniff

HOST = "guest2"
SWITCH, MONITOR = "10.79.0.1", "10.79.0.2"
#: A switch with a network namespace of its own, a host at its port swp1, and a way to the guest itself, which is its monitor.
UP = f"""set -e
ip netns add sw
ip link add near type veth peer name far netns sw
ip address add {MONITOR}/24 dev near; ip link set near up
ip -n sw address add {SWITCH}/24 dev far; ip -n sw link set far up
ip -n sw link add swp1 type veth peer name host1; ip -n sw link set swp1 up; ip -n sw link set host1 up
mkdir -p /run/openvswitch /var/log/openvswitch
ovsdb-tool create /var/tmp/ovs.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /var/tmp/ovs.db --remote=punix:/run/openvswitch/db.sock --pidfile --log-file --detach --no-chdir -vconsole:off
ovs-vsctl --timeout=120 --no-wait init
ip netns exec sw ovs-vswitchd --pidfile --log-file --detach --no-chdir -vconsole:off
ovs-vsctl --timeout=120 add-br br0 -- add-port br0 swp1
ip netns exec sw ping -q -c 1 -W 60 {MONITOR}
"""
DOWN = """for program in ovs-vswitchd ovsdb-server; do kill $(cat /run/openvswitch/$program.pid); done
while pgrep ovs; do sleep 0.1; done
ip netns exec sw ovs-dpctl del-dp ovs-system
ip link del near; ip link del cap77 2> /dev/null; ip netns del sw; rm -rf /var/tmp/ovs.db /run/openvswitch /var/lib/wirefleet"""
SESSION = {
    "platform": "ovs", "session": "cap1", "bridge": "br0", "sources": [{"interface": "swp1", "direction": "rx"}],
    "destination": {"erspan": {"destination_ip": MONITOR, "source_ip": SWITCH, "erspan_id": 77}},
}  # fmt: skip
TUNNEL = {"tunnels": [{"name": "cap77", "local": MONITOR, "remote": SWITCH, "key": 77}]}
FRAMES = [bytes.fromhex("ffffffffffff02000000000188b5") + bytes([number]) * 200 for number in range(50)]


@pytest.fixture
def switch(guest2):
    try:
        guest2.ssh(HOST, UP)
        yield guest2
    finally:
        guest2.ssh(HOST, DOWN)


def links(guests):
    return guests.ssh(HOST, "ip -br link | cut -d@ -f1 | awk '{print $1}'")


def test_mirror_of_the_kernels_open_vswitch_arrives_on_an_erspan_device(switch):
    before = links(switch)
    (foreseen,) = switch.sequence(HOST, ("erspan_tunnel", TUNNEL), check=True)
    assert foreseen["changed"] and "cap77" in foreseen["diff"]["prepared"] and links(switch) == before
    calls = ("erspan_tunnel", TUNNEL), ("erspan_tunnel", TUNNEL), ("mirror_session", SESSION)
    tunnel, again, session = switch.sequence(HOST, *calls)
    assert (tunnel["commands"], again["changed"]) == (foreseen["commands"], False)
    assert (session["changed"], session["after"]["destination"]["erspan"]["erspan_id"]) == (True, 77)
    assert switch.ssh(HOST, "ovs-appctl dpctl/show").startswith("system@ovs-system:"), "the kernel forwards"
    sniff(switch, HOST, "ether proto 0x88b5", "cap77")
    send(switch, HOST, "host1", FRAMES, inside="ip netns exec sw")
    (found,) = harvest(switch, HOST, "cap77", expected=len(FRAMES), on=["cap77"])
    assert collections.Counter(found) == collections.Counter(FRAMES)
    gone, restored = switch.sequence(HOST, ("mirror_session", {**SESSION, "state": "absent"}), RESTORED)
    assert gone["changed"] and {row["outcome"] for row in restored["restored"]} == {"restored"}, restored
    assert links(switch) == before


def test_hugepages_are_there_and_go(guest2):
    total = "awk '/HugePages_Total/ {print $2}' /proc/meminfo"
    use = "import mmap; mmap.mmap(-1, 2 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)[:4] = b'huge'"
    (done,) = guest2.sequence(HOST, ("sysctl_floor", {"values": {"vm.nr_hugepages": 8}}))
    assert (done["after"]["running"], guest2.ssh(HOST, total)) == ({"vm.nr_hugepages": 8}, "8")
    guest2.ssh(HOST, f'python3 -c "{use}"')
    assert {row["outcome"] for row in guest2.module(HOST, *RESTORED)["restored"]} == {"restored"}
    assert guest2.ssh(HOST, total) == "0"
