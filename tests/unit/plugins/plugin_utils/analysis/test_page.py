# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands beside the evidence: the page, the text, the SQL, and their sums. A real browser looks at the page in tests/integration."""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
from ansible_collections.wirefleet.capture.plugins.plugin_utils import units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import chart, markup, model, page, publish, report, summary

from tests.truth import evidence, talk
from tests.truth.figures import Page, resolve, wrong
from tests.truth.world import Spot, Wire, World

HOSTILE = "\"'><script>alert(1)</script><img src=http://x/y onerror=z>\u202e\x1b[31m\n| `a` *b* [c](http://d)"


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A run with loss, capture loss and two clocks that differ, analysed; returns (folder, answer)."""
    folder = tmp_path_factory.mktemp("published")
    spots = [Spot("client"), Spot("tor", 0.2, loses=0.01), Spot("server", 0.5, 30e-6)]
    world = World(spots, [Wire(loss=0.02), Wire(loss=0.004)], 3)
    talk.writes(world, 200)
    evidence.publish(folder, world, gone=True)
    return folder, publish.answer([str(folder)])


def drawn(folder, name="report.html"):
    return (folder / "report" / name).read_text()


def runs(folder):
    return [page.Evidence("", json.loads((folder / "campaign.json").read_text()))]


def test_all_of_it_lies_beside_the_evidence_with_sums_of_its_own(published):
    folder, answer = published
    assert sorted(os.listdir(folder / "report")) == ["SHA256SUMS", "report.html", "report.json", "report.md"]
    below = sorted(str(path.relative_to(folder / "derived")) for path in (folder / "derived").rglob("*") if path.is_file())
    assert below == ["SHA256SUMS", *(f"{name}__eth1/keys.parquet" for name in ("client", "server", "tor")), "views.sql"]
    for part in ("report", "derived"):
        subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder / part, check=True)
        assert {path.stat().st_mode & 0o077 for path in (folder / part).rglob("*")} == {0}
    assert json.loads(drawn(folder, "report.json")) == answer.report
    assert answer.words().splitlines()[1:] == [*answer.report["verdict"]["sentences"], f"report: {answer.page}"]


def test_it_can_be_made_again(published):
    folder, answer = published
    again = publish.answer([str(folder)])
    assert {**again.report, "created_ns": 0} == {**answer.report, "created_ns": 0}
    subprocess.run(["sha256sum", "-c", "--strict", "--quiet", "SHA256SUMS"], cwd=folder / "derived", check=True)


def test_the_views_run_where_they_lie(published, monkeypatch):
    folder, answer = published
    monkeypatch.chdir(folder / "derived")
    with duckdb.connect() as db:
        db.execute((folder / "derived" / "views.sql").read_text())
        counted = db.execute("SELECT count(*) FROM packets").fetchone()
    assert counted == (sum(entry["packets"] or 0 for entry in answer.report["vantages"]),)


def test_several_folders_make_one_report(published, tmp_path):
    folder, alone = published
    other = tmp_path / "other"
    other.mkdir()
    world = World([Spot("east"), Spot("west")], [Wire()], 4)
    talk.writes(world, 5)
    evidence.publish(other, world)
    home = tmp_path / "both"
    both = publish.answer([str(folder), str(other)], str(home))
    assert both.report["path"]["order"] == alone.report["path"]["order"], "the path of the first"
    assert {reason["subject"] for reason in both.report["verdict"]["reasons"] if reason["code"] == "not_in_path"} == {"east__eth1", "west__eth1"}
    found = Page(drawn(home))
    assert not wrong(found, home / "report")
    assert all((home / "report" / link).exists() for link in found.links() if not link.endswith(("vantage.json", "/SHA256SUMS")))
    assert "read_parquet([" in (home / "derived" / "views.sql").read_text()


def test_damaged_counters_spoil_nothing_else(published, tmp_path):
    shutil.copytree(published[0], tmp_path / "run")
    (tmp_path / "run/vantages/tor__eth1/counters/after.json").write_text("{")
    found = publish.answer([str(tmp_path / "run")]).report
    assert found["path"] == published[1].report["path"]
    assert [entry["vantage"] for entry in found["counters"]] == ["client__eth1", "server__eth1"]


def test_what_is_not_published_is_refused(tmp_path):
    with pytest.raises(units.Unusable, match="holds no published run"):
        publish.answer([str(tmp_path)])


def test_what_to_install_is_said(published, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(model.Unavailable, match="duckdb is missing: pip install duckdb numpy pyarrow"):
        publish.answer([str(published[0])])


# -- the page ------------------------------------------------------------------------------------------------------------


def test_every_figure_is_the_one_in_its_file(published):
    folder, answer = published
    found = Page(drawn(folder))
    assert wrong(found, folder / "report") == []
    shown = {(figure.source, figure.at) for figure in found.figures}
    for number, hop in enumerate(answer.report["path"]["hops"]):
        named = ("packets", "seen", "missing", "lost_in_capture", "outside_window", "not_mirrored", "unknown", "duplicates", "reordered")
        names = [*named, "lost_in_network/min", "lost_in_network/max"]
        assert {("report.json", f"/path/hops/{number}/{name}") for name in names} <= shown, hop
    assert all(sentence in found.text for sentence in answer.report["verdict"]["sentences"])


def test_a_wrong_figure_is_noticed(published):
    folder, answer = published
    changed = copy.deepcopy(answer.report)
    changed["path"]["hops"][0]["lost_in_network"]["min"] += 1
    assert len(wrong(Page(page.page(changed, runs(folder))), folder / "report")) == 2, "in the drawing and in the table"


def test_every_link_leads_into_the_evidence(published):
    folder, _answer = published
    links = Page(drawn(folder)).links()
    ours = {link for link in links if not link.endswith(("vantage.json", "../SHA256SUMS"))}
    assert {"../vantages/tor__eth1/raw/0001.pcap", "../derived/tor__eth1/keys.parquet", "report.json", "../campaign.json"} <= ours
    assert all((folder / "report" / link).exists() for link in ours)


def test_the_page_asks_nobody_for_anything(published):
    html = drawn(published[0])
    found = Page(html)
    assert not [value for name, value in found.attributes if name in ("src", "srcset", "data", "action", "href") and "://" in value]
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|https?://", html)
    assert "default-src 'none'" in html and found.elements.count("script") == 1


def hostile(found):
    """Put hostile text wherever a report has text of somebody else's."""
    found = copy.deepcopy(found)
    found["campaign"] = HOSTILE
    found["verdict"]["sentences"].append(HOSTILE)
    found["verdict"]["reasons"].append({"code": "failed", "subject": HOSTILE, "text": HOSTILE})
    found["path"] = {**found["path"], "order": [HOSTILE, "b"], "reason": HOSTILE}
    found["path"]["hops"] = [{**found["path"]["hops"][0], "from": HOSTILE, "to": "b"}]
    found["series"]["vantages"][0]["vantage"] = HOSTILE
    for entry in found["vantages"]:
        entry.update(vantage=HOSTILE, filter=HOSTILE, files=["vantages/" + HOSTILE])
        entry["drops"]["source"] = HOSTILE
    for row in found["connections"]["rows"]:
        row["a"]["address"] = HOSTILE
        row["roce"] = [{**entry, "vantage": HOSTILE, "naks": {HOSTILE: 2}} for entry in row["roce"]]
        row["loss"] = [{**hop, "from": HOSTILE} for hop in row["loss"]]
    found["rewrites"] = [{"from": HOSTILE, "to": "b", "direction": "forward", "field": "address", "before": HOSTILE, "after": HOSTILE, "packets": 1}]
    found["counters"] = [{"vantage": HOSTILE, "host": HOSTILE, "moved": [{"name": HOSTILE, "by": 1}], "readings": [], "files": []}]
    found["counters"][0]["readings"] = [{"agrees": None, "text": HOSTILE}]
    return found


def test_nothing_of_a_capture_or_a_host_is_taken_for_markup(published):
    folder, answer = published
    run = runs(folder)[0]
    run.manifest["reason"] = HOSTILE
    for entry in run.manifest["vantages"]:
        entry.update(vantage_id=HOSTILE, host=HOSTILE, reasons=[HOSTILE])
        entry["settings"]["changes"] = [[[HOSTILE], HOSTILE, {"a": HOSTILE}]]
        entry["settings"]["restored"] = [{"key": [HOSTILE], "outcome": "failed", "wanted": 1, "found": HOSTILE, "reason": HOSTILE}]
    changed = hostile(answer.report)
    html = page.page(changed, [run])
    found, good = Page(html), Page(drawn(folder))
    assert set(found.elements) <= set(good.elements) and found.elements.count("script") == 1
    assert {name for name, _value in found.attributes} <= {name for name, _value in good.attributes}
    assert not {"\u202e", "\x1b"} & set(html), "what turns the direction of reading, or steers a terminal"
    assert all(resolve(changed, figure.at) == figure.value for figure in found.figures if figure.source == "report.json" and "/naks/" not in figure.at)
    told = summary.text(changed)
    assert "<script" not in told.replace("\\<script", "") and "[c](" not in told and "\x1b" not in told


def test_a_report_of_nothing_is_a_page_too(tmp_path):
    found = report.analyse([])
    html, told = page.page(found, []), summary.text(found)
    assert found["verdict"]["sentences"][0] in Page(html).text and found["verdict"]["sentences"][0].split(",")[0] in told
    assert "No path was found." in html and "it cannot be said" in html


def test_many_connections_stay_one_page(published):
    folder, answer = published
    many = copy.deepcopy(answer.report)
    many["connections"] = {"total": 5000, "rows": many["connections"]["rows"] * 1000}
    html = page.page(many, runs(folder))
    found = Page(html)
    assert len(html) < 5 << 20 and "5\u202f000 connections, the worst and largest 1\u202f000 of them here" in found.text
    assert sum(figure.at.endswith("/packets") and figure.at.startswith("/connections/rows") for figure in found.figures) >= 1000


def test_settings_are_followed_to_where_they_went(published):
    folder, _answer = published
    run = runs(folder)[0]
    entry = run.manifest["vantages"][0]
    entry["settings"]["restored"] = [{"key": evidence.KEY, "outcome": "drift", "wanted": True, "found": "yes", "reason": "somebody set it"}]
    run.manifest["vantages"][1]["settings"]["restored"] = []
    shown = page.settings([run])
    assert "drift</span> yes somebody set it" in shown and "not known" in shown
    assert page.settings([page.Evidence("", {"vantages": []})]).count("Nothing was changed.") == 1


def test_what_was_not_compared_is_counted_as_the_manifest_says(published):
    folder, answer = published
    run, changed = runs(folder)[0], copy.deepcopy(answer.report)
    changed["vantages"][1].update(usable=False, packets=None, bytes_wire=None)
    run.manifest["vantages"][1]["counts"] = {"packets": 4711, "bytes_wire": None}
    shown = {figure.at: figure for figure in Page(page.vantages(changed, [run])).figures}
    assert (shown["/vantages/1/counts/packets"].source, shown["/vantages/1/counts/packets"].value) == ("../campaign.json", 4711)
    assert shown["/vantages/1/bytes_wire"].shown == "–"


def test_the_path_is_drawn_with_both_directions(published):
    _folder, answer = published
    drawing = chart.path(answer.report)
    assert drawing.count("<line") == 4 and drawing.count('class="box"') == 3
    assert chart.path(report.analyse([])) == ""


def test_a_step_without_traffic_is_flat():
    assert "NaN" not in chart.area([]) and 'd="M0 80H0V80H300V80H600V80z"' in chart.area([0, 0])
    assert chart.bars([0, 2, 0]).count("<rect") == 1


@pytest.mark.parametrize("value, shown", [(None, "–"), (0, "0 µs"), (1.5e-6, "1.5 µs"), (0.0123, "12.3 ms"), (-2, "-2 s"), (5000, "5000 s")])
def test_times_have_the_unit_that_suits_them(value, shown):
    assert markup.seconds(value) == shown


def test_what_is_long_is_cut():
    assert len(markup.plain("x" * 10_000)) == markup.LONGEST


# -- the text ------------------------------------------------------------------------------------------------------------


def test_the_text_says_the_verdict_first_and_the_loss_of_each_hop(published):
    folder, answer = published
    told = drawn(folder, "report.md")
    assert told.splitlines()[2] == f"**{answer.report['verdict']['sentences'][0]}**"
    for hop in answer.report["path"]["hops"]:
        assert f"| {hop['from']} | {hop['to']} | {hop['packets']} | {summary.bound(hop['lost_in_network'])} |" in told
