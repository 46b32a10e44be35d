# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairing the two connections of a load balancer: what is said, what contradicts, and by how much numbers move."""

from __future__ import annotations

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import fullnat, model
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis.fullnat import Claim, Ends, Hint, Sample

C, V, L, R = "203.0.113.1", "192.0.2.80", "198.51.100.1", "198.51.100.80"
NEAR, FAR = Ends(6, C, V, 40000, 80), Ends(6, L, R, 1025, 8080)
OTHER = Ends(6, L, R, 1026, 8080)
#: As DPVS's print_conn_entry writes it.
LISTED = (
    "[1]tcp 90s    TCP_EST     203.0.113.1:40000  192.0.2.80:80      198.51.100.1:1025  198.51.100.80:8080\n"
    "[2]udp 300s   UDP_NORM    203.0.113.1:5353   192.0.2.80:53      198.51.100.1:1027  198.51.100.80:53\n"
    "[3]tcp 7s     TIME_WAIT   [2001:db8::1]:40000 [2001:db8::80]:80 [2001:db8:1::1]:1025 [2001:db8:2::80]:8080\n"
)


def test_the_list_is_read() -> None:
    found = fullnat.parse_connections(LISTED)
    assert found[0] == Claim(NEAR, FAR, "list")
    assert found[1].near == Ends(17, C, V, 5353, 53)
    assert found[2].far == Ends(6, "2001:db8:1::1", "2001:db8:2::80", 1025, 8080)


@pytest.mark.parametrize(
    "line",
    [
        "IPVS connection entries", "", "[1]tcp 90s TCP_EST 203.0.113.1:40000 192.0.2.80:80 198.51.100.1:1025",
        "[1]icmp 90s    ICMP        203.0.113.1:1 192.0.2.80:1 198.51.100.1:1 198.51.100.80:1",
        "[1]tcp 90s    TCP_EST     203.0.113.1:99999 192.0.2.80:80 198.51.100.1:1025 198.51.100.80:8080",
        "TCP 14:59 ESTABLISHED 203.0.113.1:40000 192.0.2.80:80 198.51.100.80:8080",
    ],
)  # fmt: skip
def test_lines_that_are_no_connection_are_passed_over(line: str) -> None:
    assert fullnat.parse_connections(line) == []


def test_options_are_hints() -> None:
    row = {"kind": "toa", "src": L, "dst": R, "sport": 1025, "dport": 8080, "client": C, "client_port": 40000}
    assert fullnat.hints([row, row, {"kind": "REQ"}]) == [Hint(FAR, C, 40000, "toa")]


HINT = Hint(FAR, C, 40000, "toa")
SECOND = NEAR._replace(dst="192.0.2.81")


@pytest.mark.parametrize(
    ("said", "listed", "seen", "sure", "doubtful"),
    [
        ([HINT], [], [NEAR, FAR], [(NEAR, FAR, "toa")], 0),
        ([], [Claim(NEAR, FAR, "list")], [FAR], [(NEAR, FAR, "list")], 0),
        ([HINT], [Claim(NEAR, FAR, "list")], [NEAR, FAR], [(NEAR, FAR, "list")], 0),
        # one port of the client to two virtual servers, and the list that says which
        ([HINT], [], [NEAR, SECOND, FAR], [], 2),
        ([HINT], [Claim(NEAR, FAR, "list")], [NEAR, SECOND, FAR], [(NEAR, FAR, "list")], 0),
        # two clients in one connection: it was used again within the window
        ([HINT, Hint(FAR, C, 40001, "toa")], [], [NEAR, NEAR._replace(sport=40001), FAR], [], 2),
        # both ends of the window name another local port
        ([], [Claim(NEAR, FAR, "list"), Claim(NEAR, OTHER, "list")], [NEAR, FAR, OTHER], [], 2),
        # the option contradicts the list
        ([HINT], [Claim(NEAR, OTHER, "list")], [NEAR, FAR, OTHER], [], 2),
        # nothing of it was seen
        ([HINT], [Claim(NEAR, OTHER, "list")], [], [], 0),
        # another protocol has the same port
        ([HINT], [], [NEAR._replace(protocol=17), FAR], [], 0),
    ],
)
def test_what_is_sure(said: list[Hint], listed: list[Claim], seen: list[Ends], sure: list[tuple], doubtful: int) -> None:
    found, others = fullnat.resolve(said, listed, seen)
    assert ([tuple(claim) for claim in found], len(others)) == (sure, doubtful)


def samples(shift: int, acks: int = 0, count: int = 5, skip: int = 0) -> list[Sample]:
    return [Sample((24, 100 + n, 24), (1000 + 24 * n + shift) % (1 << 32), (7 + acks) % (1 << 32)) for n in range(skip, count)]


@pytest.mark.parametrize(
    ("near", "far", "moved"),
    [
        (samples(0), samples(0xFFFFFFF0, 3), (0xFFFFFFF0, 3)),
        (samples(0), samples(5, skip=4), (5, 0)),
        (samples(0), [], (None, None)),
        (samples(0, count=2), samples(5, count=1) + samples(9, count=2, skip=1), (None, 0)),
        # the same payload in two places tells nothing
        (samples(0, count=1) + samples(48, count=1), samples(5, count=1), (None, 0)),
    ],
)
def test_shifts_are_learnt_from_packets_of_one_kind(near: list[Sample], far: list[Sample], moved: tuple[int | None, int | None]) -> None:
    assert fullnat.learn(near, far) == moved


@pytest.mark.parametrize(
    ("there", "back", "moved"),
    [((5, 7), (7, 5), (5, 7)), ((5, 7), (None, None), (5, 7)), ((5, None), (7, None), (5, 7)), ((5, None), (None, 5), None), ((5, 7), (8, 5), None)],
)
def test_directions_have_to_agree(there: tuple, back: tuple, moved: tuple | None) -> None:
    assert fullnat.shifts(there, back) == moved


def test_both_directions_are_paired() -> None:
    one, other = fullnat.flow_pairs(Claim(NEAR, FAR, "toa"), 5, 7)
    assert one == model.FlowPair((C, V, 40000, 80), (L, R, 1025, 8080), 6, 5, 7)
    assert other == model.FlowPair((V, C, 80, 40000), (R, L, 8080, 1025), 6, 7, 5)
