# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances of the double for a test, and modules as Ansible runs them, with a /var/lib of their own."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import typing as t

import pytest

from tests.dpvs.place import Instance, install, run

Make = t.Callable[..., Instance]

MODULE = """
import importlib, json, os, sys
from ansible.module_utils.testing import patch_module_args
module = importlib.import_module("ansible_collections.wirefleet.capture.plugins.modules." + sys.argv[2])
os.setuid(int(sys.argv[3]))
with patch_module_args(json.loads(sys.argv[1])):
    module.main()
"""


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with dpvs, dpip and dpdk-pdump, which stands first in PATH."""
    missing = [program for program in ("ip", "nsenter", "unshare", "tcpdump") if not shutil.which(program)]
    if os.geteuid() or missing or not os.path.exists("/dev/net/tun"):
        pytest.skip(f"needs root, /dev/net/tun and {', '.join(missing) or 'nothing else'}, for network namespaces and TAP devices")
    return install(tmp_path_factory.mktemp("programs"))


@pytest.fixture
def make(programs: pathlib.Path, tmp_path: pathlib.Path) -> t.Iterator[Make]:
    """Returns what makes an instance in a folder of its own; all of them end with the test."""
    made: list[Instance] = []

    def one(name: str = "a", **options: t.Any) -> Instance:
        made.append(Instance(tmp_path / name, programs, **options))
        return made[-1]

    yield one
    for instance in made:
        instance.close()


class Box:
    """A mount namespace with an empty /var/lib."""

    def __init__(self, pid: int, programs: pathlib.Path) -> None:
        self.enter = ["nsenter", "-t", str(pid), "--mount"]
        self.environment = {**os.environ, "PYTHONPATH": ":".join(sys.path), "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(self, *argv: str) -> str:
        return run(*self.enter, *argv).stdout

    def module(self, name: str, check: bool = False, uid: int = 0, **arguments: t.Any) -> dict[str, t.Any]:
        """Return the module's result, of a failure too."""
        parameters = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        argv = [*self.enter, sys.executable, "-c", MODULE, json.dumps(parameters), name, str(uid)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=self.environment)
        assert done.stdout, done.stderr
        result: dict[str, t.Any] = json.loads(done.stdout)
        return result

    def listens(self, folder: str) -> None:
        """Wait until the window of the session in *folder* is open and each of its engines listens."""
        until = time.monotonic() + 240
        while not _all_listen(json.loads(self.run("cat", f"{folder}/heartbeat.json") or "{}")):
            assert time.monotonic() < until, self.run("sh", "-c", f"cat {folder}/result.json {folder}/supervisor.log {folder}/vantages/*/log/*")
            time.sleep(0.05)

    def restored(self, campaign: str) -> dict[str, str]:
        """Put back what *campaign* changed and return {setting: outcome}."""
        done = self.module("capture_session", campaign=campaign, state="restored")
        return {row["key"][2]: row["outcome"] for row in done.get("restored", [])} or {"msg": done.get("msg", "")}


def _all_listen(heartbeat: dict[str, t.Any]) -> bool:
    states = {vantage["state"] for vantage in heartbeat.get("vantages", [])}
    return heartbeat.get("state") == "capturing" and states == {"listening"}


@pytest.fixture
def box(programs: pathlib.Path) -> t.Iterator[Box]:
    argv = ["unshare", "--mount", "--propagation", "slave", "sh", "-c", "mount -t tmpfs none /var/lib && echo ready && exec sleep 600"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            yield Box(holder.pid, programs)
        finally:
            holder.terminate()
