# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One vantage while it is captured: the tool's process, the proof that it listens, its numbers, its end."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import typing as t

from ..host import SEARCH_PATH, Host
from ..settings.dpvs_link import netns_path
from ..settings.dpvs_running import memzones
from .dpdk import occupied
from .engines.registry import engine_named
from .limits import Progress
from .netns import Interfaces
from .stamps import mend

if t.TYPE_CHECKING:
    from .engines.base import Stats
    from .folder import Folder
    from .spec import Vantage

_HEAD = 16384
#: (seconds after the first SIGINT, signal)
_ESCALATION = ((5.0, signal.SIGINT), (10.0, signal.SIGTERM), (20.0, signal.SIGKILL))
_GIVE_UP_S = 30.0
_LOOK_S = 0.1
_PR_SET_PDEATHSIG = 1


class Capture:
    """Starts, watches and stops the engine of one vantage. Never blocks."""

    def __init__(self, vantage: Vantage, folder: Folder) -> None:
        self.vantage = vantage
        self.engine = engine_named(vantage.engine)
        self.folder = folder
        self.log = os.path.join(folder.part(vantage.vantage_id, "log"), "engine.log")
        self.raw = folder.part(vantage.vantage_id, "raw")
        self.short = short_folder(self.raw) if self.engine.longest_path else None
        self._next_look = 0.0
        self.path = os.path.join(self.short or self.raw, "0001." + self.engine.suffix)
        self.piped = self.engine.piped(vantage)
        self.argv = self.engine.argv(vantage, "-" if self.piped else self.path)
        self.writer: subprocess.Popen[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.version: str | None = None
        self.ready_ns: int | None = None
        self.stopped_ns: int | None = None
        self.stop_reason: str | None = None
        self.error: str | None = None
        self.ifindex = device_index(vantage)
        self._stopping_since: float | None = None
        self._drains_since: float | None = None
        self._signals_sent = 0

    def start(self) -> None:
        """Start the engine; what prevents it becomes the vantage's error."""
        wrong = occupied(Host(), self._zones(), "process") if self.engine.on_process else None
        if wrong:
            self._end("engine_exit", wrong)
            return
        try:
            if self.short:
                link(self.short, self.raw)
            with open(self.log, "ab", opener=_private) as log:
                self.process = self._start(log)
        except OSError as error:
            self._end("engine_exit", f"{self.argv[0]} could not be started: {error.strerror}")
        finally:
            # The writer ends when the last one closes the pipe, and that has to be the engine.
            if self.writer and self.writer.stdin:
                self.writer.stdin.close()

    def _start(self, log: t.IO[bytes]) -> subprocess.Popen[bytes]:
        if self.piped:
            self.writer = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [sys.executable, sys.argv[0], "write", self.path, str(self.piped)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=self.writer.stdin if self.writer else log,
            stderr=log,
            cwd=self.raw,
            env=engine_environment(),
            preexec_fn=_as_engine,  # noqa: PLW1509 - the supervisor has one thread
            start_new_session=True,
        )

    @property
    def identities(self) -> list[tuple[int, int]]:
        """Return what tells the engine's process and its writer's from any other, for whoever must stop them after us."""
        mine = [process.pid for process in (self.process, self.writer) if process] if self.running else []
        return [(pid, started) for pid, started in zip(mine, map(start_time, mine)) if started is not None]

    @property
    def running(self) -> bool:
        return self.process is not None and self.stopped_ns is None

    @property
    def state(self) -> str:
        if self.process is None:
            return "failed" if self.error else "armed"
        if self.stopped_ns is not None:
            return "failed" if self.stop_reason in ("engine_exit", "device_gone") else "done"
        if self._stopping_since is not None:
            return "stopping"
        return "listening" if self.ready_ns else "starting"

    def prove_listening(self) -> None:
        """Note the moment when the engine says that it listens and, on an interface, the kernel says so too."""
        if self.ready_ns or not self.running or not self.engine.ready(self.text()):
            return
        if self.engine.on_process:
            self.ready_ns = time.time_ns() if self._look() else None
        elif self.engine.on_rdma or self.engine.remote or _has_packet_socket(t.cast("subprocess.Popen[bytes]", self.process).pid, self.ifindex):
            self.ready_ns = time.time_ns()

    def _look(self) -> bool:
        """Look for the engine's marker, but not with every tick: that asks for each memory zone there is."""
        if time.monotonic() < self._next_look:
            return False
        self._next_look = time.monotonic() + _LOOK_S
        return self.engine.marker(t.cast("subprocess.Popen[bytes]", self.process).pid) in self._zones()

    def _zones(self) -> list[str]:
        """Return the memory zones of the process that is captured, none where it does not say."""
        try:
            return memzones(Host(), self.vantage.process["prefix"]) or []
        except (OSError, ValueError):
            return []

    def text(self, tail: bool = False) -> str:
        """Return the beginning or, of a long one, the *tail* of what the engine said."""
        try:
            with open(self.log, "rb") as handle:
                if tail:
                    handle.seek(max(0, os.fstat(handle.fileno()).st_size - _HEAD))
                return handle.read(_HEAD).decode("utf-8", "replace")
        except OSError:
            return ""

    def ask_numbers(self) -> None:
        """Have the engine say its numbers. Not before it listens: until then the signal would end it."""
        if self.running and self.ready_ns and self.engine.live_signal and self._stopping_since is None:
            self._send(self.engine.live_signal)

    def progress(self) -> Progress:
        size = sum(size for _name, size in self.folder.raw_files(self.vantage.vantage_id))
        return Progress(size, self.stats().captured)

    def stats(self) -> Stats:
        return self.engine.statistics(self.text(tail=True))

    def stop(self, reason: str) -> None:
        """Ask the engine to end and flush; tick() insists."""
        if not self.running or self._stopping_since is not None:
            return
        self.stop_reason = reason
        self._stopping_since = time.monotonic()
        self._send(signal.SIGINT)

    def tick(self) -> None:
        """Notice an engine or device that is gone, and insist where one was asked to stop."""
        if not self.running:
            return
        process = t.cast("subprocess.Popen[bytes]", self.process)
        if process.poll() is not None and self._writes_still():
            self._wait_for_writer()
        elif process.poll() is not None:
            asked = self._stopping_since is not None and not (self.writer and self.writer.returncode)
            self._end(self.stop_reason) if asked else self._ended_itself()
        elif self._stopping_since is not None:
            self._insist(time.monotonic() - self._stopping_since)
        elif not self._device_is_there():
            self.error = f"{self.vantage.capture_on} disappeared"
            self.stop("device_gone")

    def _writes_still(self) -> bool:
        return self.writer is not None and self.writer.poll() is None

    def _wait_for_writer(self) -> None:
        """The engine is gone; what it handed over goes to the disk, which may take a while."""
        self._drains_since = self._drains_since or time.monotonic()
        if time.monotonic() - self._drains_since > _GIVE_UP_S:
            self._end(self.stop_reason or "engine_exit", f"what {self.engine.name} captured was not on the disk after {_GIVE_UP_S:g} s")

    def _ended_itself(self) -> None:
        if not self._device_is_there():
            self._end("device_gone", f"{self.vantage.capture_on} disappeared")
        else:
            words = self.text(tail=True).strip().splitlines()
            names = tuple(f"{name}:" for name in (self.argv[0], self.engine.name, *self.engine.programs, "writer"))
            said = next((line for line in words if line.startswith(names) and "listening" not in line), "")
            self._end("engine_exit", f"{self.engine.name} ended by itself: {self.engine.explain(self.text(tail=True)) or said or self._how()}")

    def _how(self) -> str:
        code = t.cast("subprocess.Popen[bytes]", self.process).returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _device_is_there(self) -> bool:
        return device_index(self.vantage) == self.ifindex

    def _insist(self, waited: float) -> None:
        steps = [step for step in _ESCALATION if step[1] != signal.SIGKILL or self.engine.killable]
        if waited > _GIVE_UP_S:
            self._end(self.stop_reason, f"{self.engine.name} did not end within {_GIVE_UP_S:g} s and still runs")
        elif self._signals_sent < len(steps) and waited >= steps[self._signals_sent][0]:
            self._send(steps[self._signals_sent][1])
            self._signals_sent += 1

    def _end(self, reason: str | None, error: str | None = None) -> None:
        self.stopped_ns = time.time_ns()
        self.stop_reason = reason
        self.error = error or self.error
        if self.short:
            with contextlib.suppress(OSError):
                os.unlink(self.short)

    def _send(self, which: signal.Signals) -> None:
        try:
            t.cast("subprocess.Popen[bytes]", self.process).send_signal(which)
        except ProcessLookupError:
            pass

    def name_files(self) -> None:
        """Give the files their final names, 0001 upwards in the order in which they were written, and their true precision."""
        files = self.folder.raw_files(self.vantage.vantage_id)
        for name, _size in files if self.engine.mistaken_stamps else ():
            mend(os.path.join(self.raw, name))
        for step in ("renaming-{:04d}", "{:04d}"):
            files = [(self._rename(name, step.format(number)), size) for number, (name, size) in enumerate(files, 1)]

    def _rename(self, name: str, stem: str) -> str:
        final = f"{stem}.{self.engine.suffix}"
        os.rename(os.path.join(self.raw, name), os.path.join(self.raw, final))
        return final


def device_index(vantage: Vantage) -> int | None:
    """Return what changes when the device is replaced by another of its name: its index; None where it is absent.

    "any" is every interface and has the index 0, as has what is no device of this host.
    """
    name, engine = vantage.capture_on, engine_named(vantage.engine)
    if engine.on_process:
        return start_time(vantage.process["pid"])
    if engine.on_dpvs:
        return _index_in(netns_path(vantage.dpvs["netns"]) if vantage.dpvs["netns"] else "", name)
    if engine.on_rdma:
        return 0 if os.path.isdir("/sys/class/infiniband/" + name.partition(":")[0]) else None
    if name == "any" or engine.remote:
        return 0
    try:
        return socket.if_nametoindex(name)
    except OSError:
        return None


def short_folder(folder: str) -> str:
    """Return a path of 31 characters for *folder*, which a link leads to it."""
    return f"/run/wirefleet-raw-{hashlib.sha256(folder.encode()).hexdigest()[:12]}"


def link(path: str, target: str) -> None:
    """Have the link *path* lead to *target*, whatever an earlier run left there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.symlink(target, path)


@functools.cache
def _interfaces(path: str) -> Interfaces:
    return Interfaces(path)


def _index_in(path: str, name: str) -> int | None:
    """Return the index of *name* in the namespace at *path*, which is gone with its last process."""
    try:
        return _interfaces(path).index(name)
    except OSError:
        return None


def packet_sockets(text: str) -> dict[str, int]:
    """Return {inode: interface index} of the running sockets in /proc/net/packet."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[8]: int(row[4]) for row in rows if len(row) > 8 and row[5] == "1"}


def start_time(pid: int) -> int | None:
    """Return when *pid* began, in clock ticks since boot, which tells it from a later process of its number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as handle:
            return parse_start_time(handle.read())
    except OSError:
        return None


def parse_start_time(text: str) -> int | None:
    """Return field 22 of /proc/PID/stat, or None for a zombie; a program's name may hold spaces and brackets."""
    fields = text.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def _has_packet_socket(pid: int, ifindex: int | None) -> bool:
    try:
        # The engine's own, since it may be in another network namespace.
        with open(f"/proc/{pid}/net/packet", encoding="ascii") as handle:
            sockets = packet_sockets(handle.read())
        names = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return False
    inodes = re.findall(r"socket:\[(\d+)\]", " ".join(names))
    return any(sockets.get(inode) == ifindex for inode in inodes)


def engine_environment() -> dict[str, str]:
    """Return the environment of an engine: tcpdump's %s in a file's name must not depend on a time zone."""
    return {"PATH": os.environ.get("PATH", "") + ":" + SEARCH_PATH, "LC_ALL": "C", "TZ": "UTC"}


def _as_engine() -> None:
    """Runs in the child: no engine outlives a supervisor that was killed, nor ignores SIGINT because that one was begun by nohup."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
