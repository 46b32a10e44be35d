# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How stored module options stand to the running kernel: is a reload due, is the initramfs stale."""

from __future__ import annotations

import typing as t

from .modprobe_option import parameter_types
from .modprobe_text import normal, same_value

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host


class Live(t.NamedTuple):
    """The running side of a module's options; None where it cannot be known, with the reason in *notes*."""

    loaded: bool
    running: dict[str, str | None]
    reload_required: bool
    initramfs_update_required: bool | None
    notes: list[str]


def compare(host: Host, module: str, before: Mapping[str, str | None], stored: Mapping[str, str | None]) -> Live:
    """Return how the running kernel stands to *stored* ({parameter: value or None}), which was *before* until now."""
    types, _why = parameter_types(host, module)
    folder = f"/sys/module/{normal(module)}"
    loaded = host.exists(folder)
    running = {name: _stripped(host.read(f"{folder}/parameters/{name}")) for name in stored}
    stale, notes = judge_running(types, before, stored, running) if loaded else (False, [])
    inside, note = in_initramfs(host, module)
    return Live(loaded, running, stale, inside, notes + ([note] if note else []))


def judge_running(
    types: Mapping[str, str], before: Mapping[str, str | None], stored: Mapping[str, str | None], running: Mapping[str, str | None]
) -> tuple[bool, list[str]]:
    """Return whether the loaded module has to be loaded again to run with *stored*, and what is not known. Pure.

    The default of an option that was taken out is not known, but what it was set to is.
    """
    stale, notes = False, []
    for name, value in stored.items():
        live, kind, dropped = running.get(name), types.get(name, ""), before.get(name)
        if live is None:
            if value is not None:
                notes.append(f"the kernel does not show {name}, so what it runs with is not known")
        elif value is not None:
            stale = stale or not same_value(kind, value, live)
        elif dropped is not None and same_value(kind, dropped, live):
            stale = True
    return stale, notes


def _stripped(text: str | None) -> str | None:
    return text.strip() if text is not None else None


def in_initramfs(host: Host, module: str) -> tuple[bool | None, str | None]:
    """Return whether *module* is loaded from the initramfs, with the options that were stored in it; and a note."""
    for tool, update in (("lsinitramfs", "update-initramfs -u"), ("lsinitrd", "dracut -f")):
        if not host.which(tool):
            continue
        release = host.run(["uname", "-r"]).out.strip()
        argv = [tool, f"/boot/initrd.img-{release}"] if tool == "lsinitramfs" else [tool]
        done = host.run(argv, timeout=60)
        if done.rc:
            return None, f"the initramfs could not be listed ({done.message})"
        inside = any(line.rsplit("/", 1)[-1].partition(".ko")[0].replace("-", "_") == normal(module) for line in done.out.splitlines())
        return inside, f"{module} is in the initramfs: run {update}, or the old options come back at boot" if inside else None
    return None, "neither lsinitramfs nor lsinitrd is installed, so the initramfs could not be looked into"
