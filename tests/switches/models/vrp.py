# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Huawei VRP: observe ports are global, what is mirrored to them stands within interfaces and VLANs."""

from __future__ import annotations

import re

from .base import Device

IF = r"[A-Za-z0-9-]*[A-Za-z-] ?\d[\d/]*"


class Vrp(Device):
    """The S series, where every line takes effect at once."""

    to = " to"
    separator = "#"
    invalid = "Error: Unrecognized command found at '^' position."
    top = "system"
    rules = {
        "system": (
            (rf"observe-port (\d+) interface ({IF})(?: vlan (\d+))?", "observe"),
            (r"undo observe-port (\d+)", "no_observe"),
            (rf"interface ({IF})", "interface"),
            (r"vlan (\d+)", "vlan"),
        ),
        "interface": (
            (r"(undo )?port-mirroring( to)? observe-port (\d+)( both| inbound| outbound|)", "mirror"),
            (Device.interface_words, "interface_line"),
        ),
        "vlan": ((r"(undo )?mirroring( to)? observe-port (\d+)( inbound|)", "mirror"), (r"(description|undo) .+", "interface_line")),
    }

    def setup(self) -> None:
        self.observers: dict[int, tuple[str, str]] = {}
        self.vlans: dict[int, list[str]] = {}

    def interface(self, match: re.Match[str]) -> None:
        self.enter("interface", self.interfaces.setdefault(match[1].replace(" ", ""), []))

    def vlan(self, match: re.Match[str]) -> None:
        self.enter("vlan", self.vlans.setdefault(int(match[1]), []))

    def observe(self, match: re.Match[str]) -> str:
        number, name, vlan = int(match[1]), match[2].replace(" ", ""), match[3] or ""
        if number not in range(1, 9):
            return "Error: Wrong parameter found at '^' position."
        if any(name == other[0] for key, other in self.observers.items() if key != number):
            return "Error: The interface has been configured as an observe port."
        if number in self.observers and self.observers[number] != (name, vlan):
            return "Error: The observe port has been configured."
        self.observers[number] = (name, vlan)
        return ""

    def no_observe(self, match: re.Match[str]) -> str:
        if any(f"observe-port {match[1]} " in line for inside in (*self.interfaces.values(), *self.vlans.values()) for line in inside):
            return "Error: The observe port is in use."
        return "" if self.observers.pop(int(match[1]), None) else "Error: The observe port does not exist."

    def mirror(self, match: re.Match[str]) -> str:
        undo, to, number, way = match.groups()
        if (to or "") != self.to or bool(way) == bool(undo and self.to):
            return self.invalid
        line = f"{'port-' if self.mode == 'interface' else ''}mirroring{self.to} observe-port {number}{way}"
        if undo:
            left = [other for other in self.here if not f"{other} ".startswith(f"{line} ")]
            reply = "" if len(left) < len(self.here) else "Error: The mirroring does not exist."
            self.here[:] = left
            return reply
        if int(number) not in self.observers:
            return "Error: The observe port does not exist."
        if any("mirroring" in other for other in self.here):
            return "Error: The interface is mirrored already."
        self.here.append(line)
        return ""

    def running(self) -> str:
        lines = ["!Software Version V200R019", "#"]
        for number, (name, vlan) in sorted(self.observers.items()):
            lines.append(f"observe-port {number} interface {name}" + (f" vlan {vlan}" if vlan else ""))
        for tag, inside in sorted(self.vlans.items()):
            lines += ["#", f"vlan {tag}", *(f" {line}" for line in inside)]
        for name, inside in sorted(self.interfaces.items()):
            lines += ["#", f"interface {name}", *(f" {line}" for line in inside)]
        return "\n".join([*lines, "#", "return", ""])

    def show(self, command: str) -> str:
        return self.running()


class CloudEngine(Vrp):
    """CloudEngine switches, where a commit makes effective what was typed."""

    to = ""
    rules = {**Vrp.rules, "system": (*Vrp.rules["system"], (r"commit", "commit"))}

    def __init__(self, text: str = "") -> None:
        self.active = ""
        super().__init__(text)
        self.apply("commit")

    def commit(self, match: re.Match[str]) -> None:
        self.active = super().running()

    def running(self) -> str:
        return self.active
