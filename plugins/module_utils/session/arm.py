# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capture_session does: arm, start, stop, restore or forget a session of this host, each safe to repeat."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import typing as t

from ..settings.apply import apply, preview, refuse_conflicts
from ..settings.journal import Owner, Store, valid_id
from ..settings.model import Change, Key, Refused
from . import boot, bundle, indexer, launch
from .capture import device_index
from .engines.registry import engine_named
from .folder import Folder, free_space
from .indexing import BUNDLE as INDEXER
from .limits import floor_bytes
from .outcome import put_back
from .recover import recover
from .spec import INDEX, Session, nearest, parse_session
from .supervisor import request_stop, sole

if t.TYPE_CHECKING:
    from ..host import Host
    from ..settings.apply import Outcome


class Done(t.NamedTuple):
    """What a call did or, in check mode, would do; *before* and *after* have the session's state and its settings."""

    changed: bool
    before: dict[str, t.Any]
    after: dict[str, t.Any]
    commands: list[str]
    restored: list[dict[str, t.Any]]

    def changes(self) -> list[Change]:
        """Return what differs: the settings, and the session's state."""
        was = {Key(*key): value for key, value in self.before.get("settings", [])}
        now = {Key(*key): value for key, value in self.after.get("settings", [])}
        state = Change(Key("session", "", "state"), self.before["state"], self.after["state"])
        settings = [Change(key, was.get(key), value) for key, value in now.items()]
        return [change for change in (*settings, state) if change.before != change.after]


class Sessions:
    """The sessions below *root* on this host."""

    def __init__(self, host: Host, root: str, check: bool) -> None:
        self.host = host
        self.root = root
        self.check = check

    def folder(self, campaign: str) -> Folder:
        return Folder(os.path.join(self.root, valid_id(campaign)))

    def armed(self, data: dict[str, t.Any]) -> Done:
        """Have the supervisor wait for the window that *data* describes, with the settings in force."""
        session = parse_session(data)
        folder = self.folder(session.campaign)
        if self._is_known(folder, data, ignored=()):
            return _unchanged(folder)
        return self._arm(session, data, folder)

    def started(self, data: dict[str, t.Any]) -> Done:
        """Arm with the nearest window, which the supervisor sets when it runs: until then a host may take its time."""
        data = nearest(data, time.time_ns())
        session = parse_session(data)
        folder = self.folder(session.campaign)
        if self._is_known(folder, data, ignored=("t0_ns",)):
            return _unchanged(folder)
        return self._arm(session, data, folder, now=True)

    def stopped(self, campaign: str) -> Done:
        """End the window now and wait until everything is put back."""
        folder = self.folder(campaign)
        before = state_of(folder)
        if before not in RUNNING:
            return _unchanged(folder)
        if not self.check:
            request_stop(folder)
            self._await_result(folder)
        after = "done" if self.check else state_of(folder)
        return Done(True, {"state": before}, {"state": after}, [f"touch {folder.file('stop')}"], [])

    def restored(self, campaign: str) -> Done:
        """Put back everything that *campaign* changed, ending its window if it still runs."""
        folder = self.folder(campaign)
        before = state_of(folder)
        held = open_keys(self.host, self.root, campaign)
        if before not in RUNNING and not held:
            return _unchanged(folder)
        rows: list[dict[str, t.Any]] = []
        if not self.check:
            self.stopped(campaign)
            rows = (folder.read_json("result.json") or {}).get("settings", {}).get("restored", [])
            again = put_back(self.host, folder, None)
            rows = [*rows, *again["restored"]]
            _refuse_failed(again, rows)
        values = [[list(key), held[key].after] for key in held]
        wanted = [[list(key), held[key].before] for key in held]
        after = state_of(folder) if not self.check else ("done" if before in RUNNING else before)
        return Done(True, {"state": before, "settings": values}, {"state": after, "settings": wanted}, [], rows)

    def absent(self, campaign: str, force: bool) -> Done:
        """Forget the session; refused while something would be lost or left changed, unless *force* gives up its files."""
        folder = self.folder(campaign)
        before = state_of(folder)
        if not os.path.isdir(folder.path):
            return _unchanged(folder)
        if before in RUNNING:
            raise Refused(f"{campaign} is {before}: end it first with state: stopped")
        if open_keys(self.host, self.root, campaign):
            raise Refused(f"{campaign} still holds changed settings: put them back first with state: restored")
        left = uncollected(folder)
        if left and not force:
            raise Refused(f"{campaign} holds {left} capture files that were not collected: collect them, or say force: true to lose them")
        if not self.check:
            shutil.rmtree(folder.path)
        return Done(True, {"state": before}, {"state": "absent"}, [f"rm -r {folder.path}"], [])

    def _is_known(self, folder: Folder, data: dict[str, t.Any], ignored: tuple[str, ...]) -> bool:
        """Whether this very session is armed already; another one of its id is refused."""
        known = folder.read_json("session.json")
        if known is None:
            return False
        if any(known.get(name) != data.get(name) for name in {*known, *data} - {*ignored}):
            raise Refused(f"another session is kept as {folder.campaign} on this host: use a new campaign id, or state: absent first")
        return state_of(folder) != "lost"

    def _arm(self, session: Session, data: dict[str, t.Any], folder: Folder, now: bool = False) -> Done:
        wanted = {Key(*key): value for key, value in data.get("settings") or []}
        self._refuse_impossible(session, wanted)
        if self.check:
            outcome = preview(self.host, wanted)
        else:
            self.prune(time.time_ns())
            self._lay_out(session, data, folder)
            try:
                outcome = self._change(session, folder, wanted)
            except (Refused, OSError):
                self._undo(folder)
                raise
        started = "" if self.check else self._start(session, folder, now)
        commands = [*outcome.commands, *([started] if started else [])]
        before = {"state": "absent", "settings": _rows(outcome.before)}
        return Done(True, before, {"state": "armed", "settings": _rows(outcome.after)}, commands, [])

    def _refuse_impossible(self, session: Session, wanted: dict[Key, t.Any]) -> None:
        late = (time.time_ns() - session.t0_ns) / 1e9
        if late >= 0:
            raise Refused(f"the window began {late:.1f} s ago by this host's clock: start the campaign again, later")
        for vantage in session.vantages:
            engine = engine_named(vantage.engine)
            for problem in engine.problems(vantage):
                raise Refused(problem)
            for program in engine.programs:
                if self.host.which(program) is None:
                    raise Refused(f"{program} is not installed on this host: install it, or name another engine")
            if device_index(vantage) is None:
                raise Refused(f"there is no device {vantage.capture_on} on this host")
        free, size = free_space(existing(self.root))
        if free <= floor_bytes(session.limits, size):
            raise Refused(f"only {free >> 20} MiB are free below {self.root}, less than the limits demand: make room first")
        refuse_conflicts(Store(self.host, self.root).open_states(), session.campaign, wanted)

    def _lay_out(self, session: Session, data: dict[str, t.Any], folder: Folder) -> None:
        folder.make(self.host, (vantage.vantage_id for vantage in session.vantages))
        bundle.write(folder.path, bundle.build())
        if session.collect == INDEX:
            bundle.write(folder.path, bundle.build(indexer.__name__), INDEXER)
        folder.write_json("session.json", data)

    def _change(self, session: Session, folder: Folder, wanted: dict[Key, t.Any]) -> Outcome:
        if not wanted:
            return preview(self.host, {})
        store = Store(self.host, self.root)
        if boot.needed(wanted) and launch.has_systemd(self.host):
            boot.install(self.host, session.campaign, launch.command(folder, "restore"), folder.path)
        outcome = apply(self.host, store, Owner(session.campaign, session.t1_ns / 1e9, session.name), wanted)
        for vantage in session.vantages:
            for name, values in (("before", outcome.before), ("after", outcome.after)):
                folder.write_json(f"vantages/{vantage.vantage_id}/state/{name}.json", _rows(values))
        return outcome

    def _start(self, session: Session, folder: Folder, now: bool) -> str:
        try:
            return launch.start(self.host, session, folder, now)
        except (Refused, OSError):
            self._undo(folder)
            raise

    def _undo(self, folder: Folder) -> None:
        """Nothing of a session that could not be armed stays, except what could not be put back."""
        if not put_back(self.host, folder, None)["error"] and not open_keys(self.host, self.root, folder.campaign):
            boot.remove(self.host, folder.campaign)
            shutil.rmtree(folder.path, ignore_errors=True)

    def _await_result(self, folder: Folder) -> None:
        """Wait for the supervisor to finish; where it is gone, finish for it."""
        until = time.monotonic() + launch.STOP_S
        while time.monotonic() < until:
            if folder.read_json("result.json"):
                return
            with sole(folder) as alone:
                if alone:
                    recover(self.host, folder)
                    return
            time.sleep(0.1)
        raise Refused(f"{folder.campaign} did not end within {launch.STOP_S} s: see its engine logs below {folder.path}")

    def prune(self, now_ns: int) -> None:
        """Forget sessions whose keeping time is over; those with something to put back stay."""
        for name in self.host.names(self.root):
            folder = Folder(os.path.join(self.root, name))
            data, result = folder.read_json("session.json"), folder.read_json("result.json")
            if data and result and expired(data, result, now_ns) and not open_keys(self.host, self.root, name):
                shutil.rmtree(folder.path, ignore_errors=True)


RUNNING = ("armed", "capturing", "stopping", "lost")


def expired(data: dict[str, t.Any], result: dict[str, t.Any], now_ns: int) -> bool:
    """Whether an ended session was kept for as long as it asked to be."""
    ended = result.get("closed_ns") or data.get("t0_ns", now_ns)
    return bool(now_ns > ended + int(data.get("keep_s", 604800) * 1e9))


def state_of(folder: Folder) -> str:
    """Return absent, armed, capturing, stopping, done or failed; lost when its supervisor died without a word."""
    if folder.read_json("session.json") is None:
        return "absent"
    result = folder.read_json("result.json")
    if result:
        return str(result.get("state"))
    with contextlib.suppress(OSError), sole(folder) as alone:
        if alone:
            return "lost"
    return str((folder.read_json("heartbeat.json") or {}).get("state", "armed"))


def open_keys(host: Host, root: str, campaign: str) -> dict[Key, t.Any]:
    """Return what *campaign* still has to put back: {Key: Held}."""
    state = Store(host, root).journal(campaign).state()
    return {} if state is None or state.closed else dict(state.held)


def uncollected(folder: Folder) -> int:
    names = os.listdir(folder.file("vantages")) if os.path.isdir(folder.file("vantages")) else []
    return sum(len(folder.raw_files(name)) for name in names)


def existing(path: str) -> str:
    """Return *path* or its nearest parent that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path


def _refuse_failed(done: dict[str, t.Any], rows: list[dict[str, t.Any]]) -> None:
    failed = [f"{' '.join(filter(None, row['key']))}: {row['reason']}" for row in rows if row["outcome"] == "failed"]
    if done["error"] or failed:
        raise Refused(f"not everything could be put back: {done['error'] or '; '.join(failed)}")


def _rows(values: t.Mapping[Key, t.Any]) -> list[list[t.Any]]:
    return [[list(key), value] for key, value in values.items()]


def _unchanged(folder: Folder) -> Done:
    state = state_of(folder)
    return Done(False, {"state": state}, {"state": state}, [], [])
