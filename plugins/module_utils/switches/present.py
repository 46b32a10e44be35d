# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module mirror_session does on a switch, by the journal that every other setting has too."""

from __future__ import annotations

import contextlib
import math
import re
import typing as t

from ..settings.apply import apply, look, preview, refuse_conflicts, restore
from ..settings.journal import Owner
from ..settings.mirror_session import AT_LEAST, LOST, Permits, run, wish
from ..settings.model import Key, Refused
from .cli import Switch
from .platform import arm, disarm, timers

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host
    from ..settings.apply import Outcome, Restored
    from ..settings.journal import State, Store
    from .platform import Platform, Timer

Options = dict[str, t.Any]


class Asked(t.NamedTuple):
    """What is to become of session *key*: *options* are those of the module, None for none of it.

    *seconds* is after how long the switch itself removes the session, None where it does not.
    """

    key: Key
    options: Options | None
    campaign: str
    permits: Permits = Permits()
    seconds: float | None = None


def key_of(platform: Platform, name: str) -> Key:
    return Key("mirror_session", platform.name, name)


def reach(host: Host, store: Store, platform: Platform, asked: Asked, check: bool) -> Outcome:
    """Make, change or remove the session; with *check* say only what would be done. Raises Refused."""
    states = store.open_states()
    desired = {asked.key: wish(asked.options, asked.campaign, _held(states), asked.permits)}
    outcome = preview(host, desired)
    refuse_conflicts(states, asked.campaign, outcome.after)
    if check:
        return outcome
    new = not outcome.before[asked.key]
    # A timer that an earlier session left must not end this one.
    if asked.options is not None and (asked.seconds or new):
        _set_timer(host, platform, asked.key.name, asked.seconds)
    try:
        outcome = apply(host, store, Owner(asked.campaign, who="module"), desired)
    except Refused:
        if new:
            with contextlib.suppress(Refused):
                _set_timer(host, platform, asked.key.name, None)
        raise
    if asked.options is None:
        _set_timer(host, platform, asked.key.name, None)
        forget(store, asked.campaign, asked.key)
    return outcome


def _set_timer(host: Host, platform: Platform, name: str, seconds: float | None) -> None:
    """Have the switch remove session *name* after *seconds*, or with None not any more; where it has no timers, do nothing."""
    timer, wanted = platform.timer, seconds is not None
    if timer is None or not isinstance(host, Switch):
        return
    text = _read(host, timer)
    if seconds is not None:
        clock = host.send(timer.clock) if timer.clock else ""
        commands = arm(platform, name, math.ceil(seconds / 60), text, clock)
    else:
        commands = disarm(platform, name, text)
    if not commands:
        return
    try:
        run(host, platform, commands)
    except Refused as refusal:
        if (name in timers(platform, _read(host, timer))) != wanted:
            raise Refused(f"the timer of session {name} could not be {'set' if wanted else 'taken away'}: {refusal}") from refusal


def _read(host: Switch, timer: Timer) -> str:
    return "\n".join(host.send(command) for command in timer.reads)


def plain(value: t.Any) -> Options:
    """Return a session's options as the module's user reads them, {} for none."""
    return dict(value.get(AT_LEAST, value)) if value else {}


def lost(outcome: Outcome) -> list[str]:
    """Return the lines that the switch wiped out for the session."""
    return [line for change in outcome.changes for line in (change.after or {}).get(LOST, ())]


def _held(states: Mapping[str, State]) -> list[str]:
    """Return the names of the sessions that our journals hold as made or changed by us."""
    return [key.name for state in states.values() for key in state.held if key.kind == "mirror_session"]


def forget(store: Store, campaign: str, key: Key) -> None:
    """Note that nothing is left to put back of what was made here and is gone again."""
    journal = store.journal(campaign)
    with store.lock():
        state = journal.state()
        held = state.held.get(key) if state and not state.closed else None
        if state is None or state.closed or (held and held.before is not None):
            return
        journal.restored(key, "already", None, None, None)
        left = journal.state()
        if left and not left.relied_on():
            journal.close()


def put_back(host: Host, store: Store, platform: Platform, campaign: str, check: bool) -> list[Restored]:
    """Put back what *campaign* changed. Raises Refused where that failed; with *check* returns what differs."""
    if check:
        return []
    results = restore(host, store, campaign)
    for result in results:
        if result.key.kind == "mirror_session" and result.outcome not in ("failed", "handed_over"):
            _set_timer(host, platform, result.key.name, None)
    failed = [f"{result.key}: {result.reason}" for result in results if result.outcome == "failed"]
    if failed:
        raise Refused(f"not put back: {'; '.join(failed)}")
    return results


def runs_of(store: Store, campaign: str) -> list[str]:
    """Return the ids of the journals that *campaign*, an id or the name in one, means. Raises Refused for one that is unreadable."""
    if store.journal(campaign).state():
        return [campaign]
    run = re.compile(rf"\d{{8}}T\d{{6}}Z-{re.escape(campaign)}-[0-9a-f]{{6}}")
    return [name for name in store.open_states() if run.fullmatch(name)]


def open_sessions(host: Host, store: Store, campaign: str) -> tuple[Options, Options]:
    """Return what the sessions that *campaign* holds are now, and what they were before it."""
    state = store.journal(campaign).state()
    held = state.held if state and not state.closed else {}
    seen = look(host, held)
    return {key.name: plain(seen.values.get(key)) for key in held}, {key.name: plain(entry.before) for key, entry in held.items()}
