# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two QEMU guests that speak RDMA, brought up once for all of these tests, which leave them as they found them.

Tests run side by side in two processes, since a guest keeps but one core busy: a test says which guest must be its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import platform
import subprocess
import sys
import typing as t

import pytest

from tests.integration.fleet import ROOT, Fleet
from tests.lab import fleet as fleets
from tests.lab import packages
from tests.lab.hub import Hub
from tests.lab.problem import Problem

FLEET = "rdma-guests"
#: Files in the order in which two processes take the least time for them: the longest first, then those of the other guest, then what
#: needs both, beside what has guests of its own.
ORDER = ("test_settings", "test_datapath", "test_supervisor", "test_verify", "test_mirrored")


def reason() -> str | None:
    """Return why there can be no guests here, None where there can: QEMU is installed then."""
    if os.geteuid():
        return "these tests make a lab as root"
    if platform.machine() != "x86_64":
        return f"the guests are x86_64, and an emulated one on {platform.machine()} was never tried"
    try:
        packages.ensure(lambda: packages.missing(fleets.fleet("span-guests")))
    except Problem as problem:
        return str(problem)
    return None


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say once, not for each test, why there can be no guests; that is no failure."""
    why_not = None if hasattr(session.config, "workerinput") else reason()
    if why_not:
        pytest.exit(f"no tests on guests here: {why_not}", returncode=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem))


@pytest.fixture(scope="session")
def meeting_place(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder of this run that its processes share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextlib.contextmanager
def held(path: pathlib.Path) -> t.Iterator[None]:
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def guests(meeting_place: pathlib.Path) -> t.Iterator[Fleet]:
    """The fleet; RDMA_LAB names a lab of guests that is up already, and is left up."""
    if "RDMA_LAB" in os.environ:
        yield Fleet(FLEET, os.environ["RDMA_LAB"])
        return
    lab = f"it-{FLEET}-{os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid()))[:8]}"
    with open(meeting_place / "users", "w", encoding="utf-8") as users:
        with held(meeting_place / "lab"):
            if not Hub(lab).pid():
                subprocess.run([sys.executable, "-m", "tests.lab", "up", FLEET, "--lab", lab], cwd=ROOT, check=True)
            fcntl.flock(users, fcntl.LOCK_SH)
        yield Fleet(FLEET, lab)
        with held(meeting_place / "lab"), contextlib.suppress(BlockingIOError):
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the last one out
            subprocess.run([sys.executable, "-m", "tests.lab", "down", "--lab", lab], cwd=ROOT, check=False)


@pytest.fixture(scope="module")
def guest1(guests: Fleet, meeting_place: pathlib.Path) -> t.Iterator[Fleet]:
    """The fleet, the first guest of which is the module's own."""
    with held(meeting_place / "guest1"):
        yield guests


@pytest.fixture(scope="module")
def guest2(guests: Fleet, meeting_place: pathlib.Path) -> t.Iterator[Fleet]:
    with held(meeting_place / "guest2"):
        yield guests
