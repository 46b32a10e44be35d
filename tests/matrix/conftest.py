# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host for each suite of Debian, and the table of docs/systems.md, which is made of what these tests saw."""

from __future__ import annotations

import os
import typing as t

import pytest

from tests.bench.__main__ import replaced
from tests.integration.fleet import ROOT, Fleet
from tests.matrix import page

OUTCOMES = pytest.StashKey[dict[tuple[str, str], str]]()
VERSIONS = pytest.StashKey[dict[str, dict[str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="put the table into docs/systems.md")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = {}
    config.stash[VERSIONS] = {}


@pytest.fixture(scope="session")
def systems(pytestconfig: pytest.Config) -> t.Iterator[Fleet]:
    """The fleet; MATRIX_LAB names a lab of it that is up already, and is left up."""
    if os.geteuid():
        pytest.skip("these tests make a lab as root")
    fleet = Fleet("systems", os.environ.get("MATRIX_LAB"))
    pytestconfig.stash[VERSIONS] = {suite: page.versions(fleet.ssh(suite, page.ASK)) for suite in page.SUITES}
    yield fleet
    fleet.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if isinstance(item, pytest.Function):
        what = page.claim(item.function), str(item.callspec.params["suite"])
        if not report.passed:
            item.config.stash[OUTCOMES][what] = "FAILED" if report.failed else "not run"
        elif report.when == "call":
            item.config.stash[OUTCOMES].setdefault(what, "yes")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.stash[VERSIONS]:
        return
    versions, outcomes = config.stash[VERSIONS], config.stash[OUTCOMES]
    table = page.table(versions, outcomes)
    terminalreporter.write_line(f"\n{page.about()}\n\n{table.text()}")
    if config.getoption("--write"):
        file = ROOT / "docs" / "systems.md"
        file.write_text(replaced(file.read_text(), table, page.about()))
