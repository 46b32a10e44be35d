# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arista EOS: named sessions, one setting a line; jobs are event handlers."""

from __future__ import annotations

import re

from .base import Device

#: Settings of which a session has one: typing another replaces it.
SINGLE = re.compile(r"(monitor session \S+ (?:destination tunnel|truncate|sample|ip access-group|ipv6 access-group|mac access-group)).*")


class Eos(Device):
    rules = {
        "config": (
            (r"(no )?(monitor session \S+(?: .+)?)", "line"),
            (r"(no )?event-handler (\S+)", "handler"),
            (r"interface (\S+)", "interface"),
        ),
        "config-if": ((Device.interface_words, "interface_line"),),
        "config-handler": ((r"(trigger|action|delay) (.+)", "setting"), (r"()(asynchronous)", "setting")),
    }
    invalid = "% Invalid input"

    def setup(self) -> None:
        self.lines: list[str] = []
        self.handlers: dict[str, dict[str, str]] = {}
        self.waited: dict[str, int] = {}

    def line(self, match: re.Match[str]) -> str:
        no, line = match.groups()
        if no:
            self.lines = [other for other in self.lines if other != line and not other.startswith(f"{line} ")]
            return ""
        if line.count(" ") < 3:
            return "% Incomplete command"
        single = SINGLE.fullmatch(line)
        source = re.fullmatch(r"(.* source \S+)(?: (?:rx|tx|both))?", line)
        head = single[1] if single else source[1] if source else None
        kept = [other for other in self.lines if other != line and not (head and (other == head or other.startswith(f"{head} ")))]
        self.lines = [*kept, line]
        return ""

    def handler(self, match: re.Match[str]) -> None:
        if match[1]:
            self.handlers.pop(match[2], None)
            self.waited.pop(match[2], None)
        else:
            self.enter("config-handler", self.handlers.setdefault(match[2], {}))
            self.waited[match[2]] = 0

    def setting(self, match: re.Match[str]) -> None:
        self.here[match[1] or match[2]] = match[2]

    def elapse(self, minutes: int) -> None:
        """A handler with the trigger on-boot runs when its submode is left, and its delay later its action."""
        super().elapse(minutes)
        for name, handler in list(self.handlers.items()):
            self.waited[name] += 60 * minutes
            if handler.get("trigger") == "on-boot" and self.waited[name] >= int(handler.get("delay", 20)):
                action = re.fullmatch(r"bash FastCli -p15 -c \$'(.*)'", handler["action"])
                self.batch(action[1].split("\\n") if action else [])

    def running(self) -> str:
        lines = ["!", *sorted(self.lines, key=lambda line: line.split()[2])]
        for name, handler in self.handlers.items():
            lines += ["!", f"event-handler {name}"]
            lines += [f"   {word} {handler[word]}" for word in ("trigger", "action", "delay") if word in handler]
            lines += ["   asynchronous"] if "asynchronous" in handler else []
        for name, inside in self.interfaces.items():
            lines += ["!", f"interface {name}", *(f"   {line}" for line in inside)]
        return "\n".join([*lines, "!", "end", ""])
