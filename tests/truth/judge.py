# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the analysis should say of a world, and how far it does: precision and recall of every verdict."""

from __future__ import annotations

import pathlib
import typing as t
from collections import Counter

from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import load, model, report

from .keys import parquet_of
from .world import START_NS, Spot, Truth, World

#: Nearer than this to the edge of a window, a packet may rightly count as outside.
EDGE_S = 0.001


class Outcome(t.NamedTuple):
    """The report, and how often each (expected, found) verdict was given to a packet on a leg."""

    report: dict[str, t.Any]
    pairs: Counter[tuple[str, str]]


def judged(world: World, folder: pathlib.Path, path: t.Sequence[str] | None = None, **changes: t.Any) -> Outcome:
    """Capture, index and analyse *world*, and compare each packet's verdict on each leg with the truth."""
    vantages = [_vantage(world, number, spot, file, changes) for number, (spot, file) in enumerate(zip(world.spots, world.write(folder)))]
    found: dict[tuple[int, int, int, int], str] = {}
    sightings: set[tuple[int, int]] = set()

    def look(store: t.Any, located: t.Any, usable: t.Any) -> None:
        for place in usable:
            stamps = ", ".join(f"t_{other}" for other in usable)
            for one, other, verdict, *times in store.rows(
                f"SELECT one, other, verdict, {stamps} FROM verdict JOIN passage USING (fingerprint, occurrence) WHERE t_{place} IS NOT NULL"
            ):
                found[place, times[list(usable).index(place)], one, other] = verdict
            sightings.update((place, stamp) for (stamp,) in store.rows(f"SELECT t_{place} FROM passage WHERE t_{place} IS NOT NULL"))

    said = report.analyse(vantages, [spot.name for spot in world.spots] if path is None else path, look=look)
    captured = {(place, stamp) for truth in world.truths for place, stamp in truth.captured.items()}
    if captured != sightings and said["path"]["order"]:
        raise AssertionError(f"{len(captured ^ sightings)} sightings went astray")
    pairs: Counter[tuple[str, str]] = Counter()
    for truth in world.truths:
        for one, other, expected in expectations(world, truth):
            verdicts = {found.get((at, stamp, one, other)) for at, stamp in truth.captured.items()} - {None}
            pairs[expected, str(verdicts.pop()) if verdicts else model.SEEN] += 1
    return Outcome(said, pairs)


def _vantage(world: World, number: int, spot: Spot, file: pathlib.Path, changes: t.Mapping[str, t.Any]) -> model.Vantage:
    drops = world.dropped[number] if spot.admits is None else spot.admits
    end = max(t_s for truth in world.truths for t_s in truth.arrived.values())
    opened, closed = spot.stamp(max(spot.opened_s, -world.quiet_s)), spot.stamp(min(spot.closed_s, end + world.quiet_s))
    keys = (parquet_of(file, name=spot.name),)
    made = model.Vantage(spot.name, keys, drops=drops, trustworthy=spot.trustworthy, filter=spot.filter, sampled=spot.sampled)
    side = load.of_index(keys[0], made).cm
    return made._replace(opened_ns=opened, closed_ns=closed, cm=side, **changes.get(spot.name, {}))


def expectations(world: World, truth: Truth) -> t.Iterator[tuple[int, int, str]]:
    """Yield (from, to, verdict) for each leg that a packet of which there is a sighting took or should have taken."""
    whole = list(range(len(world.spots)))[:: 1 if truth.packet.forward else -1]
    line = [place for place in whole if world.spots[place].proves(truth.packet)]
    for place in set(whole) - set(line) - set(truth.captured):
        before = [other for other in whole[: whole.index(place)] if other in line]
        if before and before[-1] in truth.captured and (place != whole[-1] or before[-1] == whole[-2]):
            yield before[-1], place, model.NOT_MIRRORED
    if truth.packet.born is not None:
        line = line[line.index(truth.packet.born) :] if truth.packet.born in line else []
    last = max((line.index(place) for place in truth.captured if place in line), default=-1)
    for at, (one, other) in enumerate(zip(line, line[1:])):
        if at > last:
            return
        yield one, other, _expected(world, truth, one, other, further=last > at + 1)


def _expected(world: World, truth: Truth, one: int, other: int, further: bool) -> str:
    spot = world.spots[other]
    if other in truth.captured:
        return model.SEEN
    would = truth.arrived.get(other, truth.arrived[one] + world.wires[min(one, other)].delay_s)
    if not spot.opened_s + EDGE_S <= would <= spot.closed_s - EDGE_S:
        return model.OUTSIDE if not spot.opened_s - EDGE_S <= would <= spot.closed_s + EDGE_S else "edge"
    if further:
        return model.CAPTURE
    if spot.filter not in ("", world.spots[one].filter):
        return model.UNKNOWN
    return model.UNKNOWN if world.dropped[other] or not spot.trustworthy else model.NETWORK


def scores(pairs: t.Mapping[tuple[str, str], int]) -> list[tuple[str, int, int, int, float | None, float | None]]:
    """Return (verdict, expected, found, right, precision, recall) for each verdict; what lies on a window's edge counts for none."""
    rows = []
    for verdict in model.VERDICTS:
        expected = sum(count for (wanted, _found), count in pairs.items() if wanted == verdict)
        found = sum(count for (wanted, given), count in pairs.items() if given == verdict and wanted != "edge")
        right = pairs.get((verdict, verdict), 0)
        rows.append((verdict, expected, found, right, right / found if found else None, right / expected if expected else None))
    return rows


def table(pairs: t.Mapping[tuple[str, str], int]) -> list[str]:
    """Return the lines of a table of scores. Pure."""
    lines = [f"{'verdict':<16} {'expected':>9} {'found':>9} {'precision':>10} {'recall':>8}"]
    for verdict, expected, found, _right, *shares in scores(pairs):
        precision, recall = ("-" if share is None else f"{share:.4f}" for share in shares)
        lines.append(f"{verdict:<16} {expected:>9} {found:>9} {precision:>10} {recall:>8}")
    return lines


def clock_error(world: World, outcome: Outcome, t_s: float) -> float:
    """Return the largest error in seconds of a recovered clock against the first spot's, at the time *t_s*."""
    first = world.spots[0]
    worst = 0.0
    for spot, entry in zip(world.spots, outcome.report["vantages"]):
        clock = entry["clock"]
        if clock["offset_s"] is None:
            continue
        start = min(other["first_ns"] for other in outcome.report["vantages"])
        by = (first.stamp(t_s) - start) * 1e-9
        jumps = sum(jump["by_s"] for jump in clock["jumps"]) if spot.jump and t_s >= spot.jump[0] else 0.0
        found = clock["offset_s"] + clock["skew_ppm"] * 1e-6 * by + jumps
        worst = max(worst, abs(found - (spot.stamp(t_s) - first.stamp(t_s)) * 1e-9))
    return worst


__all__ = ["START_NS", "Outcome", "clock_error", "expectations", "judged", "scores", "table"]
