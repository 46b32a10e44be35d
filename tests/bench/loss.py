# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capturing loses: the engine as a campaign starts it beside tcpdump's defaults and a hand-tuned dumpcap."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Walker
from ansible_collections.wirefleet.capture.plugins.module_utils.session.engines.tcpdump import Tcpdump
from ansible_collections.wirefleet.capture.plugins.module_utils.session.preflight import with_buffers
from ansible_collections.wirefleet.capture.plugins.module_utils.session.spec import Limits, Vantage
from ansible_collections.wirefleet.capture.plugins.module_utils.session.writer import write

from .measure import Failed, Table, median

if t.TYPE_CHECKING:
    from collections.abc import Iterator

SENDER = pathlib.Path(__file__).with_name("sender.c")
DEVICES = ("sends0", "hears0")
WRITER = [sys.executable, "-c", f"import sys; from {write.__module__} import write; sys.exit(write(sys.argv[1], int(sys.argv[2])))"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).resolve().parents[2] / ".cache" / "tree")}
SECONDS = 5
REPEATS = 3
GIB = 1 << 30
SETUP = """
ip link add {0} type veth peer name {1}
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
ip link set {0} mtu 9000 up && ip link set {1} mtu 9000 up
"""


class Tool(t.NamedTuple):
    """A capture, without the name of its file; *piped*: bytes of memory of the writer between it and the disk, 0 for none."""

    argv: list[str]
    piped: int = 0


class Load(t.NamedTuple):
    """Frames of *size* bytes, *per_second* of them or as many as one core sends (0), stored in *folder*."""

    name: str
    size: int
    per_second: int
    folder: str


def run() -> Table:
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    disk = str(pathlib.Path(__file__).resolve().parents[2] / ".cache")
    if shutil.disk_usage(disk).free < 20 * GIB:
        raise Failed("the part that outruns the disk wants 20 GiB free below .cache")
    loads = [
        Load("300 bytes, all one core sends, file in memory", 300, 0, memory),
        Load("1400 bytes at 400,000 a second, file on disk", 1400, 400_000, disk),
    ]
    rows = []
    with namespace() as enter, tempfile.TemporaryDirectory() as folder:
        sender = os.path.join(folder, "sender")
        subprocess.run(["cc", "-O2", "-o", sender, str(SENDER)], check=True)
        for load in loads:
            rows += _rows(load, _rounds(_tools(enter), load, [*enter, *pinned(0), sender]))
    columns = ("frames", "capture", "kilopackets/s sent", "lost %, median", "lost %, worst")
    notes = [
        f"Lost is what was sent and is not in the file, counted in the file; {SECONDS} s each, {REPEATS} interleaved rounds.",
        "On a veth the copy for the capture is made by the sender's CPU, so a slower capture also slows the sender a little.",
        "Both cores serve the sender, the capture and whatever else runs here.",
    ]
    return Table("loss", "A sender on one core, a capture at the other end of a veth pair.", columns, rows, notes)


def _rows(load: Load, rounds: dict[str, list[tuple[int, int]]]) -> list[tuple[str, ...]]:
    rows = []
    for name, counts in rounds.items():
        lost = [100 * (sent - found) / sent for sent, found in counts]
        rate = median(sent / SECONDS / 1000 for sent, _found in counts)
        rows.append((load.name, name, f"{rate:.0f}", f"{median(lost):.2f}", f"{max(lost):.2f}"))
    return rows


def _tools(enter: list[str]) -> dict[str, Tool]:
    """Return the captures by name, each without the name of its file."""
    tuned = [*enter, *pinned(1), "nice", "-n", "-20", "dumpcap", "-q", "-P", "-B", "256", "-i", DEVICES[1], "-w"]
    return {
        "the engine, 256 bytes of each packet (default)": _engine(enter, 256),
        "the engine, whole packets": _engine(enter, 0),
        "tcpdump -w": Tool([*enter, "tcpdump", "-i", DEVICES[1], "-w"]),
        "dumpcap -B 256, pinned, nice -20": Tool(tuned),
    }


def _engine(enter: list[str], snaplen: int) -> Tool:
    """Return what a campaign runs on a host with memory enough."""
    buffer_mib = with_buffers([{"snaplen": snaplen}], None)[0]["buffer_mib"]
    limits = Limits(None, None, None, None)
    vantage = Vantage("here", DEVICES[1], DEVICES[1], "tcpdump", "", "", snaplen, buffer_mib, None, None, limits, {})
    return Tool([*enter, *Tcpdump().argv(vantage, "FILE")[:-1]], Tcpdump().piped(vantage))


def pinned(cpu: int) -> list[str]:
    return ["taskset", "-c", str(cpu)]


def _rounds(tools: dict[str, Tool], load: Load, sender: list[str]) -> dict[str, list[tuple[int, int]]]:
    """Return what every tool found, round by round, so that a disk that is slow for a while is slow for all of them."""
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in tools}
    for _round in range(REPEATS):
        for name, tool in tools.items():
            os.sync()
            found[name].append(_trial(tool, load, sender))
    return found


def _trial(tool: Tool, load: Load, sender: list[str]) -> tuple[int, int]:
    """Return how many packets were sent and how many are in the file."""
    with tempfile.TemporaryDirectory(dir=load.folder) as folder, tempfile.TemporaryFile() as said:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "file.pcap")
        with capturing(tool, path, said) as capture:
            _wait_for(path, capture)
            words = [*sender, DEVICES[0], str(load.size), str(load.per_second), str(SECONDS)]
            sent = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]
            time.sleep(1)
        return int(sent), count(path)


@contextlib.contextmanager
def capturing(tool: Tool, path: str, said: t.IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Run *tool* into *path*, as the supervisor does; at the end everything is in the file."""
    if not tool.piped:
        with subprocess.Popen([*tool.argv, path], stdout=said, stderr=said) as capture:
            yield from _interrupted(capture)
        return
    command = [*WRITER, path, str(tool.piped)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, env=ENVIRONMENT) as writer,
        subprocess.Popen([*tool.argv, "-"], stdout=writer.stdin, stderr=said) as capture,
    ):
        t.cast("t.IO[bytes]", writer.stdin).close()
        yield from _interrupted(capture)


def _interrupted(capture: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield capture
    finally:
        capture.send_signal(signal.SIGINT)


def _wait_for(path: str, capture: subprocess.Popen[bytes]) -> None:
    """Wait for the file, which is made once the device is open; its header may be written much later."""
    deadline = time.monotonic() + 10
    while not os.path.exists(path):
        if capture.poll() is not None or time.monotonic() > deadline:
            raise Failed(f"{' '.join(map(str, capture.args))} did not start")  # type: ignore[arg-type]
        time.sleep(0.05)
    time.sleep(0.7)


def count(path: str) -> int:
    walker = Walker()
    with open(path, "rb") as file:
        while block := file.read(4 << 20):
            walker.feed(block)
    found = walker.summary()
    if found.status not in ("ok", "empty", "truncated"):
        raise Failed(f"a capture cannot be read: {found.reason}")
    return found.packets


@contextlib.contextmanager
def namespace() -> Iterator[list[str]]:
    """Yield the words that run a command in a network of its own, with a veth pair in it."""
    with subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL) as holder:
        try:
            time.sleep(0.3)
            enter = ["nsenter", "-t", str(holder.pid), "--net", "--"]
            done = subprocess.run([*enter, "sh", "-e", "-c", SETUP.format(*DEVICES)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(f"no veth pair: {done.stderr.strip()} (this part needs root)")
            yield enter
        finally:
            holder.kill()
