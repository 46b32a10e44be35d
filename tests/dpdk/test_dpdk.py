# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions on a real DPDK process, Debian's dpdk-testpmd on a veth: what a host sends to it is in the file, and nothing is left behind."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_running import memzones

from tests.unit.dpvs.conftest import Box

PROGRAMS = ("dpdk-testpmd", "dpdk-dumpcap", "dpdk-pdump", "ip", "nsenter", "unshare", "taskset", "tcpdump")
NUMBER = "/proc/sys/vm/nr_hugepages"
#: Pages of 2 MiB: 128 MiB for testpmd, 150 MiB for the buffers of dpdk-pdump, and room.
PAGES = 192
CAMPAIGN = "20261123T101500Z-dpdk-3fa9c1"
FOLDER = f"/var/lib/wirefleet/{CAMPAIGN}"
DRIVER = min(glob.glob("/usr/lib/*/librte_mempool_ring.so.*"), key=len, default="")
PRECISION = {struct.pack("<I", 0xA1B2C3D4): 1e-6, struct.pack("<I", 0xA1B23C4D): 1e-9}
MARK = b"wirefleet"
SEND = """
import socket, sys
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("peer", 0))
for text in sys.argv[1:]:
    out.send(bytes.fromhex(text))
"""


def frames(count: int, port: int) -> list[str]:
    """Return *count* UDP packets of 250 bytes to *port*, in hexadecimal."""
    data = MARK + bytes(199)
    udp = struct.pack("!HHHH", 4000, port, 8 + len(data), 0) + data
    heads = (struct.pack("!BBHHHBBH4B4B", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0, 192, 0, 2, 1, 192, 0, 2, 2) for n in range(count))
    return [(bytes.fromhex("02000000000202000000000108 00") + head + udp).hex() for head in heads]


@contextlib.contextmanager
def hugepages(place: Box, folder: pathlib.Path):
    """Take PAGES more pages while this lasts and mount them at *folder* for *place* alone; skips where they cannot be had."""
    before = int(pathlib.Path(NUMBER).read_text()) if os.path.exists(NUMBER) else None
    try:
        pathlib.Path(NUMBER).write_text(str((before or 0) + PAGES))
        had = int(pathlib.Path(NUMBER).read_text()) - (before or 0)
    except OSError as error:
        pytest.skip(f"needs hugepages, and {NUMBER} cannot be written: {error.strerror}")
    try:
        if had < PAGES:
            pytest.skip(f"needs {PAGES} hugepages, and the kernel gives {had}")
        folder.mkdir()
        if subprocess.run([*place.enter, "mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", folder], check=False).returncode:
            pytest.skip("needs hugepages of 2 MiB, and hugetlbfs cannot be mounted")
        yield folder
    finally:
        subprocess.run([*place.enter, "umount", folder], check=False, stderr=subprocess.DEVNULL)
        pathlib.Path(NUMBER).write_text(str(before))


@contextlib.contextmanager
def wire(name: str):
    """A network namespace with a port for the DPDK process and another with its peer."""
    near, far = f"{name}a", f"{name}b"
    try:
        for line in (
            f"netns add {near}", f"netns add {far}", f"link add port netns {near} type veth peer name peer netns {far}",
            f"-n {near} link set port addrgenmode none up", f"-n {far} link set peer addrgenmode none up",
        ):  # fmt: skip
            subprocess.run(["ip", *line.split()], check=True)
        yield near, far
    finally:
        for netns in (near, far):
            subprocess.run(["ip", "netns", "del", netns], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A mount namespace with an empty /var/lib, which the DPDK process shares, since dpdk-pdump has it open the file."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if os.geteuid() or missing or not DRIVER or len(os.sched_getaffinity(0)) < 2:
        pytest.skip(f"needs root, two cores and Debian's dpdk-dev (missing: {', '.join(missing) or 'none'})")
    argv = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", "mount -t tmpfs none /var/lib && echo ready && exec sleep 3600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "ready\n"
        yield Box(holder.pid, tmp_path_factory.mktemp("programs"))
        holder.terminate()


@pytest.fixture(scope="module")
def dpdk(place, tmp_path_factory):
    """Yields (file prefix, namespace of the peer) of a running dpdk-testpmd that has core 0."""
    name = f"wf{os.getpid()}"
    folder = tmp_path_factory.mktemp("dpdk")
    with hugepages(place, folder / "huge") as huge, wire(name) as (near, far), open(folder / "log", "wb") as log:
        argv = [*place.enter, "nsenter", f"--net=/run/netns/{near}", "dpdk-testpmd", "--lcores=(0,1)@0", "-m", "128", "--no-pci", "--huge-dir", str(huge)]
        argv += [f"--file-prefix={name}", "--vdev=net_af_packet0,iface=port", "--", "--total-num-mbufs=8192", "--auto-start", "--forward-mode=rxonly"]
        # Without the preload, Debian's testpmd and its capture tools number their mempool drivers differently, and no packet is captured.
        primary = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, "LD_PRELOAD": DRIVER})
        try:
            until = time.monotonic() + 300
            while b"Checking link statuses" not in (folder / "log").read_bytes():
                assert primary.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
            yield name, far
        finally:
            primary.kill()  # SIGTERM does not always end it
            primary.wait(20)
            shutil.rmtree(f"/var/run/dpdk/{name}", ignore_errors=True)


@pytest.fixture
def box(place, dpdk):
    place.run("rm", "-rf", FOLDER)
    return place


def session(prefix, engine, **more):
    start = time.time_ns() + 60 * 10**9
    vantage = {"vantage_id": "h__0", "device": "0", "engine": engine, "dpdk": {"prefix": prefix, "lcore": 1}, **more}
    common = {"schema": 1, "campaign": CAMPAIGN, "name": "dpdk", "host": "h", "t0_ns": start, "duration_s": 60.0, "lead_s": 2.0}
    return {**common, "limits": {"bytes": 50_000_000}, "settings": [], "vantages": [vantage]}


def begin(box, wanted):
    look = box.module("capture_info", session=wanted)
    assert look.get("problems") == [], look
    assert box.module("capture_session", state="started", session=look["session"]).get("changed") is True
    box.listens(FOLDER)


def end(box):
    assert box.module("capture_session", state="stopped", campaign=CAMPAIGN)["changed"] is True
    found = json.loads(box.run("cat", f"{FOLDER}/result.json"))
    assert (found["state"], found["error"]) == ("done", None), found
    data = bytes.fromhex("".join(box.run("od", "-An", "-v", "-tx1", f"{FOLDER}/vantages/h__0/raw/0001.pcap").split()))
    return found["vantages"][0], data


def send(netns, texts):
    subprocess.run(["ip", "netns", "exec", netns, sys.executable, "-c", SEND, *texts], check=True)


def records(data):
    """Return (seconds, bytes kept, bytes on the wire) of each of our packets in a capture file."""
    found, at, unit = [], 24, PRECISION[data[:4]]
    while at < len(data):
        seconds, fraction, kept, wire_ = struct.unpack_from("<IIII", data, at)
        if MARK in data[at + 16 : at + 16 + kept]:
            found.append((seconds + fraction * unit, kept, wire_))
        at += 16 + kept
    return found


def zones(prefix):
    return [zone for zone in memzones(Host(), prefix) or [] if zone.startswith(("RG_dumpcap-", "RG_rx_ring_0", "RG_tx_ring_0"))]


@pytest.mark.parametrize(
    ("engine", "more", "expected", "numbers"),
    [
        # DPDK 22.11 writes what it keeps as the length on the wire, too; the preflight warns of it
        ("dpdk_dumpcap", {"filter": "udp port 53", "snaplen": 64}, [(64, 64)] * 50, (50, 80, 0, True)),
        ("dpdk_dumpcap", {"snaplen": 0, "device": "net_af_packet0"}, [(250, 250)] * 80, (80, 80, 0, True)),
        ("dpdk_pdump", {"snaplen": 0}, [(250, 250)] * 80, (80, None, None, False)),
    ],
)
def test_what_a_host_sends_is_in_the_file(dpdk, box, engine, more, expected, numbers):
    prefix, peer = dpdk
    begin(box, session(prefix, engine, **more))
    assert len(zones(prefix)) == (1 if engine == "dpdk_dumpcap" else 2)
    again = box.module("capture_info", session={**session(prefix, engine), "campaign": "other"})
    assert any("is attached to this DPDK process" in problem for problem in again["problems"]), again["problems"]
    sent_from = time.time()
    send(peer, [*frames(50, 53), *frames(30, 99)])
    vantage, data = end(box)
    found = records(data)
    assert [(kept, wire_) for _t_s, kept, wire_ in found] == expected
    assert PRECISION[data[:4]] == (1e-6 if engine == "dpdk_dumpcap" else 1e-9)
    assert all(sent_from - 0.005 <= t_s <= time.time() for t_s, _kept, _wire in found)
    stats = vantage["stats"]
    assert (stats["captured"], stats["received"], stats["dropped_kernel"], stats["trustworthy"]) == numbers
    assert (vantage["engine"]["exit_code"], vantage["engine"]["signal"]) == (0, None)
    assert vantage["engine"]["version"].split(".")[0].isdecimal()
    assert zones(prefix) == []


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"device": "7"}, "has no port '7': it has 0 (net_af_packet0)"),
        ({"dpdk": {"prefix": "nobody"}}, "no DPDK process with --file-prefix=nobody answers"),
        ({"dpdk": {"prefix": "../x"}}, "dpdk must be a mapping"),
        ({"filter": "udp prot 53"}, "does not compile"),
        ({"split": {"seconds": 10}}, "dpdk-dumpcap writes one file"),
        ({"engine": "dpvs_kni"}, "dpvs_kni cannot capture a DPDK process"),
    ],
)
def test_what_cannot_be_is_found_in_the_look(dpdk, box, more, sentence):
    prefix, _peer = dpdk
    wanted = session(prefix, "dpdk_dumpcap")
    wanted["vantages"][0].update(more)
    look = box.module("capture_info", session=wanted)
    assert any(sentence in problem for problem in look["problems"]), look["problems"]
