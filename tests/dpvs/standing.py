# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doubles of DPVS that stay up on a host of the lab: `python3 -m tests.dpvs.standing COUNT`, on that host, as root.

Instance N forwards between the namespaces clientN (10.79.N.1) and serverN (10.79.N.2), which reach each other through it only.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t

from .place import CONF, PATIENCE_S, inside, install

PROGRAMS = pathlib.Path("/usr/local/bin")
_LINKS = """netns add {netns}
netns add client{n}
netns add server{n}
-n {netns} link set lo up
-n {netns} link add p0 type veth peer name eth0 netns client{n}
-n {netns} link add p1 type veth peer name eth0 netns server{n}
-n {netns} link set p0 up
-n {netns} link set p1 up
-n client{n} address add 10.79.{n}.1/24 dev eth0
-n client{n} link set eth0 up
-n server{n} address add 10.79.{n}.2/24 dev eth0
-n server{n} link set eth0 up
"""


class Place(t.NamedTuple):
    """Where an instance has its files; the first one has DPVS's defaults."""

    netns: str
    conf: pathlib.Path
    pid_file: pathlib.Path
    ipc: pathlib.Path
    log: pathlib.Path

    def argv(self) -> list[str]:
        own = ["-c", str(self.conf), "-p", str(self.pid_file), "-x", str(self.ipc)]
        vdevs = [f"--vdev=net_af_packet{port},iface=p{port}" for port in (0, 1)]
        return inside(self.netns, str(PROGRAMS / "dpvs"), *own, "--", f"--file-prefix={self.netns}", "-l", "0", *vdevs)


def place(number: int, root: str = "/") -> Place:
    """Return where instance *number*, counted from 1, has its files."""
    suffix = "" if number == 1 else str(number)
    top = pathlib.Path(root)
    names = ("etc/dpvs{}.conf", "var/run/dpvs{}.pid", "var/run/dpvs{}.ipc", "var/log/dpvs{}.log")
    return Place(f"dpvs{number}", *(top / name.format(suffix) for name in names))


def make(number: int) -> Place:
    """Make the links of an instance and start it."""
    found = place(number)
    for line in _LINKS.format(netns=found.netns, n=number).splitlines():
        subprocess.run(["ip", *line.split()], check=True)
    for end in ("client", "server"):
        # what the sender leaves to a card to fill in would stay empty on the way through a packet socket
        subprocess.run(inside(f"{end}{number}", "ethtool", "-K", "eth0", "tx", "off"), check=True, stdout=subprocess.DEVNULL)
    found.conf.write_text(CONF.format(log=found.log, more="<init> pdump on", number=number))
    with open(f"{found.log}.start", "ab") as said:
        subprocess.Popen(found.argv(), stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
    return found


def main(argv: list[str]) -> int:
    os.environ["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    install(PROGRAMS)
    try:
        made = [make(number) for number in range(1, int(argv[1]) + 1)]
    except subprocess.CalledProcessError as failure:
        print(f"{' '.join(failure.cmd)} failed", file=sys.stderr)
        return 1
    until = time.monotonic() + PATIENCE_S
    # the pid file is written last
    while silent := [found.netns for found in made if not found.pid_file.exists()]:
        if time.monotonic() > until:
            print(f"{', '.join(silent)} did not come up", file=sys.stderr)
            return 1
        time.sleep(0.02)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
