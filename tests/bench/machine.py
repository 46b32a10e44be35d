# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On what was measured: sizes and versions, no names."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess

TOOLS = (("tcpdump", "--version"), ("dumpcap", "--version"), ("ssh", "-V"), ("rsync", "--version"))


def about() -> str:
    """Return one line about this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    kernel = ".".join(platform.release().split(".")[:2])
    tools = ", ".join(f"{name} {version(name, option)}" for name, option in TOOLS if shutil.which(name))
    ansible = importlib.metadata.version("ansible-core")
    return (
        f"{os.cpu_count()} cores, {memory} GiB, Linux {kernel}, Python {platform.python_version()}, "
        f"ansible-core {ansible}, {tools}."
    )


def busy() -> str:
    """Return a sentence to put behind a measurement where more wanted to run in its last minutes than it and one other, else nothing."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[1]
    return f" Other work kept the machine busy (load {load:.0f} on {cores} cores): compare CPU, not seconds." if load > cores + 1 else ""


def version(name: str, option: str) -> str:
    done = subprocess.run([name, option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return found[0] if found else "?"
