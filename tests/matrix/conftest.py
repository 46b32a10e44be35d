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

#: What was seen, by fleet: outcomes by claim and suite, and versions by suite.
OUTCOMES = pytest.StashKey[dict[str, dict[tuple[str, str], str]]]()
VERSIONS = pytest.StashKey[dict[str, dict[str, dict[str, str]]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="put the tables into docs/systems.md")


def pytest_configure(config: pytest.Config) -> None:
    outcomes: dict[str, dict[tuple[str, str], str]] = {name: {} for name in page.FLEETS}
    config.stash[OUTCOMES] = outcomes
    config.stash[VERSIONS] = {}
    config.addinivalue_line("markers", "own_kernel: changes the kernel, so that only hosts with one of their own take part")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what changes the kernel where that is the machine's."""
    items[:] = [item for item in items if not (item.get_closest_marker("own_kernel") and fleet_of(item) == "systems")]


def fleet_of(item: pytest.Item) -> str | None:
    """Return the name of the fleet that a test runs on."""
    return str(item.callspec.params.get("fleet_name")) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None


@pytest.fixture(scope="session", params=page.FLEETS)
def fleet_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def systems(fleet_name: str, pytestconfig: pytest.Config) -> t.Iterator[Fleet]:
    """The fleet; MATRIX_LAB (`systems`) and KERNELS_LAB (`kernels`) name labs that are up already, and are left up."""
    if os.geteuid():
        pytest.skip("these tests make a lab as root")
    fleet = Fleet(fleet_name, os.environ.get({"systems": "MATRIX_LAB", "kernels": "KERNELS_LAB"}[fleet_name]))
    pytestconfig.stash[VERSIONS][fleet_name] = {suite: page.versions(fleet.ssh(suite, page.ASK)) for suite in page.SUITES}
    yield fleet
    fleet.down()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> t.Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    if isinstance(item, pytest.Function) and "suite" in parameters:
        outcomes = item.config.stash[OUTCOMES][str(parameters["fleet_name"])]
        what = page.claim(item.function), str(parameters["suite"])
        if not report.passed:
            outcomes[what] = "FAILED" if report.failed else "not run"
        elif report.when == "call":
            outcomes.setdefault(what, "yes")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for name, versions in config.stash[VERSIONS].items():
        table = page.table(name, versions, config.stash[OUTCOMES][name])
        terminalreporter.write_line(f"\n{table.how} {page.about()}\n\n{table.text()}")
        if config.getoption("--write"):
            file = ROOT / "docs" / "systems.md"
            file.write_text(replaced(file.read_text(), table, page.about()))
