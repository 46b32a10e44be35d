# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a setting is: a key that can be read and changed, of a kind that knows how."""

from __future__ import annotations

import shlex
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ..host import Host, Result

Value = t.Any
"""Any JSON value; None means absent."""


class Key(t.NamedTuple):
    """Names one setting of a host, for example ("ethtool_ring", "ens785f0", "rx"); stored as a JSON list."""

    kind: str
    scope: str
    name: str

    def __str__(self) -> str:
        return " ".join(part for part in self if part)


class Change(t.NamedTuple):
    key: Key
    before: Value
    after: Value

    def __str__(self) -> str:
        """Say it as in `eth1 rx-gro: on -> off` or `eth1 ring rx: 256 -> 8192`."""
        kind = "" if self.key.kind == "ethtool_feature" else self.key.kind.removeprefix("ethtool_").replace("_", " ")
        what = " ".join(part for part in (self.key.scope, kind, self.key.name) if part)
        return f"{what}: {show(self.before)} -> {show(self.after)}"


def show(value: Value) -> str:
    """Return *value* as people say it."""
    if value is None:
        return "absent"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return " ".join(f"{name}={_within(item)}" for name, item in value.items() if item is not None) or "absent"
    return (", ".join(map(_within, value)) or "none") if isinstance(value, list) else str(value)


def _within(value: Value) -> str:
    return f"({show(value)})" if isinstance(value, dict) else show(value)


def diff_of(changes: Iterable[Change]) -> dict[str, str]:
    """Return what Ansible prints with --diff: a line for each change."""
    return {"prepared": "".join(f"{change}\n" for change in changes)}


class Refused(Exception):
    """A wish that cannot be carried out; the message is one sentence that says what to do instead."""


class Gone(Refused):
    """What a setting belongs to does not exist (any more), so there is nothing to change or to put back."""


class Reading(t.NamedTuple):
    """What a kind read of one scope: the values, and whatever else it needs to decide (limits, what is fixed, a driver)."""

    values: dict[str, Value]
    facts: dict[str, t.Any] = {}


class Kind:
    """One kind of setting. A new kind is a subclass in a file of its own and a line in registry.py.

    *scope* is what the kind's settings belong to (a device, a module, "" for the host). All values are JSON.
    """

    name: t.ClassVar[str]
    #: Kinds that must be applied before this one when both are wanted; restore goes the other way round.
    follows: t.ClassVar[tuple[str, ...]] = ()
    #: Kinds of the same scope whose values a change of this kind can move; they are snapshotted with it.
    disturbs: t.ClassVar[tuple[str, ...]] = ()
    #: False for what lives in files: a reboot leaves it changed, so somebody must still put it back.
    cleared_by_reboot: t.ClassVar[bool] = True
    #: Why a value did not take, where nothing was said.
    silence: t.ClassVar[str] = "the driver or kernel rounded or ignored it"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        """Return the values of *names*, or of all of *scope* where one command says them all anyway.

        Raises Gone when the scope or a name does not exist and the reading cannot say so to resolve(), Refused when it
        cannot be read.
        """
        raise NotImplementedError

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        """Return the values to reach, in the kind's own names (`max` becomes a number, a floor never lowers). Pure.

        Raises Refused, naming the way out, for what can never be reached.
        """
        return dict(wanted)

    def met(self, wanted: Value, found: Value) -> bool:
        """Whether *found* is as *wanted*, which may say less than the whole of what is read."""
        return bool(wanted == found)

    def contrast(self, wanted: Value, found: Value) -> tuple[str, str]:
        """Return how people say the two, as far as they differ."""
        return show(wanted), show(found)

    def compatible(self, leased: Value, wanted: Value) -> bool:
        """Whether two campaigns that want these values can share the setting."""
        return leased == wanted

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        """Return the commands that change what differs. Pure; kinds that write files override commands() and write()."""
        raise NotImplementedError

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        """Return what write() does, as one would type it, for check mode and results. Pure."""
        return [shlex.join(argv) for argv in self.argvs(scope, wanted, current)]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        """Carry out *wanted* (names that differ only). Need not read back: apply() does.

        Raises Refused with the tool's own words.
        """
        for argv in self.argvs(scope, wanted, current):
            done = host.run(argv)
            if not self.accepted(done):
                raise Refused(f"{done.command}: {done.message}")

    def finish(self, host: Host, scope: str) -> None:
        """Do again what a crash within write() may have left undone although every value reads as wanted. Raises Refused."""

    def accepted(self, done: Result) -> bool:
        """Whether the tool's exit code lets reading back decide."""
        return done.rc == 0
