# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import json
import os
import pathlib
import stat
import subprocess
import sys
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import journal as module
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Held, Owner, State, Store, fold, parse, valid_id
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key, Refused
from hypothesis import given
from hypothesis import strategies as st

GRO, LRO, RX = Key("ethtool_feature", "e0", "rx-gro"), Key("ethtool_feature", "e0", "rx-lro"), Key("ethtool_ring", "e0", "rx")

OPEN: dict[str, t.Any] = {"do": "open", "schema": 1, "campaign": "c", "boot_id": "b1", "who": "", "deadline": None}
REBOOT = {**OPEN, "boot_id": "b2"}


def intent(n: int, changes: list[t.Any], snapshot: list[t.Any] | None = None) -> dict[str, t.Any]:
    return {"do": "intent", "n": n, "changes": changes, "snapshot": snapshot or [[key, before] for key, before, _after in changes]}


def done(n: int, values: list[t.Any], effects: list[t.Any] | None = None) -> dict[str, t.Any]:
    return {"do": "done", "n": n, "values": values, "side_effects": effects or []}


def restored(key: Key, outcome: str) -> dict[str, t.Any]:
    return {"do": "restored", "key": key, "outcome": outcome, "wanted": None, "found": None, "reason": None}


ON_OFF = intent(1, [[GRO, True, False]])
LEASE = {"do": "lease", "keys": [[GRO, False]]}
SURE = Held(True, False, True, "b1")


@pytest.mark.parametrize(
    ("lines", "held", "leases"),
    [
        ([OPEN], {}, {}),
        # announced, and nothing more is known
        ([OPEN, ON_OFF], {GRO: Held(True, False, False, "b1")}, {}),
        ([OPEN, ON_OFF, done(1, [[GRO, False]])], {GRO: SURE}, {}),
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), LEASE], {GRO: SURE}, {GRO: False}),
        # the driver rounded
        ([OPEN, intent(1, [[RX, 512, 1000]]), done(1, [[RX, 1024]])], {RX: Held(512, 1024, True, "b1")}, {}),
        # side effects are ours too, and come after what caused them
        (
            [OPEN, ON_OFF, done(1, [[GRO, False]], [[LRO, True, False]])],
            {GRO: SURE, LRO: Held(True, False, True, "b1", effect=True)},
            {},
        ),
        # an effect that is asked for later was asked for
        (
            [
                OPEN,
                ON_OFF,
                done(1, [[GRO, False]], [[LRO, True, False]]),
                intent(2, [[LRO, False, True]]),
                done(2, [[LRO, True]], [[GRO, False, True]]),
            ],
            {LRO: Held(True, True, True, "b1"), GRO: Held(True, True, True, "b1")},
            {},
        ),
        # the first before and the last after count, in the order of the last change
        (
            [
                OPEN,
                intent(1, [[RX, 512, 1024], [GRO, True, False]]),
                done(1, [[RX, 1024], [GRO, False]]),
                intent(2, [[RX, 1024, 8192]]),
                done(2, [[RX, 8192]]),
            ],
            {GRO: SURE, RX: Held(512, 8192, True, "b1")},
            {},
        ),
        # taken back
        ([OPEN, ON_OFF, {"do": "undone", "n": 1, "left": []}], {}, {}),
        # taken back but for a change and a side effect
        (
            [
                OPEN,
                intent(1, [[GRO, True, False], [RX, 512, 1024]], [[GRO, True], [RX, 512], [LRO, True]]),
                {"do": "undone", "n": 1, "left": [GRO, LRO]},
            ],
            {GRO: Held(True, False, False, "b1"), LRO: Held(True, True, False, "b1")},
            {},
        ),
        # taken back to what an earlier change had left
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), intent(2, [[GRO, False, True]]), {"do": "undone", "n": 2, "left": []}], {GRO: SURE}, {}),
        ([OPEN, {"do": "inherit", "key": GRO, "before": True, "after": False}], {GRO: SURE}, {}),
        # our own later value stays what we left
        (
            [OPEN, intent(1, [[RX, 1024, 8192]]), done(1, [[RX, 8192]]), {"do": "inherit", "key": RX, "before": 512, "after": 1024}],
            {RX: Held(512, 8192, True, "b1")},
            {},
        ),
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), LEASE, restored(GRO, "restored")], {}, {}),
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), restored(GRO, "drift")], {}, {}),
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), restored(GRO, "failed")], {GRO: SURE}, {}),
        ([OPEN, ON_OFF, done(1, [[GRO, False]]), LEASE, {"do": "close"}], {}, {}),
        # under which boot a change was made
        (
            [OPEN, ON_OFF, done(1, [[GRO, False]]), REBOOT, intent(2, [[RX, 512, 1024]]), done(2, [[RX, 1024]])],
            {GRO: SURE, RX: Held(512, 1024, True, "b2")},
            {},
        ),
        # words of a later version of the same schema say nothing to this one
        ([OPEN, {"do": "sing"}, {}], {}, {}),
    ],
)
def test_fold(lines: list[dict[str, t.Any]], held: dict[Key, Held], leases: dict[Key, t.Any]) -> None:
    state = fold(json.loads(json.dumps(lines)))
    assert (list(state.held.items()), state.leases) == (list(held.items()), leases)
    assert state.closed == (lines[-1] == {"do": "close"})


@pytest.mark.parametrize(
    ("now", "unsaid"),
    [
        ({GRO: False, LRO: True, RX: 512}, []),
        ({GRO: False, LRO: False, RX: 512}, [Change(LRO, True, False)]),
        ({GRO: True, LRO: False, RX: 64}, [Change(LRO, True, False), Change(RX, 512, 64)]),
        # what cannot be read any more is not judged
        ({GRO: False}, []),
    ],
)
def test_crash_in_a_change_leaves_side_effects_unsaid(now: dict[Key, t.Any], unsaid: list[Change]) -> None:
    state = fold([OPEN, intent(1, [[GRO, True, False]], [[GRO, True], [LRO, True], [RX, 512]])])
    assert state.unsaid(now) == unsaid


def test_conflicts_are_looked_for_in_changes_and_leases() -> None:
    state = fold([OPEN, ON_OFF, done(1, [[GRO, False]], [[LRO, True, False]]), {"do": "lease", "keys": [[RX, 1024]]}])
    assert state.relied_on() == {GRO: False, LRO: False, RX: 1024}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({**OPEN, "schema": 2}, "the journal of c has schema 2, this version knows 1: restore it with the version"),
        ({"do": "open"}, "makes no sense"),
        ({**OPEN, "schema": "one"}, "makes no sense"),
        ({"do": "intent", "n": 1}, "makes no sense"),
        ({"do": "intent", "n": 1, "changes": [[["a"], 1, 2]], "snapshot": []}, "makes no sense"),
        ({"do": "lease", "keys": 5}, "makes no sense"),
        ({"do": "restored"}, "makes no sense"),
        ({"do": ["open"]}, "makes no sense"),
    ],
)
def test_journal_that_cannot_be_trusted_is_refused(line: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        fold([OPEN, line])


@pytest.mark.parametrize("name", ["standing", "20261123T101500Z-pfc-storm-3fa9c1", "a", "A.b_c-d", "9" * 128])
def test_ids(name: str) -> None:
    assert valid_id(name) == name


@pytest.mark.parametrize("name", ["", ".", "..", "a..b", "../etc", "a/b", "-rf", ".hidden", "_x", "a b", "a\n", "ä", "9" * 129, "a\x00"])
def test_ids_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(Refused, match="cannot be a campaign id"):
        valid_id(name)


# --- A crash at any byte ---------------------------------------------------------------------------------------------

VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=3))
KEYS = st.sampled_from([GRO, LRO, RX])


class Writer:
    """A journal's text as it grows, with the keys that were announced and not yet put back."""

    def __init__(self) -> None:
        self.text = ""
        self.announced: list[tuple[int, set[Key]]] = []
        self.write(OPEN, set())

    def write(self, line: dict[str, t.Any], announced: set[Key]) -> None:
        self.text += json.dumps(line) + "\n"
        self.announced.append((len(self.text), announced))

    def known_at(self, cut: int) -> set[Key]:
        return next((keys for end, keys in reversed(self.announced) if end <= cut), set())


@st.composite
def written(draw: st.DrawFn) -> Writer:
    """A journal as apply() and restore() write it."""
    writer, open_keys = Writer(), set[Key]()
    for n in range(1, draw(st.integers(1, 5)) + 1):
        keys = draw(st.lists(KEYS, min_size=1, unique=True))
        before = set(open_keys)
        writer.write(intent(n, [[key, draw(VALUES), draw(VALUES)] for key in keys]), open_keys | set(keys))
        if draw(st.booleans()):
            effects = [key for key in draw(st.lists(KEYS, unique=True)) if key not in keys]
            open_keys |= {*keys, *effects}
            writer.write(
                done(n, [[key, draw(VALUES)] for key in keys], [[key, draw(VALUES), draw(VALUES)] for key in effects]), set(open_keys)
            )
            writer.write({"do": "lease", "keys": [[key, draw(VALUES)] for key in keys]}, set(open_keys))
        else:
            open_keys = before
            writer.write({"do": "undone", "n": n, "left": []}, set(open_keys))
    for key in sorted(open_keys):
        open_keys.discard(key)
        writer.write(restored(key, draw(st.sampled_from(["restored", "drift", "already", "handed_over", "gone"]))), set(open_keys))
    return writer


@given(written(), st.data())
def test_cut_anywhere_nothing_announced_is_forgotten(writer: Writer, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(writer.text)))
    state = fold(parse(writer.text[:cut]))
    assert set(state.held) == writer.known_at(cut)


@given(written(), st.data())
def test_cut_anywhere_and_written_on_means_the_same(writer: Writer, data: st.DataObject) -> None:
    """Also where only the newline was lost: what was not believed before must not be believed later."""
    cut = data.draw(st.one_of(st.integers(0, len(writer.text)), st.sampled_from([end - 1 for end, _keys in writer.announced])))
    torn = writer.text[:cut]
    state = fold(parse(torn))
    joint = module.TORN if torn and not torn.endswith("\n") else ""
    assert fold(parse(torn + joint + json.dumps({"do": "nothing"}) + "\n")) == state


@given(st.binary(max_size=300))
def test_garbage_never_crashes(data: bytes) -> None:
    try:
        fold(parse(data.decode("utf-8", "replace")))
    except Refused:
        pass


# --- On disk ---------------------------------------------------------------------------------------------------------


class Booted(Host):
    """This machine, as if it had been booted under another id."""

    boot_id = "b1"
    full = False

    def read(self, path: str) -> str | None:
        return self.boot_id + "\n" if path == module.BOOT_ID else super().read(path)

    def append(self, path: str, text: str) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().append(path, text)


@pytest.fixture
def host() -> Booted:
    return Booted()


@pytest.fixture
def store(host: Booted, tmp_path: pathlib.Path) -> Store:
    return Store(host, str(tmp_path / "store"))


def opened(store: Store, name: str = "c", deadline: float | None = None) -> module.Journal:
    journal = store.journal(name)
    journal.open(Owner(name, deadline, "test"))
    return journal


def state_of(journal: module.Journal) -> State:
    state = journal.state()
    assert state is not None
    return state


def test_journal_is_private(store: Store) -> None:
    with store.lock():
        journal = opened(store)
        journal.lease({GRO: False})
    modes = {path: stat.S_IMODE(os.stat(path).st_mode) for path in (store.root, f"{store.root}/lock", journal.folder, journal.path)}
    assert list(modes.values()) == [0o700, 0o600, 0o700, 0o600]


def test_journal_is_not_written_through_a_link(store: Store, tmp_path: pathlib.Path) -> None:
    journal = opened(store)
    victim = tmp_path / "victim"
    victim.write_text((tmp_path / "store/c/journal.ndjson").read_text())
    os.replace(victim, tmp_path / "moved")
    os.unlink(journal.path)
    os.symlink(tmp_path / "moved", journal.path)
    with pytest.raises(Refused, match="cannot be written"):
        journal.lease({GRO: False})
    assert "lease" not in (tmp_path / "moved").read_text()


def test_folder_that_is_a_link_is_refused(store: Store, tmp_path: pathlib.Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "store/c")
    with pytest.raises(PermissionError, match="must be a folder of uid"):
        opened(store)


def test_written_and_read_again(store: Store) -> None:
    journal = opened(store, deadline=99.5)
    journal.intent(1, [Change(GRO, True, False)], {GRO: True, LRO: False})
    assert state_of(journal).unfinished == {GRO: True, LRO: False}
    journal.done(1, {GRO: False}, [Change(LRO, True, False)])
    journal.lease({GRO: False})
    state = state_of(journal)
    assert (list(state.held), state.leases, state.unfinished, state.intents) == ([GRO, LRO], {GRO: False}, {}, 1)
    assert state.header["deadline"] == 99.5
    assert list(store.open_states()) == ["c"]
    journal.close()
    assert store.open_states() == {}


def test_closed_journal_begins_anew(store: Store) -> None:
    journal = opened(store)
    journal.lease({GRO: False})
    journal.close()
    journal.open(Owner("c"))
    assert pathlib.Path(journal.path).read_text().count("\n") == 1


def test_deadline_is_set_and_taken_away_but_not_by_opening(store: Store) -> None:
    journal = opened(store, deadline=50.0)
    journal.open(Owner("c"))
    assert state_of(journal).header["deadline"] == 50.0
    journal.extend(Owner("c", 70.0))
    assert state_of(journal).header["deadline"] == 70.0
    journal.extend(Owner("c", None))
    assert state_of(journal).header["deadline"] is None


def test_reboot_gets_a_header_of_its_own(store: Store, host: Booted) -> None:
    journal = opened(store, deadline=50.0)
    journal.intent(1, [Change(GRO, True, False)], {GRO: True})
    host.boot_id = "b2"
    state = journal.open(Owner("c"))
    assert (state.header["boot_id"], state.header["deadline"], state.boot) == ("b2", 50.0, "b1")


@pytest.mark.parametrize("torn", ['{"do":"close"}', '{"do":"clo', '{"do":"intent","n":9', "\x00\x00\x00", ""])
def test_torn_line_stays_unread_when_more_is_written(store: Store, torn: str) -> None:
    journal = opened(store)
    journal.lease({GRO: False})
    with open(journal.path, "a", encoding="utf-8") as handle:
        handle.write(torn)
    assert state_of(journal).leases == {GRO: False}
    journal.lease({RX: 512})
    assert state_of(journal).leases == {GRO: False, RX: 512}
    assert not state_of(journal).closed


@pytest.mark.parametrize("text", ["", "{", '{"do":"open","schema":1', "\x00" * 40])
def test_journal_torn_in_its_first_line_counts_as_none(store: Store, text: str) -> None:
    folder = pathlib.Path(store.root, "c")
    folder.mkdir(parents=True, mode=0o700)
    (folder / "journal.ndjson").write_text(text)
    assert store.journal("c").state() is None
    assert store.open_states() == {}
    assert opened(store).state() == fold([{**OPEN, "who": "test"}])


def test_newer_journal_stops_changes_but_not_restoring_others(store: Store) -> None:
    opened(store, "mine")
    newer = opened(store, "newer")
    pathlib.Path(newer.path).write_text(json.dumps({**OPEN, "campaign": "newer", "schema": 7}) + "\n")
    with pytest.raises(Refused, match="the journal of newer has schema 7"):
        store.open_states()
    assert list(store.open_states(readable_only=True)) == ["mine"]


def test_full_disk_is_said_in_a_sentence(store: Store, host: Booted) -> None:
    journal = opened(store)
    host.full = True
    with pytest.raises(Refused, match=r"journal.ndjson cannot be written \(No space left on device\): make room for it"):
        journal.lease({GRO: False})


def test_other_files_in_the_store_are_no_journals(store: Store) -> None:
    with store.lock():
        opened(store)
    pathlib.Path(store.root, "notes").mkdir()
    assert list(store.open_states()) == ["c"]


SHORT_WRITE = """
import resource, signal, sys
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))
Host().append(sys.argv[1], "x" * 80)
"""


def test_line_that_the_disk_took_in_part_only_is_an_error(tmp_path: pathlib.Path) -> None:
    """The kernel takes what fits and says nothing: believing it would change a setting that is not journalled."""
    path = tmp_path / "file"
    ran = subprocess.run(
        [sys.executable, "-c", SHORT_WRITE, str(path)],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, "File too large" in ran.stderr) == (1, True), ran.stderr
    assert path.read_text() == "x" * 50
