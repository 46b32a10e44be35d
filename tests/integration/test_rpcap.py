# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real rpcapd, built from Debian's libpcap, serves packets from its management address; our client writes them on another host."""

from __future__ import annotations

import base64
import json
import textwrap

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle

from tests.integration.fleet import frames, wait_until
from tests.integration.span import WITHIN
from tests.lab.rpcapd import rpcapd

COLLECTOR, SERVER, DEVICE, PORT = "node1", "node2", "eth1", 2014
FOLDER = "/var/tmp/rpcap"
UNIT = "rpcap-server"
#: To the server's device, from the collector's: a bridge drops what comes from nowhere.
MACS = "525400780002525400780001"


def sent(number: int, kind: int = 0x88B5) -> bytes:
    return bytes.fromhex(MACS) + kind.to_bytes(2, "big") + number.to_bytes(4, "big") + bytes([number % 256]) * (50 + number * 7)


#: Twice as many frames as are wanted, from the collector's device to that of the server.
SEND = textwrap.dedent(f"""
    import socket, sys
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("{DEVICE}", 0))
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        for kind in (0x88B5, 0x88B6):
            head = bytes.fromhex("{MACS}") + kind.to_bytes(2, "big") + number.to_bytes(4, "big")
            link.send(head + bytes([number % 256]) * (50 + number * 7))
""")


@pytest.fixture(scope="module")
def served(pair, tmp_path_factory):
    """The fleet, with the bundle on the collector, and a server that listens on its management address alone."""
    folder = tmp_path_factory.mktemp("rpcap")
    for name, data in (("supervisor.pyz", bundle.build()), ("send.py", SEND.encode()), ("rpcapd", rpcapd().read_bytes())):
        (folder / name).write_bytes(data)
    pair.put(COLLECTOR, folder / "supervisor.pyz", folder / "send.py", folder=FOLDER)
    pair.put(SERVER, folder / "rpcapd", folder=FOLDER)
    address = pair.ssh(SERVER, "ip -4 -o addr show dev eth0 | awk '{print $4}'").partition("/")[0]
    start_server(pair, address)
    yield pair, address
    pair.ssh(SERVER, f"systemctl stop {UNIT}; rm -rf {FOLDER}", check=False)
    pair.ssh(COLLECTOR, f"rm -rf {FOLDER}")


def start_server(fleet, address):
    fleet.ssh(
        SERVER,
        f"{WITHIN}chmod +x {FOLDER}/rpcapd; systemctl reset-failed {UNIT} 2>/dev/null; systemd-run -q --unit={UNIT} "
        f"{FOLDER}/rpcapd -4 -n -b {address} -p {PORT}; within 'ss -tln | grep -q {address}:{PORT}' /dev/null",
    )


def listen(fleet, address, name, wanted):
    """Start the client on the collector and return when it listens."""
    words = f"{FOLDER}/{name}.pcap {address} {PORT} {DEVICE} 0 '{wanted}'"
    fleet.ssh(
        COLLECTOR,
        f"{WITHIN}cd {FOLDER}; (python3 supervisor.pyz rpcap {words} 2>{name}.log </dev/null >/dev/null & echo $! >{name}.pid; wait $!; echo $? >{name}.rc) "
        f">/dev/null 2>&1 & within 'grep -q rpcap: {FOLDER}/{name}.log' {FOLDER}/{name}.log",
    )


def holds(fleet, name, count):
    """Wait until the file has so many of the frames that were sent."""
    held = str(24 + sum(16 + len(sent(number)) for number in range(count)))
    wait_until(lambda: fleet.ssh(COLLECTOR, f"stat -c %s {FOLDER}/{name}.pcap") == held, 120, "the last frame")


def ended(fleet, name):
    """Return (exit code, what was said, frames) once the client has ended."""
    wait_until(lambda: fleet.ssh(COLLECTOR, f"cat {FOLDER}/{name}.rc", check=False), 120, "the client's end")
    code, log = fleet.ssh(COLLECTOR, f"cat {FOLDER}/{name}.rc"), fleet.ssh(COLLECTOR, f"cat {FOLDER}/{name}.log")
    return int(code), log, frames(base64.b64decode(fleet.ssh(COLLECTOR, f"base64 -w0 {FOLDER}/{name}.pcap")))


def test_what_is_sent_is_in_the_file_and_a_stop_is_clean(served):
    fleet, address = served
    listen(fleet, address, "whole", "ether proto 0x88b5")
    fleet.ssh(COLLECTOR, f"python3 {FOLDER}/send.py 0 200")
    holds(fleet, "whole", 200)
    fleet.ssh(COLLECTOR, f"kill -INT $(cat {FOLDER}/whole.pid)")
    code, log, found = ended(fleet, "whole")
    assert code == 0, log
    assert found == [sent(number) for number in range(200)], log
    assert "200 packets captured, 0 missing; the server received 200, dropped 0 by kernel, 0 by interface, sent 200" in log
    assert fleet.ssh(COLLECTOR, f"stat -c %a {FOLDER}/whole.pcap") == "600"


def test_a_server_that_goes_in_mid_capture_leaves_all_that_came_and_a_reason(served):
    fleet, address = served
    listen(fleet, address, "cut", "ether proto 0x88b5")
    fleet.ssh(COLLECTOR, f"python3 {FOLDER}/send.py 0 100")
    holds(fleet, "cut", 100)
    fleet.ssh(SERVER, f"systemctl kill -s KILL {UNIT}")
    code, log, found = ended(fleet, "cut")
    assert (code, found) == (1, [sent(number) for number in range(100)])
    assert f"rpcap: {address} port {PORT} closed the connection in mid-capture" in log or "lost the connection in mid-capture" in log
    assert "100 packets captured, 0 missing; the server said no numbers" in log
    start_server(fleet, address)


def test_what_the_server_refuses_is_said_in_its_words(served):
    fleet, address = served
    said = fleet.ssh(COLLECTOR, f"python3 {FOLDER}/supervisor.pyz rpcap {FOLDER}/none.pcap {address} {PORT} eth7 0 '' 2>&1; echo code $?")
    assert "refuses: eth7: No such device exists" in said and said.endswith("code 1")
    wrong = fleet.ssh(COLLECTOR, f"python3 {FOLDER}/supervisor.pyz rpcap {FOLDER}/none.pcap {address} {PORT} {DEVICE} 0 'no filter' 2>&1; echo code $?")
    assert "cannot be told the filter" in wrong and wrong.endswith("code 1")
    which = fleet.ssh(COLLECTOR, f"python3 {FOLDER}/supervisor.pyz rpcap {FOLDER}/none.pcap {address} {PORT} '' 0 '' 2>&1; echo code $?")
    assert "interfaces, so say which:" in which and DEVICE in which
    assert fleet.ssh(COLLECTOR, f"ls {FOLDER}/none.pcap", check=False) == ""


def test_a_session_captures_by_rpcap(served):
    """The supervisor around the engine, and the writer behind it, since packets are kept whole."""
    fleet, address = served
    run = "20260101T000000Z-rpcap-0a0a0a"
    vantage = {"device": "sw1", "engine": "rpcap", "filter": "ether proto 0x88b5", "snaplen": 0}
    vantage["rpcap"] = {"server": address, "port": PORT, "interface": DEVICE}
    now_ns = int(fleet.ssh(COLLECTOR, "date +%s%N"))
    session = {"schema": 1, "campaign": run, "host": COLLECTOR, "t0_ns": now_ns + 60 * 10**9, "duration_s": 120, "vantages": [vantage]}
    checked = fleet.module(COLLECTOR, "capture_info", {"session": session})
    assert checked["problems"] == []
    assert any("neither authenticated nor encrypted" in text for text in checked["warnings_found"])
    started = fleet.module(COLLECTOR, "capture_session", {"state": "started", "session": checked["session"]})
    assert started["changed"], started
    log = f"/var/lib/wirefleet/{run}/vantages/node1__sw1/log/engine.log"
    wait_until(lambda: "listening" in fleet.ssh(COLLECTOR, f"cat {log}", check=False), 120, "the engine to listen")
    fleet.ssh(COLLECTOR, f"python3 {FOLDER}/send.py 0 60")
    stopped = fleet.module(COLLECTOR, "capture_session", {"state": "stopped", "campaign": run})
    assert stopped["changed"], stopped
    (result,) = json.loads(fleet.ssh(COLLECTOR, f"cat /var/lib/wirefleet/{run}/result.json"))["vantages"]
    data = base64.b64decode(fleet.ssh(COLLECTOR, f"base64 -w0 /var/lib/wirefleet/{run}/{result['files'][0]['path']}"))
    fleet.module(COLLECTOR, "capture_session", {"state": "absent", "campaign": run, "force": True})
    assert (result["stop_reason"], result["error"]) == ("asked", None)
    assert {name: result["stats"][name] for name in ("captured", "received", "dropped_kernel", "trustworthy")} == {
        "captured": 60, "received": 60, "dropped_kernel": 0, "trustworthy": True,
    }  # fmt: skip
    assert frames(data) == [sent(number) for number in range(60)]
