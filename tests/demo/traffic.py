# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's traffic, once the window is open: RoCEv2 between the RDMA peers, TCP between two hosts, echoes through DPVS and a switch."""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time

from .story import BALANCERS, MIRROR

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRAFFIC = ROOT / "tests" / "traffic"
ROCE = ROOT / "plugins" / "module_utils" / "packets" / "roce.py"
REMOTE = "/tmp/traffic"
PORT = 5201


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--lab", required=True)
    words.add_argument("--evidence", type=pathlib.Path, required=True, help="where the run's plan appears, which says when the window opens")
    words.add_argument("--packets", type=int, required=True)
    words.add_argument("--first-psn", type=int, required=True)
    return words


class Lab:
    """The hosts of one lab, by ssh."""

    def __init__(self, name: str) -> None:
        self._words = [sys.executable, "-m", "tests.lab", "ssh", "--lab", name]

    def start(self, host: str, *command: str, stdin: bytes = b"") -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*self._words, host, *command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if process.stdin:
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return process

    def run(self, host: str, *command: str, stdin: bytes = b"") -> str:
        process = self.start(host, *command, stdin=stdin)
        out, _none = process.communicate(timeout=60)
        if process.returncode:
            raise SystemExit(f"{host}: {' '.join(command)} failed")
        return out.decode()

    def put(self, host: str, *files: pathlib.Path) -> None:
        self.run(host, "mkdir", "-p", REMOTE)
        for file in files:
            self.run(host, f"cat > {REMOTE}/{file.name}", stdin=file.read_bytes())


def opening(evidence: pathlib.Path, since: float) -> float:
    """Wait for the run's plan and return when its window opens, in UTC seconds."""
    for _attempt in range(600):
        plans = [path for path in evidence.glob("*.partial/plan.json") if path.stat().st_mtime >= since]
        if plans:
            return json.loads(plans[0].read_text())["t0_ns"] / 1e9
        time.sleep(0.1)
    raise SystemExit(f"no campaign was planned in {evidence} within a minute")


def _answered(text: str) -> str:
    found = re.search(r"(\d+) received", text)
    return found[1] if found else "0"


def main() -> int:
    options = parser().parse_args()
    lab, since = Lab(options.lab), time.time()
    lab.put("rdma1", TRAFFIC / "roce_send.py", TRAFFIC / "roce_frames.py", ROCE)
    for host in ("client1", "server1"):
        lab.put(host, TRAFFIC / "tcp_bulk.py")
    mac = lab.run("rdma2", "cat", "/sys/class/net/ens1f0np0/address").strip()
    lab.run("rdma1", "ping", "-q", "-c", "1", "10.78.0.3")
    time.sleep(max(0.0, opening(options.evidence, since) + 1 - time.time()))
    server = lab.start("server1", "python3", f"{REMOTE}/tcp_bulk.py", "serve", "--port", str(PORT))
    time.sleep(0.5)
    client = lab.start("client1", "python3", f"{REMOTE}/tcp_bulk.py", "send", "--target", "10.78.0.5", "--port", str(PORT))
    echoes = [
        lab.start("lb1", *f"ip netns exec client{n} ping -q -i 0.05 -c {balancer.echoes} 10.79.{n}.2".split())
        for n, balancer in enumerate(BALANCERS, 1)
    ]
    switched = lab.start("node1", *f"ping -q -i 0.05 -c {MIRROR.echoes} 10.78.0.11".split())
    words = ["--device", "ens1f0np0", "--source", "10.78.0.2", "--target", "10.78.0.3", "--target-mac", mac]
    words += ["--packets", str(options.packets), "--first-psn", str(options.first_psn)]
    said = {"roce": json.loads(lab.run("rdma1", "python3", f"{REMOTE}/roce_send.py", *words))}
    said["tcp"] = {**json.loads(client.communicate(timeout=30)[0]), **json.loads(server.communicate(timeout=30)[0])}
    said["dpvs"] = [int(_answered(ping.communicate(timeout=30)[0].decode())) for ping in echoes]
    said["switch"] = int(_answered(switched.communicate(timeout=30)[0].decode()))
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
