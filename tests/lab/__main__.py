# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded lab: a fleet of real hosts on this machine. `python3 -m tests.lab up demo` starts it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from . import lab, network, packages
from .fleet import FLEETS
from .hub import Hub
from .problem import Problem


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--lab", default="demo", help="name of the lab; several can be up side by side (default: demo)")
    verbs = top.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, parents=[shared], help=text, description=text)

    verb("up", "bring a fleet up").add_argument("fleet", help=", ".join(FLEETS))
    verb("down", "end the lab and remove everything it made")
    verb("status", "show the hosts and whether they answer")
    verb("inventory", "print the path of the lab's Ansible inventory")
    verb("exec", "run a command inside the lab's network").add_argument("command", nargs="+")
    ssh = verb("ssh", "log in to a host, or run a command on it")
    ssh.add_argument("host")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    verb("clocks", "set the clocks of hosts that have one of their own, as NTP would: they lose time while the machine is busy")
    verb("power-cycle", "press the reset button of a qemu guest and wait until it is up again").add_argument("host")
    drop = verb("drop", "drop packets by PSN where a host's traffic enters the switch, and count them")
    drop.add_argument("action", choices=("on", "off", "count"))
    drop.add_argument("host")
    drop.add_argument("--psn-mask", type=lambda text: int(text, 0), default=0x3F)
    drop.add_argument("--psn-value", type=lambda text: int(text, 0), default=0x15)
    verb("populate", argparse.SUPPRESS).add_argument("fleet")
    return top


def main(words: list[str]) -> int:
    options = parser().parse_args(words)
    os.environ["PATH"] = packages.PATH
    try:
        return VERBS[options.verb](Hub(options.lab), options)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2


def _up(hub: Hub, options: argparse.Namespace) -> int:
    seconds = lab.up(hub, options.fleet)
    hosts = lab.hosts_of(hub)
    print(f"the fleet {options.fleet} ({len(hosts)} hosts) is up after {seconds:.1f} s")
    print(f"log in: python3 -m tests.lab ssh --lab {hub.name} {hosts[0].name}")
    return 0


def _down(hub: Hub, options: argparse.Namespace) -> int:
    print(f"the lab {hub.name} is {'down' if lab.down(hub) else 'not up'}")
    return 0


def _populate(hub: Hub, options: argparse.Namespace) -> int:
    lab.populate(hub, options.fleet)
    return 0


def _within(hub: Hub, argv: list[str]) -> int:
    return subprocess.run([*hub.enter(), *argv], check=False).returncode


def _inside(hub: Hub) -> bool:
    return os.environ.get("WIREFLEET_LAB_INSIDE") == hub.name


def _again_inside(hub: Hub, *words: str) -> int:
    """Run this program again inside the hub, where the lab's network is."""
    return _within(hub, ["env", f"WIREFLEET_LAB_INSIDE={hub.name}", sys.executable, "-m", "tests.lab", *words, "--lab", hub.name])


def _status(hub: Hub, options: argparse.Namespace) -> int:
    if not _inside(hub):
        return _again_inside(hub, "status")
    print(lab.status(hub))
    return 0


def _inventory(hub: Hub, options: argparse.Namespace) -> int:
    lab.hosts_of(hub)
    print(hub.inventory)
    return 0


def _exec(hub: Hub, options: argparse.Namespace) -> int:
    return _within(hub, options.command)


def _ssh(hub: Hub, options: argparse.Namespace) -> int:
    return _within(hub, [*lab.ssh_words(hub, lab.host_of(hub, options.host)), *options.command])


def _clocks(hub: Hub, options: argparse.Namespace) -> int:
    if not _inside(hub):
        return _again_inside(hub, "clocks")
    lab.set_clocks(hub, lab.hosts_of(hub))
    return 0


def _power_cycle(hub: Hub, options: argparse.Namespace) -> int:
    host = lab.host_of(hub, options.host)
    if not _inside(hub):
        return _again_inside(hub, "power-cycle", options.host)
    lab.power_cycle(hub, host)
    return 0


def _drop(hub: Hub, options: argparse.Namespace) -> int:
    host = lab.host_of(hub, options.host)
    if not _inside(hub):
        masks = ["--psn-mask", str(options.psn_mask), "--psn-value", str(options.psn_value)]
        return _again_inside(hub, "drop", options.action, options.host, *masks)
    if options.action == "on":
        network.drop_on(host, options.psn_mask, options.psn_value)
    elif options.action == "off":
        network.drop_off(host)
    else:
        print(network.dropped(host))
    return 0


VERBS = {
    "up": _up, "down": _down, "populate": _populate, "status": _status, "inventory": _inventory, "exec": _exec, "ssh": _ssh,
    "clocks": _clocks, "power-cycle": _power_cycle, "drop": _drop,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
