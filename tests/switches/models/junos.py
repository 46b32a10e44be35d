# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Juniper Junos: statements that are set and deleted in a candidate; what was committed runs. Printed by `display set`."""

from __future__ import annotations

import re
import shlex

from .base import Device

KNOWN = re.compile(
    r"forwarding-options analyzer [A-Za-z]\S{0,124}( input (ingress|egress) (interface|vlan) \S+"
    r"| output (interface \S+|vlan \S+( no-tag)?|ip-address \S+))"
    r"|event-options generate-event \S+ time-interval \d+"
    r"|event-options policy \S+ (events \S+|then change-configuration commands \".*\")"
    r"|interfaces \S+ .+|protocols .+|system .+"
)
#: Of these a statement has one value.
ONE = re.compile(r"(forwarding-options analyzer \S+ output (?:interface|vlan|ip-address)|.* time-interval) \S+")


class Junos(Device):
    rules = {
        "config": (
            (r"set (.+)", "set"),
            (r"delete (.+)", "delete"),
            (r"(activate|deactivate) (.+)", "activity"),
            (r"commit", "commit"),
        )
    }
    invalid = "syntax error."

    def setup(self) -> None:
        self.active: tuple[list[str], list[str]] = ([], [])
        self.statements: list[str] = []
        self.off: list[str] = []
        self.since: dict[str, int] = {}

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.apply("commit")

    def set(self, match: re.Match[str]) -> str:
        if not KNOWN.fullmatch(match[1]):
            return self.invalid
        if one := ONE.fullmatch(match[1]):
            self.statements = [other for other in self.statements if not other.startswith(f"{one[1]} ")]
        if match[1] not in self.statements:
            self.statements.append(match[1])
        return ""

    def delete(self, match: re.Match[str]) -> str:
        left = [line for line in self.statements if line != match[1] and not line.startswith(f"{match[1]} ")]
        gone, self.statements = len(left) < len(self.statements), left
        self.off = [path for path in self.off if path != match[1] and any(under(line, path) for line in left)]
        return "" if gone else "warning: statement not found"

    def activity(self, match: re.Match[str]) -> None:
        self.off = [path for path in self.off if path != match[2]] + ([match[2]] if match[1] == "deactivate" else [])

    def commit(self, match: re.Match[str]) -> str:
        for name in {line.split()[3] for line in self.statements if line.startswith("forwarding-options analyzer ")}:
            outputs = [line for line in self.statements if line.startswith(f"forwarding-options analyzer {name} output ")]
            if len({line.split()[4] for line in outputs}) > 1:
                return "error: only one output of an analyzer can be configured"
        self.active = (list(self.statements), list(self.off))
        return ""

    def elapse(self, minutes: int) -> None:
        super().elapse(minutes)
        for line in self.active[0]:
            if interval := re.fullmatch(r"event-options generate-event (\S+) time-interval (\d+)", line):
                self.since[interval[1]] = self.since.get(interval[1], 0) + 60 * minutes
                if self.since[interval[1]] >= int(interval[2]):
                    self.fire(interval[1])

    def fire(self, event: str) -> None:
        self.since.pop(event)
        policies = [
            line.split()[2] for line in self.active[0] if re.fullmatch(rf"event-options policy \S+ events {re.escape(event)}", line)
        ]
        for policy in policies:
            head = f"event-options policy {policy} then change-configuration commands "
            commands = [shlex.split(line.removeprefix(head))[0] for line in self.active[0] if line.startswith(head)]
            self.batch([*commands, "commit"])

    def running(self) -> str:
        statements, off = self.active
        return "\n".join([*(f"set {line}" for line in statements), *(f"deactivate {path}" for path in off), ""])

    def show(self, command: str) -> str:
        path = command.removeprefix("show configuration ").partition(" | ")[0]
        lines = self.running().splitlines(keepends=True)
        return "".join(line for line in lines if line.startswith((f"set {path}", f"deactivate {path}")))


def under(line: str, path: str) -> bool:
    return line == path or line.startswith(f"{path} ")
