# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How switches keep their configuration, as far as typing mirror commands changes it: (text, commands) -> text.

These stand for switches that cannot run here. They know nothing of Session: only lines, stanzas and `no`.
"""

from __future__ import annotations

import re
import typing as t

#: Settings of which a session has one: typing another replaces it.
EOS_SINGLE = re.compile(r"(monitor session \S+ (?:destination tunnel|truncate|sample|ip access-group|ipv6 access-group|mac access-group)).*")


def eos(text: str, commands: t.Iterable[str]) -> str:
    lines = text.splitlines()
    for command in commands:
        if command.startswith("no "):
            gone = command.removeprefix("no ")
            lines = [line for line in lines if line != gone and not line.startswith(f"{gone} ")]
            continue
        single = EOS_SINGLE.fullmatch(command)
        lines = [line for line in lines if line != command and not (single and line.startswith(single[1]))]
        lines.append(command)
    return "\n".join(lines)


MODELS: dict[str, t.Callable[[str, t.Iterable[str]], str]] = {"eos": eos}
