# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dpdk-dumpcap, attached to a port of a running DPDK process. Source: app/dumpcap/main.c of DPDK; texts of 22.11."""

from __future__ import annotations

import typing as t

from ...settings.dpvs_running import DUMPCAP_ZONE
from .base import Engine, Stats, newest

if t.TYPE_CHECKING:
    from ..spec import Vantage

#: Kept of each packet where all is wanted: a jumbo frame. -s 0 would keep nothing, and each of 4096 buffers has this size.
WHOLE = 9728
_MEANINGS = (
    (
        "Packet dump enable failed",
        "another capture is attached to this process, or one was killed: wait for the first to end, after the second restart the process",
    ),
    ("already exists", "callbacks of a dead capture are left: restart the process"),
    ("Connection timed out", "the process does not answer: it runs without the pdump library (DPVS: pdump in dpvs.conf), or is hung"),
    ("Cannot init EAL", "there is no DPDK process with this file prefix"),
    ("DPDK version mismatch", "this dpdk-dumpcap is of another DPDK than the process: use the one that was built with it"),
    ("Mempool creation failed", "too few hugepages are free for its packets"),
    ("Could not create ring", "too few hugepages are free for its packets"),
)


class DpdkDumpcap(Engine):
    """Filters like tcpdump, counts what it lost, and sleeps where there is nothing to do. One at a time for each process.

    SIGKILL leaves callbacks in the process that keep every later capture out until it is restarted.
    """

    name = "dpdk_dumpcap"
    programs = ("dpdk-dumpcap", "taskset")
    on_dpvs = True
    on_process = True
    killable = False
    #: Its header promises nanoseconds, its records hold microseconds.
    mistaken_stamps = True

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """-P, since stamps of its pcapng are hours off. -p, since it would set the port promiscuous, at which drivers crashed."""
        process = vantage.process
        pinned = [] if process.get("lcore") is None else ["taskset", "-c", str(process["lcore"])]
        command = [*pinned, "dpdk-dumpcap", f"--file-prefix={process['prefix']}", "-i", str(process["port_id"]), "-p", "-P"]
        filtered = ["-f", vantage.filter] if vantage.filter else []
        return [*command, "-s", str(min(vantage.snaplen or WHOLE, WHOLE)), *filtered, "-w", path]

    def marker(self, pid: int) -> str:
        return f"{DUMPCAP_ZONE}{pid}"

    def ready(self, text: str) -> bool:
        """It begins to count when the process has let it in."""
        return "Packets captured: " in text

    def statistics(self, text: str) -> Stats:
        """The count is written over itself by backspaces."""
        live = newest(r"(\d+) (?=[\b\n]|\Z)", text)
        captured = int(live.group(1)) if live else None
        final = newest(r"received/dropped on interface '.*': (\d+)/(\d+) \(", text)
        if not final:
            return Stats(captured, source="dpdk-dumpcap while running, which counts no drops") if live else Stats()
        return Stats(captured, int(final.group(1)), int(final.group(2)), None, True, "dpdk-dumpcap, what found no room in its ring or buffers")

    def explain(self, text: str) -> str | None:
        return next((meaning for words, meaning in _MEANINGS if words in text), None)

    def problems(self, vantage: Vantage) -> list[str]:
        found = super().problems(vantage)
        if vantage.ring or vantage.split:
            found.append(f"{vantage.vantage_id}: dpdk-dumpcap writes one file: leave ring and split out")
        if vantage.dpvs.get("pdump_filter"):
            found.append(f"{vantage.vantage_id}: pdump_filter is for dpdk_pdump: write a pcap filter for dpdk_dumpcap")
        return found
