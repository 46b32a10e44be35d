# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco NX-OS: every session is a submode and begins shut; the configuration says `no shut`, and the origin is the chassis's."""

from __future__ import annotations

import datetime
import re
import typing as t

from .base import Device, listed, ranges, sections, ways

STAMP = "%Y:%m:%d:%H:%M"
ORDER = ("description", "header-type", "erspan-id", "vrf", "destination ip", "ip ttl", "ip dscp", "mtu")


class Nxos(Device):
    rules = {
        "config": (
            (r"monitor session (\d+)(?: type (local|erspan-source))?", "open"),
            (r"no monitor session (\d+)", "remove"),
            (r"monitor erspan origin ip-address (\S+) global", "set_origin"),
            (r"feature scheduler", "feature"),
            (r"(no )?scheduler job name (\S+)", "job"),
            (r"(no )?scheduler schedule name (\S+)", "schedule"),
            (r"interface (\S+)", "interface"),
        ),
        "config-if": ((Device.interface_words, "interface_line"),),
        "config-monitor": (
            (r"(no )?source (interface|vlan) (.+?)(?: (rx|tx|both))?", "source"),
            (r"(no )?destination interface (\S+)", "destination"),
            (r"(no )?filter vlan (\S+)", "vlans"),
            (r"(no )?filter access-group (\S+)", "acl"),
            (r"(no )?shut(?:down)?", "shut"),
            (r"(description|mtu) (.+)", "setting"),
        ),
        "config-job": ((r"end-job", "end_job"), (r".+", "job_line")),
        "config-schedule": ((r"job name (\S+)", "schedule_job"), (r"time start (\S+)", "schedule_time")),
    }
    rules["config-erspan-src"] = (
        *rules["config-monitor"],
        (r"(header-type|erspan-id|vrf|destination ip|ip ttl|ip dscp) (\S+)", "setting"),
    )
    invalid = "% Invalid command at '^' marker."
    initial = "monitor erspan origin ip-address 192.0.2.1 global"

    def setup(self) -> None:
        self.origin = ""
        self.sessions: dict[int, dict[str, t.Any]] = {}
        self.scheduler = False
        self.jobs: dict[str, list[str]] = {}
        self.schedules: dict[str, dict[str, str]] = {}

    def open(self, match: re.Match[str]) -> str:
        kind = match[2] or "local"
        new: dict[str, t.Any] = {"kind": kind, "shut": True, "sources": {}, "to": [], "vlans": set(), "acl": "", "one": {}}
        session = self.sessions.setdefault(int(match[1]), new)
        if match[2] and session["kind"] != kind:
            return "ERROR: Session type cannot be changed"
        self.enter("config-erspan-src" if session["kind"] == "erspan-source" else "config-monitor", session)
        return ""

    def remove(self, match: re.Match[str]) -> None:
        self.sessions.pop(int(match[1]), None)

    def set_origin(self, match: re.Match[str]) -> None:
        self.origin = match[1]

    def source(self, match: re.Match[str]) -> str:
        no, kind, names, direction = match.groups()
        if kind == "vlan" and direction != "rx" and not no:
            return "ERROR: VLANs can be mirrored as they come in only"
        for name in listed(names):
            held = self.here["sources"].pop((kind, name), frozenset())
            left = held - ways(direction) if no else held | ways(direction)
            if left:
                self.here["sources"][kind, name] = left
        return ""

    def destination(self, match: re.Match[str]) -> str:
        used = [number for number, other in self.sessions.items() if other is not self.here and match[2] in other["to"]]
        if used and not match[1]:
            return f"ERROR: {match[2]} is a destination of session {used[0]} already"
        self.here["to"] = [] if match[1] else [match[2]]
        return ""

    def vlans(self, match: re.Match[str]) -> None:
        chosen = set(listed(match[2]))
        self.here["vlans"] = self.here["vlans"] - chosen if match[1] else self.here["vlans"] | chosen

    def acl(self, match: re.Match[str]) -> None:
        self.here["acl"] = "" if match[1] else match[2]

    def shut(self, match: re.Match[str]) -> None:
        self.here["shut"] = not match[1]

    def setting(self, match: re.Match[str]) -> None:
        self.here["one"][match[1]] = match[2]

    def feature(self, match: re.Match[str]) -> None:
        self.scheduler = True

    def job(self, match: re.Match[str]) -> str:
        if not self.scheduler:
            return self.invalid
        if match[1]:
            self.jobs.pop(match[2], None)
        else:
            self.enter("config-job", self.jobs.setdefault(match[2], []))
        return ""

    def job_line(self, match: re.Match[str]) -> None:
        self.here.append(match[0])

    def end_job(self, match: re.Match[str]) -> None:
        self.stack.pop()

    def schedule(self, match: re.Match[str]) -> str:
        if not self.scheduler:
            return self.invalid
        if match[1]:
            self.schedules.pop(match[2], None)
        else:
            self.enter("config-schedule", self.schedules.setdefault(match[2], {}))
        return ""

    def schedule_job(self, match: re.Match[str]) -> None:
        self.here["job"] = match[1]

    def schedule_time(self, match: re.Match[str]) -> str:
        if datetime.datetime.strptime(match[1], STAMP).replace(tzinfo=datetime.timezone.utc) <= self.clock:
            return "ERROR: start time is in the past"
        self.here["time"] = match[1]
        return ""

    def elapse(self, minutes: int) -> None:
        before = self.clock
        super().elapse(minutes)
        for schedule in [schedule for schedule in self.schedules.values() if len(schedule) == 2]:
            due = datetime.datetime.strptime(schedule["time"], STAMP).replace(tzinfo=datetime.timezone.utc)
            if before < due <= self.clock:
                self.batch(line for line in self.jobs[schedule["job"]] if line != "configure terminal")

    def running(self) -> str:
        lines = ["!Command: show running-config", "feature scheduler"] if self.scheduler else ["!Command: show running-config"]
        for name, inside in self.interfaces.items():
            lines += [f"interface {name}", *(f"  {line}" for line in inside)]
        lines += [f"monitor erspan origin ip-address {self.origin} global"] if self.origin else []
        for number, session in sorted(self.sessions.items()):
            lines += self.lines(number, session)
        for name, commands in self.jobs.items():
            lines += [f"scheduler job name {name}", *commands, "end-job"]
        for name, schedule in self.schedules.items():
            words = (("job", "job name"), ("time", "time start"))
            lines += [f"scheduler schedule name {name}", *(f"  {word} {schedule[key]}" for key, word in words if key in schedule)]
        return "\n".join([*lines, ""])

    def lines(self, number: int, session: dict[str, t.Any]) -> list[str]:
        found = [f"monitor session {number}" + (f" type {session['kind']}" if session["kind"] != "local" else "")]
        found += [f"  {word} {session['one'][word]}" for word in ORDER if word in session["one"]]
        found += [f"  filter vlan {ranges(sorted(session['vlans'], key=int))}"] if session["vlans"] else []
        found += [f"  filter access-group {session['acl']}"] if session["acl"] else []
        for (kind, name), held in sorted(session["sources"].items()):
            found.append(f"  source {kind} {name} {'both' if len(held) == 2 else min(held)}")
        found += [f"  destination interface {name}" for name in session["to"]]
        return found + ([] if session["shut"] else ["  no shut"])

    def show(self, command: str) -> str:
        if command == "show clock":
            return self.clock.strftime("%H:%M:%S.000 UTC %a %b %d %Y\nTime source is NTP\n")
        if command == "show running-config monitor":
            return "".join(part for part in sections(self.running()) if part.startswith("monitor "))
        if command.startswith("show running-config | section"):
            return super().show(command)
        return self.running()
