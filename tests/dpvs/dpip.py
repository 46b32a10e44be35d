# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of `dpip link`: what it prints and how it exits, wrong codes and misspellings included; other objects are missing."""

from __future__ import annotations

import json
import os
import socket
import sys
import typing as t

VERSION = "1.10-2"
DEFAULT_IPC = "/var/run/dpvs.ipc"
USAGE = """Usage:
    dpip [OPTIONS] OBJECT { COMMAND | help }
Parameters:
    OBJECT  := { link | addr | route | neigh | vlan | tunnel | qsch | cls |
                 ipv6 | iftraf | eal-mem | ipset | flow | maddr | lldp }
    COMMAND := { create | destroy | add | del | show (list) | set (change) |
                 replace | flush | test | enable | disable }
Options:
    -v, --verbose
    -h, --help
    -V, --version
    -4, --family=inet
    -6, --family=inet6
    -s, --stats, statistics
    -C, --color
    -F, --force
"""
LINK_USAGE = "Usage:\n    dpip link show [ NIC-NAME ]\n    dpip link set DEV-NAME ITEM VALUE\n"
ITEMS = ("promisc", "allmulticast", "forward2kni", "link", "addr", "tc-egress", "tc-ingress", "lldp")


class Failed(Exception):
    """The daemon could not be asked; the message is strerror's."""


def ask(request: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the daemon's answer, however long that takes: dpip knows no time limit."""
    path = os.environ.get("DPVS_IPC_FILE", DEFAULT_IPC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            if not path:
                raise ConnectionRefusedError(111, "Connection refused")
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, t.Any] = json.loads(connection.makefile("rb").readline() or b"{}")
            return answer
    except OSError as error:
        raise Failed(str(error.strerror)) from error


def main(argv: list[str]) -> int:
    # The real one eats the path's first character; called by its bare name it keeps all of it.
    name = argv[0].lstrip("./")
    options, rest = _options(argv[1:])
    if not argv[1:]:
        sys.stderr.write(USAGE)
        return 0
    if "-V" in options or "--version" in options:
        print(f"dpip-{VERSION}")
        return 0
    bad = next((option for option in options if option.startswith("-") and not set(option[1:]) <= set("vhV46fsicCDF")), None)
    if bad:
        sys.stderr.write(f": invalid option -- '{bad.lstrip('-')[:1]}'\nInvalid option: {rest[0] if rest else ''}\n")
        return 1
    if rest[:1] != ["link"]:
        sys.stderr.write(f"{name}: invalid object, use `-h' for help.\n")
        return 1
    return _link(name, options, rest[1:])


def _options(words: list[str]) -> tuple[list[str], list[str]]:
    options = [word for word in words if word.startswith("-")]
    return options, [word for word in words if not word.startswith("-")]


def _link(name: str, options: list[str], words: list[str]) -> int:
    command = words[0] if words else "show"
    if command in ("show", "list"):
        return _show(name, options, words[1:])
    if command in ("set", "change"):
        return _set(name, words[1:])
    sys.stderr.write(f"invalid command {command}\n{name}: invalid object, use `-h' for help.\n")
    return 1


def _show(name: str, options: list[str], words: list[str]) -> int:
    wanted = words[0] if words else None
    try:
        answer = ask({"op": "show"})
    except Failed as why:
        sys.stderr.write(f"[dpvs_getsockopt] scoket msg connection error: {why}\n")
        more = f"{name}: <unknow>\n" if wanted else f"Fail to get configured NIC list: <unknow>.\n{name}: invalid parameter\n"
        sys.stderr.write(more)
        return 1
    ports = [port for port in answer["ports"] if wanted in (None, port["name"])]
    if wanted and not ports:
        sys.stderr.write(f"[sockopt_msg_recv] errcode set in socket msg#61 header: not exist(-4)\n{name}: not exist\n")
        return 1
    for port in ports:
        sys.stdout.write(render(port, answer["spelling"], answer["more"]))
        if "-s" in options:
            sys.stdout.write(_statistics())
        if "-v" in options:
            sys.stdout.write("    pci_addr                          driver_name\n    vdev                              net_af_packet\n")
        if "status" in words[1:] and port["kind"] == "bonding":
            sys.stdout.write(_bond_status(port, answer["slaves"][port["name"]], answer["ports"]))
    return 0


def render(port: dict[str, t.Any], spelling: str, more: str) -> str:
    """Return the three lines of a port; the second and the third end in a space."""
    flags = [
        *(["promisc"] if port["number"] == 0 else []),
        *([spelling] if port["forward2kni"] else []),
        *(["lldp"] if port["lldp"] else []),
        *more.split(),
    ]
    state = " ".join(["UP", "10000 Mbps", "full-duplex", "fixed-nego", *flags])
    return (
        f"{port['number'] + 1}: {port['name']}: socket 0 mtu {port['mtu']} rx-queue 1 tx-queue 1\n"
        f"    {state} \n"
        f"    addr {port['address']} OF_TX_FAST_FREE \n"
    )


def _statistics() -> str:
    blocks = (("ipackets", "opackets", "ibytes", "obytes"), ("ierrors", "oerrors", "imissed", "rx_nombuf"), ("mbuf-avail", "mbuf-inuse"))
    rows = []
    for names in blocks:
        rows += ["".join(f"{word:<20}" for word in names), "".join(f"{0:<20}" for _word in names)]
    return "".join(f"    {row}\n" for row in rows)


def _bond_status(port: dict[str, t.Any], slaves: list[str], ports: list[dict[str, t.Any]]) -> str:
    addresses = {entry["name"]: entry["address"] for entry in ports}
    roles = ", inactive, primary) ", ", inactive) "
    members = "".join(f"{slave}({addresses[slave]}{roles[0] if number == 0 else roles[1]}" for number, slave in enumerate(slaves))
    return (
        "    --- bonding status ---\n"
        f"    mode 0 mac_addr {port['address']} xmit_policy LAYER2 link_monitor 10ms\n"
        f"    ative/slaves 0/{len(slaves)} link_down_prop_delay 0ms link_up_prop_delay 0ms\n"
        f"    slaves: {members}\n"
    )


def _set(name: str, words: list[str]) -> int:
    device, item, value = [*words, "", "", ""][:3]
    if device.startswith("cpu"):
        return 0
    if item not in ITEMS:
        sys.stderr.write(f"invalid parameter name '{item}'\n{name}: invalid parameter\n")
        return 1
    if not value:
        sys.stderr.write(f"missing argument for `{item}'\n{LINK_USAGE}{name}: invalid parameter\n")
        return 1
    if value not in ("on", "off") and item != "addr":
        sys.stderr.write(f"invalid arguement value for '{item}'\n")
        return 0
    try:
        answer = ask({"op": "set", "dev": device, "item": item, "value": value})
    except Failed as why:
        sys.stderr.write(f"[dpvs_setsockopt] scoket msg connection error: {why}\n")
        return 0
    if "error" in answer:
        sys.stderr.write(f"[sockopt_msg_recv] errcode set in socket msg#54 header: {answer['error']}\n")
    return 0
