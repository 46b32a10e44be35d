# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far apart hosts begin: one armed window beside an ad-hoc command that starts tcpdump everywhere."""

from __future__ import annotations

import json
import pathlib
import tempfile

from .fleet import Fleet
from .measure import Failed, Table, median

REPEATS = 3
#: Says when tcpdump listens: it opens its file for a header just before it says so.
WATCHED = "tcpdump -i eth1 -n -w /tmp/skew.pcap 2>/tmp/skew.log & until grep -qs listening /tmp/skew.log; do sleep 0.001; done; date +%s%N; kill $!"


def run() -> Table:
    windows, commands = [], []
    with Fleet("bench") as fleet, tempfile.TemporaryDirectory() as evidence:
        fleet.inside("ansible", "-i", fleet.inventory, "fleet", "-m", "ansible.builtin.ping")
        for _round in range(REPEATS):
            windows.append(_window(fleet, evidence))
            commands.append(_command(fleet))
    spreads = {"capture_campaign.yml": windows, "ansible -m shell": commands}
    base = median(windows)
    rows = [
        (name, f"{median(found) * 1e3:.2f}", f"{max(found) * 1e3:.2f}", f"{median(found) / base:.0f}")
        for name, found in spreads.items()
    ]
    columns = ("way", "spread ms, median", "spread ms, worst", "times the campaign's")
    notes = [
        "All hosts share one clock, so this is the error of starting, without the error of clocks.",
        "The campaign's engines have long been listening; its spread is that of the moments the window was opened.",
    ]
    how = f"First to last of {len(fleet.hosts)} hosts, warm connections, {REPEATS} rounds."
    return Table("skew", how, columns, rows, notes)


def _window(fleet: Fleet, evidence: str) -> float:
    """Return the seconds between the first and the last host's opening of the window."""
    text = {
        "campaign_vantages": [{"hosts": "fleet", "device": "eth1", "filter": "tcp", "snaplen": 256}],
        "campaign_start": f"+{4 + len(fleet.hosts)}s",
        "campaign_duration": "1s",
        "campaign_limits": {"bytes": "20M", "min_free": "1%"},
    }
    folder = fleet.hub.state / "campaigns"
    folder.mkdir(exist_ok=True)
    (folder / "skew.yml").write_text(json.dumps(text))
    words = ["-e", "campaign=skew", "-e", f"campaign_evidence_root={evidence}", "-e", "campaign_analyse=false"]
    fleet.inside("ansible-playbook", "-i", fleet.inventory, "playbooks/capture_campaign.yml", *words)
    newest = max(pathlib.Path(evidence).glob("*-skew-*"))
    opened = [_opened(file) for file in newest.glob("vantages/*/vantage.json")]
    if len(opened) != len(fleet.hosts):
        raise Failed(f"{len(opened)} of {len(fleet.hosts)} hosts have evidence")
    return (max(opened) - min(opened)) / 1e9


def _opened(file: pathlib.Path) -> int:
    """Return when the window was open and the engine listening."""
    about = json.loads(file.read_text())
    return max(about["opened_ns"], about["ready_ns"])


def _command(fleet: Fleet) -> float:
    """Return the seconds between the first and the last host whose tcpdump listens."""
    argv = ["ansible", "-i", fleet.inventory, "fleet", "-m", "ansible.builtin.shell", "-a", WATCHED]
    said = fleet.inside(*argv).out.splitlines()
    times = [int(line) for line in said if line.isdigit()]
    if len(times) != len(fleet.hosts):
        raise Failed(f"{len(times)} of {len(fleet.hosts)} hosts answered:\n" + "\n".join(said[-20:]))
    return (max(times) - min(times)) / 1e9
