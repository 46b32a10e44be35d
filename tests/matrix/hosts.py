# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the matrix, one a suite, as its tests ask them: modules run on all of them at once."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import Reader

from tests.integration.fleet import RESTORED, Fleet
from tests.lab.fleet import fleet
from tests.matrix.page import SUITES

DEVICE = "eth1"
ADDRESS = {host.name: host.data_address for host in fleet("systems")}
on_each = pytest.mark.parametrize("suite", SUITES)


def everywhere(systems: Fleet, name: str, arguments: dict[str, t.Any], check: bool = False) -> dict[str, dict[str, t.Any]]:
    found = systems.modules("fleet", name, arguments, check=check)
    assert set(found) == set(SUITES), found
    return found


def in_turn(systems: Fleet, *calls: tuple[str, dict[str, t.Any]]) -> dict[str, list[dict[str, t.Any]]]:
    """Run several modules, (name, arguments) each, one after the other."""
    found = systems.sequences("fleet", *calls)
    assert set(found) == set(SUITES), found
    return found


def shown(systems: Fleet, command: str) -> dict[str, str]:
    return {suite: systems.ssh(suite, command) for suite in SUITES}


def restored(systems: Fleet) -> dict[str, dict[str, t.Any]]:
    return everywhere(systems, *RESTORED)


def outcomes(result: dict[str, t.Any]) -> dict[tuple[str, str], str]:
    return {(row["key"][0], row["key"][2]): row["outcome"] for row in result["restored"]}


def rows(path: pathlib.Path) -> bytes:
    """Return the rows of a file of packet keys, however they are packed."""
    with open(path, "rb") as stream:
        return b"".join(Reader(stream).rows())
