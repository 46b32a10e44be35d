# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo-rdma`: two guests with Debian's kernel speak RDMA, both ends capture, and perftest's report is the judge."""

from __future__ import annotations

import argparse
import sys
import time

from .__main__ import Failed, Lab, default_evidence, say

#: An emulated CPU takes its time to send.
ITERATIONS = 100


def soon(call_s: float) -> str:
    """Return when a window may open: asking hosts and arming them are two calls that do more than one which took *call_s* seconds."""
    return f"+{20 + 6 * call_s:.0f}s"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo-rdma", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the guests up and say how to log in")
    parser.add_argument("--lab", default="rdma", help="name of the lab (default: rdma)")
    options = parser.parse_args()
    lab, started = Lab(options.lab), time.monotonic()
    say("Two QEMU guests: Debian's kernel, systemd, Soft-RoCE, perftest")
    if code := lab("up", "rdma-guests").returncode:
        return code
    try:
        return run(lab, default_evidence(options.lab))
    except Failed as failure:
        print(f"\nThe demo stopped: {failure}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"\nThe guests are still up: python3 -m tests.lab ssh --lab {lab.name} guest1, and down --lab {lab.name} in the end.")
        else:
            lab("down")
        print(f"\nThe demo took {time.monotonic() - started:.0f} s.")


def run(lab: Lab, evidence: str) -> int:
    inventory = lab("inventory", capture_output=True).stdout.strip()
    print(lab.on_host("guest1", "rdma", "link").strip())
    say("What is armed or changed on them, which also tells how long a call takes here")
    began = time.monotonic()
    lab.playbook("status.yml", inventory)
    options = (f"campaign_start={soon(time.monotonic() - began)}", f"verify_rdma_iterations={ITERATIONS}", f"campaign_evidence_root={evidence}")
    say("ib_send_bw, ib_write_bw and ib_read_bw with DSCP 26, while a campaign captures on both guests")
    words = [word for option in options for word in ("-e", option)]
    lab.playbook("verify_rdma_capture.yml", inventory, *words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
