# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a card, there and back: foreseen, set, read behind Ansible's back, not set again, put back from the journal."""

from __future__ import annotations

import typing as t

from tests.integration.fleet import RESTORED, Fleet


def there_and_back(fleet: Fleet, host: str, card: str, wanted: dict[str, t.Any]) -> tuple[dict[str, t.Any], str]:
    """Have the module `ethtool` do what is *wanted* of *card* and the journal undo it; return its result and what ethtool showed meanwhile."""
    before = shown(fleet, host, card)
    foreseen = fleet.module(host, "ethtool", {"device": card, **wanted}, check=True)
    assert foreseen["changed"] and shown(fleet, host, card) == before, foreseen
    done = fleet.module(host, "ethtool", {"device": card, **wanted})
    assert done.get("commands") == foreseen["commands"], done
    changed = shown(fleet, host, card)
    assert fleet.module(host, "ethtool", {"device": card, **wanted})["changed"] is False
    restored = fleet.module(host, *RESTORED)["restored"]
    assert {row["outcome"] for row in restored if row["key"][1] == card} == {"restored"}, restored
    assert shown(fleet, host, card) == before
    return done, changed


def shown(fleet: Fleet, host: str, card: str) -> str:
    return fleet.ssh(host, f"ethtool --show-priv-flags {card}; ethtool -g {card}; ethtool -k {card}")
