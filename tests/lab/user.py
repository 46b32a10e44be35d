# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab for who is not root: a user namespace in which he is, with his subordinate ids as everybody else."""

from __future__ import annotations

import getpass
import os
import pathlib
import subprocess

from .problem import Problem

TUN = pathlib.Path("/dev/net/tun")


def ordinary() -> bool:
    return os.geteuid() != 0


def spaces() -> list[str]:
    """Return unshare's words for the user namespace that an ordinary user needs."""
    return ["--user", "--map-root-user", "--map-auto"] if ordinary() else []


def as_root() -> list[str]:
    """Return the words before a command on the hosts' files, whose owners exist only in the user namespace."""
    return ["unshare", *spaces(), "--"] if ordinary() else []


def require(tun: bool) -> None:
    """Say what this machine does not give an ordinary user, before anything is built."""
    if not ordinary():
        return
    tried = subprocess.run([*as_root(), "true"], capture_output=True, text=True, check=False)
    if tried.returncode and "/etc/sub" in tried.stderr:
        name = getpass.getuser()
        command = f"usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 {name}"
        raise Problem(f"{name} has no range of subordinate ids, which a lab without root needs: as root, {command}")
    if tried.returncode:
        raise Problem(f"this machine gives users no namespaces of their own ({tried.stderr.strip()}): run the lab as root")
    if tun and not os.access(TUN, os.R_OK | os.W_OK):
        raise Problem(f"hosts with a kernel of their own and load balancers need {TUN}, which this user may not open: as root, chmod 666 {TUN}")
