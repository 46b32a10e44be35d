# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change settings so that they can always be put back: journal first, then change, then read again."""

from __future__ import annotations

import contextlib
import typing as t

from ..host import CommandMissing, could_not
from .journal import STANDING, Held, Owner, State, Store, boot_id_of
from .model import Change, Gone, Key, Reading, Refused, Value, show
from .registry import KINDS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..host import Host
    from .journal import Journal
    from .model import Kind

Group = tuple[str, str]
"""A kind and a scope: what is read in one go."""

Groups = dict[Group, list[str]]
"""What to read: the names that are asked for in each group, none where it is read for side effects only."""


class Outcome(t.NamedTuple):
    """What apply() did, or preview() would do. *before* and *after* hold the keys that were asked for."""

    before: dict[Key, Value]
    after: dict[Key, Value]
    changes: list[Change]
    side_effects: list[Change]
    commands: list[str]


class Restored(t.NamedTuple):
    """What became of one key: restored | already | drift | handed_over | failed | gone."""

    key: Key
    outcome: str
    wanted: Value
    found: Value
    reason: str | None = None


class Plan(t.NamedTuple):
    """What differs, in the order in which it is to be changed."""

    targets: dict[Key, Value]
    snapshot: dict[Key, Value]
    changes: list[Change]
    commands: list[str]


class Reached(t.NamedTuple):
    """The values after writing, the commands that ran, and the last refusal where values still differ."""

    values: dict[Key, Value]
    commands: list[str]
    error: Refused | None


class Seen(t.NamedTuple):
    """What could be read of some keys, and why the rest could not."""

    values: dict[Key, Value]
    errors: dict[Group, Exception]


def preview(host: Host, desired: Mapping[Key, Value]) -> Outcome:
    """Return what apply() would do. Reads only; raises Refused in the same cases, before anything is touched."""
    plan = make_plan(desired, read_groups(host, touched(desired)))
    before = {key: plan.snapshot.get(key) for key in plan.targets}
    return Outcome(before, plan.targets, plan.changes, [], plan.commands)


def apply(host: Host, store: Store, owner: Owner, desired: Mapping[Key, Value]) -> Outcome:
    """Reach *desired* and remember how to go back.

    Raises Refused when another campaign relies on another value, when a value cannot be reached, or when it did not
    take; then all that this call changed has been put back.
    """
    with store.lock():
        plan = make_plan(desired, read_groups(host, touched(desired)))
        states = store.open_states()
        refuse_conflicts(states, owner.campaign, plan.targets)
        before = {key: plan.snapshot.get(key) for key in plan.targets}
        _finish(host, states.values(), plan.targets)
        idle = not plan.changes and owner.campaign.startswith(STANDING)
        if idle and not (owner.campaign in states and states[owner.campaign].unfinished):
            return Outcome(before, before, [], [], [])
        journal = store.journal(owner.campaign)
        known = _settled(host, journal, owner)
        if idle:
            return Outcome(before, before, [], [], [])
        reached = Reached(plan.snapshot, [], None)
        if plan.changes:
            reached = _change(host, journal, known.intents + 1, plan, relied_values(states.values(), plan))
        journal.lease({key: value for key, value in plan.targets.items() if known.leases.get(key) != value})
        after = {key: reached.values.get(key) for key in plan.targets}
        return Outcome(before, after, plan.changes, side_effects(plan, reached.values), reached.commands)


def restore(host: Host, store: Store, campaign: str) -> list[Restored]:
    """Put back what *campaign* changed, last change first. Safe to call again; what failed stays in the journal.

    A value that somebody else changed meanwhile is reported as drift and left alone. Raises Refused for a journal that
    a newer version wrote.
    """
    with store.lock():
        journal = store.journal(campaign)
        state = journal.state()
        if state is None or state.closed:
            return []
        others = {name: other for name, other in store.open_states(readable_only=True).items() if name != campaign}
        boot = boot_id_of(host)
        held = dict(reversed(list(_held(host, state, boot).items())))
        seen = look(host, held)
        results = {key: _hand_over(store, others, key, entry, judge(key, entry, seen, boot)) for key, entry in held.items()}
        results = {key: _finished(host, key, result) for key, result in results.items()}
        results.update(_put_back(host, results, {key for key, entry in held.items() if entry.effect}))
        _conclude(journal, list(results.values()))
        return list(results.values())


def touched(keys: Iterable[Key]) -> Groups:
    """Return the groups to read: those of *keys* and those that changing them can move."""
    groups: Groups = {}
    for key in keys:
        groups.setdefault((kind_of(key).name, key.scope), []).append(key.name)
        for name in kind_of(key).disturbs:
            groups.setdefault((name, key.scope), [])
    return groups


def kind_of(key: Key) -> Kind:
    if key.kind not in KINDS:
        raise Refused(f"unknown kind of setting {key.kind!r}: known are {', '.join(sorted(KINDS))}")
    return KINDS[key.kind]


def read_groups(host: Host, groups: Groups) -> dict[Group, Reading]:
    return {group: KINDS[group[0]].read(host, group[1], names) for group, names in groups.items()}


def values_of(readings: Mapping[Group, Reading]) -> dict[Key, Value]:
    return {Key(name, scope, item): value for (name, scope), reading in readings.items() for item, value in reading.values.items()}


def differences(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> list[Change]:
    keys = list(before) + [key for key in after if key not in before]
    return [Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def make_plan(desired: Mapping[Key, Value], readings: Mapping[Group, Reading]) -> Plan:
    """Decide what to change, in order. Pure; raises Refused."""
    wishes: dict[Group, dict[str, Value]] = {}
    for key, value in desired.items():
        wishes.setdefault((key.kind, key.scope), {})[key.name] = value
    snapshot = values_of(readings)
    targets: dict[Key, Value] = {}
    for group in in_order(wishes):
        resolved = KINDS[group[0]].resolve(group[1], wishes[group], readings[group])
        targets.update((Key(*group, name), value) for name, value in resolved.items())
    changes = unmet(targets, snapshot)
    commands = [line for group, batch in batches(changes) for line in _commands(group, batch)]
    return Plan(targets, snapshot, changes, commands)


def unmet(wanted: Mapping[Key, Value], values: Mapping[Key, Value]) -> list[Change]:
    """Return what of *wanted* is not so in *values*."""
    return [Change(key, values.get(key), value) for key, value in wanted.items() if not KINDS[key.kind].met(value, values.get(key))]


def in_order(groups: Iterable[Group]) -> list[Group]:
    """Return *groups* so that each comes after the kinds that it follows; otherwise as they came."""
    return sorted(groups, key=lambda group: _depth(group[0]))


def _depth(name: str) -> int:
    return max((_depth(other) + 1 for other in KINDS[name].follows), default=0)


def batches(changes: Iterable[Change]) -> list[tuple[Group, list[Change]]]:
    """Return *changes* by group, in the order in which the groups first appear."""
    found: dict[Group, list[Change]] = {}
    for change in changes:
        found.setdefault((change.key.kind, change.key.scope), []).append(change)
    return list(found.items())


def refuse_conflicts(others: Mapping[str, State], campaign: str, targets: Mapping[Key, Value]) -> None:
    """Raise Refused when another open campaign relies on another value of a key of *targets*. Pure."""
    for name, state in others.items():
        for key, leased in state.relied_on().items():
            if name != campaign and key in targets and not KINDS[key.kind].compatible(leased, targets[key]):
                wanted, relied = KINDS[key.kind].contrast(targets[key], leased)
                raise Refused(
                    f"{key} is wanted as {wanted}, but the open campaign {name} relies on {relied}: "
                    f"wait for its end, or end it with playbooks/stop.yml or restore.yml -e campaign={name}"
                )


def relied_values(states: Iterable[State], plan: Plan) -> dict[Key, Value]:
    """Return what open campaigns asked for beside the targets of *plan* and still have: its changes must not move that. Pure."""
    leased = [item for state in states for item in state.leases.items()]
    present = [(key, value) for key, value in leased if key in plan.snapshot and key not in plan.targets]
    return {key: value for key, value in present if KINDS[key.kind].met(value, plan.snapshot[key])}


def side_effects(plan: Plan, after: Mapping[Key, Value]) -> list[Change]:
    return [change for change in differences(plan.snapshot, after) if change.key not in plan.targets]


def _finish(host: Host, states: Iterable[State], targets: Mapping[Key, Value]) -> None:
    """Do what crashes in changes to the same keys, whoever made them, may have left undone."""
    for group in dict.fromkeys((key.kind, key.scope) for state in states for key in state.unfinished if key in targets):
        KINDS[group[0]].finish(host, group[1])


def _finished(host: Host, key: Key, result: Restored) -> Restored:
    """Return *result*, for a key that is in place already once the rest of the change is too: an earlier restore may have crashed."""
    if result.outcome == "already" and key.kind in KINDS:
        try:
            KINDS[key.kind].finish(host, key.scope)
        except (Refused, CommandMissing) as error:
            return result._replace(outcome="failed", reason=str(error))
    return result


def _settled(host: Host, journal: Journal, owner: Owner) -> State:
    """Return the state of the opened journal, after noting in it what a crash in an earlier change left unsaid."""
    state = journal.open(owner)
    if not state.unfinished:
        return state
    now = look(host, _still_ours(state, boot_id_of(host))).values
    journal.done(state.intents, {key: now[key] for key, held in state.held.items() if not held.sure and key in now}, state.unsaid(now))
    return t.cast("State", journal.state())


def _still_ours(state: State, boot: str) -> list[Key]:
    """Return the keys of the unfinished change, without those whose values a reboot has set anew since."""
    return [key for key in state.unfinished if not _cleared(key, state.boot, boot)]


def _cleared(key: Key, changed_under: str | None, boot: str) -> bool:
    kind = KINDS.get(key.kind)
    return changed_under not in (None, "", boot) and kind is not None and kind.cleared_by_reboot


def _change(host: Host, journal: Journal, number: int, plan: Plan, relied: Mapping[Key, Value]) -> Reached:
    """Journal, change, read back; on failure put back what this call changed and raise."""
    groups = touched(plan.targets)
    try:
        journal.intent(number, plan.changes, plan.snapshot)
        reached = _reach(host, {**plan.targets, **relied}, groups)
        _refuse_unreached(plan.targets, relied, reached)
        journal.done(number, {change.key: reached.values.get(change.key) for change in plan.changes}, side_effects(plan, reached.values))
    except (Refused, CommandMissing) as failure:
        left = _undo(host, plan, groups)
        with contextlib.suppress(Refused):
            journal.undone(number, left)
            _close_if_empty(journal)
        now = f"but {', '.join(map(str, sorted(left)))} could not be put back" if left else "nothing stays changed"
        raise Refused(f"{failure}; {now}") from failure
    return reached


def _close_if_empty(journal: Journal) -> None:
    state = journal.state()
    if state is not None and not state.relied_on():
        journal.close()


def _reach(host: Host, wanted: Mapping[Key, Value], groups: Groups) -> Reached:
    """Write what differs from *wanted*, in its order, and read *groups* again, until all is reached or a round gets no nearer.

    A later write may move an earlier value (a ring change clears `sniffer`), or make possible what was refused (LRO and
    rx_striding_rq depend on each other).
    """
    values = values_of(read_groups(host, groups))
    commands: list[str] = []
    error: Refused | None = None
    for _round in range(len(groups) + 2):
        waiting = unmet(wanted, values)
        if not waiting:
            return Reached(values, commands, None)
        error = None
        for group, batch in batches(waiting):
            commands += _commands(group, batch)
            error = _attempt(host, group, batch) or error
        before, values = values, _read_after(host, groups, error)
        if values == before:
            break
    return Reached(values, commands, error)


def _read_after(host: Host, groups: Groups, error: Refused | None) -> dict[Key, Value]:
    """Return the values after writing; where they cannot be read, why the writing was refused is said too."""
    try:
        return values_of(read_groups(host, groups))
    except Refused as unread:
        if error is None:
            raise
        raise Refused(f"{error}; and then {unread}") from unread


def _reach_in_turn(host: Host, first: Mapping[Key, Value], rest: Mapping[Key, Value], groups: Groups) -> Reached:
    """Reach *first* alone, since that may bring *rest* about in the way it was: a feature that waits for another is not off."""
    _reach(host, first, groups)
    return _reach(host, {**first, **rest}, groups)


def _attempt(host: Host, group: Group, changes: list[Change]) -> Refused | None:
    """Write one batch and return why it was refused, None where it was not."""
    try:
        KINDS[group[0]].write(host, group[1], _wanted(changes), _current(changes))
    except Refused as error:
        return error
    except CommandMissing as error:
        return Refused(str(error))
    except OSError as error:
        return Refused(could_not(error))
    return None


def _commands(group: Group, changes: list[Change]) -> list[str]:
    return KINDS[group[0]].commands(group[1], _wanted(changes), _current(changes))


def _wanted(changes: Iterable[Change]) -> dict[str, Value]:
    return {change.key.name: change.after for change in changes}


def _current(changes: Iterable[Change]) -> dict[str, Value]:
    return {change.key.name: change.before for change in changes}


def _refuse_unreached(targets: Mapping[Key, Value], relied: Mapping[Key, Value], reached: Reached) -> None:
    for key, found, value in unmet(targets, reached.values):
        kind = KINDS[key.kind]
        wanted, instead = kind.contrast(value, found)
        raise Refused(f"{key} was set to {wanted}, but reads {instead} afterwards ({reached.error or kind.silence})")
    for key, _found, value in unmet(relied, reached.values):
        why = reached.error or KINDS[key.kind].silence
        raise Refused(f"{key} does not stay {show(value)} with these changes, and an open campaign relies on it ({why})")


def _undo(host: Host, plan: Plan, groups: Groups) -> set[Key]:
    """Go back to the snapshot after a failure; return the keys that could not be put back."""
    ours = {change.key: change.before for change in reversed(plan.changes)}
    try:
        now = _reach_in_turn(host, ours, plan.snapshot, groups).values
    except (Refused, CommandMissing):
        return {change.key for change in plan.changes}
    return {change.key for change in differences(plan.snapshot, now)}


def look(host: Host, keys: Iterable[Key]) -> Seen:
    """Read *keys*, whatever of them there still is."""
    seen = Seen({}, {})
    names: Groups = {}
    for key in keys:
        names.setdefault((key.kind, key.scope), []).append(key.name)
    for group in names:
        try:
            reading = kind_of(Key(*group, "")).read(host, group[1], names[group])
            seen.values.update(values_of({group: reading}))
        except (Refused, CommandMissing) as error:
            seen.errors[group] = error
    return seen


def _held(host: Host, state: State, boot: str) -> dict[Key, Held]:
    """Return what *state* holds, with what a crash in the middle of a change moved beside it."""
    now = look(host, _still_ours(state, boot)).values
    unsaid = {change.key: Held(change.before, change.after, False, state.boot, effect=True) for change in state.unsaid(now)}
    return {**state.held, **unsaid}


def judge(key: Key, held: Held, seen: Seen, boot: str) -> Restored:
    """Return what has to become of *key*: `restored` is still to be done, everything else is. Pure."""
    error = seen.errors.get((key.kind, key.scope))
    if error is not None:
        return _unreadable(key, held.before, error)
    found = seen.values.get(key)
    if found == held.before:
        return Restored(key, "already", held.before, found)
    if _cleared(key, held.boot, boot):
        reason = f"the host was rebooted since, which ended the change; {show(found)} is what it came up with"
        return Restored(key, "already", held.before, found, reason)
    if held.sure and found != held.after:
        reason = f"was {show(held.after)} when the campaign left it, somebody set it to {show(found)}: left alone"
        return Restored(key, "drift", held.before, found, reason)
    return Restored(key, "restored", held.before, found)


def _unreadable(key: Key, wanted: Value, error: Exception) -> Restored:
    return Restored(key, "gone" if isinstance(error, Gone) else "failed", wanted, None, str(error))


def _hand_over(store: Store, others: Mapping[str, State], key: Key, held: Held, result: Restored) -> Restored:
    """Leave the key to another open campaign where that relies on its present value, whoever set it."""
    if result.outcome not in ("restored", "drift"):
        return result
    for name, other in others.items():
        if key in other.relied_on() and KINDS[key.kind].met(other.relied_on()[key], result.found):
            try:
                store.journal(name).inherit(key, held.before, held.after)
            except Refused as error:
                return result._replace(outcome="failed", reason=str(error))
            return result._replace(outcome="handed_over", reason=f"the open campaign {name} relies on it")
    return result


def _put_back(host: Host, results: Mapping[Key, Restored], effects: set[Key]) -> dict[Key, Restored]:
    """Carry out what *results* says is to be restored, scope by scope, and return how that went."""
    ours = {key: result for key, result in results.items() if result.outcome == "restored"}
    found: dict[Key, Restored] = {}
    for scope in dict.fromkeys(key.scope for key in ours):
        mine = {key: result for key, result in ours.items() if key.scope == scope}
        try:
            reached = _put_back_scope(host, {key: result.wanted for key, result in mine.items()}, effects)
        except (Refused, CommandMissing) as error:
            found.update({key: _unreadable(key, result.wanted, error) for key, result in mine.items()})
        else:
            found.update({key: _result(result, reached) for key, result in mine.items()})
    return found


def _put_back_scope(host: Host, wanted: Mapping[Key, Value], effects: set[Key]) -> Reached:
    """Write the values of one scope; what that moves beside them (a ring change clears `sniffer`) is set again."""
    groups = touched(wanted)
    present = values_of(read_groups(host, groups))
    ours = {key: value for key, value in wanted.items() if key not in effects}
    return _reach_in_turn(host, ours, {**present, **wanted}, groups)


def _result(result: Restored, reached: Reached) -> Restored:
    found = reached.values.get(result.key)
    if found == result.wanted:
        return result._replace(found=found)
    return result._replace(outcome="failed", found=found, reason=str(reached.error or f"still reads {show(found)}"))


def _conclude(journal: Journal, results: list[Restored]) -> None:
    """Note what became of each key. A full disk must not hide that it was done: the next restore finds all in place."""
    with contextlib.suppress(Refused):
        for result in results:
            journal.restored(*result)
        if all(result.outcome != "failed" for result in results):
            journal.close()
