# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having a running DPVS take its file: a reload, which reaches few keys and can kill it, or a restart, which ends its connections."""

from __future__ import annotations

import time
import typing as t

from ..host import CommandMissing
from .dpvs_conf import BLOCK, edit_all, load
from .dpvs_conf_text import START, TREE, deadly
from .dpvs_link import dpip_argv
from .dpvs_running import Running, kni_running, pdump_running
from .model import Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ..host import Host
    from .dpvs_instance import Instance

RELOAD_S = 2.0
#: DPVS's own documents say 40 s; its ports may take 30 s each.
START_S = 120.0
_PROBES = {"pdump": pdump_running, "kni": kni_running}


class Standing(t.NamedTuple):
    """How the processes that use a file stand to it. *running* has the keys that can be asked for; None is not known."""

    running: dict[str, bool | None]
    restart_required: bool
    notes: list[str]


def stand(host: Host, instances: Sequence[Instance], stored: Mapping[str, str], changed: Collection[str]) -> Standing:
    """Return how *instances* stand to *stored* ({key: text}), of which *changed* are new."""
    values: dict[str, bool | None] = {}
    due, notes = False, []
    for key, text in stored.items():
        if TREE[BLOCK][key] != START:
            continue
        for instance in instances:
            found = _PROBES[key](host, instance) if key in _PROBES else Running(None, f"DPVS does not tell which {key} it runs with")
            values[key] = found.value
            notes += [found.note] if found.note else []
            # What it read at its start was the old text, so a change is due whatever it does not tell.
            due = due or (key in changed if found.value is None else found.value != (text.strip('"').lower() == "on"))
    if not instances:
        notes.append("no running DPVS uses this file: it takes effect when one starts")
    return Standing(values, due, list(dict.fromkeys(notes)))


def refuse_dying(host: Host, path: str, wanted: Mapping[str, Value], starting: bool) -> None:
    """Raise Refused where DPVS would die of the file with *wanted* in it, at a start or at a reload."""
    reasons = deadly(edit_all(load(host, path), path, wanted).entries, starting)
    if reasons:
        how = "start" if starting else "reload"
        raise Refused(f"DPVS would abort at its {how}, so it is not asked to: {'; '.join(reasons)}; give each a value or remove the line")


def reload_argv(instance: Instance) -> list[str]:
    return ["kill", "-HUP", str(instance.pid)]


def reload(host: Host, instance: Instance) -> None:
    """Have *instance* read its file again, and see that it survives; raises Refused."""
    done = host.run(reload_argv(instance))
    if done.rc:
        raise Refused(f"{done.command}: {done.message}")
    until = time.monotonic() + RELOAD_S
    while time.monotonic() < until:
        if not _is_alive(host, instance):
            raise Refused(f"DPVS {instance.pid} died at the reload: see its log, put {instance.conf} right and start it")
        time.sleep(0.1)


def _is_alive(host: Host, instance: Instance) -> bool:
    state = (host.read(f"/proc/{instance.pid}/stat") or "").rpartition(")")[2].split()[:1]
    return state not in ([], ["Z"], ["X"])


def restart_argv(service: str) -> list[str]:
    return ["systemctl", "restart", "--", service]


def refuse_restart(host: Host, service: str) -> None:
    """Raise Refused where there is no such service: DPVS ships none, so its name is everybody's own."""
    try:
        known = host.run(["systemctl", "cat", "--", service])
    except CommandMissing:
        raise Refused("this host has no systemd: restart DPVS in your own way") from None
    if known.rc:
        raise Refused(f"there is no service {service!r} on this host: DPVS ships none, name the one that starts it here")


def restart(host: Host, service: str, ipc_files: Collection[str]) -> None:
    """Restart *service* and wait until every socket answers again; raises Refused."""
    done = host.run(restart_argv(service), timeout=START_S)
    if done.rc:
        raise Refused(f"{done.command}: {done.message}")
    until = time.monotonic() + START_S
    for ipc_file in ipc_files:
        while host.run(dpip_argv(ipc_file, "show"), timeout=2).rc != 0:
            if time.monotonic() > until:
                raise Refused(f"DPVS does not answer on {ipc_file} {START_S:g} s after the restart of {service}: see its log")
            time.sleep(0.5)
