# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty-odd networks with faults at known places: what is said of each packet is compared with what became of it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth

from tests.truth import fullnat, judge, talk
from tests.truth.world import Spot, Wire, World

LOST_PSN = {0xFFF000 + number for number in range(21, 2000, 64)}


def three(**changes: t.Any) -> list[Spot]:
    """Three spots with clocks that are off; *changes* by name of the spot."""
    spots = [Spot("client"), Spot("tor", 0.013, 30e-6), Spot("server", -0.25, -50e-6)]
    return [dataclasses.replace(spot, **changes.get(spot.name, {})) for spot in spots]


def talks(world: World) -> None:
    talk.writes(world, 250)


def one_way(world: World) -> None:
    talk.writes(world, 250, acks=False)


def troubled(world: World) -> None:
    """Retransmissions: go-back-N again and again, so that copies are many."""
    t_s = 0.0
    for number in range(60):
        t_s = talk.go_back(world, t_s, 0x1000 + 32 * number, 7, 32)


def mixed(world: World) -> None:
    talk.writes(world, 150)
    for number in range(60):
        talk.read(world, 0.2 + number * 1e-3, 0x2000 + 8 * number, 8)


def by_psn(packet: t.Any) -> bool:
    return packet.forward and packet.bth.psn in LOST_PSN


def spray(world: World) -> None:
    """Many connections, some of which never arrive."""
    for flow in range(20):
        for number in range(60):
            bth = Bth(0x0A, 0x40, 0xFFFF, 0x200 + flow, True, number)
            world.send(talk.request(bth, bytes(16) + number.to_bytes(4, "big") * 12, number * 1e-3 + flow * 2e-5, port=50000 + flow))
            world.send(talk.answer(number, number, talk.ACK, number * 1e-3 + flow * 2e-5 + 1e-4, qp=0x100 + flow))


def low_port(packet: t.Any) -> bool:
    return packet.port < 50010


def every_fourth(packet: t.Any) -> bool:
    return packet.bth.psn % 4 == 0


class Scenario(t.NamedTuple):
    name: str
    spots: list[Spot]
    wires: list[Wire]
    send: t.Callable[[World], None] = talks
    declared: bool = True
    clock: bool = True


def hops(first: Wire | None = None, second: Wire | None = None) -> list[Wire]:
    return [first or Wire(), second or Wire()]


SCENARIOS = [
    Scenario("nothing is wrong", three(), hops()),
    Scenario("loss on the first hop", three(), hops(Wire(loss=0.01))),
    Scenario("loss on the second hop", three(), hops(None, Wire(loss=0.02))),
    Scenario("loss on both hops", three(), hops(Wire(loss=0.01), Wire(loss=0.01))),
    Scenario("known PSNs are lost", three(), hops(None, Wire(drops=by_psn))),
    Scenario("capture loss in the middle", three(tor={"loses": 0.02}), hops()),
    Scenario("capture loss in the middle, network loss behind it", three(tor={"loses": 0.01}), hops(None, Wire(loss=0.01))),
    Scenario("capture loss in bursts at the first", three(client={"burst": (0.05, 0.06)}), hops()),
    Scenario("capture loss at the last", three(server={"loses": 0.01}), hops()),
    Scenario("capture loss at the last, and network loss", three(server={"loses": 0.005}), hops(None, Wire(loss=0.01))),
    Scenario("drops that nobody counts", three(server={"trustworthy": False}), hops(None, Wire(loss=0.01))),
    Scenario("duplicates", three(), hops(Wire(duplicates=0.02), Wire(duplicates=0.01))),
    Scenario("reordering", three(), hops(Wire(slow=(0.05, 0.002)))),
    Scenario("ECN marks and a new DSCP, routed", three(), hops(Wire(marks=0.05, routed=True), Wire(dscp=10, routed=True, vlan=7))),
    Scenario("retransmissions and loss", three(), hops(Wire(loss=0.01), Wire(loss=0.01)), troubled),
    Scenario("retransmissions and capture loss", three(tor={"loses": 0.02}), hops(None, Wire(loss=0.005)), troubled),
    Scenario("reads and writes", three(), hops(Wire(loss=0.01), Wire(marks=0.1)), mixed),
    Scenario("one way only", three(), hops(Wire(loss=0.01)), one_way, clock=False),
    Scenario("late start, early stop", three(tor={"opened_s": 0.05}, server={"closed_s": 0.15}), hops(Wire(loss=0.01))),
    Scenario("the middle stops first", three(tor={"closed_s": 0.1}), hops(None, Wire(loss=0.01))),
    Scenario("windows that barely overlap", three(client={"closed_s": 0.12}, server={"opened_s": 0.08}), hops(Wire(loss=0.02))),
    Scenario("the order is found out", three(), hops(Wire(loss=0.01, routed=True), Wire(routed=True)), declared=False),
    Scenario("the order is found out by delay", three(), hops(Wire(), Wire(loss=0.01, delay_s=90e-6)), declared=False),
    Scenario("jitter of a busy network", three(), hops(Wire(jitter_s=60e-6, loss=0.01), Wire(jitter_s=80e-6, slow=(0.02, 0.01)))),
    Scenario("a clock jumps ahead", three(server={"jump": (0.1, 0.5)}), hops(Wire(loss=0.01))),
    Scenario("a clock jumps back", three(tor={"jump": (0.1, -0.05)}), hops(Wire(loss=0.01))),
    Scenario("many connections", three(), hops(Wire(loss=0.01), Wire(loss=0.01)), spray),
    Scenario("a mirror of one direction", three(tor={"sees": lambda packet: packet.forward}), hops(Wire(loss=0.01), Wire(loss=0.01))),
    Scenario("two ways through the network", three(tor={"sees": lambda packet: packet.port % 2 == 0}), hops(Wire(), Wire(loss=0.01)), spray),
    Scenario("another filter at the last", three(server={"sees": low_port, "filter": "udp src port < 50010"}), hops(None, Wire(loss=0.01)), spray),
    Scenario("a mirror of every fourth packet", three(tor={"sees": every_fourth, "sampled": 4}), hops(Wire(loss=0.01))),
    Scenario("one connection is lost whole", three(), hops(None, Wire(drops=lambda packet: packet.port == 50003)), spray),
    Scenario("everything at once", three(tor={"loses": 0.01}),
             hops(Wire(loss=0.01, duplicates=0.01, marks=0.02, routed=True), Wire(slow=(0.02, 0.001), routed=True, dscp=0)), mixed),
]  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.name for scenario in SCENARIOS])
def test_verdicts_are_true(scenario, tmp_path, truth_scores):
    world = World([dataclasses.replace(spot) for spot in scenario.spots], scenario.wires, seed=SCENARIOS.index(scenario))
    scenario.send(world)
    outcome = judge.judged(world, tmp_path, path=None if scenario.declared else ())
    wrong = {pair: count for pair, count in outcome.pairs.items() if pair[0] not in (pair[1], "edge")}
    truth_scores.update(outcome.pairs)
    assert wrong == {}
    bounds = {(hop["from"], hop["to"], hop["direction"]): hop["lost_in_network"] for hop in outcome.report["path"]["hops"]}
    for name, lost in _lost(world).items():
        assert bounds[name]["min"] <= lost, name
    if scenario.clock:
        assert judge.clock_error(world, outcome, 0.15) < 100e-6


def _lost(world: World) -> dict[tuple[str, str, str], int]:
    """Count what each hop lost of what the vantage before it captured."""
    names = [spot.name for spot in world.spots]
    found: dict[tuple[str, str, str], int] = {}
    for truth in world.truths:
        step = 1 if truth.packet.forward else -1
        if truth.lost_after is not None and truth.lost_after in truth.captured:
            name = (names[truth.lost_after], names[truth.lost_after + step], "forward" if step > 0 else "reverse")
            found[name] = found.get(name, 0) + 1
    return found


def through_a_balancer(tmp_path, sent=None, wires=None, **changes):
    """Judge TCP from the client past the switch to a load balancer, and behind it to the server."""
    both = wires or hops(Wire(drops=fullnat.lost), Wire(drops=fullnat.lost, translate=fullnat.translate))
    world = World(three(), both, seed=7)
    fullnat.send(world, **(sent or {}))
    return world, judge.judged(world, tmp_path, **changes)


@pytest.mark.parametrize("by", ["option", "option of the SYN", "list"])
def test_loss_is_found_across_a_load_balancer(tmp_path, by):
    changes = {} if by != "list" else {"tor": {"balanced": (fullnat.listing(range(7)), "\n" + fullnat.listing(range(4, 12)))}}
    world, outcome = through_a_balancer(tmp_path, {"option": by != "list", "at": 2 if by == "option" else 0}, **changes)
    assert {pair: count for pair, count in outcome.pairs.items() if pair[0] not in (pair[1], "edge")} == {}
    assert outcome.pairs["lost in network", "lost in network"] > 90
    found = {(hop["from"], hop["to"], hop["direction"]): hop["lost_in_network"] for hop in outcome.report["path"]["hops"]}
    assert {name: hop for name, hop in found.items() if hop["max"]} == {name: {"min": n, "max": n} for name, n in _lost(world).items()}
    assert {change["field"] for change in outcome.report["rewrites"]} == {"address"}
    assert not any(entry["code"] == "unpaired" for entry in outcome.report["verdict"]["reasons"])


def test_datagrams_are_paired_by_uoa(tmp_path):
    world = World(three(), hops(Wire(), Wire(drops=fullnat.lost, translate=fullnat.translate)), seed=8)
    fullnat.send_datagrams(world)
    outcome = judge.judged(world, tmp_path)
    assert {pair: count for pair, count in outcome.pairs.items() if pair[0] not in (pair[1], "edge")} == {}
    assert outcome.pairs["lost in network", "lost in network"] == sum(_lost(world).values()) > 10


def test_what_cannot_be_paired_is_never_called_lost(tmp_path):
    """Of twelve connections five are in the list, all of hosts of which others are paired."""
    wires = hops(None, Wire(translate=fullnat.translate))
    _world, outcome = through_a_balancer(tmp_path, {"option": False}, wires, tor={"balanced": (fullnat.listing(range(5)),)})
    (why,) = [entry for entry in outcome.report["verdict"]["reasons"] if entry["code"] == "unpaired"]
    # seven from clients, and the same seven behind the balancer
    assert why["text"].startswith("14 connections of a load balancer have no other side that is known for certain (5 have)")
    assert all(hop["lost_in_network"] == {"min": 0, "max": 0} for hop in outcome.report["path"]["hops"])
    assert sum(hop["seen"] for hop in outcome.report["path"]["hops"] if hop["to"] == "server") == 5 * 40


def test_skew_of_fifty_ppm_is_recovered_over_a_minute(tmp_path):
    world = World(three(), hops(Wire(jitter_s=40e-6), Wire(jitter_s=40e-6)), seed=99)
    talk.writes(world, 500, gap_s=15e-3)
    outcome = judge.judged(world, tmp_path)
    assert max(judge.clock_error(world, outcome, t_s) for t_s in (0.0, 30.0, 59.0)) < 100e-6
    skews = [entry["clock"]["skew_ppm"] for entry in outcome.report["vantages"]]
    assert skews == pytest.approx([0, 30, -50], abs=0.5)
