# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every module that changes settings runs: plan, apply, answer. The only module_utils file that knows Ansible."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.connection import Connection
from ansible.module_utils.connection import ConnectionError as SwitchError

from .host import CommandMissing, Host, could_not
from .session import bundle
from .session.expiry import arm, seconds_of
from .settings.apply import Outcome, apply, preview, refuse_conflicts
from .settings.journal import ROOT, STANDING, Owner, Store, valid_id
from .settings.model import Key, Refused, Value, diff_of
from .switches.cli import Switch

if t.TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ansible.module_utils.basic import AnsibleModule

FOREVER = "forever"

Shape = t.Callable[[dict[Key, Value]], dict[str, t.Any]]
"""Turns {Key: value} into what a module's user reads."""

OPTIONS: dict[str, t.Any] = {"campaign": {"type": "str", "default": STANDING}, "expires": {"type": "str"}}
"""The argument spec of the documentation fragment wirefleet.capture.settings."""


def run(module: AnsibleModule, work: Callable[[], dict[str, t.Any]]) -> None:
    """Exit with what *work* returns; every refusal becomes one sentence."""
    try:
        result = work()
    except (Refused, CommandMissing) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=could_not(error))
    else:
        module.exit_json(**result)


def change_settings(module: AnsibleModule, desired: Mapping[Key, Value], shape: Shape) -> dict[str, t.Any]:
    """Reach *desired* under the journal of O(campaign), or in check mode say what would be done.

    Returns the result every state module has: changed, before, after, commands, side_effects and, if asked for, diff.
    """
    host, campaign, expires = Host(), valid_id(module.params["campaign"]), module.params["expires"]
    seconds, store = seconds_of(expires or FOREVER), Store(host, ROOT)
    if module.check_mode:
        outcome = preview(host, desired)
        refuse_conflicts(store.open_states(), campaign, outcome.after)
        return {**answer(outcome, shape, diff=module._diff), "expires_at": None}
    if os.geteuid() != 0:
        raise Refused("changing settings needs root on the host: use become")
    outcome = apply(host, store, Owner(campaign, who="module"), desired)
    if expires is not None:
        expire(host, store, campaign, seconds)
    state = store.journal(campaign).state()
    deadline = state.header.get("deadline") if state and not state.closed else None
    return {**answer(outcome, shape, diff=module._diff), "expires_at": deadline}


def expire(host: Host, store: Store, campaign: str, seconds: float | None) -> None:
    """Set the time after which the host undoes what *campaign* changed, or take it away; nothing changed needs none."""
    journal = store.journal(campaign)
    state = journal.state()
    if state is None or state.closed:
        return
    if seconds is not None:
        arm(host, store, campaign, seconds, bundle.write(journal.folder, bundle.build()))
        return
    with store.lock():
        journal.extend(Owner(campaign, None, "module"))


def place_of(module: AnsibleModule) -> Host:
    """Return where the work is to be done: the host that this runs on, or the switch behind a network_cli connection."""
    return Switch(_sender(module._socket_path)) if module._socket_path else Host()


def _sender(socket_path: str) -> Callable[[str, str | None, str | None], str]:
    connection = Connection(socket_path)

    def send(line: str, question: str | None, answer: str | None) -> str:
        try:
            reply = connection.get(command=line, prompt=question, answer=answer)
        except SwitchError as error:
            words = " ".join(str(error).split())
            raise Refused(f"the switch answered {line!r} with {words!r}") from error
        if reply in (None, "None"):  # which is what network_cli makes of everything once the channel is closed
            raise Refused(f"the connection to the switch broke at {line!r}")
        return str(reply)

    return send


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
        result["diff"] = diff_of(outcome.changes)
    return result
