# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real pair of veth devices in a network namespace of its own."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Store
from recordings_and_veth import Inside


@pytest.fixture(scope="module")
def namespace() -> t.Iterator[int]:
    missing = [program for program in ("unshare", "nsenter", "ip", "ethtool") if not shutil.which(program)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and {', '.join(missing)}" if missing else "needs root, to make a network namespace")
    with subprocess.Popen(["unshare", "--net", "sleep", "600"]) as holder:
        try:
            _await_namespace(holder.pid)
            yield holder.pid
        finally:
            holder.terminate()


def _await_namespace(pid: int) -> None:
    while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        os.sched_yield()


@pytest.fixture
def veth(namespace: int) -> t.Iterator[Inside]:
    """v0 and v1, fresh for every test."""
    host = Inside(namespace)
    for argv in (["ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"], ["ip", "link", "set", "v0", "up"]):
        done = host.run(argv)
        assert done.rc == 0, done
    yield host
    host.run(["ip", "link", "delete", "v0"])


@pytest.fixture
def store(veth: Inside, tmp_path: pathlib.Path) -> Store:
    return Store(veth, str(tmp_path / "store"))
