# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RPCAP: messages built and read, servers that say nonsense, and what is believed of their numbers.

Replies are as rpcapd 1.10.3 gave them; a real rpcapd captures in tests/integration/test_rpcap.py.
"""

from __future__ import annotations

import struct
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import rpcap_messages as messages
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines.base import Stats
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines.rpcap import Rpcap
from ansible_collections.wirefleet.capture.plugins.module_utils.session.rpcap_messages import Broken
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import Limits, Ring, Vantage, vantage_problems
from hypothesis import given
from hypothesis import strategies as st

VANTAGE = Vantage("h__sw", "sw", "sw", "rpcap", "", "", 256, 64, None, None, Limits(), {}, rpcap={"server": "192.0.2.1", "port": 2014})


def packet(number: int, data: bytes, wire: int | None = None, seconds: int = 7) -> bytes:
    body = struct.pack(">IIIII", seconds, 250_000, len(data), len(data) if wire is None else wire, number) + data
    return messages.request(messages.PACKET, body)


def record(data: bytes, wire: int, seconds: int = 7) -> bytes:
    return struct.pack("<IIII", seconds, 250_000, len(data), wire) + data


def test_requests_are_those_of_the_protocol() -> None:
    assert messages.authenticate().hex() == "0008000000000008" + "00" * 8
    assert messages.open_interface("eth1").hex() == "0003000000000004" + b"eth1".hex()
    program = [(0x28, 0, 0, 12), (0x15, 0, 1, 0x88B5), (0x06, 0, 0, 256), (0x06, 0, 0, 0)]
    started = messages.start(256, 100, program)
    assert started[:8].hex() == "00040000" + f"{12 + 8 + 4 * 8:08x}"
    assert started[8:20] == struct.pack(">IIHH", 256, 100, 1, 0), "promiscuous, over TCP, the client connects"
    assert started[20:28] == struct.pack(">HHI", 1, 0, 4)
    assert started[36:44].hex() == "00150001000088b5"


def test_what_tcpdump_compiles_is_read() -> None:
    text = "4\n40 0 0 12\n21 0 1 34997\n6 0 0 4294967295\n6 0 0 0\n"
    assert messages.parse_program(text) == [(40, 0, 0, 12), (21, 0, 1, 34997), (6, 0, 0, 4294967295), (6, 0, 0, 0)]
    assert len(messages.start(0, 0, messages.parse_program(text))) == 8 + 12 + 8 + 32


def test_replies_are_read() -> None:
    messages.parse_versions(b"")
    messages.parse_versions(bytes.fromhex("00000000d4c3b2a1"))
    assert messages.parse_opened(struct.pack(">ii", 1, 0)) == 1
    assert messages.parse_opened(struct.pack(">ii", 12, 0)) == 101, "raw IP has another number in files"
    assert messages.parse_started(struct.pack(">iHH", 2 << 20, 41234, 0)) == 41234
    assert messages.parse_stats(struct.pack(">IIII", 500, 1, 2, 480)) == messages.Counts(500, 1, 2, 480)


def interface(name: bytes, description: bytes = b"", addresses: int = 0) -> bytes:
    head = struct.pack(">HHIHH", len(name), len(description), 0, addresses, 0)
    return head + name + description + bytes(512 * addresses)


def test_a_list_of_interfaces_is_read_and_one_that_lies_is_refused() -> None:
    offered = interface(b"eth0", b"the first", 2) + interface(b"lo")
    assert messages.parse_interfaces(2, offered) == ["eth0", "lo"]
    for count, text in ((3, offered), (1, interface(b"eth0", b"", 1)[:-1]), (65535, b"")):
        with pytest.raises(Broken, match="ends too early"):
            messages.parse_interfaces(count, text)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"\x01\x83\0\0\0\0\0\0", "version 1"),
        (b"SSH-2.0-", "no RPCAP at all"),
        (b"\x00\x83\0\0\x7f\xff\xff\xff", "2147483647 bytes"),
    ],
)
def test_what_is_no_rpcap_is_said_before_it_is_read(header: bytes, words: str) -> None:
    with pytest.raises(Broken, match=words):
        messages.parse_header(header)


def test_a_refusal_is_quoted_on_one_line_and_cut() -> None:
    with pytest.raises(Broken, match=r"^refuses: no \[31m such device \(error 6\)$"):
        messages.check_reply(messages.OPEN, messages.Header(messages.ERROR, 6, 0), b"no\n\x1b[31m\x00such device\r\n")
    assert len(messages.printable(b"x" * 70000)) == 300
    with pytest.raises(Broken, match="answers request 3 with message 137"):
        messages.check_reply(messages.OPEN, messages.Header(137, 0, 0), b"")


@pytest.mark.parametrize("read", [messages.parse_opened, messages.parse_started, messages.parse_stats])
def test_a_short_reply_is_refused(read: t.Callable[[bytes], t.Any]) -> None:
    with pytest.raises(Broken, match="where"):
        read(b"\0\0\0")


def test_what_cannot_be_is_refused() -> None:
    for link in (-1, 65536):
        with pytest.raises(Broken, match="link type"):
            messages.parse_opened(struct.pack(">ii", link, 0))
    with pytest.raises(Broken, match="no port"):
        messages.parse_started(struct.pack(">iHH", 0, 0, 0))
    with pytest.raises(Broken, match="from 2 on"):
        messages.parse_versions(b"\x02\x03")


def test_packets_are_cut_and_gaps_counted() -> None:
    data = packet(1, b"a" * 60, 1500) + packet(2, b"b" * 10) + packet(5, b"c" * 20)
    taken = messages.take(data + packet(6, b"d" * 9)[:-1], 16, 0)
    assert (taken.used, taken.packets, taken.last, taken.missing) == (len(data), 3, 5, 2)
    assert b"".join(taken.records) == record(b"a" * 16, 1500) + record(b"b" * 10, 10) + record(b"c" * 16, 20)


def test_ordinal_numbers_wrap_and_a_server_without_any_lacks_none() -> None:
    assert messages.take(packet(1, b"x"), 64, 0xFFFFFFFF).missing == 1, "0 comes between"
    taken = messages.take(packet(0, b"x") + packet(0, b"y"), 64, 0)
    assert (taken.packets, taken.missing) == (2, 0)


@given(st.lists(st.binary(max_size=80), max_size=12), st.integers(0, 2000))
def test_wherever_the_stream_is_cut_the_packets_are_the_same(frames: list[bytes], cut: int) -> None:
    stream = b"".join(packet(number, frame) for number, frame in enumerate(frames, 1))
    first = messages.take(stream[:cut], 65515, 0)
    second = messages.take(stream[first.used :], 65515, first.last)
    assert b"".join(first.records + second.records) == b"".join(record(frame, len(frame)) for frame in frames)
    assert (first.packets + second.packets, first.missing + second.missing) == (len(frames), 0)


@given(st.binary(max_size=4000))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        taken = messages.take(data, 256, 0)
    except Broken:
        return
    assert 0 <= taken.used <= len(data)


@pytest.mark.parametrize(
    "bad",
    [
        messages.request(messages.PACKET, struct.pack(">IIIII", 0, 0, 61, 61, 1) + b"x" * 60),
        struct.pack(">BBHI", 0, messages.PACKET, 0, 65536) + bytes(20),
        struct.pack(">BBHI", 1, messages.PACKET, 0, 20) + bytes(20),
        messages.request(messages.ERROR, b"Error reading the packets: gone"),
    ],
)
def test_what_is_no_packet_ends_it_but_not_what_came_before(bad: bytes) -> None:
    taken = messages.take(packet(1, b"good") + bad, 64, 0)
    assert (taken.packets, taken.used) == (1, 32)
    with pytest.raises(Broken, match="what is no packet"):
        messages.take(bad, 64, 1)


LISTENING = "rpcap: listening on eth1 of 192.0.2.1 port 2014, link type 1\n"


def test_engine_argv_and_readiness() -> None:
    engine = Rpcap()
    asked = VANTAGE._replace(filter="udp port 4791", rpcap={"server": "sw1", "interface": "GigabitEthernet1/0/1"})
    assert engine.argv(VANTAGE, "-")[2:] == ["rpcap", "-", "192.0.2.1", "2014", "", "256", ""]
    assert engine.argv(asked, "/f")[2:] == ["rpcap", "/f", "sw1", "2002", "GigabitEthernet1/0/1", "256", "udp port 4791"]
    assert engine.ready(LISTENING) and not engine.ready("rpcap: stopped before it listened\n")
    assert engine.piped(VANTAGE) == 0 and engine.piped(VANTAGE._replace(snaplen=0)) == 48 << 20


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", Stats()),
        ("5 packets captured, 0 missing; the server said no numbers\n", (5, None, None, None, False)),
        (
            "1 packets captured, 0 missing; the server said no numbers\n500 packets captured, 0 missing; "
            "the server received 510, dropped 10 by kernel, 1 by interface, sent 500\n",
            (500, 510, 10, 1, True),
        ),
        ("0 packets captured, 0 missing; the server received 0, dropped 0 by kernel, 0 by interface, sent 0\n", (0, 0, 0, 0, True)),
        ("9 packets captured, 0 missing; the server received 0, dropped 0 by kernel, 0 by interface, sent 0\n", (9, 0, None, None, False)),
        ("9 packets captured, 0 missing; the server received 12, dropped 0 by kernel, 0 by interface, sent 11\n", (9, 12, None, None, False)),
        ("9 packets captured, 2 missing; the server received 12, dropped 0 by kernel, 0 by interface, sent 11\n", (9, 12, 0, 0, False)),
    ],
)
def test_numbers_are_believed_only_where_they_fit(said: str, expected: tuple[t.Any, ...]) -> None:
    assert Rpcap().statistics(LISTENING + said if said else said)[:5] == tuple(expected)[:5]


def test_wishes_that_cannot_be_fulfilled() -> None:
    assert Rpcap().problems(VANTAGE) == []
    assert "set rpcap.server" in Rpcap().problems(VANTAGE._replace(rpcap={}))[0]
    assert "one file" in Rpcap().problems(VANTAGE._replace(ring=Ring(2, 1_000_000)))[0]
    data = {"device": "sw1", "engine": "rpcap"}
    assert list(vantage_problems({**data, "rpcap": {"server": "fe80::1%eth0", "interface": "GigabitEthernet1/0/1"}}, resolved=False)) == []
    for wrong in ({"server": "-oProxy"}, {"server": "a b"}, {"port": 0}, {"port": 65536}, {"interface": "a\nb"}, []):
        assert len(list(vantage_problems({**data, "rpcap": wrong or "text"}, resolved=False))) == 1
