# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a module is in the kernel."""

from __future__ import annotations

import typing as t

from .model import Kind, Reading, Refused, Value
from .modprobe_text import MODULE, normal
from .module_unload import unload

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host


class KernelModule(Kind):
    """Key ("module", module, "loaded"); value whether. What is built into the kernel is loaded, and stays so.

    What is against unloading is looked for when it is to be done, which takes a while: ask module_unload for it beforehand.
    """

    name = "module"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        if not MODULE.fullmatch(scope):
            raise Refused(f"{scope!r} is not the name of a kernel module")
        if host.exists(f"/sys/module/{normal(scope)}/refcnt"):
            return Reading({"loaded": True}, {"built_in": False})
        missing, built_in = availability(host, scope)
        return Reading({"loaded": built_in}, {"missing": missing, "built_in": built_in})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        for wish in wanted.values():
            if not isinstance(wish, bool):
                raise Refused(f"{scope} is either loaded or not, not {wish!r}")
            _refuse(scope, wish, reading)
        return dict(wanted)

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        return [["modprobe", scope] if loaded else ["rmmod", scope] for loaded in wanted.values()]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        if not all(wanted.values()):
            unload(host, scope)
        else:
            super().write(host, scope, wanted, current)


def _refuse(module: str, wish: bool, reading: Reading) -> None:
    facts, loaded = reading.facts, reading.values["loaded"]
    if wish and not loaded and facts["missing"]:
        raise Refused(facts["missing"])
    if not wish and facts["built_in"]:
        raise Refused(f"{module} is built into this kernel and cannot be unloaded")


def availability(host: Host, module: str) -> tuple[str | None, bool]:
    """Return why *module* cannot be loaded, None where it can, and whether it is built into the kernel. Reads only."""
    if host.which("modinfo") is None:
        return "kmod is not installed on this host, so no module can be loaded: install it, or load the module on the machine itself", False
    shown = host.run(["modinfo", "-F", "filename", module])
    if shown.rc:
        release = host.run(["uname", "-r"]).out.strip()
        return f"kernel {release} has no module {module}", False
    return None, shown.out.strip() == "(builtin)"
