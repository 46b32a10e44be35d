# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors of real switches (Open vSwitch, Linux tc), made by mirror_session over ssh, received and taken apart frame by frame."""

from __future__ import annotations

import base64
import json
import struct
import subprocess

import pytest

from tests.integration.fleet import ROOT, frames, wait_until
from tests.integration.span import WITHIN, send

SWITCH, ENDS, MONITOR = "sw1", ("node1", "node2"), "mon1"
MACS = {"node1": "525400780002", "node2": "525400780003"}
ADDRESSES = {"sw1": "10.78.0.2", "mon1": "10.78.0.5"}
#: What every frame begins with behind its ethertype, so that it is found whatever is around it.
MARK = b"wirefleet-mirror"
FRAMES = 40


def frames_of(sender: str, batch: int) -> list[bytes]:
    """Return what *sender* sends to the other end: sizes from the shortest to the longest frame that the network takes."""
    (receiver,) = set(ENDS) - {sender}
    head = bytes.fromhex(MACS[receiver] + MACS[sender]) + b"\x88\xb5" + MARK
    sizes = [60 + (1414 - 60) * number // (FRAMES - 1) for number in range(FRAMES)]
    return [(head + struct.pack("!BB", batch, number)).ljust(size, bytes([number])) for number, size in enumerate(sizes)]


class Mirrored:
    """What arrives at the monitor while this is open."""

    def __init__(self, fleet) -> None:
        self.fleet = fleet

    def __enter__(self):
        engine = "tcpdump -i eth1 -U -w m.pcap 'ip proto 47 or icmp' </dev/null >m.log 2>&1 &"
        self.fleet.ssh(MONITOR, f"{WITHIN}rm -f m.pcap m.log; {engine} within 'grep -q listening m.log' m.log")
        self.fleet.ssh(SWITCH, f"ping -c 1 -W 60 {ADDRESSES[MONITOR]}")  # a tunnel sends nothing before it knows its neighbour
        return self

    def __exit__(self, *_error) -> None:
        self.fleet.ssh(MONITOR, "pkill -INT tcpdump", check=False)

    def send(self, batch: int) -> dict[str, list[bytes]]:
        """Let both ends send a batch to each other, then the switch a ping, which has all mirrored frames before it."""
        sent = {sender: frames_of(sender, batch) for sender in ENDS}
        for sender, queued in sent.items():
            send(self.fleet, sender, "eth1", queued)
        self.fleet.ssh(SWITCH, f"ping -c 1 -s {200 + batch} -W 60 {ADDRESSES[MONITOR]}")
        seen = f"tcpdump -nr m.pcap 'icmp and dst host {ADDRESSES[MONITOR]} and ip[2:2] == {228 + batch}' 2>/dev/null | grep -q request"
        wait_until(lambda: self.fleet.ssh(MONITOR, f"{seen} && echo yes", check=False), 120, "the monitor saw no ping")
        return sent

    def frames(self, tmp_path):
        """Return (what pcap-decap says of the streams, {sender: its frames in the order in which they came})."""
        raw, plain = tmp_path / "m.pcap", tmp_path / "m.frames"
        raw.write_bytes(base64.b64decode(self.fleet.ssh(MONITOR, "base64 -w0 m.pcap")))
        report = tmp_path / "report.json"
        argv = [str(ROOT / "scripts/pcap-decap"), str(raw), str(plain), "--report", str(report), "--quiet"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ours = [frame for frame in frames(plain.read_bytes()) if frame[12:14] == b"\x88\xb5" and MARK in frame]
        return json.loads(report.read_text())["streams"], {sender: [frame for frame in ours if frame[6:12].hex() == MACS[sender]] for sender in ENDS}


#: The same session as each platform numbers or names it, and what shows it on the switch.
PLATFORMS = {
    "ovs": {"platform": "ovs", "session": "cap1", "bridge": "br0"},
    "tc": {"platform": "tc", "session": "7"},
}
LOOK = {
    "ovs": "ovs-vsctl --columns=name,select_src_port,select_dst_port,output_port,output_vlan,external_ids list Mirror; "
    "ovs-vsctl --columns=name,type,options list Interface er-cap1",
    "tc": "for hook in ingress egress; do tc filter show dev swp1 $hook; tc filter show dev swp2 $hook; done; ip -br link show dev wf-erspan7",
}
#: A mirror of somebody else that would be in our way, and its name.
THEIRS = {"ovs": "theirs", "tc": "8"}
FOREIGN = {
    "ovs": "ovs-vsctl -- --id=@m create Mirror name=theirs output-vlan=99 -- add Bridge br0 mirrors @m >/dev/null",
    "tc": "tc qdisc replace dev swp2 clsact; tc filter add dev swp2 ingress protocol all pref 20016 matchall action mirred egress mirror dev lo",
}


@pytest.fixture(scope="module", params=PLATFORMS)
def platform(request):
    return request.param


@pytest.fixture(scope="module")
def fleet(platform, request):
    fleet = request.getfixturevalue(platform)
    fleet.ssh(SWITCH, FOREIGN[platform])
    return fleet


@pytest.fixture
def mirror(platform, fleet):
    """Return mirror(**options): one call of the module for our session, which goes to the monitor by ERSPAN."""

    made: list[dict] = []

    def call(check=False, twice=False, direction="both", header_type=2, **options):
        """Return the result, with *twice* those of the same call two times."""
        erspan = {"destination_ip": ADDRESSES[MONITOR], "source_ip": ADDRESSES[SWITCH], "erspan_id": 77, "header_type": header_type}
        wish = {"sources": [{"interface": "swp1", "direction": direction}], "destination": {"erspan": erspan}}
        options = PLATFORMS[platform] | (wish if options.get("state", "present") == "present" else {}) | options
        wanted = "mirror_session", options
        results = fleet.sequence(SWITCH, wanted, wanted) if twice else [fleet.module(SWITCH, *wanted, check=check)]
        assert not any(result.get("failed") for result in results), results
        made[:] = [] if check or options.get("state") == "absent" else results
        return results if twice else results[0]

    yield call
    if made:
        call(state="absent")


def test_what_passes_the_switch_arrives_frame_for_frame(platform, fleet, mirror, tmp_path):
    before = fleet.ssh(SWITCH, LOOK[platform], check=False)
    with Mirrored(fleet) as mirrored:
        mirrored.send(0)  # the flows are there before the mirror is
        assert mirror(check=True)["changed"] is True
        assert fleet.ssh(SWITCH, LOOK[platform], check=False) == before
        made, again = mirror(twice=True)
        assert (made["changed"], made["before"], made["after"]["destination"]["erspan"]["erspan_id"]) == (True, {}, 77)
        assert (again["changed"], again["commands"]) == (False, [])
        first = mirrored.send(1)
        changed = mirror(direction="rx", header_type=3)
        assert (changed["changed"], changed["after"]["sources"]) == (True, [{"interface": "swp1", "direction": "rx"}])
        second = mirrored.send(2)
        assert [result["changed"] for result in mirror(state="absent", twice=True)] == [True, False]
        mirrored.send(3)
        streams, seen = mirrored.frames(tmp_path)
    assert seen == {"node1": first["node1"] + second["node1"], "node2": first["node2"]}
    assert {(stream["type"], stream["session"], stream["source"], stream["missing"]) for stream in streams} == {
        (f"erspan{n}", 77, ADDRESSES[SWITCH], 0) for n in (2, 3)
    }
    assert fleet.ssh(SWITCH, LOOK[platform], check=False) == before


def test_a_mirror_of_somebody_else_stays_as_it_is(platform, fleet):
    theirs = fleet.ssh(SWITCH, LOOK[platform], check=False)
    wish = {**PLATFORMS[platform], "session": THEIRS[platform], "sources": [{"interface": "swp1"}], "destination": {"interface": "swp2"}}
    gone = {**PLATFORMS[platform], "session": THEIRS[platform], "state": "absent"}
    for refused in fleet.sequence(SWITCH, ("mirror_session", wish), ("mirror_session", gone)):
        assert "somebody else's" in refused["msg"] and "replace_foreign" in refused["msg"]
    assert fleet.ssh(SWITCH, LOOK[platform], check=False) == theirs != ""
