# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a setting is: a key that can be read and changed, of a kind that knows how."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

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


class Refused(Exception):
    """A wish that cannot be carried out; the message is one sentence that says what to do instead."""


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

    def read(self, host: Host, scope: str) -> dict[str, Value]:
        """Return every value of *scope* that this kind knows; raise Refused when the scope does not exist."""
        raise NotImplementedError

    def check(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        """Raise Refused, naming the way out, when *wanted* can never be reached from *current*. Pure."""

    def satisfied(self, current: Value, wanted: Value) -> bool:
        """Whether nothing need be done."""
        return current == wanted

    def predict(self, current: Value, wanted: Value) -> Value:
        """Return the value that a change will leave, which is what check mode reports."""
        return wanted

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        """Carry out *wanted* (names that differ only) and return the commands that ran, as one would type them.

        Raises Refused with the tool's own words. Need not read back: apply() does.
        """
        raise NotImplementedError

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        """Return what write() would run, for check mode. Pure."""
        raise NotImplementedError
