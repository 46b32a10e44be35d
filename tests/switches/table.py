# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of platforms and abilities in docs/switches.md, made from the capability tables.

PYTHONPATH=.cache/tree:. .venv/bin/python -m tests.switches.table writes it anew; a unit test says when that is due.
"""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import needs
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import PLATFORMS
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import OPTIONS, TYPES

if t.TYPE_CHECKING:
    from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import Platform

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "switches.md"
BEGIN, END = "<!-- made by tests/switches/table.py -->\n", "<!-- to here -->\n"
LETTERS = dict(zip(TYPES, ("L", "R", "r", "E", "e")))


def table() -> str:
    """Return the table, a row an ability."""
    platforms = list(PLATFORMS.values())
    rows = [("", [platform.name for platform in platforms]), ("---", ["---"] * len(platforms))]
    rows += [(name, [cell(platform) for platform in platforms]) for name, cell in abilities().items()]
    return "".join(f"| {name} | {' | '.join(cells)} |\n" for name, cells in rows)


def abilities() -> dict[str, t.Callable[[Platform], str]]:
    options = {f"`{name}`": lambda platform, name=name: taken(platform, name) for name in OPTIONS if name not in ("sources", "enabled")}
    return {
        "types": lambda platform: " ".join(letter for kind, letter in LETTERS.items() if kind in platform.caps.types),
        "session is called": called,
        "interfaces as sources": lambda platform: ", ".join(platform.caps.directions.get("interface", ())),
        "VLANs as sources": lambda platform: ", ".join(platform.caps.directions.get("vlan", ())),
        "both in one session": lambda platform: "yes" if platform.caps.mixed_sources else "",
        "can be disabled": lambda platform: letters(platform, set(platform.caps.types) - platform.caps.always_on) if platform.caps.can_disable else "",
        **options,
        "made anew for": lambda platform: "anything" if platform.caps.immutable >= {*OPTIONS} else ", ".join(sorted(platform.caps.immutable | {"type"})),
        "dead-man timer": lambda platform: "yes" if platform.timer else "the host itself" if platform.host else "",
    }


def letters(platform: Platform, kinds: t.Collection[str]) -> str:
    return " ".join(letter for kind, letter in LETTERS.items() if kind in kinds)


def taken(platform: Platform, option: str) -> str:
    """Return the types that take *option*, in bold those that need it."""
    kinds = [kind for kind in TYPES if option in platform.caps.types.get(kind, ())]
    return " ".join(f"**{LETTERS[kind]}**" if option in needs(platform, kind) else LETTERS[kind] for kind in kinds)


def called(platform: Platform) -> str:
    numbers = platform.caps.numbers
    return f"{numbers[0]}-{numbers[1]}" if numbers else "by name"


def within(page: str) -> str:
    """Return the table that *page* has."""
    return page.partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text.replace(BEGIN + within(text) + END, BEGIN + table() + END))
