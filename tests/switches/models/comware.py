# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""H3C and HPE Comware 7: what is typed in system view is printed within the interfaces; only the group itself is global."""

from __future__ import annotations

import datetime
import re
import typing as t

from .base import Device

IF = r"[A-Za-z-]+ ?[\d/]+"


def full(name: str) -> str:
    return name.replace(" ", "")


def members(text: str) -> list[str]:
    """Return the interfaces of `A to B C`, which all end in a number."""
    found: list[str] = []
    for first, last in re.findall(rf"({IF})(?: to ({IF}))?", text):
        head, low = t.cast("re.Match[str]", re.fullmatch(r"(.*?)(\d+)", full(first))).groups()
        high = t.cast("re.Match[str]", re.search(r"\d+$", last))[0] if last else low
        found += [f"{head}{number}" for number in range(int(low), int(high) + 1)]
    return found


class Comware(Device):
    rules = {
        "config": (
            (r"mirroring-group (\d+) (local|remote-source|remote-destination)", "group"),
            (r"undo mirroring-group (\d+)", "remove"),
            (r"mirroring-group (\d+) mirroring-port (.+) (both|inbound|outbound)", "source"),
            (r"undo mirroring-group (\d+) mirroring-port (.+)", "no_source"),
            (r"mirroring-group (\d+) mirroring-vlan ([\d to]+) (both|inbound|outbound)", "vlan"),
            (r"undo mirroring-group (\d+) mirroring-vlan ([\d to]+)", "no_vlan"),
            (rf"mirroring-group (\d+) (monitor-port|monitor-egress|reflector-port) ({IF})( .+)?", "end"),
            (rf"undo mirroring-group (\d+) (monitor-port|monitor-egress|reflector-port) ({IF})", "no_end"),
            (r"(undo )?mirroring-group (\d+) remote-probe vlan (\d+)", "probe"),
            (r"(undo )?scheduler (job|schedule) (\S+)", "scheduler"),
            (rf"interface ({IF})", "interface"),
        ),
        "config-if": (
            (r"mirroring-group (\d+) (mirroring-port) (both|inbound|outbound)", "inside"),
            (r"mirroring-group (\d+) (monitor-port|monitor-egress|reflector-port)( .+)?", "inside"),
            (Device.interface_words, "interface_line"),
        ),
        "config-job": ((r"command (\d+) (.+)", "command"),),
        "config-schedule": ((r"job (\S+)", "schedule_job"), (r"time once delay (\d+):(\d+)", "delay")),
    }
    invalid = "% Unrecognized command found at '^' position."
    separator = "#"
    asks = rf"mirroring-group \d+ reflector-port {IF}"
    question = "This operation may delete all settings made on the interface. Continue? [Y/N]:"

    def setup(self) -> None:
        self.groups: dict[int, dict[str, t.Any]] = {}
        self.jobs: dict[str, dict[int, str]] = {}
        self.schedules: dict[str, dict[str, t.Any]] = {}
        #: Where the one capture writes, N/A for a remote one; *has_image* is whether the feature's image is installed.
        self.capture: str | None = None
        self.has_image = True

    def interface(self, match: re.Match[str]) -> None:
        self.interfaces.setdefault(full(match[1]), [])
        self.enter("config-if", full(match[1]))

    def interface_line(self, match: re.Match[str]) -> None:
        self.interfaces[self.here].append(match[0])

    def group(self, match: re.Match[str]) -> str:
        held = self.groups.setdefault(int(match[1]), {"kind": match[2], "ports": {}, "vlans": {}, "end": {}, "probe": ""})
        return "" if held["kind"] == match[2] else "The mirroring group already exists with another type."

    def existing(self, number: str) -> dict[str, t.Any] | None:
        return self.groups.get(int(number))

    def remove(self, match: re.Match[str]) -> str:
        return "" if self.groups.pop(int(match[1]), None) else "The mirroring group does not exist."

    def source(self, match: re.Match[str]) -> str:
        for name in members(match[2]):
            if reply := self.add_source(match[1], name, match[3]):
                return reply
        return ""

    def add_source(self, number: str, name: str, direction: str) -> str:
        group = self.existing(number)
        if group is None:
            return "The mirroring group does not exist."
        if any(name in other["ports"] for other in self.groups.values() if other is not group):
            return "The port is a mirroring port of another mirroring group already."
        self.interfaces.setdefault(name, [])
        group["ports"][name] = direction
        return ""

    def no_source(self, match: re.Match[str]) -> None:
        group = self.existing(match[1])
        for name in members(match[2]):
            if group:
                group["ports"].pop(name, None)

    def vlan(self, match: re.Match[str]) -> str:
        group = self.existing(match[1])
        if group is None:
            return "The mirroring group does not exist."
        group["vlans"].update(dict.fromkeys(match[2].split(), match[3]))
        return ""

    def no_vlan(self, match: re.Match[str]) -> None:
        group = self.existing(match[1])
        for vlan in match[2].split():
            if group:
                group["vlans"].pop(vlan, None)

    def end(self, match: re.Match[str]) -> str:
        return self.set_end(match[1], match[2], full(match[3]), match[4])

    def set_end(self, number: str, word: str, name: str, rest: str | None) -> str:
        group = self.existing(number)
        if group is None:
            return "The mirroring group does not exist."
        if group["end"] and name not in group["end"]:
            return "The mirroring group already has a monitor port."
        if word == "reflector-port":
            if group["kind"] != "remote-source":
                return "Only a remote source group has a reflector port."
            self.interfaces[name] = []
        self.interfaces.setdefault(name, [])
        group["end"] = {name: f"{word}{rest or ''}"}
        return ""

    def no_end(self, match: re.Match[str]) -> None:
        group = self.existing(match[1])
        if group:
            group["end"].pop(full(match[3]), None)

    def inside(self, match: re.Match[str]) -> str:
        if match[2] == "mirroring-port":
            return self.add_source(match[1], self.here, match[3])
        return self.set_end(match[1], match[2], self.here, match[3])

    def probe(self, match: re.Match[str]) -> str:
        group = self.existing(match[2])
        if group is None:
            return "The mirroring group does not exist."
        group["probe"] = "" if match[1] else match[3]
        return ""

    def scheduler(self, match: re.Match[str]) -> str:
        held: dict[str, t.Any] = self.jobs if match[2] == "job" else self.schedules
        if match[1]:
            return "" if held.pop(match[3], None) is not None else "The object does not exist."
        self.enter(f"config-{match[2]}", held.setdefault(match[3], {}))
        return ""

    def command(self, match: re.Match[str]) -> None:
        self.here[int(match[1])] = match[2]

    def schedule_job(self, match: re.Match[str]) -> None:
        self.here["job"] = match[1]

    def delay(self, match: re.Match[str]) -> None:
        self.here.update(time=match[0], due=self.clock + datetime.timedelta(hours=int(match[1]), minutes=int(match[2])))

    def elapse(self, minutes: int) -> None:
        before = self.clock
        super().elapse(minutes)
        for schedule in list(self.schedules.values()):
            if "job" in schedule and before < schedule.get("due", before) <= self.clock:
                job = self.jobs[schedule["job"]]
                self.batch(job[number] for number in sorted(job) if job[number] != "system-view")

    def running(self) -> str:
        lines = ["#"]
        for number, group in sorted(self.groups.items()):
            lines.append(f" mirroring-group {number} {group['kind']}")
            lines += [f" mirroring-group {number} mirroring-vlan {vlan} {way}" for vlan, way in group["vlans"].items()]
            lines += [f" mirroring-group {number} remote-probe vlan {group['probe']}"] if group["probe"] else []
        for name, inside in sorted(self.interfaces.items()):
            lines += ["#", f"interface {name}", *(f" {line}" for line in inside)]
            for number, group in sorted(self.groups.items()):
                lines += [f" mirroring-group {number} mirroring-port {group['ports'][name]}"] if name in group["ports"] else []
                lines += [f" mirroring-group {number} {group['end'][name]}"] if name in group["end"] else []
        for name, job in self.jobs.items():
            lines += ["#", f"scheduler job {name}", *(f" command {number} {line}" for number, line in sorted(job.items()))]
        for name, schedule in self.schedules.items():
            lines += ["#", f"scheduler schedule {name}", " user-role network-admin"]
            lines += [f" job {schedule['job']}"] if "job" in schedule else []
            lines += [f" {schedule['time']}"] if "time" in schedule else []
        return "\n".join([*lines, "#", "return", ""])

    def show(self, command: str) -> str:
        if not command.startswith("display packet-capture"):
            return self.running()
        if not self.has_image:
            return self.invalid
        shown = f"Status     : Capturing\nFile Name  : {self.capture}\nUser Name  : N/A\nPassword   : N/A\n"
        return shown if self.capture else ""

    def operate(self, line: str) -> str:
        """Captures, of which documents show that there is one at a time, and what is printed of one that writes a file.

        That a remote one prints N/A for its file, that nothing is printed of none, and the words of the refusal are guesses.
        """
        if not self.has_image:
            return self.invalid
        if line == "packet-capture stop":
            self.capture = None
            return ""
        if not re.fullmatch(rf"packet-capture remote interface {IF}(?: (?:bidirection|outbound))?(?: port \d{{1,5}})?", line):
            return "% Wrong parameter found at '^' position."
        if self.capture:
            return "The packet capture is already running."
        self.capture = "N/A"
        return ""
