# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the analysis: clocks, repeated packets, routes, counters, RoCE, NAT, SQL views, and captures that are no good."""

from __future__ import annotations

import itertools
import json
import os
import random
import struct
import subprocess
import sys

import pytest

duckdb = pytest.importorskip("duckdb")
np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
import jsonschema
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import keytable
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keys import DTYPE, FLAGS
from ansible_collections.wirefleet.capture.plugins.plugin_utils import schema
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import (
    clock,
    counters,
    load,
    locate,
    match,
    model,
    path,
    report,
    roce,
    views,
)

from tests.truth import talk
from tests.truth.evidence import publish
from tests.truth.keys import parquet_of
from tests.truth.world import Spot, Wire, World

SCHEMA = schema.load(os.path.join(schema.ROOT, "docs", "schemas", "report.schema.json"))


def checked(found):
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert schema.problems(found, SCHEMA, "report.json") == []
    json.dumps(found, allow_nan=False)
    return found


def build(folder, wires=None, spots=None, send=lambda world: talk.writes(world, 100), seed=5):
    world = World(spots or [Spot("client"), Spot("tor"), Spot("server")], wires or [Wire(loss=0.02), Wire()], seed)
    send(world)
    return [load.of_index(parquet_of(file, name=spot.name), model.Vantage(spot.name)) for spot, file in zip(world.spots, world.write(folder))], world


# -- clocks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_is_recovered_within_its_error(seed):
    chance = np.random.default_rng(seed)
    true = np.sort(chance.random(5000) * 20)
    way = np.where(chance.random(5000) < 0.7, 1, -1)
    delay = 50e-6 + chance.exponential(60e-6, 5000)
    offset, skew = chance.uniform(-1, 1), chance.uniform(-50e-6, 50e-6)
    far = np.where(way > 0, true + delay, true)
    found = clock.compare(clock.Sample(np.where(way > 0, true, true + delay), far + offset + skew * far, np.zeros(5000, int), way))
    assert abs(found.offset_s - offset) < min(found.error_s, 100e-6)
    assert found.skew == pytest.approx(skew, abs=1e-6)
    assert found.ways == {(0, 1): 1, (0, -1): -1}


def test_one_way_traffic_has_no_error_to_tell():
    times = np.linspace(0, 1, 500)
    found = clock.compare(clock.Sample(times, times + 0.25 + 1e-4, np.zeros(500, int), np.ones(500, int)))
    assert found.error_s is None and found.delay_s is None
    assert found.offset_s == pytest.approx(0.2501, abs=1e-6)
    assert clock.compare(clock.Sample(times[:0], times[:0], times[:0], times[:0])) is None


def test_what_goes_the_other_way_is_known_by_other_clocks():
    times = np.linspace(0, 1, 500)
    sample = clock.Sample(times, times - 0.02, np.zeros(500, int), np.ones(500, int))
    assert clock.compare(sample).ways == {(0, 1): 1}
    assert clock.compare(sample, known=(0.0, 0.001)).ways == {(0, 1): -1}


def test_time_is_read_back_and_forth():
    pairs = {(0, 1): clock.Comparison(0.5, 40e-6, (), 1e-6, 0.0, 1e-5, 100, {}), (1, 2): clock.Comparison(-0.2, -30e-6, (), 1e-6, 0.0, 1e-5, 100, {})}
    times = path.timeline((0, 1, 2), pairs, lambda place: path.Time("none"))
    for t_s in (0.0, 100.0):
        second = t_s * (1 + 40e-6) + 0.5
        third = second * (1 - 30e-6) - 0.2
        assert times[2].seconds(round(third * 1e9), 0) == pytest.approx(t_s, abs=1e-8)
    turned = path.timeline((2, 1, 0), pairs, lambda place: path.Time("none"))
    assert turned[0].seconds(round(10.0 * 1e9), 0) == pytest.approx((10.0 * (1 + 40e-6) + 0.5) * (1 - 30e-6) - 0.2, abs=1e-8)


# -- repeated packets, routes ---------------------------------------------------------------------------------------------


def test_the_copy_that_is_missing_is_the_one_whose_time_is_missing():
    assert match.align([0.0, 1.0], [1.01], 0.01) == [1]
    assert match.align([0.0, 1.0], [0.01], 0.01) == [0]
    assert match.align([1.0], [1.01, 2.0], 0.01) == [0, None]
    assert match.align([0.0, 1e-5], [5e-5, 6e-5], 0.0) == [0, 1]
    assert match.align([], [1.0], 0.0) == [None]


def test_alignment_is_the_cheapest_of_all():
    chance = random.Random(3)
    for _turn in range(200):
        earlier, later = (sorted(chance.random() for _copy in range(chance.randint(1, 5))) for _side in range(2))
        if len(earlier) != len(later):
            found = [(at, number) for number, at in enumerate(match.align(earlier, later, 0.1)) if at is not None]
            assert len(found) == min(len(earlier), len(later)) and [at for at, _number in found] == sorted(at for at, _number in found)
            assert sum(abs(later[n] - earlier[a] - 0.1) for a, n in found) == pytest.approx(_cheapest(earlier, later))


def _cheapest(earlier, later):
    few, many = sorted((earlier, later), key=len)
    sign = 1 if few is earlier else -1
    return min(sum(abs(sign * (b - a) - 0.1) for a, b in zip(few, chosen)) for chosen in itertools.combinations(many, len(few)))


@pytest.mark.parametrize(
    ("at", "near", "way", "legs"),
    [
        (0b111, 0b111, 1, [(0, 1, "follow"), (1, 2, "follow")]),
        (0b111, 0b111, -1, [(2, 1, "follow"), (1, 0, "follow")]),
        (0b101, 0b111, 1, [(0, 2, "follow"), (0, 1, "bypass")]),
        (0b101, 0b101, 1, [(0, 2, "follow")]),
        (0b001, 0b111, 1, [(0, 2, "beyond")]),
        (0b001, 0b001, 1, []),
        (0b110, 0b111, 1, [(1, 2, "follow")]),
        (0, 0b111, 1, []),
    ],
)
def test_routes(at, near, way, legs):
    assert path.route((0, 1, 2), at, near, way) == legs


def test_the_order_comes_from_delays_or_ttl_or_is_a_guess():
    def seen(delay):
        return clock.Comparison(0.0, 0.0, (), 1e-6, 0.0, delay, 100, {(0, 1): 1, (0, -1): -1})

    line = {(0, 1): seen(3e-4), (0, 2): seen(1e-4), (1, 2): seen(2e-4)}
    assert path.infer((0, 1, 2), line, {}, (0, 1))[:3] == ((0, 2, 1), "inferred", True)
    assert path.infer((0, 1, 2), line, {}, (0, -1)).order == (1, 2, 0)
    blind = {pair: found._replace(delay_s=None, error_s=None, offset_s=float(pair[1])) for pair, found in line.items()}
    assert path.infer((0, 1, 2), blind, {(0, 1): 2.0, (0, 2): 1.0}, (0, 1))[:3] == ((0, 2, 1), "inferred", True)
    guess = path.infer((0, 1, 2), blind, {}, (0, 1))
    assert not guess.certain and "declare campaign_path" in guess.reason


def test_overtaken_packets_are_counted_within_their_flow():
    assert locate.overtaken(np.array([1, 1, 1, 2]), np.array([0, 1, 2, 0]), np.array([10, 30, 20, 5])) == 1
    assert locate.overtaken(np.array([]), np.array([]), np.array([])) == 0


# -- RoCE -----------------------------------------------------------------------------------------------------------------


def test_roce_is_read_per_connection(tmp_path):
    def send(world):
        t_s = 0.0
        for number in range(3):
            t_s = talk.go_back(world, t_s, (0xFFFFF8 + 16 * number) % (1 << 24), 5, 16)
        for number in range(4):
            talk.read(world, t_s + number * 1e-3, 0x28 + 4 * number, 4)
        talk.cnp(world, t_s + 0.01)
        world.send(talk.answer(0x38, 0, talk.RNR | 5, t_s + 0.02))

    vantages, _world = build(tmp_path, [Wire(), Wire(marks=1.0)], send=send)
    (row,) = checked(report.analyse(vantages, ["client", "tor", "server"]))["connections"]["rows"]
    (facts,) = row["roce"]
    assert (row["a"]["qp"], row["b"]["qp"], row["paired_by"]) == (talk.QP_A, talk.QP_B, "traffic")
    assert facts["retransmitted"] == 3 * 11 and facts["go_back_n"] == 3
    assert (facts["psn_gaps"], facts["psn_missing"]) == (0, 0)
    assert facts["naks"] == {"PSN sequence error": 3} and facts["rnr_naks"] == 1 and facts["cnps"] == 1
    assert [(entry["verb"], entry["messages"]) for entry in facts["messages"]] == [("READ", 4), ("WRITE", 3)]
    assert facts["messages"][0]["bytes"] == 4 * 4 * 64 and facts["messages"][1]["bytes"] == 3 * 16 * 64
    assert facts["read_latency"]["samples"] == 4 and 100e-6 < facts["read_latency"]["min_s"] < 300e-6
    assert row["ecn_marked"] > 0 and facts["vantage"] == "client"


def test_a_gap_in_psns_is_one_also_where_they_wrap(tmp_path):
    lost = {0xFFFFFF, 0x000000}
    spots = [Spot("client", sees=lambda packet: packet.bth.psn not in lost or not packet.forward), Spot("server")]
    vantages, _world = build(tmp_path, [Wire()], spots, lambda world: talk.writes(world, 4, first_psn=0xFFFFF8))
    facts = report.analyse(vantages, ["client", "server"])["connections"]["rows"][0]["roce"][0]
    assert (facts["psn_gaps"], facts["psn_missing"], facts["retransmitted"]) == (1, 2, 0)


def test_the_connection_manager_pairs_queue_pairs():
    said = [
        {"kind": "REQ", "src": "10.0.0.1", "dst": "10.0.0.2", "local_comm_id": 7, "local_qpn": 0x11},
        {"kind": "REP", "src": "10.0.0.2", "dst": "10.0.0.1", "local_comm_id": 9, "remote_comm_id": 7, "local_qpn": 0x22},
        {"kind": "REP", "src": "10.0.0.9", "dst": "10.0.0.1", "remote_comm_id": 8, "local_qpn": 0x33},
    ]
    assert roce.managed(said) == [("10.0.0.1", "10.0.0.2", 0x11, 0x22), ("10.0.0.2", "10.0.0.1", 0x22, 0x11)]


# -- hosts' counters --------------------------------------------------------------------------------------------------------


def test_counters_agree_contradict_or_add():
    before, after = (
        {
            "rdma": {"mlx5_0:1": {"hw_counters": {"packet_seq_err": naks, "np_cnp_sent": cnps}}},
            "softnet": [{"dropped": drops}],
            "interfaces": {"e": {"ethtool": {"rx_discards_phy": discards}}},
        }
        for naks, cnps, drops, discards in ((1, 0, 1, 0), (21, 50, 4, 9))
    )
    grown = counters.moved(before, after)
    assert grown["softnet_dropped"] == 3
    found = counters.readings(grown, {"sequence_naks_received": 20, "cnps_sent": 5}, counters.has_rdma(before))
    assert [reading["agrees"] for reading in found] == [False, True, None, None]
    assert "50 congestion notifications that it sent, but the captures show 5" in found[0]["text"]
    assert any("discarded 9 packets" in reading["text"] for reading in found)


# -- translated addresses ---------------------------------------------------------------------------------------------------


def tcp_rows(near, count, moved, t_ns, lost=()):
    rows = np.zeros(count, dtype=np.dtype(dict(DTYPE)))
    for number in range(count):
        row = rows[number]
        row["t_ns"], row["number"] = t_ns + number * 1_000_000, number + 1
        row["fingerprint"] = (number + 1) * (7 if near else 11) << 20
        ends = ("c", "v") if near else ("l", "r")
        row["src"], row["dst"] = (np.frombuffer(bytes(10) + b"\xff\xff\x0a\x00\x00" + end.encode(), "V16")[0] for end in ends)
        row["sport"], row["dport"] = (40000, 80) if near else (50000, 8080)
        row["seq"], row["ack"], row["payload"], row["content"] = (100 + number * 10 + moved) % (1 << 32), 5, 10, number
        row["protocol"], row["tcp_flags"], row["ttl"], row["wire"] = 6, 24, 64, 80
        row["flags"] = sum(FLAGS[name] for name in ("ip", "ports", "tcp", "identified", "content"))
    return rows[[number for number in range(count) if number not in lost]]


def test_packets_are_found_again_behind_a_load_balancer():
    start, c, v, far, r = 10**18, "10.0.0.99", "10.0.0.118", "10.0.0.108", "10.0.0.114"
    tables = [keytable.table(tcp_rows(True, 200, 0, start), "near"), keytable.table(tcp_rows(False, 200, 4294967290, start + 50_000, lost=(7, 60)), "far")]
    vantages = [model.Vantage(name, table, opened_ns=start - 10**9, closed_ns=start + 10**9) for name, table in zip(("near", "far"), tables)]
    without = checked(report.analyse(vantages, ["near", "far"]))
    assert without["verdict"]["answer"] == "unknown"
    pair = model.FlowPair((c, v, 40000, 80), (far, r, 50000, 8080), sequence=4294967290)
    found = checked(report.analyse(vantages, ["near", "far"], pairs=[pair]))
    (hop,) = found["path"]["hops"]
    assert (hop["seen"], hop["lost_in_network"]) == (198, {"min": 2, "max": 2})
    assert [(change["field"], change["packets"]) for change in found["rewrites"]] == [("address", 198)]


# -- SQL views --------------------------------------------------------------------------------------------------------------


def test_the_views_say_the_same(tmp_path):
    vantages, _world = build(tmp_path, [Wire(loss=0.02, routed=True), Wire(loss=0.01)], [Spot("client"), Spot("tor", 0.5, loses=0.01), Spot("server", -2.0)])
    found = report.analyse(vantages, ["client", "tor", "server"])
    files = ", ".join(f"'{keys}'" for vantage in vantages for keys in vantage.keys)
    database = duckdb.connect()
    database.execute(views.text(found, f"read_parquet([{files}])"))
    place = {name: number for number, name in enumerate(found["path"]["order"])}
    rows = {row[:3]: row[3:] for row in database.execute("SELECT * FROM hops").fetchall()}
    for hop in found["path"]["hops"]:
        seen, missing, capture = rows[place[hop["from"]], place[hop["to"]], 1 if hop["direction"] == "forward" else -1]
        hidden = hop["packets"] - hop["seen"] - hop["missing"] - hop["lost_in_capture"]
        assert (missing, capture, hidden) == (hop["missing"], hop["lost_in_capture"], 0)
        assert seen <= hop["seen"]
    assert database.execute("SELECT sum(packets) FROM rewrites WHERE one = 0 AND abs(ttl_fell) = 1").fetchone()[0] == sum(
        change["packets"] for change in found["rewrites"] if change["field"] == "ttl"
    )
    assert database.execute("SELECT count(*) FROM roce_queue_pairs").fetchone() == (6,)


def test_one_way_traffic_goes_where_ttl_falls(tmp_path):
    def send(world):
        for number in range(400):
            world.send(talk.answer(number, number, talk.ACK, number * 1e-3))

    vantages, world = build(tmp_path, [Wire(loss=0.02, routed=True), Wire(loss=0.01, routed=True)], send=send)
    found = checked(report.analyse(vantages, ["client", "tor", "server"]))
    lost = {place: sum(truth.lost_after == place for truth in world.truths) for place in (2, 1)}
    assert [(hop["from"], hop["direction"], hop["missing"] + hop["outside_window"]) for hop in found["path"]["hops"]] == [
        ("tor", "reverse", lost[1]), ("server", "reverse", lost[2]),
    ]  # fmt: skip
    assert "direction_unknown" not in codes(found)
    flat, _world = build(tmp_path, [Wire(), Wire()], send=send)
    assert "direction_unknown" in codes(report.analyse(flat, ["client", "tor", "server"]))


# -- evidence folders ---------------------------------------------------------------------------------------------------------


def test_an_evidence_folder_is_indexed_and_analysed(tmp_path):
    world = World([Spot("client"), Spot("server", 0.5)], [Wire(loss=0.02)], 3)
    talk.writes(world, 100)
    manifest = publish(tmp_path, world, gone=True)
    found = checked(load.analyse_evidence(str(tmp_path)))
    lost = sum(truth.lost_after is not None for truth in world.truths)
    assert found["campaign"] == manifest["campaign"] and "failed" in codes(found)
    assert sum(hop["missing"] + hop["outside_window"] for hop in found["path"]["hops"]) == lost
    assert found["path"]["order"] == ["client__eth1", "server__eth1"]
    assert [reading["text"] for reading in found["counters"][1]["readings"]] == ["The interface dropped 7 packets on receipt (rx_missed_errors)."]
    assert "derived/server__eth1/keys.parquet" in found["vantages"][1]["files"]
    assert (tmp_path / "derived" / "server__eth1" / "keys.parquet").stat().st_mode & 0o777 == 0o600


def test_the_manifest_says_of_which_vantages_a_mirror_sends_only_some_packets(tmp_path):
    sampling = Spot("tor", 0.2, sees=lambda packet: packet.bth.psn % 4 == 0, sampled=4)
    world = World([Spot("client"), sampling, Spot("server", 0.5)], [Wire(loss=0.02), Wire()], 3)
    talk.writes(world, 100)
    publish(tmp_path, world)
    found = checked(load.analyse_evidence(str(tmp_path)))
    assert {(row["to"], row["verdict"]) for row in found["unknown"] if row["code"] == "sampled"} == {("tor__eth1", "not mirrored")}
    lost = sum(truth.lost_after is not None for truth in world.truths)
    assert sum(hop["missing"] + hop["outside_window"] for hop in found["path"]["hops"]) == lost > 0


# -- bad input --------------------------------------------------------------------------------------------------------------


def codes(found):
    return {entry["code"] for entry in found["verdict"]["reasons"]}


def test_two_vantages_with_one_name(tmp_path):
    vantages, _world = build(tmp_path)
    found = checked(report.analyse([*vantages, vantages[0]], ["client", "tor", "server"]))
    assert "same_name" in codes(found) and found["verdict"]["answer"] == "network_loss"


def test_a_cut_file_says_nothing_of_what_came_later(tmp_path):
    world = World([Spot("client"), Spot("server")], [Wire()], 1)
    talk.writes(world, 100)
    files = world.write(tmp_path)
    data = files[1].read_bytes()
    files[1].write_bytes(data[: len(data) // 2 + 3])
    vantages = [load.of_index(parquet_of(file, name=name), model.Vantage(name, closed_ns=2 * 10**18)) for file, name in zip(files, ("client", "server"))]
    found = checked(report.analyse(vantages, ["client", "server"]))
    (there, _back) = found["path"]["hops"]
    assert "truncated" in codes(found) and found["verdict"]["answer"] == "no_loss"
    assert there["outside_window"] > 350 and there["lost_in_network"] == {"min": 0, "max": 0}


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:24]), "empty"),
        (lambda file: file.write_bytes(file.read_bytes()[:20] + struct.pack("<I", 147) + file.read_bytes()[24:]), "foreign_link_type"),
        (lambda file: file.write_bytes(b"no capture at all"), "unreadable"),
        (lambda file: file.write_bytes(b""), "unreadable"),
    ],
)
def test_a_capture_that_is_no_good_is_no_loss(tmp_path, spoil, code):
    world = World([Spot("client"), Spot("tor"), Spot("server")], [Wire(), Wire()], 1)
    talk.writes(world, 50)
    files = world.write(tmp_path)
    spoil(files[2])
    vantages = [load.of_index(parquet_of(file, name=spot.name), model.Vantage(spot.name)) for spot, file in zip(world.spots, files)]
    found = checked(report.analyse(vantages, ["client", "tor", "server"]))
    assert code in codes(found)
    assert found["verdict"]["answer"] == "no_loss"
    assert {hop["to"] for hop in found["path"]["hops"]} <= {"client", "tor"}


def test_damaged_keys_are_a_reason(tmp_path):
    vantages, _world = build(tmp_path)
    path_ = vantages[1].keys[0]
    with open(path_, "r+b") as file:
        file.truncate(os.path.getsize(path_) // 2)
    assert load.of_index(path_, model.Vantage("tor")).reasons[0].code == "unreadable"
    found = checked(report.analyse([vantages[0], vantages[1], vantages[2]], ["client", "tor", "server"]))
    assert "unreadable" in codes(found) and found["path"]["order"] == ["client", "server"]


def test_nothing_at_all_and_one_alone(tmp_path):
    assert checked(report.analyse([]))["verdict"]["answer"] == "unknown"
    vantages, _world = build(tmp_path)
    found = checked(report.analyse(vantages[:1]))
    assert found["verdict"]["answer"] == "unknown" and "single_vantage" in codes(found)
    assert found["connections"]["total"] == 1


def test_vantages_with_nothing_in_common(tmp_path):
    vantages, _world = build(tmp_path)
    (tmp_path / "other").mkdir()
    others, _world = build(tmp_path / "other", send=lambda world: talk.writes(world, 100, first_psn=77), seed=9)
    found = checked(report.analyse([vantages[0], others[2]._replace(name="elsewhere")]))
    assert found["verdict"]["answer"] == "unknown" and "no packet in common" in found["verdict"]["sentences"][0]


def test_a_path_that_names_nobody(tmp_path):
    vantages, _world = build(tmp_path)
    found = checked(report.analyse(vantages, ["client", "nowhere", "server"]))
    assert {"path_unclear", "not_in_path"} <= codes(found)
    assert found["path"]["order"] == ["client", "server"] and found["verdict"]["answer"] == "network_loss"


def test_windows_that_do_not_overlap(tmp_path):
    spots = [Spot("client", closed_s=0.03), Spot("server", opened_s=0.05)]
    vantages, _world = build(tmp_path, [Wire()], spots)
    found = checked(report.analyse(vantages, ["client", "server"]))
    assert found["verdict"]["answer"] == "unknown"


# -- the rest ---------------------------------------------------------------------------------------------------------------


def test_schema_and_model_have_the_same_reasons():
    assert set(SCHEMA["$defs"]["code"]["enum"]) == set(model.REASONS)


def test_a_missing_package_is_one_sentence():
    code = (
        "import sys; sys.modules['duckdb'] = None\nfrom ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import "
        "report\nreport.analyse([])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "pip install duckdb numpy pyarrow" in done.stderr
