# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many mirrored packets a second can be received, decapsulated and written, beside captures that only write."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile
import time
import typing as t

from .decap import outer
from .loss import DEVICES, SENDER, count, namespace, pinned
from .measure import Failed, Table

if t.TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRAME = 300
SECONDS = 5
#: Packets a second to try; 0 is as many as one core sends.
RATES = (200_000, 330_000, 400_000, 0)
REPEATS = 2
BUFFER = ("-B", str(64 << 10))


class Way(t.NamedTuple):
    """A capture whose output the *second* command, if any, reads; FILE is what the last of them writes."""

    name: str
    first: Sequence[str]
    second: Sequence[str] = ()


def run() -> Table:
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    rows = []
    with namespace() as enter, tempfile.TemporaryDirectory() as folder:
        sender = os.path.join(folder, "sender")
        subprocess.run(["cc", "-O2", "-o", sender, str(SENDER)], check=True)
        for rate in RATES:
            for way in _ways(enter):
                trials = [_trial(way, [*enter, *pinned(0), sender], rate, memory) for _round in range(REPEATS)]
                rows.append(_row(way, rate, trials))
    columns = ("asked, kilopackets/s", "capture", "sent, kilopackets/s", "lost %, best", "lost %, worst")
    notes = [
        f"Frames of {FRAME} bytes within ERSPAN II; lost is what was sent and is not in the file, counted in the file; {REPEATS} rounds.",
        "Sender, capture and pcap-decap share two cores; the copy for the capture is made by the sender's.",
    ]
    how = f"A sender on one core, a capture at the other end of a veth pair, files in memory, {SECONDS} s each."
    return Table("live", how, columns, rows, notes)


def _ways(enter: list[str]) -> list[Way]:
    tcpdump = [*enter, "tcpdump", "-Z", "root", *BUFFER, "-i", DEVICES[1], "-w"]
    decap = [*pinned(1), str(ROOT / "scripts" / "pcap-decap"), "--quiet", "-", "FILE"]
    return [
        Way("tcpdump -B 65536 -w - into pcap-decap", [*pinned(1), *tcpdump, "-"], decap),
        Way("tcpdump -B 65536 -w, mirrored packets as they are", [*pinned(1), *tcpdump, "FILE"]),
        Way(
            "dumpcap -B 64, mirrored packets as they are",
            [*enter, *pinned(1), "dumpcap", "-q", "-P", "-B", "64", "-i", DEVICES[1], "-w", "FILE"],
        ),
    ]


def _trial(way: Way, sender: list[str], rate: int, memory: str) -> tuple[int, int]:
    """Return how many packets were sent and how many are in the file."""
    with tempfile.TemporaryDirectory(dir=memory) as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "file.pcap")
        first = _start(stack, way.first, path, subprocess.PIPE if way.second else subprocess.DEVNULL)
        last = _start(stack, way.second, path, subprocess.DEVNULL, first.stdout) if way.second else first
        if first.stdout:
            first.stdout.close()
        time.sleep(1.5)
        words = [*sender, DEVICES[0], str(FRAME + 50), str(rate), str(SECONDS), outer(FRAME, 1).hex()]
        sent = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]
        time.sleep(1)
        first.send_signal(signal.SIGINT)
        if first.wait(60) or last.wait(60):
            raise Failed(f"{way.name} ended with {first.returncode} and {last.returncode}")
        return int(sent), count(path)


def _start(
    stack: contextlib.ExitStack, words: Sequence[str], path: str, out: int, source: t.Any = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    argv = [word.replace("FILE", path) for word in words]
    return stack.enter_context(subprocess.Popen(argv, stdin=source, stdout=out, stderr=subprocess.DEVNULL))


def _row(way: Way, rate: int, trials: list[tuple[int, int]]) -> tuple[str, ...]:
    lost = [100 * (sent - found) / sent for sent, found in trials]
    sent = sum(sent for sent, _found in trials) / len(trials) / SECONDS / 1000
    return (f"{rate // 1000}" if rate else "all one core sends", way.name, f"{sent:.0f}", f"{min(lost):.3f}", f"{max(lost):.3f}")
