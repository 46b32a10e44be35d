# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bulk transfer over TCP; runs on a lab host with nothing but Python. Prints JSON with the bytes that passed."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

PIECE = bytes(65536)


def serve(port: int) -> int:
    with socket.create_server(("", port)) as server:
        server.settimeout(60)
        connection, _peer = server.accept()
        received = 0
        with connection:
            while piece := connection.recv(1 << 20):
                received += len(piece)
    return received


def send(target: str, port: int, seconds: float, rate: float) -> int:
    """Send for *seconds* at no more than *rate* bytes per second."""
    sent, started = 0, time.monotonic()
    with socket.create_connection((target, port), timeout=10) as connection:
        while time.monotonic() - started < seconds:
            connection.sendall(PIECE)
            sent += len(PIECE)
            time.sleep(max(0.0, started + sent / rate - time.monotonic()))
    return sent


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("side", choices=("serve", "send"))
    words.add_argument("--target", default="127.0.0.1")
    words.add_argument("--port", type=int, default=5201)
    words.add_argument("--seconds", type=float, default=5)
    words.add_argument("--rate", type=float, default=20e6)
    options = words.parse_args()
    passed = serve(options.port) if options.side == "serve" else send(options.target, options.port, options.seconds, options.rate)
    print(json.dumps({options.side: passed}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
