# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of its own that collects one host's files as the action does: its time and memory are what is measured.

It prints the seconds and CPU seconds from opening the connection until the host was allowed to remove the file, and
the SHA-256.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from ansible_collections.wirefleet.capture.plugins.plugin_utils import channel, collect, evidence, remote

RUN = "20260101T000000Z-bench-000000"
VANTAGE = "node1__eth1"
FILE = f"vantages/{VANTAGE}/raw/0001.pcap"


def main(root: str, argv: list[str]) -> None:
    run = evidence.Run(root, RUN)
    session = {"host": "node1", "t0_ns": 0, "duration_s": 4e9, "vantages": [{"vantage_id": VANTAGE}]}
    run.create({"sessions": {"node1": session}})
    command = [argv[0], *(word.decode() for word in remote.ssh_options([])), *argv[1:]]
    started, used = time.monotonic(), cpu_s()
    collect.Collector(run, "node1", lambda: channel.Stream(command, 60), "auto").collect()
    taken = {"seconds": time.monotonic() - started, "cpu_s": cpu_s() - used}
    print(json.dumps({**taken, "sha256": run.record("node1")["files"][FILE]["sha256_raw"]}))


def cpu_s() -> float:
    """Return what this process and the ssh that it waited for have used."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
