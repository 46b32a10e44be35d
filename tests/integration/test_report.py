# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report.html in a real browser: its numbers, what one can do with its table, and a phone."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")
from ansible_collections.wirefleet.capture.plugins.plugin_utils.analysis import publish

from tests.integration.fleet import BIN, ROOT
from tests.traffic.roce_frames import write_message
from tests.truth import evidence, talk
from tests.truth.figures import Page, wrong
from tests.truth.world import Packet, Spot, Wire, World

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
)
#: As wide as a phone, a tablet, and a desk.
WIDTHS = (360, 390, 768, 1280)
#: Run in the page by a test, behind the page's own script: says in the document what a reader would see.
LOOK = """
const root = document.documentElement, table = document.getElementById("connections");
root.dataset.wide = root.scrollWidth;
root.dataset.window = window.innerWidth;
const column = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent === "packets");
const order = () => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => row.cells[column].dataset.key).join(" ");
table.tHead.rows[0].cells[column].querySelector("button").click();
root.dataset.falling = order();
table.tHead.rows[0].cells[column].querySelector("button").click();
root.dataset.rising = order();
const tools = table.parentElement.previousElementSibling.querySelector("input");
tools.value = "10.78.0.101";
tools.dispatchEvent(new Event("input"));
root.dataset.filtered = order();
"""
#: A window of any width, as the browser's own is never narrower than 500 pixels.
FRAME = """<!DOCTYPE html><iframe src="{page}" style="border: 0; width: {width}px; height: 900px"></iframe>
<script>addEventListener("load", () => Object.assign(document.documentElement.dataset, frames[0].document.documentElement.dataset))</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of three vantages with long names and several connections, analysed."""
    folder = tmp_path_factory.mktemp("browsed")
    spots = [Spot("a-host-with-a-name-as-long-as-inventories-of-big-fleets-have-them"), Spot("tor", 0.2, loses=0.01), Spot("server", 0.5)]
    world = World(spots, [Wire(loss=0.02), Wire(loss=0.004)], 3)
    for number, packets in enumerate((300, 100, 200)):
        for at, (bth, rest) in enumerate(write_message(number << 12, packets, talk.QP_B, bytes(64))):
            world.send(Packet(0, at * 100e-6, True, f"10.78.0.10{number}", talk.B, bth, rest))
    evidence.publish(folder, world)
    publish.answer([str(folder)])
    return folder


def browse(page, tmp_path, width, *more):
    """Return the document as the browser has it when scripts have run."""
    browser = shutil.which("chromium")
    assert browser, "this test needs Debian's package chromium"
    argv = [browser, *FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900", *more, "--dump-dom", page.as_uri()]
    return Page(subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120).stdout)


def test_the_numbers_that_a_browser_shows_are_those_of_the_report(folder, tmp_path):
    found = browse(folder / "report" / "report.html", tmp_path, 1280)
    assert wrong(found, folder / "report") == []
    assert len(found.figures) > 100 and "lost_in_network" in " ".join(figure.at for figure in found.figures)
    sorting = sum(name == "data-sorts" for name, _value in found.attributes)
    assert found.elements.count("select") == sorting == 3, "the page's own script ran: its policy lets it"


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_and_the_table_sorts_and_filters(folder, tmp_path, width):
    html = (folder / "report" / "report.html").read_text()
    policy = html[html.index("<meta http-equiv") : html.index(">", html.index("<meta http-equiv")) + 1]
    page = folder / "report" / f"looked-at-{width}.html"
    page.write_text(html.replace(policy, "").replace("</body>", f"<script>{LOOK}</script></body>"))
    frame = folder / "report" / f"frame-{width}.html"
    frame.write_text(FRAME.format(page=page.name, width=width))
    said = dict(browse(frame, tmp_path, 1400, "--allow-file-access-from-files").attributes)
    assert int(said["data-window"]) == width and int(said["data-wide"]) <= width
    sizes = sorted(map(int, said["data-rising"].split()))
    assert len(sizes) == 3 and said["data-rising"] == " ".join(map(str, sizes)) and said["data-falling"] == " ".join(map(str, reversed(sizes)))
    assert len(said["data-filtered"].split()) == 1


@pytest.fixture
def lonely(folder, tmp_path):
    """A controller whose Python has no duckdb, and a published run that nobody analysed; returns (environment, run)."""
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "duckdb.py").write_text("raise ModuleNotFoundError('no duckdb', name='duckdb')\n")
    run = tmp_path / "evidence" / evidence.CAMPAIGN
    shutil.copytree(folder, run, ignore=shutil.ignore_patterns("derived", "report"))
    tree = str(ROOT / ".cache" / "tree")
    return {**os.environ, "ANSIBLE_COLLECTIONS_PATH": tree, "PYTHONPATH": str(tmp_path / "missing"), "ANSIBLE_NOCOLOR": "1"}, run


def ansible(program, env, *words):
    done = subprocess.run([BIN / program, *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_without_duckdb_a_sentence_says_what_to_install(lonely):
    env, run = lonely
    words = ["localhost", "-m", "wirefleet.capture.campaign_analyse", "-a"]
    code, said = ansible("ansible", env, *words, f"evidence={run} optional=true")
    assert code == 0 and "duckdb is missing: pip install duckdb numpy pyarrow. The evidence is whole" in said
    code, said = ansible("ansible", env, *words, f"evidence={run}")
    assert code and "duckdb is missing: pip install duckdb numpy pyarrow." in said
    assert not (run / "report").exists()


def test_the_playbook_analyses_a_published_run_again(lonely):
    env, run = lonely
    words = ["playbooks/analyse.yml", "-e", f"campaign_evidence_root={run.parent}", "-e"]
    code, said = ansible("ansible-playbook", {**env, "PYTHONPATH": ""}, *words, "campaign=x")
    assert code == 0 and "The network lost" in said and (run / "report" / "report.html").stat().st_mode & 0o777 == 0o600
    code, said = ansible("ansible-playbook", env, *words, "campaign=nosuch")
    assert code and "nosuch is not published, and there is no such run in" in said
