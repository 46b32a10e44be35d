# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real switch loses packets by PSN, real tcpdumps watch at four places, and the analysis says where they went."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

pytest.importorskip("duckdb")

from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import load, model, report

from tests.integration.fleet import HUNG, ROOT, wait_until
from tests.truth.keys import parquet_of

PLACES = ("node1", "switch_in", "switch_out", "node2")
PACKETS, FIRST, MASK, VALUE = 2000, (1 << 24) - 700, 0x3F, 0x15
SOURCES = (ROOT / "tests/traffic/roce_send.py", ROOT / "tests/traffic/roce_frames.py", ROOT / "plugins/module_utils/packets/roce.py")
HOSTS = {"node1": "10.78.0.2", "node2": "10.78.0.3"}
LOST = sum(1 for number in range(PACKETS) if (FIRST + number) % (1 << 24) & MASK == VALUE)
#: How many packets pass each place, of both directions, and what one takes in a file that has 256 bytes of it.
WANTED = {"node1": 2 * PACKETS, "switch_in": 2 * PACKETS, "switch_out": 2 * PACKETS - LOST, "node2": 2 * PACKETS - LOST}
RECORD = 16 + 256


def lab(fleet, *words):
    return subprocess.run([sys.executable, "-m", "tests.lab", *words, "--lab", fleet.lab], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def put(fleet, host, path):
    data = base64.b64encode(path.read_bytes()).decode()
    fleet.ssh(host, f"mkdir -p /var/tmp/wf && echo {data} | base64 -d > /var/tmp/wf/{path.name}")


@pytest.fixture
def watched(pair, tmp_path):
    """The fleet with a capture running at each place; `stop()` ends them and returns the files by place."""
    lab(pair, "drop", "on", "node1", "--psn-mask", hex(MASK), "--psn-value", hex(VALUE))
    words = ["-U", "-B", "16384", "-s", "256", "--time-stamp-precision=nano", "-w"]
    inside = {place: tmp_path / f"{place}.pcap" for place in ("switch_in", "switch_out")}
    running = {
        place: pair.start("tcpdump", "-i", device, *words, str(inside[place]), "udp", "port", "4791")
        for place, device in (("switch_in", "d-node1"), ("switch_out", "d-node2"))
    }
    for host in HOSTS:
        for path in SOURCES:
            put(pair, host, path)
        pair.ssh(host, f"cd /var/tmp/wf && (tcpdump -i eth1 {' '.join(words)} {host}.pcap udp port 4791 >/dev/null 2>log </dev/null & echo $! >pid)")

    def size(place):
        return inside[place].stat().st_size if place in inside else int(pair.ssh(place, f"stat -c %s /var/tmp/wf/{place}.pcap"))

    def stop():
        with contextlib.suppress(AssertionError):  # what was dropped never comes
            wait_until(lambda: all(size(place) >= 24 + RECORD * count for place, count in WANTED.items()), 20, "a tcpdump has not all packets")
        said = {}
        for place, process in running.items():
            os.killpg(process.pid, signal.SIGINT)
            said[place] = process.communicate(timeout=60)[0]
        for host in HOSTS:
            pair.ssh(host, "kill -INT $(cat /var/tmp/wf/pid); while kill -0 $(cat /var/tmp/wf/pid) 2>/dev/null; do sleep 0.05; done")
            (tmp_path / f"{host}.pcap").write_bytes(base64.b64decode(pair.ssh(host, f"base64 -w0 /var/tmp/wf/{host}.pcap")))
            said[host] = pair.ssh(host, "cat /var/tmp/wf/log")
        drops = {place: int(re.findall(r"(\d+) packets? dropped by kernel", said[place])[0]) for place in PLACES}
        return {place: tmp_path / f"{place}.pcap" for place in PLACES}, drops

    wait_until(lambda: all(path.exists() and path.stat().st_size >= 24 for path in inside.values()), 120, "tcpdump in the switch did not begin")
    wait_until(lambda: all("listening" in pair.ssh(host, "cat /var/tmp/wf/log", check=False) for host in HOSTS), 120, "tcpdump on a host did not begin")
    pair.stop = stop
    yield pair
    for process in running.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    lab(pair, "drop", "off", "node1")
    for host in HOSTS:
        pair.ssh(host, "kill $(cat /var/tmp/wf/pid) 2>/dev/null; rm -rf /var/tmp/wf", check=False)


def send(fleet, host, peer, qp, first):
    mac = fleet.ssh(peer, "cat /sys/class/net/eth1/address")
    words = f"--device eth1 --source {HOSTS[host]} --target {HOSTS[peer]} --target-mac {mac} --packets {PACKETS} --dest-qp {qp} --first-psn {first}"
    argv = [sys.executable, "-m", "tests.lab", "ssh", "--lab", fleet.lab, host, f"cd /var/tmp/wf && python3 roce_send.py --payload 256 {words}"]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_the_switch_is_named_and_the_count_is_right(watched, tmp_path):
    for sender in [send(watched, "node1", "node2", 0x1AE, FIRST), send(watched, "node2", "node1", 0x1A4, 5)]:
        assert json.loads(sender.communicate(timeout=HUNG)[0])["sent"] == PACKETS
    files, drops = watched.stop()
    assert int(lab(watched, "drop", "count", "node1")) == LOST
    vantages = [load.of_index(parquet_of(files[place], name=place), model.Vantage(place, drops=drops[place])) for place in PLACES]
    for declared in (PLACES, ("node1", "node2")):
        found = report.analyse(vantages, declared)
        hops = {(hop["from"], hop["to"]): hop for hop in found["path"]["hops"]}
        certain = {name: hop["lost_in_network"]["min"] for name, hop in hops.items() if hop["lost_in_network"]["min"]}
        where = ("switch_in", "switch_out") if "switch_in" in declared else ("node1", "node2")
        assert set(certain) <= {where}
        assert hops[where]["lost_in_network"]["min"] <= LOST <= hops[where]["lost_in_network"]["max"]
        if not any(drops.values()):  # which a busy machine cannot promise
            assert certain == {where: LOST} and hops[where]["packets"] == PACKETS
    assert all(abs(vantage["clock"]["offset_s"]) < 100e-6 for vantage in found["vantages"] if vantage["position"] is not None)


def test_what_one_capture_missed_is_not_the_networks_fault(watched, tmp_path):
    for sender in [send(watched, "node1", "node2", 0x1AE, FIRST), send(watched, "node2", "node1", 0x1A4, 5)]:
        sender.communicate(timeout=HUNG)
    files, drops = watched.stop()
    thinned = tmp_path / "thinned.pcap"
    missed = thin(files["switch_out"], thinned)
    files["switch_out"], drops["switch_out"] = thinned, drops["switch_out"] + missed
    vantages = [load.of_index(parquet_of(files[place], name=place), model.Vantage(place, drops=drops[place])) for place in PLACES]
    found = report.analyse(vantages, PLACES)
    vantage = next(entry for entry in found["vantages"] if entry["vantage"] == "switch_out")
    assert missed - sum(drops.values()) <= vantage["missed"] <= drops["switch_out"]
    bounds = {(hop["from"], hop["to"]): hop["lost_in_network"] for hop in found["path"]["hops"]}
    assert {name for name, bound in bounds.items() if bound["min"]} <= {("switch_in", "switch_out")}
    if drops == {**dict.fromkeys(PLACES, 0), "switch_out": missed}:
        assert vantage["missed"] == missed and bounds["switch_in", "switch_out"] == {"min": LOST, "max": LOST}


def thin(source: pathlib.Path, target: pathlib.Path) -> int:
    """Copy a capture without every fiftieth packet, as a capture that drops does; return how many were left out."""
    data, at, number, kept, left_out = source.read_bytes(), 24, 0, [], 0
    while at < len(data):
        size = 16 + int.from_bytes(data[at + 8 : at + 12], "little")
        number += 1
        if number % 50:
            kept.append(data[at : at + size])
        else:
            left_out += 1
        at += size
    target.write_bytes(data[:24] + b"".join(kept))
    return left_out
