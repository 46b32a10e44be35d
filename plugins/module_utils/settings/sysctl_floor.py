# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters that have to be at least so high: raised when lower, never lowered."""

from __future__ import annotations

import re
import typing as t

from .model import Gone, Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host, Result

ROOT = "/proc/sys"
NAME = re.compile(r"[a-z0-9_-]+([./][A-Za-z0-9_-]+)+")
DROP_IN = "/etc/sysctl.d/90-wirefleet.conf"
HEADER = "# Written by wirefleet.capture (module sysctl_floor); values of other files are not touched.\n"


class SysctlFloor(Kind):
    """Key ("sysctl_floor", "", parameter); value a number."""

    name = "sysctl_floor"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        return Reading({name: _value(host, name) for name in names})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        return {name: max(value, reading.values[name]) for name, value in wanted.items()}

    def compatible(self, leased: Value, wanted: Value) -> bool:
        return True

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        return [["sysctl", "-q", "-w", f"{name}={value}"] for name, value in wanted.items()]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        """sysctl before procps 4.0.3 gives no reason, or that of an earlier call, for a parameter that is only shown."""
        closed = [name for name in wanted if host.read_only(path_of(name))]
        super().write(host, scope, {name: value for name, value in wanted.items() if name not in closed}, current)
        if closed:
            raise Refused(f"{closed[0]} is read-only here: it can be set on the machine itself, outside of namespaces and containers, if at all")

    def accepted(self, done: Result) -> bool:
        """sysctl exits 0 on a read-only key before procps 4.0.7 and 1 after, so only its words tell."""
        return done.rc == 0 and not done.err.strip()


class SysctlDropIn(Kind):
    """Key ("sysctl_drop_in", "", parameter); value the number that our own file sets at boot, None where it does not."""

    name = "sysctl_drop_in"
    follows = ("sysctl_floor",)
    cleared_by_reboot = False

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        running = {name: host.read(path_of(name)) or "" for name in names}
        values = parse_drop_in(host.read(DROP_IN) or "")
        return Reading({**dict.fromkeys(names), **values}, {name: int(text) for name, text in running.items() if text.strip().isdecimal()})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        """Another file may set more than is wanted, and ours, which is read after it, must not lower that at boot."""
        return {
            name: value if value is None else max(value, reading.values.get(name) or value, reading.facts.get(name, value))
            for name, value in wanted.items()
        }

    def compatible(self, leased: Value, wanted: Value) -> bool:
        return True

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        return [f"write {DROP_IN}: " + ", ".join(f"{name} = {value}" for name, value in wanted.items())]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        values = {**parse_drop_in(host.read(DROP_IN) or ""), **wanted}
        text = render_drop_in(values)
        if text:
            host.write(DROP_IN, text, mode=0o644)
        else:
            host.remove(DROP_IN)


def _value(host: Host, name: str) -> int:
    if not NAME.fullmatch(name) or ".." in name:
        raise Refused(f"{name!r} is not the name of a kernel parameter, such as net.core.rmem_max")
    text = host.read(path_of(name))
    if text is None:
        raise Gone(
            f"there is no kernel parameter {name} here: network namespaces and containers lack some of the machine's, "
            "set it on the machine itself"
        )
    if not re.fullmatch(r"\s*-?\d+\s*", text):
        raise Refused(f"{name} is {text.strip()!r}, not one number, so it has no floor")
    return int(text)


def path_of(name: str) -> str:
    """Return the file of a parameter; a name with slashes has dots of its own (net/ipv4/conf/eth0.7/…), as in sysctl(8)."""
    return f"{ROOT}/{name if '/' in name else name.replace('.', '/')}"


def parse_drop_in(text: str) -> dict[str, int]:
    """Return what our own drop-in sets."""
    rows = (re.fullmatch(r"\s*([A-Za-z0-9_./-]+)\s*=\s*(\d+)\s*", line) for line in text.splitlines())
    return {row[1]: int(row[2]) for row in rows if row}


def render_drop_in(values: Mapping[str, int | None]) -> str:
    """Return the text of the drop-in, "" where nothing is left to set."""
    rows = [f"{name} = {value}\n" for name, value in sorted(values.items()) if value is not None]
    return HEADER + "".join(rows) if rows else ""
