# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection it is, so that a plain `pytest` works."""

from __future__ import annotations

import pathlib
import re
import sys
from collections import Counter

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREE = ROOT / ".cache" / "tree"

LINK = TREE / "ansible_collections" / "wirefleet" / "capture"

if not LINK.exists():
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to(ROOT)
sys.path[:0] = [str(TREE), str(ROOT)]

#: Files whose tests stand alone on hosts that are up in a second, so that each goes to the worker of xdist that is free.
SPREAD = {"test_campaign.py", "test_connections.py", "test_examples.py", "test_faults.py", "test_refusals.py", "test_terminal.py"}


def unit_of_work(nodeid: str) -> str:
    """Return what one worker of xdist does: a file, or of a file in SPREAD a test, or the tests whose ids end with one @fleet."""
    path = nodeid.partition("::")[0]
    if pathlib.PurePath(path).name not in SPREAD:
        return path
    shared = re.search(r"@\w+\]$", nodeid)
    return path + shared[0] if shared else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Make --dist loadfile finer: a fleet takes long to come up, but not all do."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of_work(nodeid)

    return Scheduling(config, log)


#: How often a packet that should get one verdict got which, in all tests of a run; a worker of xdist hands its own on when it ends.
SCORES = pytest.StashKey[Counter]()


def pytest_configure(config):
    config.stash[SCORES] = Counter()


@pytest.fixture
def truth_scores(request):
    return request.config.stash[SCORES]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["scores"] = [[*pair, count] for pair, count in session.config.stash[SCORES].items()]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    for wanted, found, count in getattr(node, "workeroutput", {}).get("scores", ()):
        node.config.stash[SCORES][wanted, found] += count


def pytest_terminal_summary(terminalreporter, config):
    """Print precision and recall of each verdict."""
    if not config.stash[SCORES]:
        return
    from tests.truth.judge import table

    terminalreporter.section("verdicts against the truth")
    for line in table(config.stash[SCORES]):
        terminalreporter.line(line)
