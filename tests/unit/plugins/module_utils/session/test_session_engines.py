# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Engines: what they are told, and what they said (recorded from the real tools)."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines import registry
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines.base import Engine, Stats
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import Limits, Ring, Split, Vantage
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

VANTAGE = Vantage("h__d", "d", "d", "tcpdump", "", "", 256, 64, None, None, Limits(), {})
CONTAINER = {"runtime": "podman", "image": "localhost/tcpdump-rdma"}


def argv(engine: str, **more: t.Any) -> str:
    return " ".join(registry.engine_named(engine).argv(VANTAGE._replace(**more), "/f/raw/0001.pcap"))


@pytest.mark.parametrize(
    ("engine", "more", "expected"),
    [
        ("tcpdump", {}, "tcpdump -i d -n -Z root -s 256 -B 65536 --time-stamp-precision=nano -w /f/raw/0001.pcap"),
        (
            "tcpdump",
            {"filter": "udp port 4791", "ring": Ring(4, 67108864)},
            "tcpdump -i d -n -Z root -s 256 -B 65536 --time-stamp-precision=nano -C 67 -W 4 -w /f/raw/0001.pcap -- udp port 4791",
        ),
        (
            "tcpdump",
            {"split": Split(2_000_000, 60.0)},
            "tcpdump -i d -n -Z root -s 256 -B 65536 --time-stamp-precision=nano -C 2 -G 60 -w /f/raw/%s.pcap",
        ),
        ("tcpdump_rdma", {"capture_on": "mlx5_0:2"}, "tcpdump -i mlx5_0:2 -n -Z root -s 256 -w /f/raw/0001.pcap"),
        ("dumpcap", {"filter": "arp"}, "dumpcap -i d -B 64 -s 256 -f arp -w /f/raw/0001.pcap"),
        ("dumpcap", {"ring": Ring(3, 5_000_000)}, "dumpcap -i d -B 64 -s 256 -b filesize:5000 -b files:3 -w /f/raw/0001.pcap"),
        ("dumpcap", {"split": Split(None, 30.0)}, "dumpcap -i d -B 64 -s 256 -b duration:30 -w /f/raw/0001.pcap"),
        ("ibdump", {"capture_on": "mlx5_1:2"}, "stdbuf -oL ibdump -d mlx5_1 -i 2 -w /f/raw/0001.pcap"),
        (
            "dpdk_dumpcap",
            {"dpdk": {"prefix": "t4", "port_id": 0, "lcore": 1}, "filter": "udp port 53"},
            "taskset -c 1 dpdk-dumpcap --file-prefix=t4 -i 0 -p -P -s 256 -f udp port 53 -w /f/raw/0001.pcap",
        ),
        (
            "dpdk_dumpcap",
            {"dpvs": {"prefix": "rte", "port_id": 2, "lcore": None}, "snaplen": 0},
            "dpdk-dumpcap --file-prefix=rte -i 2 -p -P -s 9728 -w /f/raw/0001.pcap",
        ),
        (
            "dpdk_pdump",
            {"dpdk": {"prefix": "t4", "port_id": 0, "lcore": 1}},
            "stdbuf -oL dpdk-pdump --file-prefix=t4 -l 1 -- --pdump port=0,queue=*,rx-dev=/f/raw/0001.pcap,tx-dev=/f/raw/0001.pcap",
        ),
        (
            "container",
            {"capture_on": "mlx5_0", "container": CONTAINER},
            "podman run --rm --pull=never --network=host --privileged --volume=/dev/infiniband:/dev/infiniband "
            "--volume=/f/raw:/capture localhost/tcpdump-rdma tcpdump -i mlx5_0 -n -Z root -s 256 -w /capture/0001.pcap",
        ),
    ],
)
def test_argv(engine: str, more: dict[str, t.Any], expected: str) -> None:
    assert argv(engine, **more) == expected


def test_a_filter_is_one_word_after_the_end_of_the_options() -> None:
    assert registry.engine_named("tcpdump").argv(VANTAGE._replace(filter="udp port 4791"), "x")[-2:] == ["--", "udp port 4791"]


TCPDUMP_LIVE = (
    "tcpdump: listening on v0, link-type EN10MB (Ethernet), snapshot length 256 bytes\n"
    "tcpdump: 0 packets captured, 0 packets received by filter, 0 packets dropped by kernel\n"
    "tcpdump: 5 packets captured, 7 packets received by filter, 1 packet dropped by kernel\n"
)
TCPDUMP_END = TCPDUMP_LIVE + "50 packets captured\n51 packets received by filter\n0 packets dropped by kernel\n"
DUMPCAP_LIVE = "Capturing on 'v0'\nFile: /tmp/b.pcapng\n\rPackets: 5 "
DUMPCAP_END = DUMPCAP_LIVE + (
    "\rPackets captured: 5\nPackets received/dropped on interface 'v0': 5/3 (pcap:2/dumpcap:0/flushed:1/ps_ifdrop:4) (62.5%)\n"
)
DPDK_DUMPCAP_LIVE = "File: /tmp/out/a.pcap\nPackets captured: 0 \b\b32 \b\b\b50 "
DPDK_DUMPCAP_END = DPDK_DUMPCAP_LIVE + "\nPackets received/dropped on interface 'net_af_packet0': 80/3 (96.4)\n"
IBDUMP_END = "\nReady to capture (Press ^c to stop):\n\rCaptured:         2 packets,      180 bytes     \nCaptured:         9 packets,      810 bytes\n"


@pytest.mark.parametrize(
    ("engine", "text", "numbers", "trustworthy"),
    [
        ("tcpdump", TCPDUMP_LIVE, (5, 7, 1, None), True),
        ("tcpdump", TCPDUMP_END, (50, 51, 0, None), True),
        ("tcpdump", TCPDUMP_END + "4 packets dropped by interface\n", (50, 51, 0, 4), True),
        ("tcpdump", "tcpdump: listening on v0\n", (None, None, None, None), False),
        ("tcpdump_rdma", TCPDUMP_END, (50, 51, None, None), False),
        ("container", TCPDUMP_END, (50, 51, None, None), False),
        ("dumpcap", DUMPCAP_LIVE, (5, None, None, None), False),
        ("dumpcap", DUMPCAP_END, (5, 8, 3, 4), True),
        ("ibdump", IBDUMP_END, (9, None, None, None), False),
        ("dpdk_dumpcap", DPDK_DUMPCAP_LIVE, (50, None, None, None), False),
        ("dpdk_dumpcap", DPDK_DUMPCAP_END, (50, 80, 3, None), True),
        ("dpdk_dumpcap", "Device 0000:00:03.0 is not driven by the primary process\n", (None, None, None, None), False),
    ],
)
def test_statistics(engine: str, text: str, numbers: tuple[int | None, ...], trustworthy: bool) -> None:
    found = registry.engine_named(engine).statistics(text)
    assert (found[:4], found.trustworthy) == (numbers, trustworthy)


@pytest.mark.parametrize(
    ("engine", "not_yet", "ready"),
    [
        ("tcpdump", "tcpdump: v0: No such device exists\n", TCPDUMP_LIVE),
        ("dumpcap", "Capturing on 'nope'\ndumpcap: There is no device named \"nope\".\n", DUMPCAP_LIVE),
        ("ibdump", "searching for IB devices in host\n", IBDUMP_END),
        ("dpdk_dumpcap", "File: /tmp/out/a.pcap\npdump_prepare_client_request(): client request failed\n", DPDK_DUMPCAP_LIVE),
        ("dpdk_pdump", "Port 1 MAC: 02 70 63 61 70 00\n", "Port 1 MAC: 02 70 63 61 70 00\n core (1), capture for (1) tuples\n"),
    ],
)
def test_ready(engine: str, not_yet: str, ready: str) -> None:
    assert not registry.engine_named(engine).ready(not_yet)
    assert registry.engine_named(engine).ready(ready)


@pytest.mark.parametrize(
    ("engine", "text", "version"),
    [
        ("tcpdump", "tcpdump version 4.99.3\nlibpcap version 1.10.3 (with TPACKET_V3)\n", "4.99.3"),
        ("dumpcap", "Dumpcap (Wireshark) 4.0.17 (Git v4.0.17 packaged as 4.0.17-0+deb12u3).\n", "4.0.17"),
        ("tcpdump", "tcpdump: unrecognized option", None),
        ("dpdk_dumpcap", "dpdk-dumpcap 1.0 (DPDK 22.11.11)\n", "22.11.11"),
    ],
)
def test_version(engine: str, text: str, version: str | None) -> None:
    assert registry.engine_named(engine).version(text) == version


def test_engines_that_must_not_be_killed_are_not() -> None:
    assert [engine.name for engine in registry.ENGINES if not engine.killable] == ["ibdump", "container", "dpdk_pdump", "dpdk_dumpcap"]


@pytest.mark.parametrize(
    ("engine", "more", "words"),
    [
        ("ibdump", {"filter": "arp"}, "cannot filter"),
        ("ibdump", {"ring": Ring(2, 1_000_000)}, "writes one file"),
        ("container", {}, "say container"),
        ("dpdk_dumpcap", {"split": Split(2_000_000, None)}, "writes one file"),
        ("dpdk_dumpcap", {"dpvs": {"pdump_filter": {"proto": "tcp"}}}, "write a pcap filter"),
    ],
)
def test_wishes_that_cannot_be_fulfilled(engine: str, more: dict[str, t.Any], words: str) -> None:
    assert words in " ".join(registry.engine_named(engine).problems(VANTAGE._replace(**more)))


def test_unknown_engine_names_the_known() -> None:
    with pytest.raises(Refused, match="dumpcap"):
        registry.engine_named("tshark")


def test_every_engine_is_registered() -> None:
    folder = os.path.dirname(registry.__file__)
    files = {name[:-3] for name in os.listdir(folder) if name.endswith(".py")} - {"__init__", "base", "registry"}
    assert {engine.__module__.rpartition(".")[2] for engine in registry.ENGINES} == files
    assert len({engine.name for engine in registry.ENGINES}) == len(registry.ENGINES)
    assert all(issubclass(engine, Engine) for engine in registry.ENGINES)


STAND_IN = """#!/bin/sh
[ "$*" = "$EXPECTED" ] || { echo "-E- unexpected: $*" >&2; exit 3; }
: > "$OUT"
trap 'printf "$LAST" >&2; exit 0' INT TERM
echo "$FIRST"
while :; do sleep 0.1; done
"""
IN_CONTAINER = (
    "run --rm --pull=never --network=host --privileged --volume=/dev/infiniband:/dev/infiniband --volume={folder}:/capture "
    "localhost/tcpdump-rdma tcpdump -i mlx5_1:2 -n -Z root -s 256 -w /capture/0001.pcap"
)


@pytest.mark.parametrize(
    ("name", "program", "expected", "first", "last"),
    [
        (
            "ibdump", "ibdump", "-d mlx5_1 -i 2 -w {folder}/0001.pcap",
            "Ready to capture (Press ^c to stop):", "\\nCaptured:         4 packets,       360 bytes\\n",
        ),
        (
            "container", "podman", IN_CONTAINER,
            "tcpdump: listening on mlx5_1:2, link-type EN10MB (Ethernet), snapshot length 256 bytes",
            "4 packets captured\\n5 packets received by filter\\n0 packets dropped by kernel\\n",
        ),
    ],
    ids=["ibdump", "container"],
)  # fmt: skip
def test_stand_in_is_told_the_right_thing_and_stopped_with_sigint(
    tmp_path: t.Any, name: str, program: str, expected: str, first: str, last: str
) -> None:
    stand_in = tmp_path / program
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o700)
    out = str(tmp_path / "0001.pcap")
    engine = registry.engine_named(name)
    said = {"EXPECTED": expected.format(folder=tmp_path), "FIRST": first, "LAST": last}
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "OUT": out, **said}
    with subprocess.Popen(
        engine.argv(VANTAGE._replace(capture_on="mlx5_1:2", container=CONTAINER), out),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # a shell can trap no signal that whoever started these tests had ignored, as nohup's and background jobs are
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one thread
    ) as process:
        line = t.cast("t.TextIO", process.stdout).readline()
        assert engine.ready(line)
        process.send_signal(signal.SIGINT)
        rest = t.cast("t.TextIO", process.stdout).read()
    assert (process.returncode, engine.statistics(rest)[0]) == (0, 4)


def test_nothing_said_is_unknown_and_not_zero() -> None:
    assert Stats() == (None, None, None, None, False, "the engine said nothing")
