# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub: one process whose own network, mounts and processes hold a whole lab, so that ending it ends everything."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time

from . import user
from .problem import Problem

#: The variable that says inside the hub, where an ordinary user is root, where the labs of the one outside are.
BASE = "WIREFLEET_LAB_BASE"

#: PID 1 of the hub. Ignoring SIGCHLD makes the kernel reap whatever is left to it.
INIT = 'trap "" CHLD; ip link set lo up; exec sleep infinity'


class Hub:
    """A lab by its name; its state lies in a folder of its own."""

    def __init__(self, name: str) -> None:
        if not name.replace("-", "").isalnum():
            raise Problem(f"{name!r} cannot be the name of a lab: use letters, digits and '-'")
        self.name = name
        self.state = base() / name

    @property
    def inventory(self) -> pathlib.Path:
        return self.state / "inventory.yml"

    @property
    def key(self) -> pathlib.Path:
        return self.state / "id_ed25519"

    def pid(self) -> int | None:
        """Return the hub's process, as seen from outside, or None when the lab is not up."""
        try:
            pid, started = json.loads((self.state / "hub.json").read_text())
        except (OSError, ValueError):
            return None
        return pid if _started(pid) == started else None

    def create(self) -> None:
        if self.pid():
            raise Problem(f"the lab {self.name} is up already: take it down first, or choose another name with --lab")
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o700)
        spaces = [*user.spaces(), "--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
        log = open(self.state / "hub.log", "wb")  # noqa: SIM115 - the child keeps it
        shell = subprocess.Popen(
            ["unshare", *spaces, "sh", "-c", INIT], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        pid = self._child_of(shell)
        (self.state / "hub.json").write_text(json.dumps([pid, _started(pid)]))

    def _child_of(self, shell: subprocess.Popen[bytes]) -> int:
        """Wait for PID 1 of the new PID namespace; its number out here is what nsenter needs."""
        children = pathlib.Path(f"/proc/{shell.pid}/task/{shell.pid}/children")
        for _attempt in range(200):
            words = children.read_text().split() if children.exists() else []
            if words and pathlib.Path(f"/proc/{words[0]}/comm").read_text().strip() == "sleep":
                return int(words[0])
            if shell.poll() is not None:
                break
            time.sleep(0.02)
        said = (self.state / "hub.log").read_text().strip()
        raise Problem(f"the kernel does not let this user make a lab's namespaces ({said}): run as root, or see tests/lab/README.md")

    def enter(self) -> list[str]:
        """Return the words before a command that is to run inside the hub, in the present folder."""
        pid = self.pid()
        if pid is None:
            raise Problem(f"the lab {self.name} is not up: python3 -m tests.lab up FLEET --lab {self.name}")
        space = ["--user", "--preserve-credentials"] if user.ordinary() else []
        words = ["nsenter", "-t", str(pid), *space, "-n", "-m", "-p", "-i", f"--wd={os.getcwd()}", "--"]
        return [*words, "env", f"{BASE}={base()}"]

    def destroy(self) -> bool:
        """Kill the hub, and with it every process, network and mount of the lab; return whether it was up."""
        pid = self.pid()
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            while _started(pid) is not None:
                time.sleep(0.02)
        return pid is not None


def base() -> pathlib.Path:
    """Return the folder of all labs of this user."""
    if BASE in os.environ:
        return pathlib.Path(os.environ[BASE])
    if not user.ordinary():
        return pathlib.Path("/run/wirefleet-lab")
    return pathlib.Path(os.environ.get("XDG_RUNTIME_DIR") or os.path.expanduser("~/.cache")) / "wirefleet-lab/run"


def _started(pid: int) -> str | None:
    """Return when *pid* started, in clock ticks since boot, which tells it from a later process of the same number."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
