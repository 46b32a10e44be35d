# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch that is reached by its command line: files are the controller's, commands are typed on the switch."""

from __future__ import annotations

import typing as t

from ..host import Host
from ..settings.model import Refused

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Switch(Host):
    """*send* types a line and returns what the switch printed; it raises Refused with the reply that it knows as an error."""

    def __init__(self, send: Callable[[str], str]) -> None:
        self.send = send

    def configure(self, enter: str, commands: Iterable[str], leave: Iterable[str]) -> None:
        """Type *commands* in configuration mode, up to the first that is refused.

        Raises Refused with every reply: a switch that obeys is silent, and whether it did in the end is for reading back to say.
        """
        self.send(enter)
        said: list[str] = []
        try:
            for command in commands:
                said += self._reply(command)
        except Refused as refusal:
            said.append(str(refusal))
        for command in leave:
            self.send(command)
        if said:
            raise Refused("; ".join(said))

    def _reply(self, command: str) -> list[str]:
        words = " ".join(self.send(command).split())
        return [f"the switch answered {command!r} with {words!r}"] if words else []
