# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A published run whose captures are a world's, as far as the analysis reads it."""

from __future__ import annotations

import json
import pathlib
import typing as t

if t.TYPE_CHECKING:
    from .world import World

CAMPAIGN = "20261123T101500Z-x-3fa9c1"
KEY = ["ethtool_feature", "eth1", "rx-gro"]


def publish(folder: pathlib.Path, world: World, gone: bool = False) -> dict[str, t.Any]:
    """Write captures, counters and the manifest to *folder*; return the manifest. *gone*: one more vantage, which failed."""
    entries = []
    for number, (spot, file) in enumerate(zip(world.spots, world.write(folder))):
        base = folder / "vantages" / f"{spot.name}__eth1"
        for sub in ("raw", "counters"):
            (base / sub).mkdir(parents=True)
        file.rename(base / "raw" / "0001.pcap")
        for when, errors in (("before", 0), ("after", 7)):
            counted = {"interfaces": {"eth1": {"statistics": {"rx_missed_errors": errors}}}, "softnet": []}
            (base / "counters" / f"{when}.json").write_text(json.dumps(counted))
        entries.append(entry(spot.name, world, number, f"vantages/{spot.name}__eth1/raw/0001.pcap"))
    if gone:
        entries.append({**entry("gone", world, 0, None), "status": "failed", "reasons": ["host_unreachable"]})
    window = {"t0_ns": world.spots[0].stamp(-0.1), "t1_ns": world.spots[1].stamp(1.0)}
    manifest = {
        "campaign": CAMPAIGN, "reason": "ticket 7", "vantages": entries, "path": [spot.name for spot in world.spots], "window": window,
        "versions": {"wirefleet.capture": "0.1.0"},
    }  # fmt: skip
    (folder / "campaign.json").write_text(json.dumps(manifest))
    return manifest


def entry(name: str, world: World, number: int, file: str | None) -> dict[str, t.Any]:
    """Return what the manifest says of one vantage."""
    spot = world.spots[number]
    back = {"key": KEY, "outcome": "restored", "wanted": True, "found": True, "reason": None}
    return {
        "vantage_id": f"{name}__eth1", "host": name, "status": "ok", "reasons": [], "filter": "", "opened_ns": spot.stamp(-0.1), "ready_ns": spot.stamp(-0.2),
        "stopped_ns": spot.stamp(2), "drops": {"kernel": world.dropped[number], "interface": None, "trustworthy": True, "source": "tcpdump"},
        "mirror": {"switches": ["sw1"], "sampled": spot.sampled} if spot.sampled else None,
        "clock": {"offset_s": spot.offset_s, "error_s": 0.1}, "start_skew_s": 0.0012, "files": [{"path": file}] if file else [],
        "settings": {"changes": [[KEY, True, False]], "side_effects": [], "restored": [back]},
    }  # fmt: skip
