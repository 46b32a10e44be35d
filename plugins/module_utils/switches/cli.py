# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A switch that is reached by its command line: files are the controller's, commands are typed on the switch."""

from __future__ import annotations

import contextlib
import re
import typing as t

from ..host import Host
from ..settings.model import Refused

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .platform import Typing


class Switch(Host):
    """*ask*(line, question, answer) types a line, answers the question where it comes, and returns what the switch printed.

    It raises Refused with a reply that it knows as an error.
    """

    def __init__(self, ask: Callable[[str, str | None, str | None], str]) -> None:
        self._ask = ask

    def send(self, line: str, confirm: tuple[str, str] | None = None) -> str:
        return self._ask(line, *(confirm or (None, None)))

    def configure(self, typing: Typing, commands: Iterable[str]) -> None:
        """Type *commands* in configuration mode, up to the first that the connection plugin knows to be refused.

        Raises Refused with all that the switch said: one that obeys is silent, and whether it did in the end is for reading
        back to say.
        """
        for line in typing.enter:
            self.send(line)
        said, refused = self._typed(commands, typing)
        for line in typing.abandon if refused else typing.leave:
            with contextlib.suppress(Refused):  # a connection that broke needs no leaving
                self.send(line)
        if said:
            raise Refused("; ".join(said))

    def _typed(self, lines: Iterable[str], typing: Typing) -> tuple[list[str], bool]:
        """Return what the switch said to *lines*, and whether one of them was refused, after which no other was typed."""
        said: list[str] = []
        for line in lines:
            try:
                words = " ".join(re.sub(typing.chatter, "", self.send(line, _answer(line, typing))).split())
            except Refused as refusal:
                return [*said, str(refusal)], True
            if words:
                said.append(f"the switch answered {line!r} with {words!r}")
        return said, False


def _answer(line: str, typing: Typing) -> tuple[str, str] | None:
    """Return the question that the switch asks when *line* is typed, and the answer."""
    return next(((question, answer) for asking, question, answer in typing.asks if re.fullmatch(asking, line)), None)
