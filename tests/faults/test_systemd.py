# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A supervisor that is killed where systemd manages services: a lab host with its own PID 1, armed by the real modules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
import uuid

import pytest
from conftest import ROOT

LAB = f"faults-{os.getpid()}"


def lab(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    environment = {
        **os.environ, "PATH": path, "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.cache/tree", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }  # fmt: skip
    argv = [sys.executable, "-m", "tests.lab", words[0], "--lab", LAB, *words[1:]]
    return subprocess.run(argv, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


class Node:
    """One host of the lab, as a login and as a target of modules."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory

    def run(self, *words: str) -> str:
        return lab("ssh", "node1", *words).stdout.strip()

    def module(self, name: str, arguments: dict[str, t.Any]) -> dict[str, t.Any]:
        words = ["ansible", "node1", "-i", self.inventory, "-b", "-m", f"wirefleet.capture.{name}", "-a", json.dumps(arguments)]
        done = lab("exec", "--", *words)
        return t.cast("dict[str, t.Any]", json.JSONDecoder().raw_decode(done.stdout.partition("=> ")[2])[0])

    def gro(self) -> bool:
        return "generic-receive-offload: on" in self.run("ethtool", "-k", "eth1")


@pytest.fixture(scope="module")
def node() -> t.Iterator[Node]:
    done = lab("up", "pair")
    if done.returncode != 0:
        pytest.skip(f"no lab here: {(done.stderr or done.stdout).strip()[-200:]}")
    try:
        yield Node(lab("inventory").stdout.strip())
    finally:
        lab("down")


@pytest.fixture
def armed(node: Node) -> dict[str, t.Any]:
    """Return a session that starts in a moment, with a setting changed for it."""
    wanted = {
        "schema": 1, "campaign": f"20261123T101500Z-systemd-{uuid.uuid4().hex[:6]}", "name": "systemd", "host": "node1",
        "t0_ns": time.time_ns() + 600 * 10**9, "duration_s": 300.0, "lead_s": 1.0, "limits": {"bytes": 10_000_000},
        "settings": [[["ethtool_feature", "eth1", "rx-gro"], True]], "resources": {"cpus": "0", "memory_max": 268435456},
        "vantages": [{"device": "eth1", "engine": "auto", "filter": "icmp"}],
    }  # fmt: skip
    found = node.module("capture_info", {"session": wanted})
    assert found["problems"] == []
    done = node.module("capture_session", {"state": "started", "session": found["session"]})
    assert done["changed"] and node.gro()
    return t.cast("dict[str, t.Any]", {**found["session"], "unit": f"wirefleet-{wanted['campaign']}"})


def test_killed_supervisor_is_cleaned_up_by_its_unit(node: Node, armed: dict[str, t.Any]) -> None:
    _wait(lambda: _capture(node, armed)["state"] == "capturing")
    assert node.run("systemctl", "show", armed["unit"], "-p", "CPUAffinity", "--value") == "0"
    node.run("kill", "-9", node.run("systemctl", "show", armed["unit"], "-p", "MainPID", "--value"))
    _wait(lambda: _capture(node, armed)["result"])
    found = _capture(node, armed)
    assert (found["state"], found["result"]["stop_reason"], found["open_changes"]) == ("failed", "supervisor_lost", [])
    assert not node.gro()
    _wait(lambda: node.run("pgrep", "-f", armed["campaign"]) == "")
    assert node.run("systemctl", "is-failed", armed["unit"]) == "inactive"


def test_service_manager_that_stops_the_unit_ends_the_window(node: Node, armed: dict[str, t.Any]) -> None:
    _wait(lambda: _capture(node, armed)["state"] == "capturing")
    node.run("systemctl", "stop", armed["unit"])
    found = _capture(node, armed)
    assert (found["state"], found["result"]["stop_reason"]) == ("done", "asked")
    assert [vantage["engine"]["exit_code"] for vantage in found["result"]["vantages"]] == [0]
    assert not node.gro()


def _capture(node: Node, session: dict[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", node.module("capture_info", {"campaign": session["campaign"]})["captures"][0])


def _wait(question: t.Callable[[], t.Any]) -> None:
    end = time.monotonic() + 300
    while not question():
        assert time.monotonic() < end
        time.sleep(0.2)
