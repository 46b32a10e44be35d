# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which DPVS processes run here, and what each was started with: several may, each with its own socket, file and network."""

from __future__ import annotations

import os
import re
import typing as t

from .dpvs_conf_text import Parsed, parse

if t.TYPE_CHECKING:
    from collections.abc import Sequence

    from ..host import Host

IPC_FILE = "/var/run/dpvs.ipc"
_OPTIONS = {"c": "conf", "p": "pid-file", "x": "ipc-file"}
_DEFAULTS = {"conf": "/etc/dpvs.conf", "pid-file": "/var/run/dpvs.pid", "ipc-file": IPC_FILE}


class Instance(t.NamedTuple):
    """A running DPVS. *prefix* is its EAL --file-prefix, *netns* its network namespace as /proc names it."""

    pid: int
    conf: str
    pid_file: str
    ipc_file: str
    prefix: str
    telemetry: bool
    netns: str
    #: The cores it polls, None where they are given in a way that is not read here.
    lcores: frozenset[int] | None = None

    @property
    def net_path(self) -> str:
        return f"/proc/{self.pid}/ns/net"


def instances(host: Host) -> list[Instance]:
    """Return the DPVS processes that this host shows."""
    pids = [name for name in host.names("/proc") if name.isdecimal() and (host.read(f"/proc/{name}/comm") or "").strip() == "dpvs"]
    found = (_instance(host, int(pid)) for pid in pids)
    return [instance for instance in found if instance is not None]


def _instance(host: Host, pid: int) -> Instance | None:
    words = (host.read(f"/proc/{pid}/cmdline") or "").split("\0")[:-1]
    netns = host.target(f"/proc/{pid}/ns/net")
    if not words or netns is None:
        return None
    own, eal = parse_command(words)
    cwd = host.target(f"/proc/{pid}/cwd") or "/"
    paths = {name: os.path.normpath(os.path.join(cwd, path)) for name, path in own.items()}
    prefix, telemetry = parse_eal(eal)
    return Instance(pid, paths["conf"], paths["pid-file"], paths["ipc-file"], prefix, telemetry, os.path.basename(netns), parse_lcores(eal))


def with_socket(host: Host, ipc_file: str) -> Instance | None:
    """Return the running instance that serves *ipc_file*, None where no process that can be seen does."""
    wanted = _real(host, ipc_file)
    return next((instance for instance in instances(host) if _real(host, instance.ipc_file) == wanted), None)


def with_file(host: Host, conf: str) -> list[Instance]:
    """Return the running instances that were started with the file *conf*."""
    wanted = _real(host, conf)
    return [instance for instance in instances(host) if _real(host, instance.conf) == wanted]


def read_conf(host: Host, path: str) -> Parsed:
    """Return what DPVS would read now from *path* and what it includes; no text where there is no file."""

    def load(folder: str, pattern: str) -> list[tuple[str, str]]:
        names = host.glob(os.path.join(folder, pattern))
        pairs = ((name, host.read_bytes(name)) for name in names)
        return [(name, data.decode("latin-1")) for name, data in pairs if data is not None]

    return parse(path, load)


def parse_command(words: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return ({conf, pid-file, ipc-file}, EAL options) of a command line, which an interpreter may stand before. Pure."""
    dashes = words.index("--") if "--" in words else len(words)
    own = dict(_DEFAULTS)
    name = ""
    for word in words[1:dashes]:
        if name:
            own[name], name = word, ""
        elif word.startswith("--"):
            option, equals, value = word[2:].partition("=")
            name = next((known for known in own if option and known.startswith(option)), "")
            if name and equals:
                own[name], name = value, ""
        elif word[:1] == "-" and word[1:2] in _OPTIONS:
            name = _OPTIONS[word[1:2]]
            if word[2:]:
                own[name], name = word[2:], ""
    return own, list(words[dashes + 1 :])


def parse_eal(words: Sequence[str]) -> tuple[str, bool]:
    """Return (file prefix, whether there is telemetry) of EAL's options. Pure."""
    prefix = "rte"
    for at, word in enumerate(words):
        if word.startswith("--file-prefix="):
            prefix = word.partition("=")[2]
        elif word == "--file-prefix" and at + 1 < len(words):
            prefix = words[at + 1]
    return prefix, "--no-telemetry" not in words


def parse_lcores(words: Sequence[str]) -> frozenset[int] | None:
    """Return the cores of EAL's -l or -c, None where they are given otherwise. Pure."""
    for at, word in enumerate(words):
        value = word[2:] or "".join(words[at + 1 : at + 2])
        if re.match(r"-l(\d|$)", word) and re.fullmatch(r"[\d,-]+", value):
            return parse_cpus(value)
        if re.match(r"-c(0x|[0-9a-fA-F]|$)", word) and re.fullmatch(r"(0x)?[0-9a-fA-F]{1,256}", value):
            return frozenset(bit for bit in range(1024) if int(value, 16) >> bit & 1)
    return None


def parse_cpus(text: str) -> frozenset[int]:
    """Return the CPUs in a list such as `0,2-3`. Pure."""
    parts = (re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part) for part in text.strip().split(","))
    return frozenset(cpu for part in parts if part for cpu in range(int(part[1]), int(part[2] or part[1]) + 1))


def _real(host: Host, path: str) -> str:
    return host.target(path) or os.path.normpath(path)
