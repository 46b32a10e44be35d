# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture session on doubles of DPVS, from the look at the host to the files, with real tcpdump."""

from __future__ import annotations

import json
import pathlib
import time
import typing as t

import pytest

from tests.dpvs.place import Instance, run
from tests.unit.dpvs.frames import ICMP, TCP, UDP, send

if t.TYPE_CHECKING:
    from tests.unit.dpvs.conftest import Box, Make

pytestmark = pytest.mark.real

CAMPAIGN = "20261123T101500Z-lb-3fa9c1"
FOLDER = f"/var/lib/wirefleet/{CAMPAIGN}"


def session(*vantages: dict[str, t.Any], seconds: float = 60.0) -> dict[str, t.Any]:
    """Return an unresolved session whose window is far enough away for capture_info."""
    start = time.time_ns() + 60 * 10**9
    common = {"schema": 1, "campaign": CAMPAIGN, "name": "lb", "host": "lb1", "t0_ns": start, "duration_s": seconds, "lead_s": 2.0}
    return {**common, "limits": {"bytes": 50_000_000}, "settings": [], "vantages": list(vantages)}


def vantage(target: Instance, name: str = "lb1__dpdk0", **more: t.Any) -> dict[str, t.Any]:
    instance = {"ipc_file": str(target.ipc)}
    return {"vantage_id": name, "device": "dpdk0", "engine": "dpvs_kni", "snaplen": 0, "dpvs": instance, **more}


def start(box: Box, wanted: dict[str, t.Any]) -> dict[str, t.Any]:
    """Resolve and start a session; return it as the host resolved it."""
    look = box.module("capture_info", session=wanted)
    assert look.get("problems") == [], look
    done = box.module("capture_session", state="started", session=look["session"])
    assert done.get("changed") is True, done
    return t.cast("dict[str, t.Any]", look["session"])


def stop(box: Box) -> dict[str, t.Any]:
    """End the window now, however long that took to open, and return its result."""
    assert box.module("capture_session", state="stopped", campaign=CAMPAIGN)["changed"] is True
    return result(box)


def result(box: Box) -> dict[str, t.Any]:
    until = time.monotonic() + 240
    while not box.run("cat", f"{FOLDER}/result.json"):
        assert time.monotonic() < until
        time.sleep(0.1)
    return t.cast("dict[str, t.Any]", json.loads(box.run("cat", f"{FOLDER}/result.json")))


def frames_in(box: Box, name: str = "lb1__dpdk0") -> bytes:
    return bytes.fromhex("".join(box.run("od", "-An", "-v", "-tx1", f"{FOLDER}/vantages/{name}/raw/0001.pcap").split()))


def test_two_instances_are_captured_and_left_as_they_were(make: Make, box: Box) -> None:
    one, other = make("a").start(), make("b").start()
    resolved = start(box, session(vantage(one), vantage(other, "lb1__dpdk0_b", filter="udp")))
    assert "does not tell the directions apart" in resolved["vantages"][0]["engine_reason"]
    assert [entry["dpvs"]["netns"] for entry in resolved["vantages"]] == [one.netns, other.netns]
    box.listens(FOLDER)
    send(one.netns, "w0", [UDP])
    send(one.netns, "w1", [TCP])
    send(other.netns, "w0", [UDP, ICMP])
    found = stop(box)
    assert (found["state"], found["error"]) == ("done", None), found
    assert [row["outcome"] for row in found["settings"]["restored"]] == ["restored"] * 4
    assert (frames_in(box).count(UDP), frames_in(box).count(TCP)) == (1, 1)
    assert (frames_in(box, "lb1__dpdk0_b").count(UDP), frames_in(box, "lb1__dpdk0_b").count(ICMP)) == (1, 0)
    for dpvs in (one, other):
        assert "ward2kni" not in dpvs.dpip("link", "show").stdout
        assert ",UP" not in run("ip", "-o", "link", "show", "dpdk0.kni", netns=dpvs.netns).stdout
    assert found["vantages"][0]["stats"]["trustworthy"] is True


def test_the_connections_of_a_balancer_are_listed_at_both_ends(make: Make, box: Box, programs: pathlib.Path) -> None:
    ipvsadm = programs / "ipvsadm"
    ipvsadm.write_text('#!/bin/sh\n[ "$1" = -lnc ] && echo "[1]tcp 90s    TCP_EST     $DPVS_IPC_FILE"\n')
    ipvsadm.chmod(0o755)
    dpvs = make().start()
    try:
        start(box, session(vantage(dpvs)))
        box.listens(FOLDER)
        stop(box)
    finally:
        ipvsadm.unlink()
    for when in ("before", "after"):
        found = json.loads(box.run("cat", f"{FOLDER}/vantages/lb1__dpdk0/state/connections-{when}.json"))
        assert (found["text"], found["reason"]) == (f"[1]tcp 90s    TCP_EST     {dpvs.ipc}\n", None)


def test_a_dpvs_that_dies_takes_its_device_along(make: Make, box: Box) -> None:
    dpvs = make().start()
    start(box, session(vantage(dpvs)))
    box.listens(FOLDER)
    dpvs.kill()
    found = result(box)
    assert found["vantages"][0]["stop_reason"] == "device_gone"
    assert {row["outcome"] for row in found["settings"]["restored"]} == {"gone"}


def test_a_look_says_what_would_happen_and_what_it_costs(make: Make, box: Box) -> None:
    dpvs = make().start()
    look = box.module("capture_info", session=session(vantage(dpvs)))
    assert look["preview"]["commands"][-1] == f"env DPVS_IPC_FILE={dpvs.ipc} dpip link set dpdk0 forward2kni on"
    assert any("which costs it throughput: keep the window short" in warning for warning in look["warnings_found"])
    assert "ward2kni" not in dpvs.dpip("link", "show").stdout


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"device": "dpdk9"}, "DPVS has no port 'dpdk9'"),
        ({"dpvs": {"ipc_file": "/var/run/none.ipc"}}, "no DPVS runs with this IPC file"),
        ({"dpvs": {"ipc_file": "none.ipc"}}, "dpvs.ipc_file must be an absolute path"),
        ({"filter": "tcp prot 80"}, "does not compile"),
    ],
)
def test_what_cannot_be_is_found_in_the_look(make: Make, box: Box, more: dict[str, t.Any], sentence: str) -> None:
    dpvs = make().start()
    look = box.module("capture_info", session=session(vantage(dpvs, **more)))
    assert any(sentence in problem for problem in look["problems"]), look["problems"]
    assert "ward2kni" not in dpvs.dpip("link", "show").stdout


PDUMP = "global_defs {\npdump on\n}\nnetif_defs {\ndevice dpdk0 {\n}\ndevice dpdk1 {\n}\n}\n"


def test_dpdk_pdump_captures_both_directions_and_detaches(make: Make, box: Box) -> None:
    dpvs = make(conf=PDUMP).start()
    filters = {"ipc_file": str(dpvs.ipc), "lcore": 1, "pdump_filter": {"proto": "udp"}}
    resolved = start(box, session(vantage(dpvs, engine="dpdk_pdump", dpvs=filters)))
    assert resolved["vantages"][0]["dpvs"]["prefix"] == dpvs.prefix
    box.listens(FOLDER)
    again = box.module("capture_info", session={**session(vantage(dpvs, engine="dpdk_pdump")), "campaign": "other"})
    assert any("a dpdk-pdump is attached to this DPVS, or one was killed" in problem for problem in again["problems"])
    send(dpvs.netns, "w0", [UDP, TCP])
    send(dpvs.netns, "w1", [UDP])
    found = stop(box)
    assert (found["state"], found["error"]) == ("done", None), found
    assert (found["vantages"][0]["engine"]["exit_code"], found["vantages"][0]["stats"]["captured"]) == (0, 2)
    assert (frames_in(box).count(UDP), frames_in(box).count(TCP)) == (2, 0)
    assert box.module("capture_info", session={**session(vantage(dpvs, engine="dpdk_pdump")), "campaign": "other"})["problems"] == []
    assert box.run("sh", "-c", "ls -d /run/wirefleet-raw-*") == ""


@pytest.mark.parametrize(
    ("dpvs_words", "more", "sentence"),
    [
        ({}, {"device": "dpdk9"}, "DPVS has no port 'dpdk9'"),
        ({"lcore": 0}, {}, "core 0 is used by DPVS: dpdk-pdump needs one of its own"),
        ({"lcore": 1000}, {}, "core 1000 is not online"),
        ({"pdump_filter": {"proto": "ICMP"}}, {}, "proto is one of tcp, udp, icmp, icmp6, not 'ICMP'"),
        ({"pdump_filter": {"port": 80}}, {}, "port is no filter of dpdk-pdump: use host"),
        ({"pdump_filter": {"host": "192.0.2.0/24"}}, {}, "host is one address without prefix or name"),
        ({"pdump_filter": {"host": "::1"}}, {}, "DPVS lets every IPv4 packet through for it"),
        ({"pdump_filter": {"src-host": "192.0.2.1", "dst-host": "2001:db8::1"}}, {}, "all IPv4 or all IPv6"),
        ({"pdump_filter": {"proto": "icmp", "proto-port": 80}}, {}, "only tcp and udp have ports"),
        ({"pdump_filter": {"proto-port": 0}}, {}, "proto-port is a number from 1 to 65535"),
        ({}, {"filter": "tcp"}, "dpdk_pdump cannot filter: leave the filter empty"),
        ({}, {"split": {"seconds": 10}}, "dpdk-pdump writes one file"),
    ],
)
def test_dpdk_pdump_is_refused(make: Make, box: Box, dpvs_words: dict[str, t.Any], more: dict[str, t.Any], sentence: str) -> None:
    dpvs = make(conf=PDUMP).start()
    words = {"ipc_file": str(dpvs.ipc), **dpvs_words}
    look = box.module("capture_info", session=session(vantage(dpvs, **{"engine": "dpdk_pdump", "dpvs": words, **more})))
    assert any(sentence in problem for problem in look["problems"]), look["problems"]


def test_a_second_pdump_in_one_session_is_refused(make: Make, box: Box) -> None:
    dpvs = make(conf=PDUMP).start()
    both = [vantage(dpvs, name, engine="dpdk_pdump", device=port) for name, port in (("lb1__a", "dpdk0"), ("lb1__b", "dpdk1"))]
    assert any(
        "two vantages attach a capture to one DPDK process" in text for text in box.module("capture_info", session=session(*both))["problems"]
    )


def test_dpdk_dumpcap_is_resolved_for_a_port_of_dpvs(make: Make, box: Box) -> None:
    dpvs = make(conf=PDUMP).start()
    words = {"engine": "dpdk_dumpcap", "device": "dpdk1", "filter": "udp", "dpvs": {"ipc_file": str(dpvs.ipc), "lcore": 1}}
    look = box.module("capture_info", session=session(vantage(dpvs, **words)))
    found = look["session"]["vantages"][0]
    assert (found["engine"], found["dpvs"]["prefix"], found["dpvs"]["port_id"], found["dpvs"]["lcore"]) == ("dpdk_dumpcap", dpvs.prefix, 1, 1)
    assert "stamped when they are written" in found["engine_reason"]


@pytest.mark.parametrize("engine", ["dpdk_pdump", "dpdk_dumpcap"])
def test_attaching_needs_pdump_in_the_running_dpvs(make: Make, box: Box, engine: str) -> None:
    dpvs = make().start()
    dpvs.conf.write_text(PDUMP)
    look = box.module("capture_info", session=session(vantage(dpvs, engine=engine)))
    assert any("runs without pdump: set it in" in problem for problem in look["problems"]), look["problems"]
