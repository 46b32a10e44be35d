# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host of the lab, beside a bundle of the collection: changes settings, is killed at every step, restores.

Usage: PYTHONPATH=supervisor.pyz python3 crash_on_host.py FOLDER DEVICE '[[["kind", "DEVICE", "name"], value], …]'
Prints a JSON list with a row for each step: [step, whether it was killed there, what differs after restoring].
"""

from __future__ import annotations

import difflib
import json
import os
import signal
import sys

from wirefleet.host import Host
from wirefleet.settings.apply import apply, restore
from wirefleet.settings.journal import Owner, Store
from wirefleet.settings.model import Key

WRITING = {"-K", "-G", "--set-priv-flags", "add", "set", "delete"}
LOADING = {"modprobe", "rmmod"}


class Mortal(Host):
    """A host on which this process is killed after so many commands that change, or lines of the journal."""

    def __init__(self, steps):
        self.steps = steps

    def _step(self):
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, argv, timeout=30.0, stdin=""):
        done = super().run(argv, timeout, stdin)
        if argv[0] in LOADING and "--show-depends" not in argv or WRITING.intersection(argv[1:3]):
            self._step()
        return done

    def append(self, path, text):
        super().append(path, text)
        self._step()

    def write(self, path, text, mode=0o600):
        super().write(path, text, mode)
        self._step()


def killed_at(step, folder, wishes):
    child = os.fork()
    if child == 0:
        host = Mortal(step)
        apply(host, Store(host, folder), Owner("crash"), wishes)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def shown(device):
    """Return what the kernel says of *device*, and which devices and modules there are."""
    lines = [line for option in ("-g", "--show-priv-flags", "-k") for line in Host().run(["ethtool", option, device]).out.splitlines()]
    links = [line.split()[0] for line in Host().run(["ip", "-br", "link", "show"]).out.splitlines()]
    return lines + links + os.listdir("/sys/module")


def main(folder, device, wishes):
    wishes = {Key(*key): value for key, value in json.loads(wishes)}
    before = shown(device)
    rows = []
    for step in range(1, 100):
        killed = killed_at(step, folder, wishes)
        restore(Host(), Store(Host(), folder), "crash")
        rows.append([step, killed, [line for line in difflib.ndiff(before, shown(device)) if line[0] in "+-"]])
        if not killed:
            break
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*sys.argv[1:])
