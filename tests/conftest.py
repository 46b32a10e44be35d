# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection it is, so that a plain `pytest` works."""

from __future__ import annotations

import pathlib
import re
import sys

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
