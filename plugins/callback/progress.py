# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Shows how far a capture campaign is while it waits
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - While the task that waits for a campaign's window runs, shows for each vantage its state, the time left, and the
    packets, bytes and drops so far.
  - On a terminal the table is drawn again in place, cut to fit the window. Elsewhere, as in a CI log, plain lines appear when a state
    changes and every O(interval) seconds.
requirements:
  - enable it with C(callbacks_enabled = wirefleet.capture.progress)
options:
  interval:
    description: Seconds between plain lines of one vantage whose state does not change.
    type: float
    default: 10
    env:
      - name: WIREFLEET_PROGRESS_INTERVAL
    ini:
      - section: callback_wirefleet_progress
        key: interval
"""

import os
import shutil
import sys
import threading
import time
import typing as t

from ansible import constants as C
from ansible.plugins.callback import CallbackBase
from ansible_collections.wirefleet.capture.plugins.plugin_utils import progress

WAIT = "wirefleet.capture.campaign_wait"


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "wirefleet.capture.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None:
        super().__init__(*args, **kwargs)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        self._end()
        if task.action in (WAIT, WAIT.rpartition(".")[2]):
            self._over.clear()
            view = Terminal() if _can_draw() else Lines(self._display.display, self.get_option("interval"))
            self._thread = threading.Thread(target=self._follow, args=(view,), daemon=True)
            self._thread.start()

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._end()

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._end()

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._end()

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        self._end()

    def _end(self) -> None:
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None

    def _follow(self, view: Terminal | Lines) -> None:
        """Show the newest record whenever there is one; a record that is not whole yet waits for the next look."""
        path, place = progress.path(C.DEFAULT_LOCAL_TMP), 0
        while True:
            last_look = self._over.wait(progress.POLL_S)
            if last_look and not view.may_follow:
                return
            whole, place = _new_lines(path, place)
            if whole and (rows := progress.parse(whole[-1])):
                view.show(rows)
            if last_look:
                return


class Terminal:
    """A table that is drawn over the one before, and always fits the window."""

    #: Ansible prints a task's result before it tells other callbacks, and that must not be drawn over.
    may_follow = False

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def show(self, rows: list[progress.Row]) -> None:
        size = shutil.get_terminal_size()
        lines = progress.fitted(rows, size.columns - 1, size.lines - 2)
        # In a window that was made narrower meanwhile the old lines take more than one each.
        height = min(size.lines - 1, sum(1 + len(line) // size.columns for line in self._drawn))
        back = f"\x1b[{height}F\x1b[J" if self._drawn else "\n"
        sys.stdout.write(back + "\n".join(lines) + "\n")
        sys.stdout.flush()
        self._drawn = lines


def _can_draw() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Lines:
    """A line for a vantage whose state changed, or that was silent for the interval."""

    may_follow = True

    def __init__(self, write: t.Callable[[str], None], interval: float) -> None:
        self._write = write
        self._interval = interval
        self._shown: dict[str, tuple[str, float]] = {}

    def show(self, rows: list[progress.Row]) -> None:
        now = time.monotonic()
        for row in rows:
            state, since = self._shown.get(row.vantage, ("", 0.0))
            if row.state != state or now - since >= self._interval:
                self._shown[row.vantage] = (row.state, now)
                names = zip(progress.HEADINGS[1:], progress.cells(row)[1:])
                self._write(f"{row.vantage}: " + ", ".join(f"{name} {cell}" for name, cell in names))


def _new_lines(path: str, place: int) -> tuple[list[str], int]:
    """Return the whole lines after *place* and where the next look begins."""
    try:
        with open(path, "rb") as handle:
            handle.seek(place)
            text = handle.read()
    except FileNotFoundError:
        return [], place
    end = text.rfind(b"\n") + 1
    return text[:end].decode().splitlines(), place + end
