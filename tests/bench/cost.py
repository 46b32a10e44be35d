# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a campaign costs the controller, beside the same campaign written as single tasks."""

from __future__ import annotations

import json
import re
import tempfile
import typing as t

from .fleet import Fleet
from .measure import Failed, Table, Used, median

if t.TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 4
FILTER = "tcp port 5201"
FEW = 2
REPEATS = 2
OURS, PEER = "capture_campaign.yml", "single tasks"


class Cost(t.NamedTuple):
    tasks: int
    few_s: float
    all_s: float
    hosts: int

    @property
    def host_s(self) -> float:
        """CPU seconds for each host more: what starting Ansible takes is the same for any number of them."""
        return (self.all_s - self.few_s) / (self.hosts - FEW)


def run() -> Table:
    with Fleet("bench") as fleet, tempfile.TemporaryDirectory() as evidence:
        names = [host.name for host in fleet.hosts]
        fleet.inside("ansible", "-i", fleet.inventory, "fleet", "-m", "ansible.builtin.ping")
        costs = {name: _cost(name, fleet, names, evidence) for name in (OURS, PEER)}
    peer = costs[PEER]
    rows = [
        (
            name, str(cost.tasks), f"{cost.few_s:.2f}", f"{cost.all_s:.2f}", f"{cost.host_s * 1000:.0f}",
            f"{peer.all_s / cost.all_s:.1f}", f"{peer.host_s / cost.host_s:.1f}",
        )
        for name, cost in costs.items()
    ]  # fmt: skip
    columns = (
        "campaign", "tasks per host", f"CPU s, {FEW} hosts", f"CPU s, {len(names)} hosts", "CPU ms per further host",
        f"times less, {len(names)} hosts", "times less, per further host",
    )  # fmt: skip
    how = f"Three features off, capture {SECONDS} s, collect, put back; CPU of ansible-playbook and all it started, median of {REPEATS} runs."
    notes = [
        "The single tasks are tests/bench/peer_playbook.yml. They use pipelining and connections that stay open, as the campaign does.",
        "They neither record what they change before they change it, nor put it back when the controller dies.",
    ]
    return Table("cost", how, columns, rows, notes)


def _cost(name: str, fleet: Fleet, names: Sequence[str], evidence: str) -> Cost:
    start = _campaign if name == OURS else _single_tasks
    totals: dict[int, list[Used]] = {FEW: [], len(names): []}
    for _round in range(REPEATS):
        for count, uses in totals.items():
            uses.append(start(fleet, names[:count], evidence))
    few, every = (median(use.cpu_s for use in uses) for uses in totals.values())
    return Cost(_tasks(totals[len(names)][0].out, names[-1]), few, every, len(names))


def _campaign(fleet: Fleet, names: Sequence[str], evidence: str) -> Used:
    text = {
        "campaign_vantages": [{"hosts": ",".join(names), "device": "eth1", "filter": FILTER, "snaplen": 256}],
        "campaign_start": f"+{4 + len(names)}s",
        "campaign_duration": f"{SECONDS}s",
        "campaign_settings": {"ethtool": {"features": {"gro": False, "tso": False, "gso": False}}},
        "campaign_limits": {"bytes": "20M", "min_free": "1%"},
    }
    folder = fleet.hub.state / "campaigns"
    folder.mkdir(exist_ok=True)
    (folder / "bench.yml").write_text(json.dumps(text))
    words = ["-e", "campaign=bench", "-e", f"campaign_evidence_root={evidence}", "-e", "campaign_analyse=false"]
    return fleet.inside("ansible-playbook", "-i", fleet.inventory, "playbooks/capture_campaign.yml", *words)


def _single_tasks(fleet: Fleet, names: Sequence[str], evidence: str) -> Used:
    values = {"peer_hosts": ",".join(names), "peer_seconds": SECONDS, "peer_filter": FILTER, "peer_evidence": evidence}
    return fleet.inside(
        "ansible-playbook", "-i", fleet.inventory, "tests/bench/peer_playbook.yml", "-e", json.dumps(values)
    )


def _tasks(out: str, host: str) -> int:
    """Return how many tasks the recap says went to *host*. Pure."""
    found = re.search(rf"^{host}\s*: ok=(\d+)", out, re.MULTILINE)
    if found is None:
        raise Failed(f"no recap for {host} in:\n{out[-1000:]}")
    return int(found[1])
