# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's memory of what was changed and for whom: one file of JSON lines per campaign, synced before each change."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t

from .model import Change, Key, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ..host import Host

SCHEMA = 1
ROOT = "/var/lib/wirefleet"
STANDING = "standing"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CAMPAIGN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Owner(t.NamedTuple):
    """Whose changes these are; *deadline* is when the host undoes them by itself, in UTC seconds or None."""

    campaign: str
    deadline: float | None = None
    who: str = ""


class Held(t.NamedTuple):
    """A change that is still to be put back. *sure* is False while only its intent is known."""

    before: Value
    after: Value
    sure: bool


class State(t.NamedTuple):
    """What a journal says, folded from its lines."""

    header: dict[str, Value]
    leases: dict[Key, Value]
    held: dict[Key, Held]
    outcomes: dict[Key, dict[str, Value]]
    intents: int
    unfinished: dict[Key, Value]
    closed: bool

    def relied_on(self) -> dict[Key, Value]:
        """Return every key that the campaign leased or changed, with the value that it counts on."""
        return {**{key: entry.after for key, entry in self.held.items()}, **self.leases}

    def with_unfinished(self, now: Callable[[Key], Value]) -> State:
        """Return the state with the side effects that a crash in mid-change left unsaid: what differs from the snapshot.

        *now* answers with the present value of a key; a key that cannot be read any more is left out.
        """
        held = dict(self.held)
        for key, before in self.unfinished.items():
            try:
                value = now(key)
            except Refused:
                continue
            if key not in held and value != before:
                held[key] = Held(before, value, sure=False)
        return self._replace(held=held)


def valid_id(campaign: str) -> str:
    """Return *campaign*; raise Refused where it could lead out of its folder or be taken for an option."""
    if not CAMPAIGN_ID.fullmatch(campaign) or ".." in campaign:
        raise Refused(
            f"{campaign!r} cannot be a campaign id: use letters, digits, '.', '_' and '-', at most 128, beginning with a letter or digit"
        )
    return campaign


def parse(text: str) -> list[dict[str, Value]]:
    """Return the whole lines of a journal. A torn last line is what a crash leaves, and is dropped."""
    lines = []
    for raw in text.split("\n")[:-1]:
        try:
            line = json.loads(raw)
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines


def fold(lines: Iterable[Mapping[str, Value]]) -> State:
    """Return what *lines* add up to. The first `before` and the last `after` of a key count. Pure.

    Raises Refused for a journal that a newer version wrote: guessing could undo the wrong thing.
    """
    header: dict[str, Value] = {}
    leases: dict[Key, Value] = {}
    held: dict[Key, Held] = {}
    outcomes: dict[Key, dict[str, Value]] = {}
    unfinished: dict[Key, Value] = {}
    saved: dict[Key, Held] = {}
    intents = 0
    closed = False
    for line in lines:
        do = line.get("do")
        if do == "open":
            header, closed = dict(line), False
            if line.get("schema", 0) > SCHEMA:
                raise Refused(_newer(header))
        elif do == "lease":
            leases.update((Key(*key), value) for key, value in line["keys"])
        elif do == "intent":
            intents, saved = max(intents, line["n"]), dict(held)
            _hold(held, line["changes"], sure=False)
            unfinished = {Key(*key): value for key, value in line.get("snapshot", ())}
        elif do == "done":
            _confirm(held, line["values"])
            _hold(held, line.get("side_effects", ()), sure=True)
            unfinished = {}
        elif do == "undone":
            left = {Key(*key) for key in line["left"]}
            held, unfinished = {**saved, **{key: entry for key, entry in held.items() if key in left}}, {}
        elif do == "inherit":
            _inherit(held, Key(*line["key"]), line["before"], line["after"])
        elif do == "restored":
            key = Key(*line["key"])
            outcomes[key] = {name: line[name] for name in ("outcome", "wanted", "found", "reason") if name in line}
            if line["outcome"] != "failed":
                held.pop(key, None)
                leases.pop(key, None)
        elif do == "close":
            leases, held, unfinished, closed = {}, {}, {}, True
    return State(header, leases, held, outcomes, intents, unfinished, closed)


def _hold(held: dict[Key, Held], changes: Iterable[t.Any], sure: bool) -> None:
    for raw, before, after in changes:
        key = Key(*raw)
        first = held[key].before if key in held else before
        held.pop(key, None)
        held[key] = Held(first, after, sure)


def _inherit(held: dict[Key, Held], key: Key, before: Value, after: Value) -> None:
    """Take over from another campaign the duty to go back to *before*; our own later value stays what we left."""
    held[key] = Held(before, held[key].after if key in held else after, True)


def _confirm(held: dict[Key, Held], values: Iterable[t.Any]) -> None:
    for raw, value in values:
        key = Key(*raw)
        if key in held:
            held[key] = held[key]._replace(after=value, sure=True)


def _newer(header: Mapping[str, Value]) -> str:
    return (
        f"the journal of {header.get('campaign')} has schema {header.get('schema')}, this version knows {SCHEMA}: "
        "restore it with the version of wirefleet.capture that wrote it"
    )


class Journal:
    """The journal of one campaign on this host."""

    def __init__(self, host: Host, folder: str) -> None:
        self._host = host
        self.folder = folder
        self.path = f"{folder}/journal.ndjson"

    def state(self) -> State | None:
        """Return what the journal says, or None where there is none (a file torn in its first line counts as none)."""
        text = self._host.read(self.path)
        lines = parse(text) if text else []
        return fold(lines) if lines else None

    def open(self, owner: Owner) -> State:
        """Return the state of the open journal, begun now where there was none or a closed one."""
        state = self.state()
        if state is not None and not state.closed:
            return state
        self._host.make_private(self.folder)
        boot_id = (self._host.read(BOOT_ID) or "").strip()
        self._write(
            {"do": "open", "schema": SCHEMA, "campaign": owner.campaign, "boot_id": boot_id, "who": owner.who, "deadline": owner.deadline}
        )
        return t.cast("State", self.state())

    def extend(self, owner: Owner) -> None:
        """Note a new deadline or requester in the header of the open journal."""
        state = self.open(owner)
        if state.header.get("deadline") != owner.deadline:
            self._write({**state.header, "deadline": owner.deadline, "who": owner.who})

    def lease(self, values: Mapping[Key, Value]) -> None:
        if values:
            self._write({"do": "lease", "keys": [[list(key), value] for key, value in values.items()]})

    def intent(self, number: int, changes: Iterable[Change], snapshot: Mapping[Key, Value]) -> None:
        rows = [[list(key), value] for key, value in snapshot.items()]
        self._write({"do": "intent", "n": number, "changes": _rows(changes), "snapshot": rows})

    def undone(self, number: int, left: Iterable[Key]) -> None:
        """Note that the change announced under *number* was taken back, but for the keys in *left*."""
        self._write({"do": "undone", "n": number, "left": [list(key) for key in sorted(left)]})

    def inherit(self, key: Key, before: Value, after: Value) -> None:
        self._write({"do": "inherit", "key": list(key), "before": before, "after": after})

    def done(self, number: int, values: Mapping[Key, Value], side_effects: Iterable[Change]) -> None:
        rows = [[list(key), value] for key, value in values.items()]
        self._write({"do": "done", "n": number, "values": rows, "side_effects": _rows(side_effects)})

    def restored(self, key: Key, outcome: str, wanted: Value, found: Value, reason: str | None) -> None:
        self._write(
            {"do": "restored", "key": list(key), "outcome": outcome, "wanted": wanted, "found": found, "reason": reason}
        )

    def close(self) -> None:
        self._write({"do": "close"})

    def _write(self, line: Mapping[str, Value]) -> None:
        """Append a line; one that a crash tore before it is ended first, so that it cannot swallow this one."""
        text = self._host.read(self.path)
        torn = "\n" if text and not text.endswith("\n") else ""
        self._host.append(self.path, torn + json.dumps(line, separators=(",", ":"), sort_keys=False) + "\n")


def _rows(changes: Iterable[Change]) -> list[list[Value]]:
    return [[list(change.key), change.before, change.after] for change in changes]


class Store:
    """All journals of this host, and the lock that makes one process at a time change settings."""

    def __init__(self, host: Host, root: str = ROOT) -> None:
        self.host = host
        self.root = root

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the host's one lock; makes the store's folder (0700) where there is none."""
        self.host.make_private(self.root)
        with self.host.lock(f"{self.root}/lock"):
            yield

    def journal(self, campaign: str) -> Journal:
        return Journal(self.host, f"{self.root}/{valid_id(campaign)}")

    def open_states(self) -> dict[str, State]:
        """Return {campaign id: State} of every journal that is not closed; raises Refused as fold() does."""
        found = {}
        for name in self.host.names(self.root):
            if not CAMPAIGN_ID.fullmatch(name):
                continue
            state = Journal(self.host, f"{self.root}/{name}").state()
            if state is not None and not state.closed:
                found[name] = state
        return found
