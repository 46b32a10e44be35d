# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a platform is: pure functions and a table of what it can do; and how a wish becomes its commands. Pure."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..settings.model import Refused
from .session import DIRECTIONS, OPTIONS, TYPES, Session, Source, complete, differing, normal, said

if t.TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Collection, Mapping

#: Text that may stand in a command line: nothing that ends a line, a word, a quotation, or asks for help.
WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,125}")
PLAIN = re.compile(r"[A-Za-z0-9_.:/@(),+=-](?:[A-Za-z0-9_.:/@(),+= -]{0,238}[A-Za-z0-9_.:/@(),+=-])?")
WORDS = ("interfaces", "reflector_port", "vrf", "acl", "bridge")

#: Words that stand for every session, or for none, on one platform or another.
RESERVED = frozenset({"all", "default", "local", "type", "session"})

LIMITS: Mapping[str, tuple[int, int]] = {
    "remote_vlan": (1, 4094),
    "erspan_id": (1, 1023),
    "ttl": (1, 255),
    "dscp": (0, 63),
    "header_type": (1, 3),
    "mtu": (64, 10240),
    "gre_protocol": (0, 0xFFFF),
    "truncate": (4, 65535),
    "sample": (1, 16777215),
}

_DESTINATION = {
    "local": "interfaces",
    "rspan_source": "remote_vlan",
    "rspan_destination": "interfaces",
    "erspan_source": "destination_ip",
    "erspan_destination": "interfaces",
}


class Capabilities(t.NamedTuple):
    """What a platform can do. What it cannot and somebody asks for is refused with *reasons*, never dropped.

    *types* has for each type of session the options that it takes besides sources and enabled; *required* those it cannot
    do without, and *either* those of which it needs one. *immutable* are the options that only deleting and making the session
    anew can change. *always_on* are types that run as long as they exist. Of two options that are *exclusive* the one that is
    asked for displaces the other; "vlan sources" and "interface sources" count as options there.
    """

    types: Mapping[str, frozenset[str]]
    name: str = r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}"
    numbers: tuple[int, int] | None = None
    required: Mapping[str, tuple[str, ...]] = {}
    either: Mapping[str, tuple[str, ...]] = {}
    directions: Mapping[str, Collection[str]] = {"interface": DIRECTIONS, "vlan": DIRECTIONS}
    limits: Mapping[str, tuple[int, int]] = {}
    reasons: Mapping[str, str] = {}
    immutable: frozenset[str] = frozenset()
    can_disable: bool = True
    always_on: frozenset[str] = frozenset()
    exclusive: tuple[tuple[str, str], ...] = ()
    mixed_sources: bool = False
    one_direction: bool = False
    destinations: int = 1
    shared_sources: bool = False
    ipv6: bool = False


def _nothing_else(want: Session, text: str) -> None:
    """Stand for a platform on which nothing outside the session matters."""


def _nothing_lost(goal: Session, have: Session | None, text: str) -> list[str] | None:
    """Stand for a platform on which a session costs nothing."""


def _nothing_more(text: str) -> tuple[str, ...]:
    """Stand for a platform that is read at once."""
    return ()


class Typing(t.NamedTuple):
    """What enters configuration mode, what leaves it when all was taken, and what when a line, or the commit, was refused.

    *chatter* is what the switch says to a line that it took. *confirm* is a question that saving asks, and the answer. *asks* has
    lines that ask too: a pattern of the line, a pattern of the question, and the answer.
    """

    enter: tuple[str, ...] = ("configure terminal",)
    leave: tuple[str, ...] = ("end",)
    abandon: tuple[str, ...] = ("end",)
    chatter: str = r"(?!)"
    confirm: tuple[str, str] | None = None
    asks: tuple[tuple[str, str, str], ...] = ()


#: Comware and VRP.
VIEWS = Typing(("system-view",), ("return",), ("return",))


class Timer(t.NamedTuple):
    """The dead-man timer: a job on the switch that removes one session, and nothing else, should nobody come back.

    *start*(session, minutes, now) and *stop*(session, text) return commands as render() does. *text* is what *reads* print, one
    after the other, of which *parse* returns {session: when, in the switch's words} for the timers that are ours. Where a job
    starts at a time of day, *clock* is the command that prints the switch's own and *read_clock* makes it the *now* of *start*.
    """

    reads: tuple[str, ...]
    parse: Callable[[str], dict[str, str]]
    start: Callable[[str, int, datetime.datetime | None], list[str]]
    stop: Callable[[str, str], list[str]]
    minutes: tuple[int, int] = (1, 43200)
    clock: str | None = None
    read_clock: Callable[[str], datetime.datetime] | None = None


class Platform(t.NamedTuple):
    """One platform. *parse* takes what *reads* print, one after the other; *render* takes a wish that is checked and complete.

    render(None, have) removes the session, render(want, None) makes it, render(want, have) changes it in place.
    *refuse* raises Refused for what the rest of the configuration forbids, *loses* returns the lines of it that reaching a session
    wipes out for good, None where it wipes out nothing. A platform without *timer* says why in caps.reasons["timer"].

    *host* platforms run *reads* and commands as programs on the switch itself, the others type them on its command line, the
    commands in configuration mode, followed by *commit* where the platform has one. A program is written as a line of
    shlex.join() and run as shlex.split() of it, never by a shell: see onbox.py. *finish* are those that a crash may have left undone
    although the sessions read as wanted; to run them once more than need be does no harm. *parse* and *refuse* of a host platform take the
    transcript of what ran (transcript.py), and *more* returns what else has to be read, given the transcript of *reads*.
    """

    name: str
    systems: tuple[str, ...]
    reads: tuple[str, ...]
    parse: Callable[[str], dict[str, Session]]
    render: Callable[[Session | None, Session | None], list[str]]
    caps: Capabilities
    interface: Callable[[str], str] = str
    refuse: Callable[[Session, str], None] = _nothing_else
    loses: Callable[[Session, Session | None, str], list[str] | None] = _nothing_lost
    save: str | None = None
    host: bool = False
    more: Callable[[str], tuple[str, ...]] = _nothing_more
    finish: tuple[str, ...] = ()
    typing: Typing = Typing()
    commit: str | None = None
    timer: Timer | None = None


class Plan(t.NamedTuple):
    """What is to be done. *how* is none, create, change, recreate or remove."""

    how: str
    before: Session | None
    after: Session | None
    commands: list[str]


def canonical(platform: Platform, session: Session) -> Session:
    """Return *session* with interfaces named as the device's configuration names them."""
    sources = tuple(Source(s.kind, platform.interface(s.name), s.direction) if s.kind == "interface" else s for s in session.sources)
    interfaces = tuple(platform.interface(name) for name in session.interfaces)
    reflector = platform.interface(session.reflector_port) if session.reflector_port else None
    return normal(dataclasses.replace(session, sources=sources, interfaces=interfaces, reflector_port=reflector))


def check(platform: Platform, want: Session) -> None:
    """Raise Refused, naming platform and option, for a wish that *platform* cannot fulfil."""
    caps = platform.caps
    _check_name(platform, want.name)
    if want.type not in TYPES or want.type not in caps.types:
        raise _cannot(platform, want.type, f"it does {', '.join(sorted(caps.types))}")
    for option, value in said(want).items():
        if option not in caps.types[want.type] and option not in ("sources", "enabled"):
            raise _cannot(platform, option, f"a session of type {want.type} has no such option there")
        _check_value(platform, option, value)
    if want.enabled is False and (not caps.can_disable or want.type in caps.always_on):
        raise _cannot(platform, "enabled", "a session runs as long as it exists there")
    _check_sources(platform, want)
    for one, other in caps.exclusive:
        if _says(want, one) and _says(want, other):
            raise _cannot(platform, f"{one} and {other} in one session", "make two sessions")


def _cannot(platform: Platform, what: str, otherwise: str) -> Refused:
    return Refused(f"{platform.name} cannot do {what}: {platform.caps.reasons.get(what, otherwise)}")


#: What an exclusive option leaves when it gives way.
_EMPTY: Mapping[str, dict[str, t.Any]] = {
    "sources": {"sources": ()},
    "vlans": {"vlans": ()},
    "acl": {"acl": None, "acl_type": None},
    "interfaces": {"interfaces": ()},
    "reflector_port": {"reflector_port": None},
}


def _says(session: Session, what: str) -> bool:
    if not what.endswith(" sources"):
        return what in said(session)
    return any(f"{source.kind} sources" == what for source in session.sources)


def _displaced(platform: Platform, want: Session, goal: Session) -> Session:
    """Return *goal* without the options that cannot stand beside those of *want*."""
    for pair in platform.caps.exclusive:
        for asked, other in (pair, pair[::-1]):
            if _says(want, asked) and _says(goal, other):
                goal = dataclasses.replace(goal, **_EMPTY[other.partition(" ")[2] or other])
    return goal


def _check_name(platform: Platform, name: str) -> None:
    numbers = platform.caps.numbers
    if numbers:
        low, high = numbers
        if not re.fullmatch(r"[1-9][0-9]{0,4}|0", name) or not low <= int(name) <= high:
            raise Refused(f"{platform.name} numbers its sessions from {low} to {high}, not {name!r}")
    elif name.lower() in RESERVED or not re.fullmatch(platform.caps.name, name):
        raise Refused(f"{platform.name} cannot name a session {name!r}")


def _check_value(platform: Platform, option: str, value: t.Any) -> None:
    low, high = platform.caps.limits.get(option) or LIMITS.get(option) or (0, 0)
    if (low, high) != (0, 0) and not low <= value <= high:
        raise Refused(f"{platform.name} takes {option} from {low} to {high}, not {value}")
    if option == "description" and not PLAIN.fullmatch(value):
        raise Refused(f"description {value!r} cannot be typed on a switch: letters, digits, spaces and _.:/@(),+=- are fine")
    for word in (value if isinstance(value, tuple) else (value,)) if option in WORDS else ():
        if not WORD.fullmatch(word):
            raise Refused(f"{option} {word!r} is not a name that a switch has")
    if option in ("destination_ip", "source_ip") and ":" in value and not platform.caps.ipv6:
        raise Refused(f"{platform.name} cannot do {option} {value}: it takes IPv4 only")
    if option == "vlans" and not all(1 <= vlan <= 4094 for vlan in value):
        raise Refused("VLANs of a filter are numbers from 1 to 4094")
    if option == "interfaces" and len(value) > platform.caps.destinations:
        raise Refused(f"{platform.name} sends a session to at most {platform.caps.destinations} interface, not {len(value)}")


def _check_sources(platform: Platform, want: Session) -> None:
    caps = platform.caps
    for kind, name, direction in want.sources:
        if kind not in caps.directions:
            raise _cannot(platform, f"{kind} sources", "it has none")
        if direction not in caps.directions[kind]:
            raise _cannot(platform, f"direction {direction} of {kind} sources", f"it mirrors {', '.join(caps.directions[kind])}")
        if kind == "vlan" and not (re.fullmatch("[1-9][0-9]{0,3}", name) and int(name) <= 4094):
            raise Refused(f"{name!r} is not a VLAN: it is a number from 1 to 4094")
        if kind == "interface" and not WORD.fullmatch(name):
            raise Refused(f"interface {name!r} is not a name that a switch has")
        if kind == "interface" and name in ends(want):
            raise Refused(f"{name} cannot be source and destination of one session")
    if len({source.direction for source in want.sources}) > 1 and caps.one_direction:
        raise _cannot(platform, "different directions in one session", "make a session for each direction")
    if len({source.kind for source in want.sources}) > 1 and not caps.mixed_sources:
        raise _cannot(platform, "interfaces and VLANs as sources of one session", "make two sessions")


def needs(platform: Platform, kind: str) -> list[str]:
    """Return the options that no session of type *kind* is without."""
    needed = [_DESTINATION[kind], *platform.caps.required.get(kind, ())]
    needed += ["remote_vlan"] if kind == "rspan_destination" else []
    needed += ["sources"] if not kind.endswith("destination") else []
    return list(dict.fromkeys(needed))


def check_complete(platform: Platform, goal: Session) -> None:
    """Raise Refused when *goal*, completed from the device, still lacks what its type needs."""
    needed = needs(platform, goal.type) + (["acl"] if goal.acl_type else [])
    missing = [option for option in needed if option not in said(goal)]
    choice = platform.caps.either.get(goal.type, ())
    if choice and not any(option in said(goal) for option in choice):
        missing.append(" or ".join(choice))
    if missing:
        raise Refused(f"session {goal.name} of type {goal.type} on {platform.name} needs {', '.join(missing)}")


def ends(session: Session) -> set[str]:
    """Return the ports of the switch that *session* sends to."""
    return {*session.interfaces, *([session.reflector_port] if session.reflector_port else [])}


def check_others(platform: Platform, goal: Session, sessions: Mapping[str, Session]) -> None:
    """Raise Refused where another session already uses a port of *goal*; switches answer that with a warning at best."""
    sources = {source.name for source in goal.sources if source.kind == "interface"}
    for other in sessions.values():
        if other.name == goal.name:
            continue
        taken = {source.name for source in other.sources if source.kind == "interface"}
        shared = set() if platform.caps.shared_sources else sources & taken
        clash = sorted(shared | sources & ends(other) | ends(goal) & (taken | ends(other)))
        if clash:
            raise Refused(f"{clash[0]} is used by session {other.name} already")


def plan(platform: Platform, want: Session, have: Session | None) -> Plan:
    """Return how *have* becomes *want*. Raises Refused for what the platform cannot do."""
    want = canonical(platform, want)
    check(platform, want)
    goal = _displaced(platform, want, complete(want, have))
    check_complete(platform, goal)
    _check_sources(platform, goal)
    goal = have if have and not differing(want, have) else goal
    how, commands = change(platform, goal, have)
    return Plan(how, have, goal, commands)


def change(platform: Platform, goal: Session | None, have: Session | None, exact: bool = False) -> tuple[str, list[str]]:
    """Return how *have* becomes *goal*, of which no option is left out, and the commands.

    With *exact* nothing else may stay: an option that is to go is not taken out of a session, it is made anew without.
    """
    if have is None or goal is None:
        how = "none" if goal is have else "remove" if goal is None else "create"
        return how, [] if goal is have else platform.render(goal, have)
    changed, gone = differing(goal, have), said(have).keys() - said(goal).keys() if exact else frozenset()
    if not changed and not gone:
        return "none", []
    if gone or changed & (platform.caps.immutable | {"type"}):
        return "recreate", platform.render(None, have) + platform.render(goal, None)
    if have.unknown:
        raise Refused(f"session {have.name} has what nobody here understands ({have.unknown[0]}), so it is not edited: remove it first")
    return "change", platform.render(goal, have)


def removal(platform: Platform, name: str, have: Session | None) -> Plan:
    """Return how session *name* goes away."""
    _check_name(platform, name)
    if have is None:
        return Plan("none", None, None, [])
    return Plan("remove", have, None, platform.render(None, have))


def render_many(platform: Platform, wants: Collection[Session]) -> list[str]:
    """Return the commands that make *wants* on an empty switch."""
    return [command for want in wants for command in plan(platform, want, None).commands]


def timers(platform: Platform, text: str) -> dict[str, str]:
    """Return {session: when} of the dead-man timers in what platform.timer.reads print."""
    return platform.timer.parse(text) if platform.timer else {}


def arm(platform: Platform, name: str, minutes: int, text: str, clock: str = "") -> list[str]:
    """Return the commands after which the switch removes session *name* in *minutes*, whoever is there or not.

    To be typed before the session is made. *text* is what platform.timer.reads print: an older timer of the session is
    replaced. *clock* is what platform.timer.clock prints, where there is such a command.
    """
    _check_name(platform, name)
    timer = platform.timer
    if timer is None:
        raise _cannot(platform, "timer", "nothing on the switch can remove a session later")
    low, high = timer.minutes
    if not low <= minutes <= high:
        raise Refused(f"{platform.name} takes a timer of {low} to {high} minutes, not {minutes}")
    now = timer.read_clock(clock) if timer.read_clock else None
    return disarm(platform, name, text) + timer.start(name, minutes, now)


def disarm(platform: Platform, name: str, text: str) -> list[str]:
    """Return the commands that take the timer of session *name* away; none where *text* has no such timer."""
    _check_name(platform, name)
    return platform.timer.stop(name, text) if platform.timer and name in platform.timer.parse(text) else []


#: Everything but sources and enabled; a helper for capability tables.
def options(*names: str) -> frozenset[str]:
    """Return *names* as a set, having made sure that they are options."""
    unknown = set(names) - set(OPTIONS)
    if unknown:
        raise ValueError(f"no options of a session: {sorted(unknown)}")
    return frozenset(names)
