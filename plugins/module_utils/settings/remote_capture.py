# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capture that a switch serves by RPCAP, in the same journal as any other setting."""

from __future__ import annotations

import typing as t

from ..switches.cli import Switch
from ..switches.registry import capture_of
from ..switches.remote_capture import Capture
from .model import Key, Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host
    from .journal import State

KIND, NAME = "packet_capture", "remote"


class PacketCapture(Kind):
    """Key ("packet_capture", platform, "remote"); None where nothing is captured.

    A switch shows of a capture no more than {"file": where it writes, if anywhere}. What is wanted is {"interface",
    "direction", "port"}, which only the journal remembers.
    """

    name = KIND
    cleared_by_reboot = False
    silence = "the switch said nothing to it"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        capture = capture_of(scope)
        if not isinstance(host, Switch):
            raise Refused(f"{scope} is reached by its command line: set ansible_connection: ansible.netcommon.network_cli")
        try:
            shown = capture.parse("\n".join(host.send(line) for line in capture.reads))
        except Refused as refusal:
            raise Refused(f"{refusal}; {capture.hint}") from refusal
        return Reading({NAME: shown and shown._asdict()})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        """Each wish is what wish() returns."""
        return {name: _goal(scope, asked["capture"], asked["ours"], reading.values[NAME]) for name, asked in wanted.items()}

    def met(self, wanted: Value, found: Value) -> bool:
        return bool(wanted) == bool(found) and not (found or {}).get("file")

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        capture = capture_of(scope)
        return [line for value in wanted.values() for line in (capture.start(Capture(**value)) if value else capture.stop())]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        t.cast("Switch", host).configure(capture_of(scope).typing, self.commands(scope, wanted, current))


def key_of(platform: str) -> Key:
    return Key(KIND, platform, NAME)


def ours(states: Mapping[str, State], key: Key) -> Value:
    """Return what a journal says that was started, None where none does."""
    return next((state.relied_on()[key] for state in states.values() if state.relied_on().get(key)), None)


def wish(want: Capture | None, started: Value) -> Value:
    """Return what to ask for: *want* None for no capture; *started* is what ours() returns."""
    return {"capture": want and want._asdict(), "ours": started}


def _goal(scope: str, want: Value, started: Value, found: Value) -> Value:
    if found and (found["file"] or not started):
        whose = f"writes {found['file']}" if found["file"] else "was not started by this collection"
        raise Refused(f"{scope} has one capture at a time, and the one that runs {whose}: wait for its end, or end it by hand")
    if want and found and want != started:
        raise Refused(f"{scope} captures on {started.get('interface', 'an interface')} already, for us: stop that first, with state: stopped")
    return want
