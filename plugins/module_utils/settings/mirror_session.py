# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror sessions of switches (SPAN, RSPAN, ERSPAN): the same journal and the same way back as for any other setting."""

from __future__ import annotations

import dataclasses
import typing as t

from ..switches import onbox
from ..switches.cli import Switch
from ..switches.platform import change, check_others, plan, removal
from ..switches.registry import platform_of
from ..switches.session import OWNER, Session, Source, as_options, from_options, said
from .model import Kind, Reading, Refused, Value, show

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..host import Host
    from ..switches.platform import Platform

#: Marks a value that says only what somebody wants: a switch may have more to say of the session.
AT_LEAST = "at_least"
#: What reaching such a value costs: lines of the configuration that the switch wipes out and nobody brings back.
LOST = "lost"
#: In such a value: nobody waits until the switch finds that the session works.
UNWATCHED = "unwatched"

LONGEST_MARK = 32  # NX-OS takes no longer description


class MirrorSession(Kind):
    """Key ("mirror_session", platform, session's name); value the options of the session, as the module's user writes them."""

    name = "mirror_session"
    cleared_by_reboot = False
    silence = "the switch said nothing to it"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        platform = platform_of(scope)
        text = read_text(host, platform)
        sessions = platform.parse(text)
        values = {name: as_options(sessions[name]) if name in sessions else None for name in names}
        return Reading(values, {"sessions": sessions, "text": text})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        """Each wish is what wish() returns; the value to reach is the session, completed by what it already has."""
        platform, sessions = platform_of(scope), dict(reading.facts["sessions"])
        goals = {name: _goal(platform, wish, name, sessions.get(name)) for name, wish in wanted.items()}
        extras = {name: _extras(platform, wish, goals[name], sessions.get(name), reading.facts["text"]) for name, wish in wanted.items()}
        sessions.update((name, goal) for name, goal in goals.items() if goal)
        for name, goal in goals.items():
            if goal and goal is not reading.facts["sessions"].get(name):
                check_others(platform, goal, {key: other for key, other in sessions.items() if goals.get(key, other) is not None})
                platform.refuse(goal, reading.facts["text"])
        return {name: goal and {AT_LEAST: as_options(goal), **extras[name]} for name, goal in goals.items()}

    def met(self, wanted: Value, found: Value) -> bool:
        if not wanted or not found or AT_LEAST not in wanted:
            return bool(wanted == found)
        return not _lacking(session_of(wanted), session_of(found))

    def contrast(self, wanted: Value, found: Value) -> tuple[str, str]:
        if not wanted or not found:
            return "absent" if not wanted else "a session", "absent" if not found else "a session"
        want, have = session_of(wanted), session_of(found)
        names = _lacking(want, have)
        return _words(want, names), _words(have, names)

    def compatible(self, leased: Value, wanted: Value) -> bool:
        return self.met(leased, wanted) and self.met(wanted, leased)

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        platform = platform_of(scope)
        found: list[str] = []
        for name, value in wanted.items():
            have = current.get(name)
            goal, exact = session_of(value) if value else None, AT_LEAST not in (value or {})
            found += change(platform, goal, session_of(have) if have else None, exact)[1]
        return found

    def finish(self, host: Host, scope: str) -> None:
        if not isinstance(host, Switch):
            onbox.apply(host, platform_of(scope).finish)

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        platform = platform_of(scope)
        for name, value in wanted.items():
            if value and AT_LEAST not in value:
                _refuse_loss(host, platform, session_of(value), session_of(current[name]) if current.get(name) else None)
        run(host, platform, self.commands(scope, wanted, current))
        if not isinstance(host, Switch):
            onbox.settle(platform, host, [name for name, value in wanted.items() if value and not value.get(UNWATCHED)])


class Permits(t.NamedTuple):
    """What may be done beside what is harmless, and with *unwatched* that nobody waits until the session works."""

    replace_foreign: bool = False
    recreate: bool = True
    port_reset: bool = False
    unwatched: bool = False


def wish(want: Mapping[str, Value] | None, campaign: str, ours: Collection[str], permits: Permits) -> Value:
    """Return what to ask for: *want* are the options of a session, None for none; *ours* are sessions that our journals hold."""
    mark = f"{OWNER}-{campaign}"[:LONGEST_MARK]
    return {"session": want, "mark": mark, "ours": list(ours), **permits._asdict()}


def session_of(options: Mapping[str, Value]) -> Session:
    """Return the session in a value of this kind."""
    options = options.get(AT_LEAST, options)
    return dataclasses.replace(from_options(options), unknown=tuple(options.get("unknown") or ()), mine=False if options.get("foreign") else None)


def read_text(host: Host, platform: Platform) -> str:
    """Return what the platform's reading commands print."""
    if isinstance(host, Switch):
        return "\n".join(host.send(command) for command in platform.reads)
    return onbox.read(platform, host)


def run(host: Host, platform: Platform, commands: Sequence[str]) -> None:
    """Carry out rendered *commands*. Raises Refused with the switch's own words."""
    if isinstance(host, Switch):
        host.configure(platform.typing, [*commands, *([platform.commit] if platform.commit else [])])
    else:
        onbox.apply(host, commands)


def save(host: Host, platform: Platform) -> None:
    """Write the switch's startup configuration, where it has one of its own. Raises Refused."""
    if platform.save is None:
        return
    if isinstance(host, Switch):
        host.send(platform.save, platform.typing.confirm)
    else:
        onbox.run(host, platform.save)


def _goal(platform: Platform, asked: Mapping[str, Value], name: str, have: Session | None) -> Session | None:
    """Return the session to reach, *have* itself where that is it already. Raises Refused for what may not be touched."""
    if asked["session"] is None:
        planned = removal(platform, name, have)
    else:
        planned = plan(platform, _marked(platform, session_of(asked["session"]), asked["mark"], have), have)
    if have and planned.how != "none" and not asked["replace_foreign"] and not _is_ours(have, asked):
        raise Refused(
            f"session {name} of {platform.name} is somebody else's and differs from what is wanted ({_difference(planned.after, have)}): "
            "take another session, or say replace_foreign: true"
        )
    if planned.how == "recreate" and not asked["recreate"]:
        raise Refused(f"session {name} of {platform.name} can only be changed by making it anew, which recreate: never forbids")
    return planned.after


def _extras(platform: Platform, asked: Mapping[str, Value], goal: Session | None, have: Session | None, text: str) -> dict[str, Value]:
    """Return what the value to reach has beside the session. Raises Refused where it costs what nobody allowed."""
    lost = platform.loses(goal, have, text) if goal is not None and goal is not have else None
    if goal is not None and lost is not None and not asked["port_reset"]:
        raise Refused(f"{_reset(platform, goal, lost)}: say allow_port_reset: true, or send the copies out by interfaces instead")
    return {**({LOST: lost} if lost else {}), **({UNWATCHED: True} if asked["unwatched"] else {})}


def _reset(platform: Platform, goal: Session, lost: Sequence[str]) -> str:
    costs = f", which loses {'; '.join(lost)}" if lost else ""
    return f"{platform.name} resets {goal.reflector_port} to factory settings to make it a reflector port{costs}"


def _refuse_loss(host: Host, platform: Platform, goal: Session, have: Session | None) -> None:
    """Refuse to put back a session that would wipe out what somebody has set since: the permission was for what was there then."""
    if goal.reflector_port is not None and (lost := platform.loses(goal, have, read_text(host, platform))):
        raise Refused(f"{_reset(platform, goal, lost)}, set since: put it back by hand")


def _marked(platform: Platform, want: Session, mark: str, have: Session | None) -> Session:
    """Return *want*, with a description that says whose it is where it is new and can have one."""
    if (have and have.type == want.type) or want.description or "description" not in platform.caps.types.get(want.type, ()):
        return want
    return dataclasses.replace(want, description=mark)


def _is_ours(have: Session, asked: Mapping[str, Value]) -> bool:
    return bool(have.mine) or have.name in asked["ours"] or have.name.lower().startswith(OWNER) or have.description == asked["mark"]


def _difference(goal: Session | None, have: Session) -> str:
    return "it is to go" if goal is None else ", ".join(sorted(_lacking(goal, have)))


def _lacking(want: Session, have: Session) -> list[str]:
    """Return what *have* has otherwise than *want* says, in the order of the options."""
    differing = [name for name, value in said(want).items() if getattr(have, name) != value]
    return [*(["type"] if want.type != have.type else []), *differing]


def _words(session: Session, names: Collection[str]) -> str:
    return ", ".join(f"{name} {_word(getattr(session, name))}" for name in names)


def _word(value: Value) -> str:
    if isinstance(value, tuple):
        return " + ".join(" ".join(item[1:]) if isinstance(item, Source) else str(item) for item in value) or "none"
    return show(value)
