# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send a known number of well-formed RoCEv2 packets; runs on a lab host with nothing but Python. Prints JSON."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

from roce import PSN_MODULUS
from roce_frames import frame, packet, write_message


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__)
    for name in ("--device", "--source", "--target", "--target-mac"):
        words.add_argument(name, required=True)
    words.add_argument("--packets", type=int, default=1000)
    words.add_argument("--per-message", type=int, default=8, help="packets of one RC WRITE")
    words.add_argument("--first-psn", type=int, default=0)
    words.add_argument("--dest-qp", type=int, default=0x1AE)
    words.add_argument("--payload", type=int, default=1024)
    words.add_argument("--pps", type=float, default=1000)
    return words


def main() -> int:
    options = parser().parse_args()
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind((options.device, 0))
    own = link.getsockname()[4]
    target = bytes.fromhex(options.target_mac.replace(":", ""))
    payload, sent, started = bytes(options.payload), 0, time.monotonic()
    while sent < options.packets:
        psn = (options.first_psn + sent) % PSN_MODULUS
        for bth, rest in write_message(psn, min(options.per_message, options.packets - sent), options.dest_qp, payload):
            time.sleep(max(0.0, started + sent / options.pps - time.monotonic()))
            link.send(frame(target, own, packet(options.source, options.target, bth, rest)))
            sent += 1
    last = (options.first_psn + sent - 1) % PSN_MODULUS
    print(json.dumps({"sent": sent, "first_psn": options.first_psn, "last_psn": last, "seconds": time.monotonic() - started}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
