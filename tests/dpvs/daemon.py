# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of the `dpvs` daemon: `dpvs -c CONF -p PID -x IPC -- EAL OPTIONS`.

What it forwards is a wire: a frame that comes in on one port goes out on the next. Its socket, states and lifetime are
real, the requests on the socket are its own. What the environment says (DPVS_DOUBLE_…) no real daemon knows.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import functools
import json
import os
import re
import selectors
import signal
import socket
import sys
import time
import typing as t
import zlib

from .conf import Aborted, Reader, value
from .devices import LARGEST, Tap, Wire

VERSION = "1.10-2"
RUNTIME = "/var/run/dpdk"
LEVELS = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
ATTACHED = ("RG_rx_ring_0", "RG_tx_ring_0", "MP_pdump_pool_0")
_PR_SET_NAME = 15


class Port(t.NamedTuple):
    """What `dpip link show` tells of a device. *kind* is device, slave, bonding or vlan."""

    number: int
    name: str
    kind: str
    address: str
    mtu: int
    kni_name: str


class Settings:
    """What the daemon runs with: what the file said at start, and at reloads where that counts."""

    def __init__(self, log: t.Callable[[str], None]) -> None:
        self.log = log
        self.switches = {"pdump": False, "kni": True, "lldp": False, "log_with_timestamp": False, "log_async_mode": False}
        self.log_level, self.log_file = "DEBUG", ""
        self.devices: dict[str, dict[str, list[str]]] = {}
        self.bonds: dict[str, dict[str, list[str]]] = {}

    def found(self, path: tuple[str, ...], words: list[str]) -> None:
        if path[0] == "global_defs":
            self._global(path[-1], words)
        elif path[:2] in (("netif_defs", "device"), ("netif_defs", "bonding")):
            group = self.devices if path[1] == "device" else self.bonds
            if len(path) == 2:
                group[words[1]] = {}
            elif group:
                group[list(group)[-1]].setdefault(path[-1], []).append(words[-1])

    def _global(self, key: str, words: list[str]) -> None:
        if key == "global_defs":
            self.switches.update(lldp=False, log_with_timestamp=False)
        elif key in self.switches:
            self._switch(key, value(words))
        elif key == "log_level":
            self._level(value(words))
        elif key == "log_file":
            self.log_file = value(words)

    def _switch(self, key: str, word: str) -> None:
        if word.lower() in ("on", "off"):
            self.switches[key] = word.lower() == "on"
        else:
            self.log(f"CFG_FILE: invalid {key} switch: {word}")
        self.log(f"CFG_FILE: {key} = {'on' if self.switches[key] else 'off'}")

    def _level(self, word: str) -> None:
        self.log(f"CFG_FILE: log_level = {word}")
        level = next((level for level in LEVELS if word.startswith(level)), None)
        if level is None:
            self.log(f"CFG_FILE: set_log_level: illegal log level: {word}")
        self.log_level = level or self.log_level


class Daemon:
    """One instance. One thread, so that a stopped process answers nobody, as the real one's master loop does."""

    def __init__(self, options: argparse.Namespace, eal: list[str]) -> None:
        self.options, self.eal = options, eal
        self.settings = Settings(self.log)
        self.selector = selectors.DefaultSelector()
        self.ports: list[Port] = []
        self.taps: dict[str, Tap] = {}
        self.wires: dict[str, Wire] = {}
        self.forwarded: set[str] = set()
        self.pdump: socket.socket | None = None
        self.request: dict[str, t.Any] = {}
        self.poisoned = False

    @property
    def folder(self) -> str:
        return os.path.join(RUNTIME, _eal_option(self.eal, "--file-prefix", "rte"))

    def log(self, line: str) -> None:
        settings = getattr(self, "settings", None)
        if settings is not None and settings.log_file:
            with open(settings.log_file, "a", encoding="utf-8") as handle:
                handle.write(line + "\n")
        else:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    def load(self, starting: bool) -> None:
        """Read the file; where the real parser's assertion fails this process aborts too."""
        try:
            Reader(starting, self.settings.found, lambda words: self.log(f"CFG_FILE: {words}")).read(self.options.conf)
        except Aborted as problem:
            sys.stderr.write(f"dpvs: {problem}\n")
            sys.stderr.flush()
            signal.signal(signal.SIGABRT, signal.SIG_DFL)
            os.abort()

    def make_ports(self) -> None:
        interfaces = re.findall(r"iface=([^,\s]+)", " ".join(self.eal))
        slaves = {name for bond in self.settings.bonds.values() for name in bond.get("slave", [])}
        for number, (name, items) in enumerate(self.settings.devices.items()):
            if number < len(interfaces):
                self.wires[name] = Wire(interfaces[number])
            wire = self.wires.get(name)
            kind = "slave" if name in slaves else "device"
            address, mtu = (wire.address, wire.mtu) if wire else (f"02:00:00:00:00:{number:02X}", 1500)
            self.ports.append(Port(number, name, kind, address, mtu, (items.get("kni_name") or [f"{name}.kni"])[-1]))
        for name, items in self.settings.bonds.items():
            first = next((port for port in self.ports if port.name in items.get("slave", [])), self.ports[0])
            kni_name = (items.get("kni_name") or [f"{name}.kni"])[-1]
            self.ports.append(Port(len(self.ports), name, "bonding", first.address, first.mtu, kni_name))
        for name in filter(None, os.environ.get("DPVS_DOUBLE_VLANS", "").split(",")):
            under = next(port for port in self.ports if port.name == name.rpartition(".")[0])
            self.ports.append(Port(len(self.ports), name, "vlan", under.address, under.mtu, f"{name}.kni"))
        if self.settings.switches["kni"]:
            self.taps = {port.name: Tap(port.kni_name, port.address) for port in self.ports if port.kind != "slave"}

    def serve(self) -> None:
        """Answer and forward until a signal ends the process."""
        listener = self._listen()
        gate = os.environ.get("DPVS_DOUBLE_START_GATE", "")
        while gate and not os.path.exists(gate):
            time.sleep(0.02)
        self._watch(listener, self._answer)
        for name, wire in self.wires.items():
            self._watch(wire, functools.partial(self._receive, name))
        for tap in self.taps.values():
            self._watch(tap, Tap.drain)
        self._open_runtime_folder()
        _write(self.options.pid, f"{os.getpid()}\n")
        while True:
            for key, _events in self.selector.select(timeout=0.5):
                key.data(key.fileobj)
            self._reload_if_asked()

    def _reload_if_asked(self) -> None:
        if RELOAD:
            RELOAD.clear()
            self.log("CFG_FILE: Got signal SIGHUP.")
            self.load(starting=False)

    def _watch(self, source: t.Any, act: t.Callable[[t.Any], None]) -> None:
        self.selector.register(source, selectors.EVENT_READ, act)

    def _listen(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.options.ipc)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self.options.ipc)
        os.chmod(self.options.ipc, 0o755)
        listener.listen(1)
        return listener

    def _open_runtime_folder(self) -> None:
        """Offer what DPDK's other processes need of a primary: its telemetry, and the way to ask for copies."""
        for name, kind, act in (
            ("dpdk_telemetry.v2", socket.SOCK_SEQPACKET, self._greet),
            ("mp_socket", socket.SOCK_STREAM, self._attach),
        ):
            if name == "dpdk_telemetry.v2" and "--no-telemetry" in self.eal:
                continue
            path = os.path.join(self.folder, name)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX, kind)
            listener.bind(path)
            listener.listen(5)
            self._watch(listener, act)

    def _answer(self, listener: socket.socket) -> None:
        """Take one request of dpip. Its writer may be gone long since: what it asked for is done all the same."""
        connection, _address = listener.accept()
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(2)
            request = json.loads(connection.makefile("rb").readline())
            if request["op"] == "set" and os.environ.pop("DPVS_DOUBLE_HANG_ON_SET", ""):
                os.kill(os.getpid(), signal.SIGSTOP)
            reply = self._show() if request["op"] == "show" else self._set(request)
            connection.sendall(json.dumps(reply).encode() + b"\n")

    def _show(self) -> dict[str, t.Any]:
        rows = [
            {**port._asdict(), "forward2kni": port.name in self.forwarded, "lldp": self.settings.switches["lldp"] and port.kind != "vlan"}
            for port in self.ports
        ]
        return {
            "ports": sorted(rows, key=lambda row: zlib.crc32(str(row["name"]).encode())),
            "slaves": {name: items.get("slave", []) for name, items in self.settings.bonds.items()},
            "spelling": os.environ.get("DPVS_DOUBLE_SPELLING", "foward2kni"),
            "more": os.environ.get("DPVS_DOUBLE_MORE", ""),
        }

    def _set(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        port = next((port for port in self.ports if port.name == request["dev"]), None)
        if port is None:
            return {"error": "invalid parameter(-1)"}
        on = request["value"] == "on"
        if request["item"] == "forward2kni" and "DPVS_DOUBLE_DEAF" not in os.environ:
            (self.forwarded.add if on else self.forwarded.discard)(port.name)
            self.log(f"NETIF: [set_port] forward2kni mode for {port.name} {'enabled' if on else 'disabled'}")
        return {}

    def _receive(self, name: str, wire: Wire) -> None:
        """Copy what came in, and what goes out on the next port for it."""
        names = list(self.wires)
        target = names[(names.index(name) + 1) % len(names)]
        for frame in wire.frames():
            self._copy(name, frame, "rx")
            if target != name:
                self._copy(target, frame, "tx")
                self.wires[target].send(frame)

    def _copy(self, name: str, frame: bytes, direction: str) -> None:
        over = next((port.name for port in self.ports if port.kind == "bonding"), name) if self._is_slave(name) else name
        if over in self.forwarded and over in self.taps:
            self.taps[over].give(frame)
        number = next(port.number for port in self.ports if port.name == name)
        if self.pdump and self.request.get("port") == number and direction in self.request["directions"]:
            with contextlib.suppress(OSError):
                self.pdump.sendall(json.dumps({"way": direction, "t": time.time(), "frame": frame.hex()}).encode() + b"\n")

    def _is_slave(self, name: str) -> bool:
        return any(port.name == name and port.kind == "slave" for port in self.ports)

    def _greet(self, listener: socket.socket) -> None:
        connection, _address = listener.accept()
        connection.send(json.dumps({"version": "DPDK 24.11.0", "pid": os.getpid(), "max_output_len": 16384}).encode())
        self._watch(connection, self._telemetry)

    def _telemetry(self, connection: socket.socket) -> None:
        said = connection.recv(1024).decode()
        if not said:
            self.selector.unregister(connection)
            connection.close()
            return
        command, _comma, argument = said.partition(",")
        connection.send(json.dumps({command: self._tell(command, argument)}).encode())

    def _tell(self, command: str, argument: str) -> t.Any:
        zones = self.zones()
        real = [port for port in self.ports if port.kind != "vlan"]
        if command == "/eal/memzone_list":
            return list(range(len(zones)))
        if command == "/eal/memzone_info" and argument.isdecimal() and int(argument) < len(zones):
            return {"Zone": int(argument), "Name": zones[int(argument)], "Length": 2048}
        if command == "/ethdev/list":
            return list(range(len(real)))
        if command == "/ethdev/info" and argument.isdecimal() and int(argument) < len(real):
            return {"name": f"net_af_packet{argument}", "mac_addr": real[int(argument)].address}
        return ["dpvs", *self.eal] if command == "/eal/params" else None

    def zones(self) -> list[str]:
        attached = list(ATTACHED) if self.pdump or self.poisoned else []
        return ["rte_eth_dev_data", *(["rte_pdump_stats"] if self.settings.switches["pdump"] else []), *attached]

    def _attach(self, listener: socket.socket) -> None:
        """Take a dpdk-pdump: one at a time, and one that ends without saying so poisons all that follow."""
        connection, _address = listener.accept()
        if not self.settings.switches["pdump"]:
            self.log("EAL: Cannot find action: mp_pdump")
            self._watch(connection, self._forget)
            return
        request = json.loads(connection.makefile("rb").readline())
        busy = self.pdump is not None
        verdict = "poisoned" if self.poisoned else "busy" if busy else "ok"
        if request["port"] >= len([port for port in self.ports if port.kind != "vlan"]):
            verdict = "no port"
        connection.sendall(json.dumps({"verdict": verdict}).encode() + b"\n")
        self.poisoned = self.poisoned or busy
        if verdict != "ok":
            connection.close()
            return
        self.pdump, self.request = connection, request
        self._watch(connection, self._detach)

    def _forget(self, connection: socket.socket) -> None:
        if not connection.recv(LARGEST):
            self.selector.unregister(connection)
            connection.close()

    def _detach(self, connection: socket.socket) -> None:
        said = b""
        with contextlib.suppress(OSError):
            said = connection.recv(LARGEST)
        if b"end" not in said:
            self.poisoned = True
        self.selector.unregister(connection)
        with contextlib.suppress(OSError):
            connection.sendall(b'{"end": true}\n')
        connection.close()
        self.pdump = None


RELOAD: list[int] = []


def main(argv: list[str]) -> int:
    """Run an instance in the foreground; returns the exit code where it does not come up."""
    own, _dashes, eal = (argv[1:], "", []) if "--" not in argv else (argv[1 : argv.index("--")], "--", argv[argv.index("--") + 1 :])
    options = parser().parse_args(own)
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"dpvs", 0, 0, 0)
    if _alive(options.pid):
        print("dpvs is already running")
        return 1
    daemon = Daemon(options, eal)
    os.makedirs(daemon.folder, mode=0o700, exist_ok=True)
    if not _own(os.path.join(daemon.folder, "config")):
        sys.stderr.write("EAL: Cannot init config\nInvalid EAL parameters\n")
        return 1
    with contextlib.suppress(FileNotFoundError):
        os.unlink(options.pid)
    signal.signal(signal.SIGHUP, lambda _number, _frame: RELOAD.append(1))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    daemon.load(starting=True)
    daemon.make_ports()
    daemon.serve()
    return 0


def parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="dpvs", add_help=False)
    words.add_argument("-c", "--conf", default="/etc/dpvs.conf")
    words.add_argument("-p", "--pid-file", dest="pid", default="/var/run/dpvs.pid")
    words.add_argument("-x", "--ipc-file", dest="ipc", default="/var/run/dpvs.ipc")
    return words


def _eal_option(eal: list[str], name: str, default: str) -> str:
    """Return the last value of an EAL option, written with = or as the next word."""
    for at, word in enumerate(eal):
        if word.startswith(name + "="):
            default = word.partition("=")[2]
        elif word == name and at + 1 < len(eal):
            default = eal[at + 1]
    return default


def _alive(pid_file: str) -> bool:
    try:
        with open(pid_file, encoding="ascii") as handle:
            os.kill(int(handle.read()), 0)
    except (OSError, ValueError):
        return False
    return True


def _own(path: str) -> bool:
    """Lock *path* for as long as this process lives, as a DPDK primary does with its configuration."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as handle:
        handle.write(text)
