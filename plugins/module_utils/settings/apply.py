# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change settings so that they can always be put back: journal first, then change, then read again."""

from __future__ import annotations

import typing as t

from ..host import CommandMissing
from .journal import STANDING, Owner, State, Store
from .model import Change, Key, Reading, Refused, Value
from .registry import KINDS

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..host import Host
    from .journal import Held, Journal
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
        refuse_conflicts(store.open_states(), owner.campaign, plan.targets)
        before = {key: plan.snapshot.get(key) for key in plan.targets}
        if not plan.changes and owner.campaign.startswith(STANDING):
            return Outcome(before, before, [], [], [])
        journal = store.journal(owner.campaign)
        journal.extend(owner)
        known = t.cast("State", journal.state())
        after = _change(host, journal, known.intents + 1, plan) if plan.changes else plan.snapshot
        journal.lease({key: value for key, value in plan.targets.items() if known.leases.get(key) != value})
        effects = [change for change in differences(plan.snapshot, after) if change.key not in plan.targets]
        return Outcome(before, {key: after.get(key) for key in plan.targets}, plan.changes, effects, plan.commands)


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
        others = {name: other for name, other in store.open_states().items() if name != campaign}
        results = [_restore_key(host, store, others, key, held) for key, held in _to_put_back(host, state)]
        results = _again(host, results)
        for result in results:
            journal.restored(*result)
        if all(result.outcome != "failed" for result in results):
            journal.close()
        return results


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
    changes = [Change(key, snapshot.get(key), value) for key, value in targets.items() if snapshot.get(key) != value]
    commands = [line for group, batch in batches(changes) for line in _commands(group, batch)]
    return Plan(targets, snapshot, changes, commands)


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
                raise Refused(
                    f"{key} is wanted as {_show(targets[key])}, but the open campaign {name} relies on {_show(leased)}: "
                    f"wait for its end, or end it with playbooks/stop.yml or restore.yml -e campaign={name}"
                )


def _change(host: Host, journal: Journal, number: int, plan: Plan) -> dict[Key, Value]:
    """Journal, change, read back; on failure put back what this call changed and raise."""
    journal.intent(number, plan.changes, plan.snapshot)
    groups = touched(plan.targets)
    try:
        _until_done(host, plan.changes)
        after = values_of(read_groups(host, groups))
        _verify(plan.changes, after)
    except (Refused, CommandMissing) as failure:
        journal.undone(number, _undo(host, plan, groups))
        _close_if_empty(journal)
        raise Refused(str(failure)) from failure
    effects = [change for change in differences(plan.snapshot, after) if change.key not in plan.targets]
    journal.done(number, {change.key: after.get(change.key) for change in plan.changes}, effects)
    return after


def _close_if_empty(journal: Journal) -> None:
    state = journal.state()
    if state is not None and not state.relied_on():
        journal.close()


def _until_done(host: Host, changes: Iterable[Change]) -> None:
    """Write batch after batch; what is refused is tried again after the others, until a round makes no progress."""
    waiting = batches(changes)
    while waiting:
        refused = [(item, error) for item in waiting for error in [_attempt(host, *item)] if error is not None]
        if len(refused) == len(waiting):
            raise refused[0][1]
        waiting = [item for item, _error in refused]


def _attempt(host: Host, group: Group, changes: list[Change]) -> Refused | None:
    kind, scope = KINDS[group[0]], group[1]
    try:
        kind.write(host, scope, _wanted(changes), _current(changes))
    except Refused as error:
        return error
    return None


def _commands(group: Group, changes: list[Change]) -> list[str]:
    return KINDS[group[0]].commands(group[1], _wanted(changes), _current(changes))


def _wanted(changes: Iterable[Change]) -> dict[str, Value]:
    return {change.key.name: change.after for change in changes}


def _current(changes: Iterable[Change]) -> dict[str, Value]:
    return {change.key.name: change.before for change in changes}


def _verify(changes: Iterable[Change], after: Mapping[Key, Value]) -> None:
    for change in changes:
        if after.get(change.key) != change.after:
            raise Refused(
                f"{change.key} was set to {_show(change.after)}, but reads {_show(after.get(change.key))} afterwards: "
                "the driver or kernel did not take it"
            )


def _undo(host: Host, plan: Plan, groups: Groups) -> set[Key]:
    """Go back to the snapshot after a failure; return the keys that could not be put back."""
    now = values_of(read_groups(host, groups))
    back = [Change(change.key, change.after, change.before) for change in reversed(differences(plan.snapshot, now))]
    try:
        _until_done(host, back)
    except (Refused, CommandMissing):
        now = values_of(read_groups(host, groups))
        return {change.key for change in differences(plan.snapshot, now)}
    return set()


def _to_put_back(host: Host, state: State) -> list[tuple[Key, Held]]:
    """Return what *state* holds, last first, with what a crash in the middle of a change moved beside it."""
    return list(reversed(list(state.with_unfinished(lambda key: _now(host, key)).held.items())))


def _now(host: Host, key: Key) -> Value:
    return KINDS[key.kind].read(host, key.scope, [key.name]).values.get(key.name)


def _restore_key(host: Host, store: Store, others: Mapping[str, State], key: Key, held: Held) -> Restored:
    """Decide by the present value what to do about one key, and do it."""
    for name, other in others.items():
        if key in other.relied_on():
            store.journal(name).inherit(key, held.before, held.after)
            return Restored(key, "handed_over", held.before, held.after, f"the open campaign {name} relies on it")
    try:
        found = _now(host, key)
    except (Refused, CommandMissing) as error:
        return Restored(key, "gone", held.before, None, str(error))
    if found == held.before:
        return Restored(key, "already", held.before, found)
    if held.sure and found != held.after:
        reason = f"was {_show(held.after)} when the campaign left it, somebody set it to {_show(found)}: left alone"
        return Restored(key, "drift", held.before, found, reason)
    return _put_back(host, key, held.before, found)


def _put_back(host: Host, key: Key, wanted: Value, found: Value) -> Restored:
    error = _attempt(host, (key.kind, key.scope), [Change(key, found, wanted)])
    now = _now(host, key)
    if now == wanted:
        return Restored(key, "restored", wanted, now)
    return Restored(key, "failed", wanted, now, str(error) if error else f"still reads {_show(now)}")


def _again(host: Host, results: list[Restored]) -> list[Restored]:
    """Try what failed once more after the rest: a dependency may stand the other way round now."""
    return [
        _put_back(host, result.key, result.wanted, result.found) if result.outcome == "failed" else result
        for result in results
    ]


def _show(value: Value) -> str:
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
