# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every module that changes settings runs: plan, apply, answer. The only module_utils file that knows Ansible."""

from __future__ import annotations

import typing as t

from .host import CommandMissing, Host
from .session import bundle
from .session.expiry import arm, seconds_of
from .settings.apply import Outcome, apply, preview, refuse_conflicts
from .settings.journal import ROOT, STANDING, Owner, Store
from .settings.model import Key, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

Shape = t.Callable[[dict[Key, Value]], dict[str, t.Any]]
"""Turns {Key: value} into what a module's user reads."""

OPTIONS: dict[str, t.Any] = {"campaign": {"type": "str", "default": STANDING}, "expires": {"type": "str", "default": "forever"}}
"""The argument spec of the documentation fragment wirefleet.capture.settings."""


def run(module: AnsibleModule, work: Callable[[], dict[str, t.Any]]) -> None:
    """Exit with what *work* returns; every refusal becomes one sentence."""
    try:
        result = work()
    except (Refused, CommandMissing, PermissionError) as error:
        module.fail_json(msg=str(error))
    else:
        module.exit_json(**result)


def change_settings(module: AnsibleModule, desired: Mapping[Key, Value], shape: Shape) -> dict[str, t.Any]:
    """Reach *desired* under the journal of O(campaign), or in check mode say what would be done.

    Returns the result every state module has: changed, before, after, commands, side_effects and, if asked for, diff.
    """
    host, campaign = Host(), module.params["campaign"]
    seconds, store = seconds_of(module.params["expires"]), Store(host, ROOT)
    if module.check_mode:
        outcome = preview(host, desired)
        refuse_conflicts(store.open_states(), campaign, outcome.after)
    else:
        outcome = apply(host, store, Owner(campaign, who="module"), desired)
    return {**answer(outcome, shape, diff=module._diff), "expires_at": _expiry(module, host, store, campaign, seconds)}


def _expiry(module: AnsibleModule, host: Host, store: Store, campaign: str, seconds: float | None) -> float | None:
    """Arm the expiry where there is something to undo; return its deadline in UTC seconds."""
    if module.check_mode or seconds is None or campaign not in store.open_states():
        return None
    path = bundle.write(store.journal(campaign).folder, bundle.build())
    return arm(host, store, campaign, seconds, path)


def answer(outcome: Outcome, shape: Shape, diff: bool) -> dict[str, t.Any]:
    """Return *outcome* as a module result. Pure."""
    result: dict[str, t.Any] = {
        "changed": bool(outcome.changes),
        "before": shape(outcome.before),
        "after": shape(outcome.after),
        "commands": outcome.commands,
        "side_effects": [{"setting": str(key), "before": before, "after": after} for key, before, after in outcome.side_effects],
    }
    if diff:
        differing = [change.key for change in outcome.changes]
        result["diff"] = {
            "before": shape({key: outcome.before.get(key) for key in differing}),
            "after": shape({key: outcome.after.get(key) for key in differing}),
        }
    return result
