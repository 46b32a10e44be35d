# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a kernel module gets when it is loaded: one file of our own per module in /etc/modprobe.d."""

from __future__ import annotations

import typing as t

from .model import Kind, Reading, Refused, Value
from .modprobe_text import MODULE, Option, bad_value, normal, parse_options, parse_parmtype, render_options

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")


class ModprobeOption(Kind):
    """Key ("modprobe_option", module, parameter); value the stored text, None where our file does not set it."""

    name = "modprobe_option"
    cleared_by_reboot = False

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        types = parameter_types(host, scope)
        ours = own_path(scope)
        options = [option for option in read_options(host) if option.module == normal(scope)]
        values = {option.parameter: option.value for option in options if option.path == ours}
        others = [option for option in options if option.path != ours]
        return Reading({**dict.fromkeys(names), **values}, {"types": types, "others": others})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        for name, value in wanted.items():
            if value is not None:
                _check(scope, name, str(value), reading)
        return {name: None if value is None else str(value) for name, value in wanted.items()}

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        words = [f"{name}={value}" if value is not None else f"without {name}" for name, value in wanted.items()]
        return [f"write {own_path(scope)}: options {scope} {' '.join(words)}"]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        path = own_path(scope)
        present = {option.parameter: option.value for option in parse_options(host.read(path) or "", path)}
        text = render_options(scope, {**present, **wanted})
        try:
            if text:
                host.write(path, text, mode=0o644)
            else:
                host.remove(path)
        except OSError as error:
            raise Refused(f"{path} could not be written: {error.strerror}; is /etc read-only?") from error


def own_path(module: str) -> str:
    return f"{FOLDERS[0]}/wirefleet-{normal(module)}.conf"


def parameter_types(host: Host, module: str) -> dict[str, str]:
    """Return {parameter: type} of *module*; raise Refused where it is no module of this kernel."""
    if not MODULE.fullmatch(module):
        raise Refused(f"{module!r} is not the name of a kernel module")
    shown = host.run(["modinfo", "-F", "parmtype", module])
    if shown.rc:
        release = host.run(["uname", "-r"]).out.strip()
        raise Refused(f"kernel {release} has no module {module}: check its name, or install the driver for this kernel")
    if host.run(["modinfo", "-F", "filename", module]).out.strip() == "(builtin)":
        raise Refused(f"{module} is built into this kernel: modprobe options cannot reach it, use the kernel's command line ({module}.NAME=VALUE)")
    return parse_parmtype(shown.out)


def read_options(host: Host) -> list[Option]:
    """Return the options of every modprobe.d file, as modprobe reads them: a name in an earlier folder hides later ones."""
    found: list[Option] = []
    seen: set[str] = set()
    for folder in FOLDERS:
        for name in host.names(folder):
            if name.endswith(".conf") and name not in seen:
                seen.add(name)
                found += parse_options(host.read(f"{folder}/{name}") or "", f"{folder}/{name}")
    return found


def _check(module: str, name: str, value: str, reading: Reading) -> None:
    types = reading.facts["types"]
    if name not in types:
        known = ", ".join(sorted(types)) or "none"
        raise Refused(f"{module} has no parameter {name!r}, and would ignore it with a warning: it has {known}")
    why = bad_value(types[name], value)
    if why:
        raise Refused(f"{value!r} is no value for {module} {name} ({types[name]}), the module would not load: {why}")
    for option in reading.facts["others"]:
        if option.parameter == name and option.value != value:
            raise Refused(
                f"{option.path}:{option.line} sets {module} {name}={option.value}, which would contend with {name}={value}: change it there"
            )
