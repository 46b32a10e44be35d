# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab fleet to measure on: up as a context, commands run inside it without a wrapper that would be measured too."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import typing as t

from tests.lab import lab
from tests.lab.hub import Hub

from .measure import Failed, Used, used

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = {
    "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
    "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "tree"),
    "PYTHONPATH": str(ROOT / ".cache" / "tree"),
}


class Fleet:
    """One instance of a fleet, gone with the context."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.hub = Hub(f"bench-{os.getpid()}")

    def __enter__(self) -> t.Self:
        os.chdir(ROOT)
        lab.up(self.hub, self._name)
        self.hosts = lab.hosts_of(self.hub)
        return self

    def __exit__(self, *_unused: object) -> None:
        lab.down(self.hub)

    @property
    def inventory(self) -> str:
        return str(self.hub.inventory)

    def inside(self, *argv: str, stdout: t.IO[t.Any] | None = None, **environment: str) -> Used:
        """Run *argv* in the lab's network as the controller would."""
        return used([*self.hub.enter(), *argv], {**ENVIRONMENT, **environment}, stdout)

    def ssh_words(self, host: str) -> list[str]:
        return lab.ssh_words(self.hub, lab.host_of(self.hub, host))

    def ssh(self, host: str, command: str, given: bytes = b"") -> str:
        """Return what *command* prints on *host*."""
        words = [*self.hub.enter(), *self.ssh_words(host), command]
        done = subprocess.run(words, input=given, capture_output=True, check=False)
        if done.returncode:
            raise Failed(f"{host}: {command[:200]}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode()
