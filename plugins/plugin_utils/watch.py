# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watches many hosts through one window: who is how far, how their clocks differ, and when to stop waiting."""

from __future__ import annotations

import concurrent.futures
import os
import time
import typing as t

from . import channel, progress

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The states in which a host is there, by what is waited for.
AWAITED: t.Mapping[str, tuple[str, ...]] = {
    "open": ("capturing", "stopping", "done", "failed"),
    "closed": ("done", "failed"),
}
#: Channels kept open; hosts beyond that are asked over a new one each time.
KEPT = 64
WORKERS = 16
#: A host that has not answered for so long after the window is not waited for.
GRACE_S = 30.0


class Watch:
    """One host under observation, until it is in a state of *awaited*. *open_channel* may fail as often as it likes."""

    def __init__(self, host: str, open_channel: Callable[[], channel.Channel], keep: bool, awaited: tuple[str, ...]) -> None:
        self.host = host
        self.heartbeat: dict[str, t.Any] | None = None
        self.clock: dict[str, t.Any] | None = None
        self.problem: str | None = None
        self._open = open_channel
        self._keep = keep
        self._awaited = awaited
        self._channel: channel.Channel | None = None

    @property
    def there(self) -> bool:
        return (self.heartbeat or {}).get("state") in self._awaited

    def sample(self) -> None:
        """Ask once; a host that does not answer is recorded as such and asked again next time."""
        try:
            if self._channel is None:
                self._channel = self._open()
            if self.clock is None:
                self.clock = channel.clock_offset(lambda: self._ask("time")["t_ns"])
            self.heartbeat, self.problem = self._ask("heartbeat"), None
        except Exception as problem:
            # Connection plugins raise what they like, and one host must not end the watch over the others.
            self.heartbeat, self.problem = None, str(problem)
            self.close()
        if not self._keep:
            self.close()

    def close(self) -> None:
        kept, self._channel = self._channel, None
        if kept is not None:
            kept.close()

    def _ask(self, what: str) -> dict[str, t.Any]:
        if self._channel is None:
            raise channel.ChannelError("the channel is closed")
        return self._channel.ask({"op": what})


def follow(watches: list[Watch], due_ns: int, rate: float, tell: Callable[[list[progress.Row]], None]) -> None:
    """Sample all hosts, at most *rate* a second, until each is in the state awaited or GRACE_S have passed since *due_ns*.

    Ends too when ansible-playbook itself is gone: its workers outlive it if they are not looked after.
    """
    pending, parent = list(watches), os.getppid()
    with concurrent.futures.ThreadPoolExecutor(max_workers=WORKERS) as pool:
        while pending and os.getppid() == parent and time.time_ns() < due_ns + GRACE_S * 1e9:
            began = time.monotonic()
            list(pool.map(Watch.sample, pending))
            pending = [watch for watch in watches if not watch.there]
            tell([row for watch in watches for row in progress.rows(watch.host, watch.heartbeat)])
            if pending:
                time.sleep(max(0.0, max(1.0, len(pending) / rate) - (time.monotonic() - began)))
    for watch in watches:
        watch.close()


def summary(watches: list[Watch]) -> dict[str, Mapping[str, t.Any]]:
    return {
        watch.host: {"clock": watch.clock, "heartbeat": watch.heartbeat, "problem": watch.problem} for watch in watches
    }
