# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Vantages as the analysis wants them, of what lies in an evidence folder and of what pcap_index wrote."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets import keytable
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.streams import Sink
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence

from .model import FlowPair, Limits, Reason, Vantage, need, reason
from .report import LIMITS, analyse

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DERIVED, KEYS, MANIFEST = "derived", "keys.parquet", "campaign.json"
_RAW, _SHIPPED = "/raw/", "/keys/"
#: libpcap hands packets over within a second.
FLUSH_NS = 1_000_000_000


def analyse_evidence(
    folders: str | Sequence[str], home: str | None = None, pairs: Sequence[FlowPair] = (), limits: Limits = LIMITS
) -> dict[str, t.Any]:
    """Return the report of the runs in *folders*, taken as one: index what is not indexed, then analyse.

    *home* is the folder that the report's paths are relative to, the first of them if None. Raises Unavailable.
    """
    folders = [folders] if isinstance(folders, str) else folders
    home = home or folders[0]
    need()
    manifests = {folder: manifest_of(folder) for folder in folders}
    vantages = [
        _moved(of_evidence(folder, entry, manifest["window"].get("t1_ns")), os.path.relpath(folder, home))
        for folder, manifest in manifests.items()
        for entry in manifest["vantages"]
    ]
    # Not /tmp, which may be memory: what is spilled lies where the evidence has room.
    evidence.make_private(os.path.join(home, DERIVED))
    limits = limits._replace(folder=limits.folder or os.path.join(home, DERIVED))
    return analyse(vantages, *_together(list(manifests.values())), pairs, limits)


def manifest_of(folder: str) -> dict[str, t.Any]:
    return evidence.read_json(os.path.join(folder, MANIFEST)) or {"vantages": [], "path": [], "campaign": None, "window": {}}


def elsewhere(folder: str, manifest: Mapping[str, t.Any]) -> str | None:
    """Return a sentence where captures of a run, that are not indexed yet, lie in an object store and not in *folder*."""
    objects = [
        file["object"]
        for entry in manifest["vantages"]
        if not os.path.exists(os.path.join(folder, DERIVED, entry["vantage_id"], KEYS))
        if not any(_SHIPPED in file["path"] for file in entry["files"])
        for file in entry["files"]
        if file.get("object") and not os.path.exists(os.path.join(folder, file["path"]))
    ]
    if not objects:
        return None
    base = f"{manifest['store']['url']}/{manifest['campaign']}/vantages"
    return (
        f"{len(objects)} captures of {manifest['campaign']} are in {base} at {objects[0]['endpoint']} and not here: copy them into the evidence "
        f"(aws --endpoint-url {objects[0]['endpoint']} s3 sync {base} {folder}/vantages), or do both on a machine near the store, "
        f"and run playbooks/analyse.yml -e campaign={manifest['campaign']}."
    )


def _together(manifests: Sequence[Mapping[str, t.Any]]) -> tuple[list[str], str | None, tuple[int | None, int | None]]:
    """Return the path, the ids and the window of several runs, which are slices of one campaign. Pure."""
    path: list[str] = next((manifest["path"] for manifest in manifests if manifest["path"]), [])
    named = ", ".join(manifest["campaign"] for manifest in manifests if manifest["campaign"])
    windows = [manifest["window"] for manifest in manifests]
    return path, named or None, (_earliest(*(window.get("t0_ns") for window in windows)), _latest(*(window.get("t1_ns") for window in windows)))


def _moved(vantage: Vantage, folder: str) -> Vantage:
    return vantage._replace(files=tuple(os.path.normpath(os.path.join(folder, path)) for path in vantage.files))


def of_evidence(folder: str, entry: Mapping[str, t.Any], t1_ns: int | None) -> Vantage:
    """Return one vantage of a manifest (campaign.schema.json), with its keys, counters and drops. *t1_ns*: when its window was to close."""
    name = entry["vantage_id"]
    raw = [file["path"] for file in entry["files"] if _RAW in file["path"] and (not file.get("object") or os.path.exists(os.path.join(folder, file["path"])))]
    shipped = [file["path"] for file in entry["files"] if _SHIPPED in file["path"]]
    keys = f"{DERIVED}/{name}/{KEYS}"
    wrong = None
    if not os.path.exists(os.path.join(folder, keys)):
        if entry["status"] == "failed" and not raw and not shipped:
            wrong = reason("failed", name, f"its evidence failed: {', '.join(entry['reasons'])}")
        else:
            wrong = _index([os.path.join(folder, path) for path in raw or shipped], os.path.join(folder, keys), name, made=not raw)
    counted = [f"vantages/{name}/counters/{when}.json" for when in ("before", "after")]
    known = _known(entry, t1_ns)._replace(
        counters=(_snapshot(os.path.join(folder, counted[0])), _snapshot(os.path.join(folder, counted[1]))),
        balanced=_balanced(folder, name),
        files=tuple(path for path in (*raw, *shipped, keys, *counted) if os.path.exists(os.path.join(folder, path))),
    )
    return known._replace(reasons=(wrong,)) if wrong else _flushed(of_index(os.path.join(folder, keys), known))


def _snapshot(path: str) -> t.Any:
    """Return what the host noted in *path*; None where it is absent or damaged."""
    try:
        return evidence.read_json(path)
    except ValueError:
        return None


def _balanced(folder: str, name: str) -> tuple[str, ...]:
    """Return DPVS's lists of connections that the host took at both ends of the window."""
    taken = (_snapshot(os.path.join(folder, f"vantages/{name}/state/connections-{when}.json")) for when in ("before", "after"))
    return tuple(str(entry["text"]) for entry in taken if entry and entry.get("text"))


def _known(entry: Mapping[str, t.Any], t1_ns: int | None) -> Vantage:
    """Return what the manifest alone says of a vantage. Pure."""
    mirror = entry.get("mirror")
    return Vantage(
        entry["vantage_id"],
        host=entry["host"],
        mirror=mirror is not None,
        sampled=mirror and mirror["sampled"],
        filter=entry["filter"],
        opened_ns=_latest(entry["opened_ns"], entry["ready_ns"]),
        closed_ns=_earliest(entry["stopped_ns"], t1_ns),
        drops=_drops(entry["drops"]),
        trustworthy=entry["drops"]["trustworthy"],
        drops_source=entry["drops"]["source"],
        offset_s=entry["clock"]["offset_s"],
        error_s=entry["clock"]["error_s"],
    )


def _flushed(vantage: Vantage) -> Vantage:
    """Close the vantage at its last packet, as what its program had in its buffers when it was stopped is not in the file."""
    if vantage.closed_ns is None or vantage.last_ns is None:
        return vantage
    return vantage._replace(closed_ns=min(vantage.closed_ns, max(vantage.last_ns, vantage.closed_ns - FLUSH_NS)))


def _index(files: Sequence[str], keys: str, name: str, made: bool) -> Reason | None:
    """Write the Parquet file *keys* of captures, or where hosts *made* the index of that."""
    evidence.make_private(os.path.dirname(keys))
    try:
        if made and files:
            _convert(files[0], keys)
        else:
            index(Wish(files, keys, name))
    except Exception as wrong:  # whatever is wrong with one capture, the others still have something to say
        return reason("unreadable", name, f"its capture could not be indexed: {wrong}")
    return None


def _convert(shipped: str, keys: str) -> None:
    with contextlib.ExitStack() as stack:
        rows = stack.enter_context(open(shipped, "rb"))
        sink = Sink(keys)
        stack.push(sink.end)
        keytable.write_parquet(rows, sink)


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
    return vantage._replace(keys=(path,), reasons=tuple(found), cm=side, out_of_order=disorder, last_ns=head.get("last_ns"))


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


def _earliest(*times: int | None) -> int | None:
    return min((t_ns for t_ns in times if t_ns is not None), default=None)
