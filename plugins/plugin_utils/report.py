# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a run: what plan, hosts and collected files say together, and the table a user reads."""

from __future__ import annotations

import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import WHOLE

from . import codecs, collect, evidence, progress, units, verdict

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COLUMNS = ("vantage", "status", "packets", "bytes", "drops", "start skew", "changed", "restored", "file", "reasons")


def publish(
    run: evidence.Run, versions: Mapping[str, str], check: Callable[[dict[str, t.Any]], list[str]]
) -> tuple[str, dict[str, t.Any]]:
    """Write the manifest and the vantages' own, publish the run; returns (folder, manifest).

    Raises Unusable where *check* finds that the manifest breaks its own schema: then nothing is published.
    """
    plan = run.plan()
    records = {host: run.record(host) for host in plan["sessions"]}
    waited = evidence.read_json(run.path(evidence.WORK, "wait.json")) or {}
    plan["sessions"] = {host: record.get("session") or plan["sessions"][host] for host, record in records.items()}
    vantages = []
    sums: dict[str, str] = {}
    for host, session in plan["sessions"].items():
        for planned in session["vantages"]:
            entry = vantage(run, plan, session, planned, records[host], waited.get(host, {}))
            vantages.append(entry)
            evidence.make_private(run.path("vantages", planned["vantage_id"]))
            evidence.write_json(run.path("vantages", planned["vantage_id"], "vantage.json"), entry)
            sums.update({file["path"]: file["sha256_stored"] for file in entry["files"]})
    plan["collect"] = next((record["collect"] for record in records.values() if record.get("collect")), plan.get("collect", WHOLE))
    manifest = campaign(plan, vantages, versions)
    for wrong in check(manifest):
        raise units.Unusable(
            f"{wrong} This is a mistake of the collection or of a host's answer; nothing is lost in {run.folder}."
        )
    run.event("published", status=manifest["verdict"]["status"])
    evidence.write_json(run.path("plan.json"), plan)
    evidence.write_json(run.path("campaign.json"), manifest)
    return run.publish(sums), manifest


def campaign(
    plan: Mapping[str, t.Any], vantages: list[dict[str, t.Any]], versions: Mapping[str, str]
) -> dict[str, t.Any]:
    """Return the manifest of the whole run. Pure."""
    statuses = {entry["status"] for entry in vantages}
    status = next((level for level in ("failed", "degraded") if level in statuses), "ok")
    firsts = [entry["counts"]["first_ns"] for entry in vantages if entry["counts"]["first_ns"] is not None]
    lasts = [entry["counts"]["last_ns"] for entry in vantages if entry["counts"]["last_ns"] is not None]
    return {
        "schema": 1,
        "campaign": plan["campaign"],
        "name": plan["name"],
        "reason": plan["reason"],
        "created_ns": plan["created_ns"],
        "versions": dict(versions),
        "window": {
            "t0_ns": plan["t0_ns"],
            "t1_ns": plan["t0_ns"] + round(plan["duration_s"] * 1e9),
            "first_packet_ns": min(firsts, default=None),
            "last_packet_ns": max(lasts, default=None),
        },
        "max_clock_error_s": plan["max_clock_error_s"],
        "path": plan["path"],
        "store": plan.get("store"),
        "collect": plan.get("collect", WHOLE),
        "vantages": vantages,
        "verdict": {"status": status, "reasons": sorted({reason for entry in vantages for reason in entry["reasons"]})},
    }


def vantage(
    run: evidence.Run,
    plan: Mapping[str, t.Any],
    session: Mapping[str, t.Any],
    planned: Mapping[str, t.Any],
    record: Mapping[str, t.Any],
    waited: Mapping[str, t.Any],
) -> dict[str, t.Any]:
    """Return what the manifest says of one vantage."""
    name = planned["vantage_id"]
    result = record.get("result") or {}
    found = next((entry for entry in result.get("vantages", []) if entry["vantage_id"] == name), None)
    settings = result.get("settings") or {}
    files = {path: file for path, file in record.get("files", {}).items() if path.startswith(f"vantages/{name}/") and file["done"]}
    left_out = {path: file for path, file in (record.get("left_out") or {}).items() if path.startswith(f"vantages/{name}/") and path not in files}
    raw = {path: file for path, file in files.items() if "/raw/" in path} or left_out
    clock = best_clock([record.get("clock"), waited.get("clock")])
    status, reasons = verdict.judge(
        verdict.Found(
            host=host_facts(record, result),
            plan=planned,
            result=found,
            settings=settings,
            files=raw,
            counters=counters(run, name),
            clock=clock,
            max_clock_error_s=plan["max_clock_error_s"],
        )
    )
    return {
        "vantage_id": name,
        "host": session["host"],
        "status": status,
        "reasons": reasons,
        "error": record.get("error") or (found or {}).get("error") or result.get("error"),
        **{field: planned[field] for field in ("device", "capture_on", "engine_reason", "filter", "snaplen")},
        "mirror": planned.get("mirror"),
        **timing(result, found or {}, plan["t0_ns"], clock),
        "engine": (found or {}).get("engine"),
        "drops": drops((found or {}).get("stats") or {}),
        "counts": counts(raw),
        "files": [manifest_file(path, file) for path, file in sorted(files.items())],
        "left_out": [manifest_left_out(path, file) for path, file in sorted(left_out.items())],
        "settings": {field: settings.get(field, []) for field in ("changes", "side_effects", "restored")},
        "transfer": transfer(record),
    }


def host_facts(record: Mapping[str, t.Any], result: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "armed": record.get("armed"),
        "collected": bool(record.get("collected_ns")),
        "missing": record.get("missing"),
        "unreachable": record.get("unreachable"),
        "opened": result.get("opened_ns") is not None,
    }


def timing(
    result: Mapping[str, t.Any], found: Mapping[str, t.Any], t0_ns: int, clock: dict[str, t.Any]
) -> dict[str, t.Any]:
    return {
        "opened_ns": result.get("opened_ns"),
        "ready_ns": found.get("ready_ns"),
        "stopped_ns": found.get("stopped_ns"),
        "stop_reason": found.get("stop_reason"),
        "start_skew_s": skew(result.get("opened_ns"), found.get("ready_ns"), t0_ns, clock),
        "clock": clock,
    }


def transfer(record: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "codec": record.get("codec"),
        "link_bytes_s": record.get("link_bytes_s"),
        "verified_ns": record.get("collected_ns"),
    }


def best_clock(measured: list[t.Any]) -> dict[str, t.Any]:
    """Return the measurement with the smallest error; nulls where there is none. Pure."""
    usable = [clock for clock in measured if clock and clock.get("error_s") is not None]
    best = min(usable, key=lambda clock: clock["error_s"], default={"offset_s": None, "error_s": None})
    return {"offset_s": best["offset_s"], "error_s": best["error_s"]}


def skew(opened_ns: int | None, ready_ns: int | None, t0_ns: int, clock: Mapping[str, t.Any]) -> float | None:
    """Return by how many seconds of the controller's clock this vantage opened after T0; None where unknown. Pure.

    A vantage opens with the window, or when its engine is ready if that is later.
    """
    if opened_ns is None or clock["offset_s"] is None:
        return None
    return (max(opened_ns, ready_ns or opened_ns) - t0_ns) / 1e9 - clock["offset_s"]


def drops(stats: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "kernel": stats.get("dropped_kernel"),
        "interface": stats.get("dropped_interface"),
        "trustworthy": bool(stats.get("trustworthy")),
        "source": stats.get("source"),
    }


def counts(raw: Mapping[str, Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """Return the sums over a vantage's capture files, as read on the controller. Pure."""
    summaries = [file["summary"] for file in raw.values() if file.get("summary")]

    def total(field: str) -> int | None:
        values = [summary[field] for summary in summaries if summary[field] is not None]
        return sum(values) if values else None

    return {
        **{field: total(field) for field in ("packets", "in_window", "bytes_captured", "bytes_wire", "out_of_order")},
        "first_ns": min((summary["first_ns"] for summary in summaries if summary["first_ns"]), default=None),
        "last_ns": max((summary["last_ns"] for summary in summaries if summary["last_ns"]), default=None),
    }


def manifest_file(path: str, file: Mapping[str, t.Any]) -> dict[str, t.Any]:
    summary = file.get("summary") or {}
    return {
        "path": path + codecs.SUFFIX[file["codec"]],
        "bytes": file["bytes"],
        "stored_bytes": collect.stored(file),
        "compression": None if file["codec"] == "raw" else file["codec"],
        "sha256_raw": file["sha256_raw"],
        "sha256_stored": file["sha256_stored"],
        "format": summary.get("format"),
        "link_type": summary.get("link_type"),
        "parse_status": summary.get("status"),
        "packets": summary.get("packets"),
        "object": file.get("object"),
    }


def manifest_left_out(path: str, file: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return what the manifest says of a capture that stayed on its host on purpose: all of it is the host's word. Pure."""
    summary = file["summary"]
    return {
        "path": path,
        "bytes": file["bytes"],
        "sha256_raw": file["sha256_raw"],
        **{field: summary[field] for field in ("format", "link_type", "packets")},
        "parse_status": summary["status"],
    }


def counters(run: evidence.Run, name: str) -> tuple[t.Any, t.Any]:
    """Return the snapshots before and after; None for one that is absent or damaged."""
    both = []
    for moment in ("before", "after"):
        try:
            both.append(evidence.read_json(run.path("vantages", name, "counters", f"{moment}.json")))
        except ValueError:
            both.append(None)
    return both[0], both[1]


def table(manifest: Mapping[str, t.Any]) -> str:
    """Return the final table, a line for each vantage. Pure."""
    return progress.table(COLUMNS, [_line(entry) for entry in manifest["vantages"]])


def _line(entry: Mapping[str, t.Any]) -> list[str]:
    raw = [file for file in entry["files"] if "/raw/" in file["path"] or "/keys/" in file["path"]]
    lost = [count for count in (entry["drops"]["kernel"], entry["drops"]["interface"]) if count is not None]
    restored = [
        item for item in entry["settings"]["restored"] if item["outcome"] in ("restored", "already", "handed_over")
    ]
    more = f" +{len(raw) - 1}" if len(raw) > 1 else ""
    return [
        entry["vantage_id"],
        entry["status"],
        _known(entry["counts"]["packets"]),
        units.human(sum(file["bytes"] for file in raw) if raw else None),
        _known(sum(lost) if lost else None) + ("" if entry["drops"]["trustworthy"] or not lost else "?"),
        _skew(entry["start_skew_s"], entry["clock"]["error_s"]),
        str(len(entry["settings"]["changes"])),
        str(len(restored)),
        raw[0]["path"].rpartition("/")[2] + more if raw else "-",
        ", ".join(entry["reasons"]),
    ]


def _known(value: int | None) -> str:
    return "-" if value is None else str(value)


def _skew(seconds: float | None, error: float | None) -> str:
    return "-" if seconds is None or error is None else f"{seconds * 1000:+.1f} ms ±{error * 1000:.1f}"
