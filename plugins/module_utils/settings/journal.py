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
    from collections.abc import Iterable, Iterator, Mapping

    from ..host import Host

SCHEMA = 1
ROOT = "/var/lib/wirefleet"
STANDING = "standing"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
CAMPAIGN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

#: Ends a line that a crash tore, so that it stays unreadable whatever follows, even if only its newline was lost.
TORN = "#\n"


class Owner(t.NamedTuple):
    """Whose changes these are; *deadline* is when the host undoes them by itself, in UTC seconds or None."""

    campaign: str
    deadline: float | None = None
    who: str = ""


class Held(t.NamedTuple):
    """A change that is still to be put back, made under *boot*.

    *sure* is False while only its intent is known. An *effect* was not asked for, but followed from what was.
    """

    before: Value
    after: Value
    sure: bool
    boot: str | None = None
    effect: bool = False


class State(t.NamedTuple):
    """What a journal says, folded from its lines.

    *unfinished* is the snapshot of a change that never said `done`, *boot* the boot under which the last change was begun.
    """

    header: dict[str, Value]
    leases: dict[Key, Value]
    held: dict[Key, Held]
    intents: int
    unfinished: dict[Key, Value]
    boot: str | None
    closed: bool

    def relied_on(self) -> dict[Key, Value]:
        """Return every key that the campaign leased or changed, with the value that it counts on."""
        return {**{key: entry.after for key, entry in self.held.items()}, **self.leases}

    def unsaid(self, now: Mapping[Key, Value]) -> list[Change]:
        """Return the side effects that a crash in mid-change left unsaid: what *now* differs from its snapshot."""
        return [
            Change(key, before, now[key])
            for key, before in self.unfinished.items()
            if key in now and key not in self.held and now[key] != before
        ]


def valid_id(campaign: str) -> str:
    """Return *campaign*; raise Refused where it could lead out of its folder or be taken for an option."""
    if not CAMPAIGN_ID.fullmatch(campaign) or ".." in campaign:
        raise Refused(
            f"{campaign!r} cannot be a campaign id: use letters, digits, '.', '_' and '-', at most 128, beginning with a letter or digit"
        )
    return campaign


def parse(text: str) -> list[dict[str, Value]]:
    """Return the whole lines of a journal. A torn line is what a crash leaves before the change it announces: it is dropped."""
    lines = []
    for raw in text.split("\n")[:-1]:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(raw))
    return [line for line in lines if isinstance(line, dict)]


def fold(lines: Iterable[Mapping[str, Value]]) -> State:
    """Return what *lines* add up to. The first `before` and the last `after` of a key count. Pure.

    Raises Refused for a journal that a newer version wrote, or that makes no sense: guessing could undo the wrong thing.
    """
    folding = _Folding()
    for line in lines:
        try:
            folding.add(line)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            text = json.dumps(line)[:120]
            raise Refused(f"the journal's line {text} makes no sense: put back by hand what it names, then remove the journal") from error
    return folding.state()


class _Folding:
    """A journal's state while its lines are added one by one; there is a method for each word of `do`."""

    def __init__(self) -> None:
        self.header: dict[str, Value] = {}
        self.leases: dict[Key, Value] = {}
        self.held: dict[Key, Held] = {}
        self.unfinished: dict[Key, Value] = {}
        self.before_intent: dict[Key, Held] = {}
        self.boot: str | None = None
        self.intents = 0
        self.closed = False

    def add(self, line: Mapping[str, Value]) -> None:
        step = {
            "open": self._open,
            "lease": self._lease,
            "intent": self._intent,
            "done": self._done,
            "undone": self._undone,
            "inherit": self._inherit,
            "restored": self._restored,
            "close": self._close,
        }.get(line.get("do", ""))
        if step is not None:
            step(line)

    def state(self) -> State:
        return State(self.header, self.leases, self.held, self.intents, self.unfinished, self.boot, self.closed)

    def _open(self, line: Mapping[str, Value]) -> None:
        if line["schema"] > SCHEMA:
            raise Refused(
                f"the journal of {line.get('campaign')} has schema {line['schema']}, this version knows {SCHEMA}: "
                "restore it with the version of wirefleet.capture that wrote it"
            )
        self.header, self.closed = dict(line), False

    def _lease(self, line: Mapping[str, Value]) -> None:
        self.leases.update((Key(*key), value) for key, value in line["keys"])

    def _intent(self, line: Mapping[str, Value]) -> None:
        self.intents, self.before_intent = max(self.intents, line["n"]), dict(self.held)
        self.boot = self.header.get("boot_id")
        self._hold(line["changes"], sure=False)
        self.unfinished = {Key(*key): value for key, value in line["snapshot"]}

    def _done(self, line: Mapping[str, Value]) -> None:
        for raw, value in line["values"]:
            if Key(*raw) in self.held:
                self.held[Key(*raw)] = self.held[Key(*raw)]._replace(after=value, sure=True)
        self._hold(line["side_effects"], sure=True, effect=True)
        self.unfinished = {}

    def _undone(self, line: Mapping[str, Value]) -> None:
        left = [Key(*key) for key in line["left"]]
        moved = {key: Held(self.unfinished[key], self.unfinished[key], False, self.boot) for key in left if key in self.unfinished}
        self.held = {**self.before_intent, **{key: self.held.get(key, entry) for key, entry in moved.items()}}
        self.unfinished = {}

    def _inherit(self, line: Mapping[str, Value]) -> None:
        """Another campaign leaves the duty to go back to its `before`; our own later value stays what we left."""
        key = Key(*line["key"])
        after = self.held[key].after if key in self.held else line["after"]
        self.held[key] = Held(line["before"], after, True, self.header.get("boot_id"))

    def _restored(self, line: Mapping[str, Value]) -> None:
        if line["outcome"] != "failed":
            self.held.pop(Key(*line["key"]), None)
            self.leases.pop(Key(*line["key"]), None)

    def _close(self, line: Mapping[str, Value]) -> None:
        self.leases, self.held, self.unfinished, self.closed = {}, {}, {}, True

    def _hold(self, changes: Iterable[t.Any], sure: bool, effect: bool = False) -> None:
        for raw, before, after in changes:
            earlier = self.held.pop(Key(*raw), None) or Held(before, after, sure, effect=effect)
            boot = self.header.get("boot_id")
            self.held[Key(*raw)] = Held(earlier.before, after, sure, boot, effect and earlier.effect)


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
        """Return the state of the open journal, begun now where there was none or a closed one.

        After a reboot it gets a new header, so that it is known under which boot a change was made.
        """
        state, boot_id = self.state(), boot_id_of(self._host)
        if state is None or state.closed:
            self._host.make_private(self.folder)
            header = {
                "do": "open",
                "schema": SCHEMA,
                "campaign": owner.campaign,
                "boot_id": boot_id,
                "who": owner.who,
                "deadline": owner.deadline,
            }
            self._write(header, fresh=True)
        elif state.header.get("boot_id") != boot_id:
            self._write({**state.header, "boot_id": boot_id})
        else:
            return state
        return t.cast("State", self.state())

    def extend(self, owner: Owner) -> None:
        """Note a new deadline and requester in the header of the journal, opened where it was not."""
        state = self.open(owner)
        if state.header.get("deadline") != owner.deadline:
            self._write({**state.header, "deadline": owner.deadline, "who": owner.who})

    def lease(self, values: Mapping[Key, Value]) -> None:
        if values:
            self._write({"do": "lease", "keys": _pairs(values)})

    def intent(self, number: int, changes: Iterable[Change], snapshot: Mapping[Key, Value]) -> None:
        self._write({"do": "intent", "n": number, "changes": _rows(changes), "snapshot": _pairs(snapshot)})

    def done(self, number: int, values: Mapping[Key, Value], side_effects: Iterable[Change]) -> None:
        self._write({"do": "done", "n": number, "values": _pairs(values), "side_effects": _rows(side_effects)})

    def undone(self, number: int, left: Iterable[Key]) -> None:
        """Note that the change announced under *number* was taken back, but for the keys in *left*."""
        self._write({"do": "undone", "n": number, "left": [list(key) for key in sorted(left)]})

    def inherit(self, key: Key, before: Value, after: Value) -> None:
        self._write({"do": "inherit", "key": list(key), "before": before, "after": after})

    def restored(self, key: Key, outcome: str, wanted: Value, found: Value, reason: str | None) -> None:
        self._write({"do": "restored", "key": list(key), "outcome": outcome, "wanted": wanted, "found": found, "reason": reason})

    def close(self) -> None:
        self._write({"do": "close"})

    def _write(self, line: Mapping[str, Value], fresh: bool = False) -> None:
        """Add a line, or begin the file anew with it, and return once it is on disk."""
        text = json.dumps(line, separators=(",", ":")) + "\n"
        known = self._host.read(self.path)
        try:
            if fresh:
                self._host.write(self.path, text)
            else:
                self._host.append(self.path, (TORN if known and not known.endswith("\n") else "") + text)
        except OSError as error:
            raise Refused(f"{self.path} cannot be written ({error.strerror}): make room for it") from error


def boot_id_of(host: Host) -> str:
    return (host.read(BOOT_ID) or "").strip()


def _pairs(values: Mapping[Key, Value]) -> list[list[Value]]:
    return [[list(key), value] for key, value in values.items()]


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

    def open_states(self, readable_only: bool = False) -> dict[str, State]:
        """Return {campaign id: State} of every journal that is not closed.

        Raises Refused as fold() does, unless *readable_only* leaves such journals out.
        """
        found = {}
        for name in filter(CAMPAIGN_ID.fullmatch, self.host.names(self.root)):
            with contextlib.suppress(*[Refused] if readable_only else []):
                state = Journal(self.host, f"{self.root}/{name}").state()
                if state is not None and not state.closed:
                    found[name] = state
        return found
