# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A unit that puts back at the next boot what a reboot does not clear; it exists only while there is such a thing."""

from __future__ import annotations

import os
import typing as t

from ..settings.registry import KINDS

if t.TYPE_CHECKING:
    from collections.abc import Iterable

    from ..host import Host
    from ..settings.model import Key

UNITS = "/etc/systemd/system"


def needed(keys: Iterable[Key]) -> bool:
    return any(not KINDS[key.kind].cleared_by_reboot for key in keys)


def unit_name(campaign: str) -> str:
    return f"wirefleet-restore-{campaign}.service"


def unit_text(command: list[str], folder: str) -> str:
    """Return the unit that runs *command* once after the network is set up. Pure."""
    return "\n".join(
        (
            "[Unit]",
            "Description=Put back the settings of an unfinished capture",
            f"ConditionPathExists={folder}/journal.ndjson",
            "After=network.target systemd-modules-load.service",
            "",
            "[Service]",
            "Type=oneshot",
            "ExecStart=" + " ".join(f'"{word}"' for word in command),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
            "",
        )
    )


def install(host: Host, campaign: str, command: list[str], folder: str, units: str = UNITS) -> None:
    """Write and enable the unit; systemd reads both at the next boot, so it need not be told."""
    name = unit_name(campaign)
    host.write(f"{units}/{name}", unit_text(command, folder), 0o644)
    wants = f"{units}/multi-user.target.wants"
    os.makedirs(wants, mode=0o755, exist_ok=True)
    if not os.path.lexists(f"{wants}/{name}"):
        os.symlink(f"{units}/{name}", f"{wants}/{name}")


def remove(host: Host, campaign: str, units: str = UNITS) -> None:
    for path in (f"{units}/multi-user.target.wants/{unit_name(campaign)}", f"{units}/{unit_name(campaign)}"):
        if os.path.lexists(path):
            host.remove(path)
