# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of what a DPVS port receives and sends, which DPVS hands to Linux on the port's KNI device: `forward2kni`.

dpip's `set` exits with 0 also when it failed, and dpip waits for ever, so its exit code decides nothing here and every call
has a time limit. State is in DPVS's memory only and ends with it.
"""

from __future__ import annotations

import re
import time
import typing as t

from . import dpvs_instance
from .dpvs_conf_text import Device, devices, switched_on
from .model import Gone, Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host, Result
    from .dpvs_instance import Instance

FLAG = "forward2kni"
#: What dpip may take; a healthy DPVS answers within milliseconds.
PATIENCE_S = 5.0
#: How long a request that got no answer is watched for being carried out late.
LATE_S = 10.0
_HEADER = re.compile(r"(\d+): (\S+): socket ")
_NETNS_FOLDER = "/run/netns"
#: dpip prints the flag without its first r, in every version so far.
_SPELLINGS = {"foward2kni", FLAG}


class Port(t.NamedTuple):
    """A port of `dpip link show`: *number* is DPVS's port id, *address* in lower case."""

    number: int
    forwards: bool
    address: str


class Kni(t.NamedTuple):
    """Where the copies of a port arrive: a network device, and the namespace's name, "" for that of the host."""

    netns: str
    device: str


class DpvsLink(Kind):
    """Key ("dpvs_link", IPC file, "dpdk0/forward2kni"); value whether. A wish may be {"on": …, "kni": NAME} to name the device."""

    name = "dpvs_link"
    follows = ("kni_link",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        ports = read_ports(host, scope)
        values = {f"{port}/{FLAG}": found.forwards for port, found in ports.items()}
        instance = dpvs_instance.with_socket(host, scope)
        facts = {"ports": ports, "layout": layout_of(host, instance), "kni_devices": kni_devices(host, instance)}
        # What does not exist copies nothing: there is nothing to put back when a VLAN device went meanwhile.
        return Reading({**dict.fromkeys(names, False), **values}, facts)

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        resolved = {}
        for name, wish in wanted.items():
            port, slash, flag = name.rpartition("/")
            if not slash or flag != FLAG:
                raise Refused(f"{name!r} is no setting of a DPVS port: write for example dpdk0/{FLAG}")
            on, kni = (wish.get("on"), wish.get("kni")) if isinstance(wish, dict) else (wish, None)
            if not isinstance(on, bool):
                raise Refused(f"{FLAG} of {port} is either true or false, not {on!r}")
            if port not in reading.facts["ports"]:
                raise Refused(f"DPVS has no port {port!r}: it has {', '.join(sorted(reading.facts['ports'])) or 'none'}")
            if on:
                kni_of(port, kni, **reading.facts)
            resolved[name] = on
        return resolved

    def compatible(self, leased: Value, wanted: Value) -> bool:
        return bool(leased == (wanted.get("on") if isinstance(wanted, dict) else wanted))

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        return [dpip_argv(scope, "set", name.rpartition("/")[0], FLAG, "on" if on else "off") for name, on in wanted.items()]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        for argv in self.argvs(scope, wanted, current):
            done = host.run(argv, timeout=PATIENCE_S)
            if done.rc == 124:
                _await_late(host, scope, done)
            elif done.rc or done.err.strip():
                raise Refused(f"{done.command}: {meaning(done.err) or done.message}")


def dpip_argv(ipc_file: str, *words: str) -> list[str]:
    """dpip has no option for the socket: which instance is meant is said in the environment."""
    return ["env", f"DPVS_IPC_FILE={ipc_file}", "dpip", "link", *words]


def read_ports(host: Host, ipc_file: str) -> dict[str, Port]:
    """Return the ports of the instance that serves *ipc_file*.

    Raises Gone where no DPVS runs, Refused where it does not answer.
    """
    if not ipc_file.startswith("/") or len(ipc_file) > 107:
        raise Refused(f"{ipc_file!r} cannot be DPVS's IPC file: write the absolute path of its socket, of at most 107 characters")
    if host.which("dpip") is None:
        raise Refused("dpip is not installed on this host, or not in its PATH: link DPVS's bin/dpip into /usr/local/sbin")
    done = host.run(dpip_argv(ipc_file, "show"), timeout=PATIENCE_S)
    if done.rc == 0 and not done.err.strip():
        return parse_ports(done.out)
    if done.rc == 124:
        raise Refused(
            f"DPVS did not answer on {ipc_file} within {PATIENCE_S:g} s: it is starting (up to 30 s for each port), stopped or hung; "
            "see its log and try again"
        )
    dead = any(words in done.err for words in ("No such file", "Connection refused"))
    raise (Gone if dead else Refused)(f"{ipc_file}: {meaning(done.err) or done.message}")


def meaning(said: str) -> str | None:
    """Return what dpip's words mean and what to do, None where they are not known. Pure."""
    rows = (
        ("No such file", "no DPVS runs with this IPC file: start it, or name the file that its option -x names (ipc_file)"),
        ("Connection refused", "nobody serves this socket, a DPVS that died left it: start DPVS again"),
        ("Permission denied", "the socket is root's: use become"),
        ("invalid parameter(-1)", "DPVS has no such port"),
    )
    return next((text for words, text in rows if words in said), None)


def parse_ports(text: str) -> dict[str, Port]:
    """Return the ports in the output of `dpip link show`, whatever its options; unknown words are passed over. Pure."""
    found: dict[str, Port] = {}
    lines = text.splitlines()
    for at, line in enumerate(lines):
        header = _HEADER.match(line)
        if header and at + 2 < len(lines):
            address = lines[at + 2].split()[1:2]
            found[header[2]] = Port(int(header[1]) - 1, bool(_SPELLINGS & set(lines[at + 1].split())), "".join(address).lower())
    return found


def layout_of(host: Host, instance: Instance | None) -> dict[str, t.Any] | None:
    """Return {devices, kni} as the instance's file has them, None where there is no instance or file to be read."""
    if instance is None:
        return None
    parsed = dpvs_instance.read_conf(host, instance.conf)
    found = devices(parsed.entries)
    return {"conf": instance.conf, "devices": found, "kni": switched_on(parsed.entries, "kni", True)} if found else None


def kni_devices(host: Host, instance: Instance | None) -> dict[str, str]:
    """Return {name: address} of the devices that may be KNI devices in the instance's network namespace."""
    if instance is None:
        return {}
    return parse_links(host.run(["nsenter", f"--net={instance.net_path}", "ip", "-o", "-d", "link", "show"]).out)


def parse_links(text: str) -> dict[str, str]:
    """Return {name: address} of `ip -o -d link show`, without what stands on hardware or belongs to another. Pure."""
    rows = (
        re.match(r"\d+: ([^:@\s]+)(@\S+)?: .*?link/ether ([0-9a-f:]+) ", line) for line in text.splitlines() if " parentbus " not in line
    )
    return {row[1]: row[3] for row in rows if row and not row[2]}


def kni_of(
    port: str, named: str | None, ports: Mapping[str, Port], layout: Mapping[str, t.Any] | None, kni_devices: Mapping[str, str]
) -> str:
    """Return the network device on which the copies of *port* arrive. Pure; raises Refused where none could arrive."""
    if layout is None:
        raise Refused(
            f"no dpvs process with this IPC file and a readable dpvs.conf was found, so it is not known whether {port} can be captured: "
            "run this where DPVS runs, in its mount and PID namespace"
        )
    _refuse_dumb(port, layout["devices"], layout["conf"])
    device = layout["devices"][port]
    names = [named] if named else [name for name in (device.kni_name, f"{port}.kni") if name]
    found = next((name for name in names if name in kni_devices), None)
    same = [name for name, address in kni_devices.items() if address == ports[port].address]
    if found is None and not named and len(same) == 1:
        found = same[0]
    if found is None:
        raise Refused(f"{port} has no KNI device ({' or '.join(names)}) in DPVS's network namespace: {_why_none(layout, named)}")
    return found


def _refuse_dumb(port: str, known: Mapping[str, Device], conf: str) -> None:
    """Raise Refused for a port whose flag can be set and yet shows nothing."""
    master = next((name for name, device in known.items() if port in device.slaves), None)
    if master:
        raise Refused(f"{port} is a slave of {master} and has no KNI device: capture {master}")
    if port not in known:
        under = port.rpartition(".")[0]
        raise Refused(
            f"{port} is no device or bonding of {conf}, so it is a VLAN or tunnel device: {FLAG} would copy nothing there and take away "
            f"its own KNI traffic; capture {under if under in known else 'the port under it'}"
        )


def _why_none(layout: Mapping[str, t.Any], named: str | None) -> str:
    if not layout["kni"]:
        return f"{layout['conf']} has kni off; set it on (module dpvs_config) and restart DPVS, or capture with dpdk-pdump"
    if named:
        return "check its name with ip link"
    return "if DPVS was started with kni off restart it, else name the device (kni)"


def where(host: Host, ipc_file: str, port: str, named: str | None = None) -> Kni:
    """Return the KNI device of a port of the instance that serves *ipc_file*, and its namespace. Raises Refused."""
    reading = DpvsLink().read(host, ipc_file, [])
    DpvsLink().resolve(ipc_file, {f"{port}/{FLAG}": {"on": True, "kni": named}}, reading)
    instance = t.cast("Instance", dpvs_instance.with_socket(host, ipc_file))
    return Kni(netns_name(host, instance), kni_of(port, named, **reading.facts))


def netns_name(host: Host, instance: Instance) -> str:
    """Return the name under which the instance's network namespace is known, "" for our own, a path where it has no name."""
    if instance.netns == (host.target("/proc/self/ns/net") or "").rpartition("/")[2]:
        return ""
    return host.run(["ip", "netns", "identify", str(instance.pid)]).out.strip() or instance.net_path


def netns_path(netns: str) -> str:
    return netns if netns.startswith("/") else f"{_NETNS_FOLDER}/{netns}"


def inside(netns: str, *argv: str) -> list[str]:
    """Return *argv* as it runs in the network namespace *netns*, a name, a path or "" for our own. Pure."""
    return [*([] if not netns else ["nsenter", f"--net={netns_path(netns)}"]), *argv]


class KniLink(Kind):
    """Key ("kni_link", network namespace or "", device); value whether the link is up: tcpdump needs it to be."""

    name = "kni_link"

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        if scope and not host.exists(netns_path(scope)):
            raise Gone(f"there is no network namespace {scope}: DPVS ended, or its name is another (netns)")
        flags = parse_flags(host.run(inside(scope, "ip", "-o", "link", "show")).out)
        missing = [name for name in names if name not in flags]
        if missing:
            raise Gone(f"there is no device {missing[0]}{f' in network namespace {scope}' if scope else ''}: KNI devices end with DPVS")
        return Reading({name: "UP" in flags[name] for name in names})

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        return [inside(scope, "ip", "link", "set", "dev", name, "up" if up else "down") for name, up in wanted.items()]


def parse_flags(text: str) -> dict[str, list[str]]:
    """Return {device: flags} of `ip -o link show`. Pure."""
    rows = (re.match(r"\d+: ([^:@\s]+)[^:]*: <([^>]*)>", line) for line in text.splitlines())
    return {row[1]: row[2].split(",") for row in rows if row}


def _await_late(host: Host, ipc_file: str, done: Result) -> None:
    """A request that nobody took waits in DPVS's queue: look whether DPVS comes back to it, and say so where it does not."""
    until = time.monotonic() + LATE_S
    while time.monotonic() < until:
        if host.run(dpip_argv(ipc_file, "show"), timeout=PATIENCE_S).rc != 124:
            return
    raise Refused(
        f"{done.command}: DPVS did not answer within {PATIENCE_S:g} s nor {LATE_S:g} s later; the request waits in its queue and may "
        "still be carried out: look again with dpip link show"
    )
