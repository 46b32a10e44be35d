# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vantages as the analysis wants them, of what lies in an evidence folder and of what pcap_index wrote."""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence

from .model import FlowPair, Limits, Reason, Vantage, need, reason
from .report import LIMITS, analyse

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DERIVED, KEYS = "derived", "keys.parquet"
_RAW = "/raw/"


def analyse_evidence(folder: str, pairs: Sequence[FlowPair] = (), limits: Limits = LIMITS) -> dict[str, t.Any]:
    """Return the report of the run in *folder*: index what is not indexed, then analyse. Raises Unavailable."""
    manifest = evidence.read_json(os.path.join(folder, "campaign.json")) or {"vantages": [], "path": [], "campaign": None, "window": {}}
    need()
    vantages = [of_evidence(folder, entry) for entry in manifest["vantages"]]
    window = (manifest["window"].get("t0_ns"), manifest["window"].get("t1_ns"))
    return analyse(vantages, manifest["path"], manifest["campaign"], window, pairs, limits)


def of_evidence(folder: str, entry: Mapping[str, t.Any]) -> Vantage:
    """Return one vantage of a manifest (campaign.schema.json), with its keys, counters and drops."""
    name = entry["vantage_id"]
    base = Vantage(
        name, (), entry["host"], filter=entry["filter"], opened_ns=_latest(entry["opened_ns"], entry["ready_ns"]), closed_ns=entry["stopped_ns"],
        drops=_drops(entry["drops"]), trustworthy=entry["drops"]["trustworthy"], drops_source=entry["drops"]["source"],
        offset_s=entry["clock"]["offset_s"], error_s=entry["clock"]["error_s"],
        counters=(_json(folder, name, "counters/before.json"), _json(folder, name, "counters/after.json")),
        files=tuple(_there(folder, [*(file["path"] for file in entry["files"] if _RAW in file["path"]), f"{DERIVED}/{name}/{KEYS}",
                                    f"vantages/{name}/counters/before.json", f"vantages/{name}/counters/after.json"])),
    )  # fmt: skip
    raw = [os.path.join(folder, file["path"]) for file in entry["files"] if _RAW in file["path"]]
    keys = os.path.join(folder, DERIVED, name, KEYS)
    if entry["status"] == "failed" and not raw and not os.path.exists(keys):
        why = f"its evidence failed: {', '.join(entry['reasons'])}"
        return base._replace(reasons=(reason("failed", name, why),))
    if not os.path.exists(keys):
        wrong = _index(raw, keys, name)
        if wrong:
            return base._replace(reasons=(wrong,))
    return of_index(keys, base)


def _index(raw: Sequence[str], keys: str, name: str) -> Reason | None:
    evidence.make_private(os.path.dirname(keys))
    try:
        index(Wish(raw, keys, name))
    except Exception as wrong:  # whatever is wrong with one capture, the others still have something to say
        return reason("unreadable", name, f"its capture could not be indexed: {wrong}")
    return None


def of_index(path: str, vantage: Vantage) -> Vantage:
    """Return *vantage* with the keys in the Parquet file *path*, and with what its index says is wrong with them."""
    from pyarrow import parquet

    try:
        about = {key.decode(): value.decode() for key, value in (parquet.read_schema(path).metadata or {}).items()}
        head = json.loads(about.get("wirefleet.index", "{}"))
        side = tuple(json.loads(line) for line in about.get("wirefleet.side", "").splitlines())
    except Exception as wrong:  # pyarrow has many ways to say that a file is damaged
        return vantage._replace(reasons=(*vantage.reasons, reason("unreadable", vantage.name, f"its packet keys cannot be read: {wrong}")))
    files = head.get("files", [])
    found = [*vantage.reasons, *_reasons(vantage.name, files)]
    disorder = sum(file.get("out_of_order", 0) for file in files)
    return vantage._replace(keys=(path,), reasons=tuple(found), cm=side, out_of_order=disorder)


def _reasons(name: str, files: Sequence[Mapping[str, t.Any]]) -> list[Reason]:
    found = []
    for file in files:
        if file.get("damage"):
            what = f"{file['path']} is not whole, {file['packets']} packets were read: {file['damage']}"
            found.append(reason("truncated" if file["packets"] else "unreadable", name, what))
        if file.get("foreign"):
            types = ", ".join(map(str, file["link_types"]))
            found.append(reason("foreign_link_type", name, f"{file['path']}: {file['foreign']} packets have a link type that cannot be read, of {types}"))
    return found


def _drops(found: Mapping[str, t.Any]) -> int | None:
    known = [found[name] for name in ("kernel", "interface") if found[name] is not None]
    return sum(known) if known else None


def _latest(*times: int | None) -> int | None:
    return max((t_ns for t_ns in times if t_ns is not None), default=None)


def _json(folder: str, name: str, path: str) -> t.Any:
    return evidence.read_json(os.path.join(folder, "vantages", name, path))


def _there(folder: str, paths: Sequence[str]) -> list[str]:
    return [path for path in paths if os.path.exists(os.path.join(folder, path))]
