# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The double of DPVS's `dpdk-pdump`: its arguments, messages and ends. Frames come from the double of dpvs, not from DPDK.

DPVS_DOUBLE_STOCK makes it DPDK's own, which does not know DPVS's filters; DPVS_DOUBLE_MP_WAIT shortens its 5 s of waiting.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import signal
import socket
import struct
import sys
import typing as t

RUNTIME = "/var/run/dpdk"
PATH_LIMIT, NAME_LIMIT = 55, 63
KEYS = ("port", "device_id", "queue", "rx-dev", "tx-dev", "ring-size", "mbuf-size", "total-num-mbufs")
FILTERS = ("host", "src-host", "dst-host", "proto", "proto-port", "src-port", "dst-port")
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmp6": 58}
RANGES = {
    "proto-port": (1, 65535),
    "src-port": (1, 65535),
    "dst-port": (1, 65535),
    "mbuf-size": (1, 65535),
    "total-num-mbufs": (1025, 65535),
}
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)


class Wrong(Exception):
    """What dpdk-pdump says before it gives up with 1."""


def parse(text: str, stock: bool) -> dict[str, str]:
    """Return a --pdump argument as {key: value}; raises Wrong. A filter that is named twice is dropped without a word."""
    given: dict[str, str] = {}
    repeated = set()
    for part in text.split(","):
        key, _equals, value = part.partition("=")
        if key not in KEYS and (stock or key not in FILTERS):
            raise Wrong(f'--pdump="{text}": invalid argument passed')
        repeated |= {key} & set(given)
        given[key] = value
    _check(text, given)
    return {key: value for key, value in given.items() if key not in repeated or key in KEYS}


def _check(text: str, given: t.Mapping[str, str]) -> None:
    if ("port" in given) == ("device_id" in given):
        raise Wrong(f'--pdump="{text}": invalid argument passed')
    if "queue" not in given:
        raise Wrong(f'--pdump="{text}": must have queue argument')
    if "rx-dev" not in given and "tx-dev" not in given:
        raise Wrong(f'--pdump="{text}": must have either rx-dev or tx-dev argument')
    if given.get("proto", "tcp") not in PROTOCOLS:
        raise Wrong(f'invalid value:"{given["proto"]}" for key:"proto", value must be tcp/udp/icmp/icmp6')
    for key, (low, high) in RANGES.items():
        if key in given and not (given[key].isdecimal() and low <= int(given[key]) <= high):
            raise Wrong(f'invalid value:"{given[key]}" for key:"{key}", value must be >= {low} and <= {high}')
    size = given.get("ring-size", "2")
    if not size.isdecimal() or int(size) < 2 or int(size) & (int(size) - 1):
        raise Wrong(f'invalid value:"{size}" for key:"ring-size", value must be power of 2')
    _check_hosts([given[key] for key in ("host", "src-host", "dst-host") if key in given])


def _check_hosts(hosts: list[str]) -> None:
    try:
        versions = {ipaddress.ip_address(host).version for host in hosts}
    except ValueError:
        raise Wrong("IP address invaled") from None
    if len(versions) > 1:
        raise Wrong("IPv4 and IPv6 conflict")


def matches(frame: bytes, filters: t.Mapping[str, str]) -> bool:
    """Whether all *filters* hold of a frame; ARP has hosts only, and of other ethertypes none ever holds."""
    if not any(key in filters for key in FILTERS):
        return True
    at = 16 if frame[12:14] == b"\x81\x00" else 12
    kind, body = frame[at : at + 2], frame[at + 2 :]
    if kind == b"\x08\x06":
        return not {*filters} & {*FILTERS[3:]} and _hosts_hold(filters, _text(body[14:18]), _text(body[24:28]))
    if kind == b"\x08\x00":
        size = (body[0] & 15) * 4
        return _holds(filters, body[9], body[size : size + 4], _text(body[12:16]), _text(body[16:20]))
    return kind == b"\x86\xdd" and _holds(filters, body[6], body[40:44], _text(body[8:24]), _text(body[24:40]))


def _holds(filters: t.Mapping[str, str], protocol: int, ports: bytes, source: str, target: str) -> bool:
    if "proto" in filters and PROTOCOLS[filters["proto"]] != protocol:
        return False
    if {"proto-port", "src-port", "dst-port"} & set(filters) and not _ports_hold(filters, protocol, ports):
        return False
    return _hosts_hold(filters, source, target)


def _ports_hold(filters: t.Mapping[str, str], protocol: int, ports: bytes) -> bool:
    if protocol not in (6, 17) or len(ports) < 4:
        return False
    source, target = struct.unpack("!HH", ports[:4])
    wanted = {key: int(filters[key]) for key in ("proto-port", "src-port", "dst-port") if key in filters}
    either = wanted.get("proto-port", source) in (source, target)
    return either and wanted.get("src-port", source) == source and wanted.get("dst-port", target) == target


def _hosts_hold(filters: t.Mapping[str, str], source: str, target: str) -> bool:
    wanted = {key: str(ipaddress.ip_address(filters[key])) for key in ("host", "src-host", "dst-host") if key in filters}
    either = wanted.get("host", source) in (source, target)
    return either and wanted.get("src-host", source) == source and wanted.get("dst-host", target) == target


def _text(address: bytes) -> str:
    return str(ipaddress.ip_address(address))


class Pdump:
    """One run of the tool: asks the primary, collects, and writes its files only when it ends cleanly."""

    def __init__(self, prefix: str, given: t.Mapping[str, str]) -> None:
        self.folder, self.given = os.path.join(RUNTIME, prefix), given
        self.records: dict[str, list[bytes]] = {given[key]: [] for key in ("rx-dev", "tx-dev") if key in given}
        self.stopped = False
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def attach(self) -> str:
        """Return the primary's verdict: ok, busy, poisoned, no port, silent or no primary."""
        directions = [key[:2] for key in ("rx-dev", "tx-dev") if key in self.given]
        request = {"port": int(self.given.get("port", "0")), "directions": directions}
        wait = float(os.environ.get("DPVS_DOUBLE_MP_WAIT", "5"))
        try:
            self.connection.connect(os.path.join(self.folder, "mp_socket"))
            self.connection.settimeout(wait * (3 if len(directions) == 2 else 1))
            self.connection.sendall(json.dumps(request).encode() + b"\n")
            return str(json.loads(self._line() or '{"verdict": "no primary"}')["verdict"])
        except socket.timeout:
            return "silent"
        except OSError:
            return "no primary"

    def _line(self) -> bytes:
        """Read to the end of a line without taking anything behind it."""
        line = b""
        while not line.endswith(b"\n"):
            byte = self.connection.recv(1)
            if not byte:
                return b""
            line += byte
        return line

    def open_files(self) -> None:
        """Make the files that packets go to, and the bare header that a name over 55 characters leaves in its place."""
        for path in self.records:
            for name in dict.fromkeys((path[:PATH_LIMIT], path[:NAME_LIMIT])):
                try:
                    open(name, "wb").close()
                except OSError:
                    raise Wrong("vdev creation failed:create_mp_ring_vdev:685") from None

    def collect(self) -> None:
        """Take frames until a signal or the primary ends it."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: self._ask_to_end())
        self.connection.settimeout(None)
        for line in self.connection.makefile("rb"):
            record = json.loads(line)
            if "end" in record:
                return
            frame = bytes.fromhex(record["frame"])
            path = self.given.get(f"{record['way']}-dev")
            if path and matches(frame, self.given):
                seconds = int(record["t"])
                head = struct.pack("<IIII", seconds, int((record["t"] - seconds) * 1e6), len(frame), len(frame))
                self.records[path].append(head + frame)

    def _ask_to_end(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.connection.sendall(b"end\n")

    def write_files(self) -> None:
        for path, records in self.records.items():
            with open(path[:PATH_LIMIT], "wb") as handle:
                handle.write(PCAP_HEADER + b"".join(records))
            if len(path) > PATH_LIMIT:
                with open(path[:NAME_LIMIT], "wb") as handle:
                    handle.write(PCAP_HEADER)

    def print_statistics(self) -> None:
        count = sum(map(len, self.records.values()))
        sys.stdout.write(
            f"##### PDUMP DEBUG STATS #####\n -packets dequeued:			{count}\n -packets transmitted to vdev:		{count}\n -packets freed:			0\n"
        )


def main(argv: list[str]) -> int:
    """Run the tool; returns its exit code, or dies by the signal that the real one dies by."""
    if os.environ.get("_STDBUF_O") == "L":  # what stdbuf tells a program's C library
        t.cast("t.Any", sys.stdout).reconfigure(line_buffering=True)
    eal, own = (argv[1 : argv.index("--")], argv[argv.index("--") + 1 :]) if "--" in argv else (argv[1:], [])
    prefix = _prefix(eal)
    words = argparse.ArgumentParser(add_help=False)
    words.add_argument("--pdump", action="append", default=[])
    words.add_argument("--multi", action="store_true")
    texts = words.parse_args(own).pdump
    if not os.path.exists(os.path.join(RUNTIME, prefix, "mp_socket")):
        return _no_primary()
    try:
        given = [parse(text, "DPVS_DOUBLE_STOCK" in os.environ) for text in texts]
        if len(given) != 1:
            raise Wrong("Invalid argument" if given else "usage")
        pdump = Pdump(prefix, given[0])
        code = _refused(pdump.attach(), pdump, prefix)
        if code is not None:
            return code
        try:
            pdump.open_files()
        except Wrong:
            pdump.connection.sendall(b"end\n")
            raise
    except Wrong as problem:
        sys.stderr.write(f"{problem}\nEAL: Error - exiting with code: 1\n")
        return 1
    sys.stdout.write(" core (1), capture for (1) tuples\n")
    pdump.collect()
    pdump.write_files()
    pdump.print_statistics()
    return 0


def _no_primary() -> int:
    sys.stderr.write("EAL: Cannot init EAL\n")
    sys.stderr.flush()
    os.abort()


def _refused(verdict: str, pdump: Pdump, prefix: str) -> int | None:
    """Return the exit code where the primary did not take us, None where it did."""
    if verdict == "ok":
        return None
    if verdict == "no primary":
        return _no_primary()
    if verdict == "busy":
        sys.stderr.write("RING: Cannot reserve memory\n")
        sys.stderr.flush()
        os.kill(os.getpid(), signal.SIGSEGV)
    words = {
        "poisoned": "Mempool creation failed: File exists",
        "no port": f"Invalid port_id={pdump.given.get('port')}\npdump_validate_port(): port {pdump.given.get('port')} to name mapping failed",
        "silent": f"EAL: Fail to recv reply for request {RUNTIME}/{prefix}/mp_socket:mp_pdump\nConnection timed out",
    }
    sys.stderr.write(f"{words[verdict]}\nEAL: Error - exiting with code: 1\n")
    return 1


def _prefix(eal: list[str]) -> str:
    found = "rte"
    for at, word in enumerate(eal):
        if word.startswith("--file-prefix="):
            found = word.partition("=")[2]
        elif word == "--file-prefix" and at + 1 < len(eal):
            found = eal[at + 1]
    return found
