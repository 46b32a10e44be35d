# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the plan of a new run, finds an open one, or makes one again from what the hosts remember."""

from __future__ import annotations

import os
import secrets
import time
import typing as t

from ansible import constants as C
from ansible.plugins.loader import lookup_loader
from ansible.utils.vars import load_extra_vars
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import bpf
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import COLLECT, INDEX, WHOLE, in_full
from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, objects, plan, schema, units
from ansible_collections.wirefleet.capture.plugins.plugin_utils.campaign_action import (
    FOUND_OPTIONS,
    CampaignAction,
    captures_of,
)

ENDED = ("done", "failed")
MOST_LISTED = 10
#: Below the evidence root: captures that were left on their hosts at first; what is published is never changed.
LATER = "whole"


class ActionModule(CampaignAction):
    _requires_connection = False
    OPTIONS: t.ClassVar[dict[str, t.Any]] = {
        "campaign": {"type": "str", "required": True},
        "evidence_root": {"type": "path", "required": True},
        "state": {"type": "str", "choices": ["new", "found", "rebuilt"], "default": "new"},
        **FOUND_OPTIONS,
    }

    def act(self, options: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        root = os.path.abspath(options["evidence_root"])
        if options["state"] == "found":
            return self._found(options["campaign"], root)
        if options["state"] == "rebuilt":
            return self._rebuilt(options["campaign"], root, captures_of(options, task_vars))
        return self._new(options["campaign"], root, task_vars)

    def _new(self, name: str, root: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if not name:
            raise units.Unusable(f"Say which campaign: add -e campaign=NAME. {written_campaigns(self._places(task_vars))}")
        evidence.forget_unarmed(root, name, time.time_ns())
        written = self._written(units.check_name(name), task_vars)
        context = plan.Context(
            hosts_of=lambda pattern: self._hosts_of(pattern, task_vars),
            expand_filter=self._expand_filter,
            now_ns=time.time_ns(),
            random_hex=secrets.token_hex(3),
            system_of=lambda host: self._system_of(host, task_vars),
            address_of=lambda host: str(task_vars["hostvars"][host].get("ansible_host") or host),
        )
        made = plan.make(name, written, context)
        store = objects.of_session(made)
        if store:
            store.check(made["campaign"], touch=not self._task.check_mode)
        run = evidence.Run(self._place(root), made["campaign"])
        run.create(made)
        if store:  # all are signed here: what signs takes longer to load than a host to ask
            for host in made["sessions"]:
                run.update(host, probe=store.probe_urls(made["campaign"], host, touch=not self._task.check_mode))
        run.event("planned", hosts=len(made["sessions"]))
        return {**_told(run, made), "changed": not self._task.check_mode}

    def _found(self, wanted: str, root: str) -> dict[str, t.Any]:
        known, collect = evidence.runs(root), self.asked("campaign_collect", COLLECT)
        if not wanted:
            raise units.Unusable(
                f"Say which campaign: add -e campaign=NAME, which means its open or else its latest published run, or the id of a run. "
                f"{root} has {listed(known)}; playbooks/status.yml lists what the hosts hold."
            )
        chosen = evidence.choose(known, units.check_name(wanted))
        run = evidence.Run(root, chosen or wanted)
        if chosen is None or not os.path.isdir(run.folder):
            where = run.final if chosen and os.path.isdir(run.final) else None
            if where and collect == WHOLE and left_its_captures(where):
                return self._found(run.id, os.path.join(root, LATER))
            return {
                "campaign": chosen or wanted,
                "evidence_root": root,
                "found": False,
                "published": where,
                "hosts": [],
            }
        return {**_told(run, run.plan()), "found": True, "published": None}

    def _rebuilt(self, wanted: str, root: str, captures: dict[str, t.Any]) -> dict[str, t.Any]:
        made = again(remembered(captures, wanted), time.time_ns())
        run = evidence.Run(self._place(root), made["campaign"])
        run.create(made)
        for host in made["sessions"]:
            run.update(host, armed=True)
        run.event("rebuilt", hosts=sorted(made["sessions"]))
        return {**_told(run, made), "found": True, "changed": True}

    def _place(self, root: str) -> str:
        """A dry run's plan lives in Ansible's own temporary folder, which goes when ansible-playbook does."""
        return C.DEFAULT_LOCAL_TMP if self._task.check_mode else root

    def _written(self, name: str, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the campaign's options: the command line wins over the file, the file over the inventory."""
        known = schema.load(schema.CAMPAIGN_FILE)["properties"]
        places = self._places(task_vars)
        path = next(
            (path for path in (os.path.join(place, f"{name}.yml") for place in places) if os.path.exists(path)), None
        )
        from_file = self._loader.load_from_file(path, trusted_as_template=True) or {} if path else {}
        if not isinstance(from_file, dict):
            raise units.Unusable(
                f"{path} is no mapping; write `campaign_vantages:` and so on, as campaigns/example.yml does."
            )
        extra = load_extra_vars(self._loader)
        merged = {key: value for key, value in task_vars.items() if key in known}
        merged.update(from_file)
        merged.update({key: value for key, value in extra.items() if key in known})
        if path is None and not merged.get("campaign_vantages"):
            raise units.Unusable(
                f"there is no campaign {name!r}: neither a file {name}.yml in {', '.join(places)} nor "
                f"campaign_vantages in the inventory. {written_campaigns(places)}"
            )
        return {key: self._templar.template(value) for key, value in merged.items()}

    @staticmethod
    def _places(task_vars: dict[str, t.Any]) -> list[str]:
        bases = [os.getcwd(), os.path.dirname(str(task_vars.get("playbook_dir", ".")))]
        inventory = next((task_vars["hostvars"][host].get("inventory_dir") for host in task_vars["groups"]["all"]), None)
        if inventory:
            bases += [str(inventory), os.path.dirname(str(inventory))]
        return list(dict.fromkeys(os.path.join(os.path.abspath(base), "campaigns") for base in bases))

    def _hosts_of(self, pattern: str, task_vars: dict[str, t.Any]) -> list[str]:
        lookup = lookup_loader.get("ansible.builtin.inventory_hostnames", loader=self._loader, templar=self._templar)
        return [str(host) for host in lookup.run([pattern], variables=task_vars)]

    def _system_of(self, host: str, task_vars: dict[str, t.Any]) -> str | None:
        """Return what the inventory says runs on a switch."""
        variables = task_vars["hostvars"][host]
        return variables.get("switch_mirror_platform") or variables.get("ansible_network_os")

    @staticmethod
    def _expand_filter(words: str) -> str:
        """Return the pcap filter for words such as `roce`; pcap filters stay as they are."""
        if not words:
            return ""
        try:
            return bpf.expand(words)
        except bpf.BadFilter as problem:
            raise units.Unusable(f"the filter {words!r}: {problem}") from None


def left_its_captures(folder: str) -> bool:
    """Whether the published run in *folder* brought keys home and left the captures on its hosts."""
    return (evidence.read_json(os.path.join(folder, "campaign.json")) or {}).get("collect") == INDEX


def written_campaigns(places: list[str]) -> str:
    """Return a sentence that names the campaigns written in the folders *places*."""
    names = {name.removesuffix(".yml") for place in places if os.path.isdir(place) for name in os.listdir(place) if name.endswith(".yml")}
    there_are = f"There are {_some(sorted(names))}; for another" if names else "To write one,"
    return f"{there_are} begin with a copy of campaigns/example.yml."


def listed(runs: list[tuple[str, str]]) -> str:
    """Return (id, state) pairs in words, the open and the latest first, so many as one reads. Pure."""
    latest_first = sorted(runs, key=lambda run: (run[1] == evidence.OPEN, run[0]), reverse=True)
    words = [run if state == evidence.PUBLISHED else f"{run} ({state})" for run, state in latest_first]
    return _some(words) or "no run"


def _some(words: list[str]) -> str:
    more = len(words) - MOST_LISTED
    return ", ".join(words[:MOST_LISTED] + ([f"{more} more"] if more > 0 else []))


def remembered(captures: dict[str, t.Any], wanted: str) -> dict[str, t.Any]:
    """Return {host: session} of the one run that *wanted* means among what the hosts hold. Pure.

    Hosts remember for a while what was collected already; a name means what was not.
    """
    held = {
        (host, capture["campaign"]): capture["session"]
        for host, found in captures.items()
        for capture in found or []
        if capture.get("session") and units.name_of(capture["campaign"])
        if wanted == capture["campaign"] or capture.get("stored_bytes") != 0 or capture.get("state") not in ENDED
    }
    chosen = evidence.choose([(run, evidence.OPEN) for run in sorted({run for _host, run in held})], units.check_name(wanted))
    if chosen is None:
        runs = sorted({capture["campaign"] for found in captures.values() for capture in found or [] if capture.get("session")})
        silent = [host for host, found in captures.items() if found is None]
        raise units.Unusable(
            f"neither this controller nor a host of the inventory holds a run of {wanted}. "
            f"The hosts hold {listed([(run, evidence.PUBLISHED) for run in runs])}"
            + (f", as far as they answer: {len(silent)} do not." if silent else ".")
        )
    return {host: session for (host, run), session in held.items() if run == chosen}


def again(held: dict[str, t.Any], now_ns: int) -> dict[str, t.Any]:
    """Return the plan that led to the sessions *held*, {host: session}, some perhaps written by hand, as far as they tell. Pure."""
    sessions = {host: in_full(session, host) for host, session in held.items()}
    first = next(iter(sessions.values()))
    return {
        "schema": 1,
        "campaign": first["campaign"],
        "name": first["name"],
        "reason": "",
        "created_ns": now_ns,
        "t0_ns": first["t0_ns"],
        "duration_s": first["duration_s"],
        "max_clock_error_s": first.get("max_clock_error_s", 0.1),
        "path": [],
        "compress": "auto",
        "collect": first.get("collect", WHOLE),
        "store": first.get("store"),
        "sessions": sessions,
        "mirrors": [],
    }


def _told(run: evidence.Run, made: dict[str, t.Any]) -> dict[str, t.Any]:
    return {
        "campaign": made["campaign"],
        "evidence_root": os.path.dirname(run.folder),
        "folder": run.folder,
        "hosts": list(made["sessions"]),
        "switches": list(dict.fromkeys(mirror["switch"] for mirror in made.get("mirrors", []))),
        "compress": made["compress"],
        "t0_ns": made["t0_ns"],
        "opens": units.clock_time(made["t0_ns"]),
    }
