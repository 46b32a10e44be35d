# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as namespaces of the running kernel: own network, processes, mounts and root; systemd or sshd as PID 1."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

from .fleet import Host
from .hub import Hub
from .network import make_veth
from .problem import Problem
from .rootfs import rootfs

INIT = pathlib.Path(__file__).parent / "init" / "namespace.sh"
SPACES = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork", "--kill-child", "--propagation", "private"]


def start(hub: Hub, host: Host, folder: pathlib.Path) -> None:
    """Start *host* from inside the hub; its state lies in *folder*, which is gone with the hub."""
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    os.mkfifo(folder / "go")
    cgroup = make_cgroup(hub, host)
    arguments = [host.name, folder, rootfs(host.suite), init_of(hub, host), host.address, host.data_address, hub.key.with_suffix(".pub")]
    with open(folder / "console", "wb") as console:
        shell = subprocess.Popen(
            ["unshare", *SPACES, str(INIT), *map(str, arguments)],
            stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            preexec_fn=lambda: join_cgroup(cgroup),  # noqa: PLW1509 - single-threaded, before exec
        )  # fmt: skip
    make_veth(host, _child_of(shell, host))
    (folder / "go").write_text("go\n")


def _child_of(shell: subprocess.Popen[bytes], host: Host) -> int:
    children = pathlib.Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
    for _attempt in range(300):
        words = children.read_text().split() if children.exists() else []
        if words:
            return int(words[0])
        time.sleep(0.01)
    raise Problem(f"{host.name} did not start: its namespaces could not be made")


def cgroup_mount() -> pathlib.Path | None:
    """Return where the cgroup v2 tree is mounted, None where this machine shows none."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _device, where, kind = line.split()[:3]
        if kind == "cgroup2":
            return pathlib.Path(where)
    return None


def cgroup_of(hub: Hub) -> pathlib.Path | None:
    mount = cgroup_mount()
    return mount / f"wirefleet-lab-{hub.name}" if mount else None


def make_cgroup(hub: Hub, host: Host) -> pathlib.Path | None:
    """Make the host a cgroup of its own, without which all systemds of the machine would share a tree; None if we may not."""
    top = cgroup_of(hub)
    if top is None:
        return None
    try:
        (top / host.name).mkdir(parents=True, exist_ok=True)
    except PermissionError:
        return None
    return top / host.name


def init_of(hub: Hub, host: Host) -> str:
    """Return what is PID 1 of *host*: systemd needs the cgroup that start() made, or could not make."""
    top = cgroup_of(hub)
    return host.init if top is not None and (top / host.name).is_dir() else "sshd"


def join_cgroup(cgroup: pathlib.Path | None) -> None:
    if cgroup is not None:
        (cgroup / "cgroup.procs").write_text("0")


def remove_cgroups(hub: Hub) -> None:
    top = cgroup_of(hub)
    if top is None or not top.exists():
        return
    for path in sorted(top.rglob("*"), key=lambda found: -len(found.parts)):
        if path.is_dir():
            path.rmdir()
    top.rmdir()
