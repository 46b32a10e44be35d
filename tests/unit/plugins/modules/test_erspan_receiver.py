# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it in check mode, on devices in a network namespace of its own with the kernel's real tc."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
MAKE = "ip link add v0 mtu 1600 type veth peer name v1; mount -t sysfs sysfs /sys;"


def checked(setup: str = "", **options: t.Any) -> dict[str, t.Any]:
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"device": "v0", "_ansible_check_mode": True, **options}})
    call = f"{MAKE} {setup} exec {sys.executable} -m ansible_collections.wirefleet.capture.plugins.modules.erspan_receiver '{arguments}'"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / ".cache/tree"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", call], capture_output=True, text=True, env=environment, check=False)
    return json.loads(done.stdout)


def test_raw_ends_what_nobody_answers_and_says_what_fits() -> None:
    found = checked(mode="raw")
    assert (found["mode"], found["reason"], found["changed"], found["after"]) == ("raw", "asked for", True, {"v0 gre dropped": True})
    assert (found["mtu"], found["largest_frame"]["II"], found["ring"]) == (1600, 1564, None)
    assert [command.split()[:2] for command in found["commands"]] == [["tc", "qdisc"], ["tc", "filter"]]
    assert found["warnings_found"] == []


def test_frames_that_do_not_fit_are_told() -> None:
    assert "frames of 9014 bytes need an MTU of 9054 " in checked(mode="raw", frame=9014, type="III")["warnings_found"][0]


def test_a_device_that_is_not_there_is_named() -> None:
    assert checked(mode="raw", device="v9")["msg"] == "there is no network device 'v9'"
