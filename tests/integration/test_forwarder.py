# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real tcpdumps around a forwarder that loses, doubles, delays and marks by a script: every packet's verdict is held against it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest

pytest.importorskip("duckdb")

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis.match import DUPLICATE_S

from tests.integration.fleet import HUNG, ROOT
from tests.truth import judge
from tests.truth.forwarder import ENDS, PACKETS, PORTS, psn, script
from tests.truth.world import START_NS, Packet, Spot, Truth, Wire, World

#: Stamps of the copies of one packet at one place, in order.
Stamps = dict[tuple[bool, int], list[int]]
TRIES = 5

pytestmark = pytest.mark.skipif(bool(os.geteuid()), reason="these tests make a network as root")


class Carried(World):
    """What the forwarder did, as captures have it, in the shape of a world that was made up."""

    quiet_s = 1.0  # the tcpdumps go on for longer, and a busy machine may hold a packet up for a part of it

    def __init__(self, folder: pathlib.Path, seed: int, seen: t.Sequence[Stamps]) -> None:
        super().__init__([Spot(port) for port in PORTS], [Wire() for _wire in PORTS[1:]], seed)
        self._folder, self._seen = folder, seen
        kinds = script(seed)
        self.dropped[PORTS.index("c")] = sum(kind == "miss" for kind in kinds.values())
        for number in range(PACKETS):
            self._add(number, True, 0, kinds.get(number))
            self._add(number, False, 0, None)
            if kinds.get(number) == "double":
                self._add(number, True, 1, "double")

    def _add(self, number: int, forward: bool, copy: int, kind: str | None) -> None:
        """Add one copy of a packet; the forwarder's second one is seen from c on."""
        found = {place: stamps[forward, psn(number)] for place, stamps in enumerate(self._seen) if (forward, psn(number)) in stamps}
        captured = {place: stamps[-1 if copy else 0] for place, stamps in found.items() if place >= 2 or not copy}
        arrived = {place: (stamp - START_NS) * 1e-9 for place, stamp in captured.items()}
        packet = Packet(len(self.truths), 0.0, forward, *ENDS, Bth(0x0A, 0x40, 0xFFFF, 0, False, psn(number)), born=2 if copy else None)
        self.truths.append(Truth(packet, arrived, captured, 1 if kind == "lose" else None))

    def write(self, folder: pathlib.Path, snaplen: int = 128) -> list[pathlib.Path]:
        return [self._folder / f"{port}.pcap" for port in PORTS]


def stamps(path: pathlib.Path) -> Stamps:
    """Return when each packet was seen, by whether it is a request, and its PSN; of a file of nanoseconds."""
    data, at = path.read_bytes(), 24
    found: Stamps = {}
    while at < len(data):
        seconds, rest, size = (int.from_bytes(data[at + place : at + place + 4], "little") for place in (0, 4, 8))
        bth = data[at + 16 + 42 : at + 16 + 54]
        found.setdefault((bth[0] == 0x0A, int.from_bytes(bth[9:12], "big")), []).append(seconds * 1_000_000_000 + rest)
        at += 16 + size
    return found


def carried(folder: pathlib.Path, seed: int) -> list[Stamps]:
    """Have the forwarder follow its script until nothing came in between: neither a drop nor, between two copies, other work."""
    doubled = [psn(number) for number, kind in script(seed).items() if kind == "double"]
    argv = ["unshare", "-n", sys.executable, "-m", "tests.truth.forwarder", str(folder), str(seed)]
    for _try in range(TRIES):
        done = subprocess.run(
            argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / ".cache/tree")}, capture_output=True, text=True, check=True, timeout=HUNG
        )
        seen = [stamps(folder / f"{port}.pcap") for port in PORTS]
        copies = [seen[2].get((True, number), []) for number in doubled]
        apart = all(len(found) == 2 and found[1] - found[0] <= DUPLICATE_S * 5e8 for found in copies)
        if apart and not any(json.loads(done.stdout).values()):
            return seen
    pytest.skip("this machine is too busy to follow a script of milliseconds")


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_the_script_is_read_off_the_captures(seed, tmp_path, truth_scores):
    kinds = list(script(seed).values())
    outcome = judge.judged(Carried(tmp_path, seed, carried(tmp_path, seed)), tmp_path)
    truth_scores.update(outcome.pairs)
    assert {pair: count for pair, count in outcome.pairs.items() if pair[0] != pair[1]} == {}
    hops = {(hop["from"], hop["to"], hop["direction"]): hop for hop in outcome.report["path"]["hops"]}
    for what, kind in (("missing", "lose"), ("lost_in_capture", "miss"), ("duplicates", "double"), ("reordered", "hold")):
        assert {name: hop[what] for name, hop in hops.items()} == {**dict.fromkeys(hops, 0), ("b", "c", "forward"): kinds.count(kind)}, what
    marks = [{"from": "b", "to": "c", "direction": "forward", "field": "ecn", "before": 2, "after": 3, "packets": kinds.count("mark")}]
    assert outcome.report["rewrites"] == marks
