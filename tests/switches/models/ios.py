# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cisco IOS and IOS-XE: local sessions and RSPAN flat, ERSPAN in submodes; interfaces are printed short, lists with spaces."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .base import Device, listed, ranges, ways

SHORT = {
    "GigabitEthernet": "Gi",
    "TenGigabitEthernet": "Te",
    "TwentyFiveGigE": "Twe",
    "FortyGigabitEthernet": "Fo",
    "HundredGigE": "Hu",
    "FastEthernet": "Fa",
    "Port-channel": "Po",
    "Vlan": "Vl",
}


def short(name: str) -> str:
    word = t.cast("re.Match[str]", re.match(r"[A-Za-z-]+", name))[0]
    return name.replace(word, next((brief for full, brief in SHORT.items() if full.startswith(word) and word.startswith(brief)), word))


@dataclasses.dataclass
class Monitor:
    kind: str = ""
    sources: dict[tuple[str, str], frozenset[str]] = dataclasses.field(default_factory=dict)
    destinations: list[str] = dataclasses.field(default_factory=list)
    remote: dict[str, str] = dataclasses.field(default_factory=dict)
    vlans: set[str] = dataclasses.field(default_factory=set)
    acl: str = ""
    near: dict[str, str] = dataclasses.field(default_factory=dict)
    far: dict[str, str] = dataclasses.field(default_factory=dict)
    shut: bool = True
    #: Whether the session was already shut when its submode was entered: only then can an ACL be detached.
    settled: bool = True

    def empty(self) -> bool:
        return not (self.kind or self.sources or self.destinations or self.remote or self.vlans or self.acl)


class Ios(Device):
    rules = {
        "config": (
            (r"monitor session (\d+) type (erspan-source|erspan-destination)", "open"),
            (r"no monitor session (\d+)", "remove"),
            (r"(no )?monitor session (\d+) source (interface|vlan) (.+?)(?: (rx|tx|both))?", "flat_source"),
            (r"(no )?monitor session (\d+) (source|destination) remote vlan (\d+)", "flat_remote"),
            (r"(no )?monitor session (\d+) destination interface (.+)", "flat_destination"),
            (r"(no )?monitor session (\d+) filter vlan (.+)", "flat_vlans"),
            (r"(no )?event manager applet (\S+)(?: authorization bypass)?", "applet"),
            (r"interface (\S+ ?[\d/.]*)", "interface"),
        ),
        "config-if": ((Device.interface_words, "interface_line"),),
        "config-mon-erspan-src": (
            (r"(no )?source (interface|vlan) (.+?)(?: (rx|tx|both))?", "source"),
            (r"(no )?filter vlan (.+)", "vlans"),
            (r"(no )?shutdown", "shutdown"),
            (r"(description|header-type|buffer-size) (.+)", "near"),
            (r"destination", "far_end"),
        ),
        "config-mon-erspan-src-dst": ((r"(erspan-id|ip address|origin ip address|ip ttl|ip dscp|ip prec|mtu|vrf) (\S+)", "far"),),
        "config-mon-erspan-dst": (
            (r"(no )?destination interface (.+)", "destination"),
            (r"(no )?shutdown", "shutdown"),
            (r"(description) (.+)", "near"),
            (r"source", "far_end"),
        ),
        "config-mon-erspan-dst-src": ((r"(erspan-id|ip address|vrf) (\S+)", "far"),),
        "config-applet": ((r"event timer countdown time (\d+)", "countdown"), (r'action (\S+) cli command "([^"]*)"', "action")),
    }
    says_no_shutdown = False

    def setup(self) -> None:
        self.sessions: dict[int, Monitor] = {}
        self.applets: dict[str, dict[str, t.Any]] = {}

    # Sessions without a submode

    def flat(self, number: str) -> Monitor:
        return self.sessions.setdefault(int(number), Monitor(shut=False))

    def settle(self) -> None:
        self.sessions = {number: session for number, session in self.sessions.items() if not session.empty()}

    def flat_source(self, match: re.Match[str]) -> str:
        session = self.flat(match[2])
        if session.kind:
            return "% Cannot change type of session"
        reply = self.change_sources(session, match[1], match[3], match[4], match[5])
        self.settle()
        return reply

    def flat_remote(self, match: re.Match[str]) -> None:
        remote = self.flat(match[2]).remote
        if match[1]:
            remote.pop(match[3], None)
        else:
            remote[match[3]] = match[4]
        self.settle()

    def flat_destination(self, match: re.Match[str]) -> str:
        reply = self.change_destinations(self.flat(match[2]), match[1], match[3])
        self.settle()
        return reply

    def flat_vlans(self, match: re.Match[str]) -> None:
        self.change_vlans(self.flat(match[2]), match[1], match[3])
        self.settle()

    def remove(self, match: re.Match[str]) -> None:
        self.sessions.pop(int(match[1]), None)

    # What both kinds do

    def change_sources(self, session: Monitor, no: str, kind: str, names: str, direction: str) -> str:
        for name in listed(names):
            key = (kind, short(name) if kind == "interface" else name)
            held = session.sources.get(key, frozenset())
            left = held - ways(direction) if no else held | ways(direction)
            session.sources.pop(key, None)
            if left:
                session.sources[key] = left
        if len({kind for kind, name in session.sources}) > 1:
            session.sources.pop(key)
            return "% Source VLANs and source interfaces cannot be in one session"
        return ""

    def change_destinations(self, session: Monitor, no: str, names: str) -> str:
        for name in map(short, listed(names)):
            others = [str(number) for number, other in self.sessions.items() if other is not session and name in other.destinations]
            if others and not no:
                return f"% Interface(s) {name} already configured as monitor destinations in session(s) {', '.join(others)}"
            session.destinations = [other for other in session.destinations if other != name] + ([] if no else [name])
        return ""

    @staticmethod
    def change_vlans(session: Monitor, no: str, vlans: str) -> None:
        session.vlans = session.vlans - set(listed(vlans)) if no else session.vlans | set(listed(vlans))

    # ERSPAN

    def open(self, match: re.Match[str]) -> str:
        session = self.sessions.setdefault(int(match[1]), Monitor(match[2], shut=not self.loading))
        if session.kind != match[2]:
            return "% Cannot change type of session"
        session.settled = session.shut
        self.enter("config-mon-erspan-src" if match[2] == "erspan-source" else "config-mon-erspan-dst", session)
        return ""

    def source(self, match: re.Match[str]) -> str:
        return self.change_sources(self.here, *match.groups())

    def destination(self, match: re.Match[str]) -> str:
        return self.change_destinations(self.here, *match.groups())

    def vlans(self, match: re.Match[str]) -> None:
        self.change_vlans(self.here, *match.groups())

    def shutdown(self, match: re.Match[str]) -> None:
        self.here.shut = not match[1]

    def near(self, match: re.Match[str]) -> None:
        self.here.near[match[1]] = match[2]

    def far_end(self, match: re.Match[str]) -> None:
        self.enter(f"{self.mode}-{match[0][:3].replace('sou', 'src').replace('des', 'dst')}", self.here)

    def far(self, match: re.Match[str]) -> None:
        self.here.far[match[1]] = match[2]

    # Jobs

    def applet(self, match: re.Match[str]) -> None:
        if match[1]:
            self.applets.pop(match[2], None)
        else:
            self.enter("config-applet", self.applets.setdefault(match[2], {"actions": {}, "head": match[0]}))

    def countdown(self, match: re.Match[str]) -> None:
        self.here.update(time=int(match[1]), left=int(match[1]))

    def action(self, match: re.Match[str]) -> None:
        self.here["actions"][match[1]] = match[2]

    def elapse(self, minutes: int) -> None:
        super().elapse(minutes)
        for applet in list(self.applets.values()):
            applet["left"] = applet.get("left", 0) - 60 * minutes
            if "time" in applet and applet["left"] <= 0:
                actions = [applet["actions"][label] for label in sorted(applet["actions"])]
                self.batch(actions[actions.index("configure terminal") + 1 :] if "configure terminal" in actions else [])

    # The configuration

    def running(self) -> str:
        lines = ["!"]
        for name, inside in self.interfaces.items():
            lines += [f"interface {name}", *(f" {line}" for line in inside), "!"]
        for number, session in sorted(self.sessions.items()):
            lines += self.submode(number, session) if session.kind else self.lines(f"monitor session {number}", session)
        for applet in self.applets.values():
            lines += ["!", applet["head"], *([f" event timer countdown time {applet['time']}"] if "time" in applet else [])]
            lines += [f' action {label} cli command "{command}"' for label, command in sorted(applet["actions"].items())]
        return "\n".join([*lines, "!", "end", ""])

    def lines(self, head: str, session: Monitor) -> list[str]:
        found = []
        for kind in ("interface", "vlan"):
            for direction, word in (({"rx", "tx"}, ""), ({"rx"}, " rx"), ({"tx"}, " tx")):
                names = [name for (what, name), held in session.sources.items() if what == kind and held == direction]
                found += [f"{head} source {kind} {written(names)}{word}"] if names else []
        found += [f"{head} filter vlan {written(sorted(session.vlans, key=int))}"] if session.vlans else []
        found += [f"{head} filter {session.acl}"] if session.acl else []
        found += [f"{head} destination interface {written(session.destinations)}"] if session.destinations else []
        return found + [f"{head} {end} remote vlan {vlan}" for end, vlan in session.remote.items()]

    def submode(self, number: int, session: Monitor) -> list[str]:
        """Not in the order in which it was typed."""
        found = [f"monitor session {number} type {session.kind}", *(f" {word} {value}" for word, value in session.near.items())]
        state = [" shutdown"] if session.shut else [" no shutdown"] if self.says_no_shutdown else []
        ends = [" source" if session.kind == "erspan-destination" else " destination"] if session.far else []
        far = [f"  {word} {session.far[word]}" for word in sorted(session.far)]
        return found + ends + far + state + [line.removeprefix("HEAD") for line in self.lines("HEAD", session)]


class Iosxe(Ios):
    rules = {
        **Ios.rules,
        "config": (*Ios.rules["config"], (r"(no )?monitor session (\d+) filter ((?:ip |ipv6 |mac )?access-group \S+)", "flat_acl")),
        "config-mon-erspan-src": (*Ios.rules["config-mon-erspan-src"], (r"(no )?filter ((?:ip |ipv6 |mac )?access-group \S+)", "acl")),
    }
    says_no_shutdown = True

    def flat_acl(self, match: re.Match[str]) -> None:
        self.flat(match[2]).acl = "" if match[1] else match[3]
        self.settle()

    def acl(self, match: re.Match[str]) -> str:
        if match[1] and not (self.here.shut and self.here.settled):
            return "% Shut the session and leave it before its ACL is detached"
        self.here.acl = "" if match[1] else match[2]
        return ""


def written(names: list[str]) -> str:
    return ranges(names, " - ", " , ")
