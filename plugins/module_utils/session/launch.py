# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the supervisor so that it outlives the login that armed it, and so that somebody cleans up if it dies."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

from ..settings.model import Refused
from .bundle import NAME
from .engines.registry import engine_named
from .spec import cpu_list

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host import Host
    from .folder import Folder
    from .spec import Session

#: An emulated or starved host takes its time to start an interpreter.
PATIENCE_S = 60.0
#: What the slowest stop takes: an engine's whole escalation, restoring, a busy disk.
STOP_S = 120


def command(folder: Folder, verb: str) -> list[str]:
    """Return the argv that has the folder's own supervisor do *verb*."""
    return [sys.executable or "/usr/bin/python3", folder.file(NAME), verb, folder.path]


def has_systemd(host: Host) -> bool:
    """Whether systemd is the service manager here, by the test that sd_booted(3) makes."""
    return host.exists("/run/systemd/system")


def unit_name(campaign: str) -> str:
    return f"wirefleet-{campaign}"


def systemd_argv(session: Session, folder: Folder, now_ns: int, words: Sequence[str] = ()) -> list[str]:
    """Return the command that starts the supervisor as a transient unit. Pure.

    RuntimeMaxSec ends it even if its own clock watching should fail; ExecStopPost restores whatever ended it.
    """
    longest = (session.t1_ns - now_ns) / 1e9 + STOP_S
    restore = " ".join(f'"{word}"' for word in command(folder, "restore"))
    properties = [
        "Type=exec",
        "UMask=0077",
        f"TimeoutStopSec={STOP_S}",
        f"RuntimeMaxSec={longest:.0f}",
        f"ExecStopPost={restore}",
        *resource_properties(session),
    ]
    if not all(engine_named(vantage.engine).killable for vantage in session.vantages):
        properties.append("SendSIGKILL=no")
    start = ["systemd-run", f"--unit={unit_name(session.campaign)}", "--collect", "--quiet"]
    return [*start, *(f"--property={entry}" for entry in properties), *command(folder, "run"), *words]


def resource_properties(session: Session) -> list[str]:
    cpus, memory = session.resources.get("cpus"), session.resources.get("memory_max")
    wanted = {"CPUAffinity": cpu_list(cpus), "MemoryMax": memory}
    return [f"{name}={value}" for name, value in wanted.items() if value]


def start(host: Host, session: Session, folder: Folder, now: bool = False) -> str:
    """Start the supervisor, with *now* for the nearest window; wait for its heartbeat, return the command. Raises Refused."""
    words = ["now"] if now else []
    if has_systemd(host):
        argv = systemd_argv(session, folder, time.time_ns(), words)
        done = host.run(argv)
        if done.rc != 0:
            raise Refused(f"systemd did not start the supervisor: {done.message}")
        line = done.command
    else:
        line = _start_detached(session, folder, words)
    _wait_for_heartbeat(folder)
    return line


def _start_detached(session: Session, folder: Folder, words: Sequence[str]) -> str:
    """Without a service manager: a session of its own, and a guard beside it that cleans up if it is killed."""
    cpus = cpu_list(session.resources.get("cpus"))
    argv = [*(["taskset", "-c", cpus] if cpus else []), *command(folder, "run"), "guarded", *words]
    descriptor = os.open(folder.file("supervisor.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        subprocess.Popen(  # pylint: disable=ansible-bad-function
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
        )
    return " ".join(argv)


def _wait_for_heartbeat(folder: Folder) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if folder.read_json("heartbeat.json") or folder.read_json("result.json"):
            return
        time.sleep(0.02)
    raise Refused(f"the supervisor did not come to life within {PATIENCE_S:g} s: see {folder.path}/supervisor.log or its unit's journal")
