# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html: the answer in one file that needs nothing else, made of report.json and of the manifests. Pure, but for its own template.

The page lies in `report/`; what it links to is relative to the evidence folder above. Each section names the files it came from.
"""

from __future__ import annotations

import base64
import hashlib
import os
import string
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import units

from . import chart
from .markup import NOTHING, Cell, bound, end, figure, grouped, limits, link, listed, pill, plain, safe, scaled, seconds, table

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ABOVE = "../"
HERE = os.path.dirname(os.path.abspath(__file__))
#: Vantages whose charts are drawn; the rest is in report.json.
CHARTS = 60
ANSWERS: Mapping[str, tuple[str, str]] = {
    "no_loss": ("good", "no loss"),
    "network_loss": ("bad", "the network lost packets"),
    "possible_network_loss": ("warn", "the network may have lost packets"),
    "unknown": ("warn", "it cannot be said"),
}
STATUS = {"ok": "good", "degraded": "warn", "failed": "bad"}
RESTORED = {"restored": "good", "already": "good", "handed_over": "good", "drift": "warn"}


class Evidence(t.NamedTuple):
    """One run that the report is about: its folder, relative to where the report is at home ("" for the same), and its manifest."""

    folder: str
    manifest: Mapping[str, t.Any]

    def file(self, path: str) -> str:
        """Return where *path*, a file of this run, lies from the page."""
        return ABOVE + os.path.normpath(os.path.join(self.folder, path))

    def vantages(self) -> Iterator[tuple[str, Mapping[str, t.Any]]]:
        """Yield (JSON pointer in the manifest, what it says of the vantage)."""
        for number, entry in enumerate(self.manifest.get("vantages", [])):
            yield f"/vantages/{number}", entry


def page(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    """Return report.html. *report* is report.json (report.schema.json), *runs* the evidence it came from (campaign.schema.json)."""
    script = _own("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    made = (head, path, series, clocks, vantages, connections, roce, rewrites, counters, unknown)
    body = "\n".join(part for part in (*(make(report, runs) for make in made), settings(runs), foot(runs)) if part)
    title = f"Report: {report['campaign'] or 'captures'}"
    return string.Template(_own("page.html")).substitute(
        title=safe(title), script_hash=f"sha256-{digest}", style=_own("page.css"), script=script, body=body
    )


def _own(name: str) -> str:
    with open(os.path.join(HERE, name), encoding="utf-8") as handle:
        return handle.read()


def _section(name: str, *parts: str, sources: Sequence[str] = ("report.json",)) -> str:
    came = " · ".join(link(source, source.removeprefix(ABOVE)) for source in dict.fromkeys(sources))
    inside = "\n".join(part for part in parts if part)
    return f'<section>\n<h2>{safe(name)}</h2>\n{inside}\n<p class="from">From: {came}</p>\n</section>'


def _by_name(runs: Sequence[Evidence]) -> dict[str, tuple[Evidence, str, Mapping[str, t.Any]]]:
    return {entry["vantage_id"]: (run, at, entry) for run in reversed(runs) for at, entry in run.vantages()}


def _keys(names: Sequence[str], report: Mapping[str, t.Any]) -> list[str]:
    return [ABOVE + path for entry in report["vantages"] if entry["vantage"] in names for path in entry["files"] if path.endswith(".parquet")]


def head(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    kind, words = ANSWERS[report["verdict"]["answer"]]
    sentences = "".join(f"<p>{safe(sentence)}</p>" for sentence in report["verdict"]["sentences"])
    limited = listed((f"<b>{safe(names)}</b>: {safe(said)}" if names else safe(said) for names, said in limits(report["verdict"]["reasons"])), "soft")
    why = "; ".join(plain(run.manifest["reason"]) for run in runs if run.manifest.get("reason"))
    return (
        f"<header>\n<h1>{safe(report['campaign'] or 'Captures that belong to no campaign')}</h1>\n"
        f'<p class="soft">{safe(_span(report["window"]))}{safe("; " + why) if why else ""}</p>\n</header>\n'
        f'<main>\n<div class="verdict {kind}">{pill(kind, words)}\n{sentences}</div>\n'
        + (f"<h3>What limits this answer</h3>\n{limited}" if limited else "")
        + _came_of(runs)
    )


def _came_of(runs: Sequence[Evidence]) -> str:
    files = ["report.json", *(run.file("campaign.json") for run in runs)]
    return f'<p class="from">From: {" · ".join(link(file, file.removeprefix(ABOVE)) for file in files)}</p>'


def _span(window: Mapping[str, t.Any]) -> str:
    t0, t1 = window["t0_ns"], window["t1_ns"]
    return "no window is known" if t0 is None or t1 is None else f"{units.clock_time(t0)} to {units.clock_time(t1)}, {seconds((t1 - t0) / 1e9)}"


def path(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    found = report["path"]
    told = {"declared": "The order was declared.", "inferred": "The order was inferred from the packets.", "none": "No path was found."}[found["source"]]
    unsure = "" if found["certain"] else " It could be the other way round."
    why = f" {safe(found['reason'])}" if found["reason"] else ""
    note = '<p class="soft">In brackets: at least, at most.</p>' if found["hops"] else ""
    columns = ("from", "to", "packets", "seen", "missing", "lost in network", "lost in capture", "outside window", "not mirrored", "unknown", "duplicates",
               "reordered", "delay (median, 99 %)")  # fmt: skip
    rows = [_hop(number, hop) for number, hop in enumerate(found["hops"])]
    hops = table(columns, rows) if rows else ""
    return _section("The path, and what each hop lost", f"<p>{told}{unsure}{why}</p>", note, chart.path(report), hops,
                    sources=("report.json", *_keys(found["order"], report)))  # fmt: skip


def _hop(number: int, hop: Mapping[str, t.Any]) -> list[str | Cell]:
    at, delay = f"/path/hops/{number}", hop["delay"]
    counts = ("packets", "seen", "missing", "lost_in_network", "lost_in_capture", "outside_window", "not_mirrored", "unknown", "duplicates", "reordered")
    took = NOTHING
    if delay:
        took = ", ".join(figure(f"{at}/delay/{name}", delay[name], seconds(delay[name])) for name in ("median_s", "p99_s"))
    figures = [Cell(bound(f"{at}/{name}", hop[name]) if name == "lost_in_network" else figure(f"{at}/{name}", hop[name]), 0) for name in counts]
    return [safe(hop["from"]), safe(hop["to"]), *figures, took]


def series(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    found = report["series"]
    if not found["bins"]:
        return ""
    bin_s, used = found["bin_ns"] / 1e9, [entry["vantage"] for entry in found["vantages"][:CHARTS]]
    top = max((max(entry["bytes"], default=0) for entry in found["vantages"]), default=0)
    charts = [_rate(number, entry, bin_s, top) for number, entry in enumerate(found["vantages"][:CHARTS])]
    charts += [_lost(number, entry, bin_s) for number, entry in enumerate(found["hops"]) if any(entry["lost"])][:CHARTS]
    more = len(found["vantages"]) - CHARTS
    note = f"All rates have the same scale. One step is {seconds(bin_s)}." + (f" {more} more vantages are in report.json." if more > 0 else "")
    quiet = "" if any(any(entry["lost"]) for entry in found["hops"]) else " No hop lost anything at any time."
    return _section("Throughput and loss over time", f'<p class="soft">{note}{quiet}</p>', f'<div class="charts">{"".join(charts)}</div>',
                    sources=("report.json", *_keys(used, report)))  # fmt: skip


def _rate(number: int, entry: Mapping[str, t.Any], bin_s: float, top: int) -> str:
    sizes = entry["bytes"]
    peak = max(range(len(sizes)), key=sizes.__getitem__, default=None)
    most = NOTHING if peak is None else figure(f"/series/vantages/{number}/bytes/{peak}", sizes[peak], scaled(sizes[peak] * 8 / bin_s, "bit/s"))
    return _plot(safe(entry["vantage"]), f"at most {most}", chart.area(sizes, top), len(sizes) * bin_s)


def _lost(number: int, entry: Mapping[str, t.Any], bin_s: float) -> str:
    lost = entry["lost"]
    peak = max(range(len(lost)), key=lost.__getitem__)
    most = f"at most {figure(f'/series/hops/{number}/lost/{peak}', lost[peak])} lost in a step"
    return _plot(f"{safe(entry['from'])} → {safe(entry['to'])}", most, chart.bars(lost), len(lost) * bin_s)


def _plot(name: str, most: str, drawing: str, length_s: float) -> str:
    scale = f"<figcaption><span>0 s</span><span>{seconds(length_s)}</span></figcaption>"
    return f"<figure><h3>{name}</h3><figcaption><span>{most}</span></figcaption>{drawing}{scale}</figure>"


def clocks(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    known, rows = _by_name(runs), []
    for number, entry in enumerate(report["vantages"]):
        at, clock = f"/vantages/{number}/clock", entry["clock"]
        start: str = NOTHING
        if entry["vantage"] in known:
            run, where, said = known[entry["vantage"]]
            start = _start(run.file("campaign.json"), where, said)
        jumps = ", ".join(figure(f"{at}/jumps/{place}/by_s", jump["by_s"], seconds(jump["by_s"])) for place, jump in enumerate(clock["jumps"]))
        times = {name: figure(f"{at}/{name}", clock[name], seconds(clock[name])) for name in ("offset_s", "error_s", "residual_s")}
        skew = figure(f"{at}/skew_ppm", clock["skew_ppm"], None if clock["skew_ppm"] is None else f"{clock['skew_ppm']:+.2f}")
        wrong = f" ± {times['error_s']}" if clock["error_s"] is not None else ", error not known"
        offset = times["offset_s"] + wrong if clock["offset_s"] is not None else NOTHING
        method = safe(clock["method"].replace("_", " ")) + (f" to {safe(clock['against'])}" if clock["against"] else "")
        rows.append([safe(entry["vantage"]), start, method, offset, skew, times["residual_s"], figure(f"{at}/samples", clock["samples"]), jumps or "none"])
    columns = ("vantage", "opened after T0", "clock compared", "offset", "skew, ppm", "residual", "samples", "jumps")
    sources = [run.file(f"vantages/{entry['vantage_id']}/vantage.json") for run in runs for _at, entry in run.vantages()]
    sources = ["report.json", *(run.file("campaign.json") for run in runs), *sources[:CHARTS]]
    return _section("Start and clocks", table(columns, rows), sources=sources) if rows else ""


def _start(source: str, at: str, said: Mapping[str, t.Any]) -> str:
    skew, error = said.get("start_skew_s"), said["clock"]["error_s"]
    if skew is None:
        return NOTHING
    return f"{figure(f'{at}/start_skew_s', skew, seconds(skew), source)} ± {figure(f'{at}/clock/error_s', error, seconds(error), source)}"


def vantages(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    """Return what each vantage captured, and what its drop count is worth."""
    known = _by_name(runs)
    rows = [_vantage(f"/vantages/{number}", entry, known.get(entry["vantage"])) for number, entry in enumerate(report["vantages"])]
    columns = ("vantage", "evidence", "packets", "bytes", "capture dropped", "missed for certain", "cannot be told apart", "filter", "files")
    sources = ("report.json", *(run.file("campaign.json") for run in runs))
    return _section("What was captured, and dropped", table(columns, rows), sources=sources) if rows else ""


def _vantage(at: str, entry: Mapping[str, t.Any], known: tuple[Evidence, str, Mapping[str, t.Any]] | None) -> list[str | Cell]:
    status = ""
    if known:
        said = known[2]
        status = pill(STATUS.get(said["status"], "warn"), said["status"]) + (f" {safe(', '.join(said['reasons']))}" if said["reasons"] else "")
    here = [link(ABOVE + path, path.rpartition(f"/{entry['vantage']}/")[2]) for path in entry["files"]]
    left = [f'<span class="soft">{safe(file["path"].rpartition("/")[2])} stayed on {safe(entry["host"])}</span>' for file in _left_out(known)]
    files = "<br>".join(here + left)
    used = "" if entry["usable"] else " " + pill("warn", "not compared")
    return [
        safe(entry["vantage"]) + used, status, _counted_there(at, entry, known, "packets", grouped), _counted_there(at, entry, known, "bytes_wire", _bytes),
        _drops(at, entry["drops"]), figure(f"{at}/missed", entry["missed"]), figure(f"{at}/unidentified", entry["unidentified"]),
        safe(entry["filter"] or "none"), files or NOTHING,
    ]  # fmt: skip


def _left_out(known: tuple[Evidence, str, Mapping[str, t.Any]] | None) -> Sequence[Mapping[str, t.Any]]:
    """Return the captures that were not brought home on purpose."""
    return known[2].get("left_out", ()) if known else ()


def _bytes(count: int) -> str:
    return scaled(count, "B")


def _counted_there(
    at: str, entry: Mapping[str, t.Any], known: tuple[Evidence, str, Mapping[str, t.Any]] | None, name: str, shown: t.Callable[[int], str]
) -> str:
    """Return a count of a vantage; of one that was not compared, what the manifest says."""
    if entry[name] is None and known:
        run, where, said = known
        count = (said.get("counts") or {}).get(name)
        if count is not None:
            return figure(f"{where}/counts/{name}", count, shown(count), run.file("campaign.json"))
    return figure(f"{at}/{name}", entry[name], None if entry[name] is None else shown(entry[name]))


def _drops(at: str, drops: Mapping[str, t.Any]) -> str:
    trust = pill("good", "to be trusted") if drops["trustworthy"] else pill("warn", "not to be trusted")
    source = f'<br><span class="soft">{safe(drops["source"])}</span>' if drops["source"] else ""
    return f"{figure(f'{at}/drops/count', drops['count'])} {trust}{source}"


def connections(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    found = report["connections"]
    columns = ("kind", "a", "b", "packets", "bytes", "lost in network", "lost in capture", "ECN marked", "retransmitted", "NAK", "RNR", "CNP", "lasted")
    rows = [_connection(f"/connections/rows/{number}", row) for number, row in enumerate(found["rows"])]
    total = f"<p>{figure('/connections/total', found['total'])} connection{'' if found['total'] == 1 else 's'}"
    shown = f", the worst and largest {grouped(len(rows))} of them here" if len(rows) < found["total"] else ""
    return _section("Connections", f"{total}{shown}.</p>", table(columns, rows, "connections") if rows else "",
                    sources=("report.json", *_keys([entry["vantage"] for entry in report["vantages"]], report)[:CHARTS]))  # fmt: skip


def _connection(at: str, row: Mapping[str, t.Any]) -> list[str | Cell]:
    lasted = (row["last_ns"] - row["first_ns"]) / 1e9
    return [
        safe(row["kind"]), safe(end(row["a"])), safe(end(row["b"])), Cell(figure(f"{at}/packets", row["packets"]), row["packets"]),
        Cell(figure(f"{at}/bytes_wire", row["bytes_wire"], scaled(row["bytes_wire"], "B")), row["bytes_wire"]),
        *_losses(at, row["loss"]), Cell(figure(f"{at}/ecn_marked", row["ecn_marked"]), row["ecn_marked"]),
        *(_asked(at, row["roce"], name) for name in ("retransmitted", "naks", "rnr_naks", "cnps")), Cell(seconds(lasted), lasted),
    ]  # fmt: skip


def _losses(at: str, loss: Sequence[Mapping[str, t.Any]]) -> tuple[Cell, Cell]:
    """Return what a connection lost where, sorted by the sum."""
    network, capture = [], []
    for number, hop in enumerate(loss):
        where, way = f"{at}/loss/{number}", f" {safe(hop['from'])} → {safe(hop['to'])}"
        network += [bound(f"{where}/lost_in_network", hop["lost_in_network"]) + way] if hop["lost_in_network"]["max"] else []
        capture += [figure(f"{where}/lost_in_capture", hop["lost_in_capture"]) + way] if hop["lost_in_capture"] else []
    return (
        Cell("<br>".join(network) or NOTHING, sum(hop["lost_in_network"]["max"] for hop in loss)),
        Cell("<br>".join(capture) or NOTHING, sum(hop["lost_in_capture"] for hop in loss)),
    )


def _asked(at: str, entries: Sequence[Mapping[str, t.Any]] | None, name: str) -> Cell:
    """Return one figure of the RoCE requests of both ends."""
    if not entries:
        return Cell(NOTHING, -1)
    parts, total = [], 0
    for number, entry in enumerate(entries):
        where, value = f"{at}/roce/{number}/{name}", entry[name]
        found = value.items() if isinstance(value, dict) else [("", value)]
        parts += [figure(f"{where}/{pointer(code)}" if code else where, count) + (f" {safe(code)}" if code else "") for code, count in found]
        total += sum(count for _code, count in found)
    return Cell(", ".join(parts) or "0", total)


def pointer(name: str) -> str:
    """Return *name* as a part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def roce(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    rows = [
        _requester(f"/connections/rows/{number}/roce/{place}", row, entry)
        for number, row in enumerate(report["connections"]["rows"])
        for place, entry in enumerate(row["roce"] or ())
    ]
    columns = ("from", "to", "read at", "messages", "go-back-N", "PSN gaps", "PSN missing", "CNP a second", "READ (median, 99 %)",
               "acknowledged (median, 99 %)")  # fmt: skip
    return _section("RoCE, by who sends requests", table(columns, rows, "roce")) if rows else ""


def _requester(at: str, row: Mapping[str, t.Any], entry: Mapping[str, t.Any]) -> list[str | Cell]:
    asks, answers = (row["a"], row["b"]) if entry["requester"] == "a" else (row["b"], row["a"])
    said = [
        f"{figure(f'{at}/messages/{number}/messages', kind['messages'])} {safe(kind['verb'])}, "
        f"{figure(f'{at}/messages/{number}/bytes', kind['bytes'], scaled(kind['bytes'], 'B'))}"
        for number, kind in enumerate(entry["messages"])
    ]
    told = Cell("<br>".join(said) or NOTHING, sum(kind["messages"] for kind in entry["messages"]))
    counts = [Cell(figure(f"{at}/{name}", entry[name]), entry[name]) for name in ("go_back_n", "psn_gaps", "psn_missing")]
    often = entry["cnps_per_s"]
    rate = Cell(figure(f"{at}/cnps_per_s", often, None if often is None else f"{often:.3g}"), often or 0)
    return [safe(end(asks)), safe(end(answers)), safe(entry["vantage"]), told, *counts, rate,
            _latency(f"{at}/read_latency", entry["read_latency"]), _latency(f"{at}/acked_latency", entry["acked_latency"])]  # fmt: skip


def _latency(at: str, spread: Mapping[str, t.Any] | None) -> Cell:
    if not spread:
        return Cell(NOTHING, -1)
    return Cell(", ".join(figure(f"{at}/{name}", spread[name], seconds(spread[name])) for name in ("median_s", "p99_s")), spread["median_s"] or 0)


def rewrites(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    fields = ("from", "to", "field", "before", "after")
    rows = [_counted(f"/rewrites/{number}", row, fields) for number, row in enumerate(report["rewrites"])]
    return _section("What changed on the way", table((*fields, "packets"), rows, "rewrites")) if rows else ""


def _counted(at: str, row: Mapping[str, t.Any], fields: Sequence[str]) -> list[str | Cell]:
    return [*(safe(row[field]) for field in fields), Cell(figure(f"{at}/packets", row["packets"]), row["packets"])]


def counters(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    words = {True: pill("good", "agrees"), False: pill("bad", "contradicts"), None: ""}
    parts, files = [], []
    for number, entry in enumerate(report["counters"]):
        read = listed(f"{words[reading['agrees']]} {safe(reading['text'])}" for reading in entry["readings"])
        moved = listed(f"{safe(item['name'])} {figure(f'/counters/{number}/moved/{place}/by', item['by'])}" for place, item in enumerate(entry["moved"]))
        folded = f"<details><summary>{len(entry['moved'])} counters moved</summary>{moved}</details>" if moved else "<p>No counter moved.</p>"
        parts.append(f"<h3>{safe(entry['vantage'])}</h3>{read}{folded}")
        files += [ABOVE + path for path in entry["files"]]
    return _section("What the hosts' own counters say", *parts, sources=("report.json", *files[: 2 * CHARTS])) if parts else ""


def unknown(report: Mapping[str, t.Any], runs: Sequence[Evidence]) -> str:
    rows = [_counted(f"/unknown/{number}", row, ("from", "to", "verdict", "text")) for number, row in enumerate(report["unknown"])]
    return _section("What is not known, and why", table(("from", "to", "verdict", "why", "packets"), rows)) if rows else ""


def settings(runs: Sequence[Evidence]) -> str:
    """Return what was changed on each host, and whether it was put back: the vantages of a host say the same."""
    rows, files = [], []
    for run in runs:
        hosts: dict[str, Mapping[str, t.Any]] = {}
        for _at, entry in run.vantages():
            hosts.setdefault(entry["host"], entry)
        for host, entry in hosts.items():
            found = list(_changed(host, entry.get("settings") or {}))
            rows += found
            files += [run.file(f"vantages/{entry['vantage_id']}/vantage.json")] if found else []
    told = "" if rows else "<p>Nothing was changed.</p>"
    shown = table(("host", "setting", "before", "during", "afterwards"), rows, "settings") if rows else ""
    return _section("Settings changed and restored", told, shown, sources=[*(run.file("campaign.json") for run in runs), *files[:CHARTS]])


def _changed(host: str, found: Mapping[str, t.Any]) -> Iterator[list[str | Cell]]:
    back = {_name(row["key"]): row for row in found.get("restored", [])}
    for kind in ("changes", "side_effects"):
        for key, before, during in found.get(kind, []):
            name = _name(key)
            said = back.pop(name, None)
            yield [safe(host), safe(name) + (" (side effect)" if kind == "side_effects" else ""), safe(before), safe(during), _restored(said)]
    for name, said in back.items():
        yield [safe(host), safe(name), safe(said.get("wanted")), NOTHING, _restored(said)]


def _restored(said: Mapping[str, t.Any] | None) -> str:
    if said is None:
        return pill("warn", "not known")
    kind = RESTORED.get(said["outcome"], "bad")
    found = f" {safe(said['found'])}" if said.get("found") is not None else ""
    why = f" {safe(said['reason'])}" if said.get("reason") else ""
    return pill(kind, said["outcome"].replace("_", " ")) + found + why


def _name(key: t.Any) -> str:
    return " ".join(map(plain, key)) if isinstance(key, (list, tuple)) else plain(key)


def foot(runs: Sequence[Evidence]) -> str:
    versions = dict(item for run in runs for item in (run.manifest.get("versions") or {}).items())
    made = ", ".join(f"{name.replace('_', ' ')} {version}" for name, version in versions.items())
    files = [link(name) for name in ("report.md", "report.json", "SHA256SUMS")] + [link(ABOVE + "derived/views.sql", "derived/views.sql")]
    files += [link(run.file("SHA256SUMS"), run.file("SHA256SUMS").removeprefix(ABOVE)) for run in runs]
    return f'</main>\n<footer class="from">{" · ".join(files)}{"<br>" + safe(made) if made else ""}</footer>'
