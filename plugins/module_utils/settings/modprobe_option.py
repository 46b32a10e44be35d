# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a kernel module gets when it is loaded: one file of our own per module in /etc/modprobe.d."""

from __future__ import annotations

import typing as t

from .model import Kind, Reading, Refused, Value
from .modprobe_text import MODULE, Option, bad_value, normal, parse_options, parse_parm, parse_parmtype, parse_passed, render_options

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

FOLDERS = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")


class ModprobeOption(Kind):
    """Key ("modprobe_option", module, parameter); value the stored text, None where our file does not set it."""

    name = "modprobe_option"
    cleared_by_reboot = False

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        ours = own_path(scope)
        options = [option for option in read_options(host) if option.module == normal(scope)]
        values = {option.parameter: option.value for option in options if option.path == ours}
        others = [option for option in options if option.path != ours]
        types, why = parameter_types(host, scope)
        return Reading({**dict.fromkeys(names), **values}, {"types": types, "why": why, "others": others})

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
        before = host.read(path) or ""
        present = {option.parameter: option.value for option in parse_options(before, path)}
        text = render_options(scope, {**present, **wanted})
        _store(host, path, text)
        try:
            _prove(host, scope, wanted)
        except Refused:
            _store(host, path, before)
            raise


def _store(host: Host, path: str, text: str) -> None:
    try:
        if text:
            host.write(path, text, mode=0o644)
        else:
            host.remove(path)
    except OSError as error:
        raise Refused(f"{path} could not be written: {error.strerror}; is /etc read-only?") from error


def _prove(host: Host, module: str, wanted: Mapping[str, Value]) -> None:
    """Ask modprobe itself, since the kernel's command line or another file may still outdo ours; nothing is loaded."""
    given = {name: value for name, value in wanted.items() if value is not None}
    passed = parse_passed(host.run(["modprobe", "-n", "--show-depends", module]).out, module) if given else None
    for name, value in given.items():
        if passed is not None and passed.get(name) != value:
            found = passed.get(name, "nothing")
            raise Refused(
                f"modprobe would load {module} with {found} for {name} in spite of {own_path(module)}: "
                f"look for {module}.{name} on the kernel's command line and in modprobe.d"
            )


def own_path(module: str) -> str:
    """Return the path of our file for *module*; raise Refused for what cannot be a module's name."""
    if not MODULE.fullmatch(module):
        raise Refused(f"{module!r} is not the name of a kernel module")
    return f"{FOLDERS[0]}/wirefleet-{normal(module)}.conf"


def parameter_types(host: Host, module: str) -> tuple[dict[str, str], str | None]:
    """Return {parameter: type} of *module*, or {} and why it can have no options: an uninstalled driver leaves its file.

    A parameter that a function of the module sets, as loop's max_loop, has a description only: its type is "".
    """
    shown = host.run(["modinfo", "-F", "parmtype", module])
    if shown.rc:
        release = host.run(["uname", "-r"]).out.strip()
        return {}, f"kernel {release} has no module {module}: check its name, or install the driver for this kernel"
    if host.run(["modinfo", "-F", "filename", module]).out.strip() == "(builtin)":
        return {}, f"{module} is built into this kernel, where modprobe options do not reach: use its command line ({module}.NAME=VALUE)"
    described = parse_parm(host.run(["modinfo", "-0", "-F", "parm", module]).out)
    return {**dict.fromkeys(described, ""), **parse_parmtype(shown.out)}, None


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
    types, missing = reading.facts["types"], reading.facts["why"]
    if missing:
        raise Refused(missing)
    if name not in types:
        known = ", ".join(sorted(types)) or "none"
        raise Refused(f"{module} has no parameter {name!r}, and would ignore it with a warning: it has {known}")
    why = bad_value(types[name], value)
    if why:
        kind = f" ({types[name]})" if types[name] else ""
        raise Refused(f"{value!r} is no value for {module} {name}{kind}, the module would not load: {why}")
    for option in reading.facts["others"]:
        if option.parameter == name and option.value != value:
            raise Refused(
                f"{option.path}:{option.line} sets {module} {name}={option.value}, which would contend with {name}={value}: change it there"
            )
