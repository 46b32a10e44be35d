# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The supervisor: runs one session on the host by the host's own clock and leaves the host as it was.

    python3 supervisor.pyz run|restore|stop|serve|guard|expire FOLDER
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import typing as t

from ..host import CommandMissing, Host
from ..settings.model import Refused
from . import indexing, recover, rpcap, serve
from .balancer import list_connections
from .capture import Capture
from .clock import read_clock
from .counters import read_counters
from .expiry import expire
from .folder import Folder, free_space
from .limits import floor_bytes, reached, together
from .outcome import describe, put_back
from .spec import INDEX, Session, nearest, parse_session
from .writer import write

if t.TYPE_CHECKING:
    from collections.abc import Iterator

TICK_S = 0.2
EAGER_TICK_S = 0.01
HEARTBEAT_S = 1.0
#: The kernel hands packets over in blocks that it holds back for up to a second, and an engine that is told to stop
#: forgets the block it has not got yet. So engines run on for this long after T1.
LINGER_S = 1.3
LOCK = "supervisor.lock"
FOREVER = float("inf")
#: Whoever looks whether we run holds our lock for an instant.
GLANCE_S = 2.0


class Supervisor:
    """One session from armed to done. One thread, which never waits for anything longer than a tick."""

    def __init__(self, host: Host, folder: Folder, session: Session) -> None:
        self.host = host
        self.folder = folder
        self.session = session
        self.captures = [Capture(vantage, folder) for vantage in session.vantages]
        self.state = "armed"
        self.error: str | None = None
        self.opened_ns: int | None = None
        self.closed_ns: int | None = None
        self.stop_reason: str | None = None
        self.asked = False
        self.guard: subprocess.Popen[bytes] | None = None
        self.guarded = False
        self._opened_boot = 0.0
        self._next_heartbeat = 0.0
        self._host_floor = floor_bytes(session.limits, free_space(folder.path)[1])

    def run(self) -> None:
        """Carry the session out; whatever happens, the engines are stopped, settings put back, the result written."""
        try:
            if time.time_ns() >= self.session.t0_ns:
                raise TooLate("the window had already begun when this host was armed: start the campaign again, later")
            self.beat()
            if self.wait_until(self.session.t0_ns - int(self.session.lead_s * 1e9), TICK_S):
                self.observe("before")
                self.start()
                if self.wait_until(self.session.t0_ns, EAGER_TICK_S):
                    self.open()
                    self.watch()
        except TooLate as problem:
            self.error = str(problem)
        except Exception as problem:
            self.error = f"the supervisor failed: {type(problem).__name__}: {problem}"
        finally:
            self.finish()

    def wait_until(self, moment_ns: int, tick: float) -> bool:
        """Wait for *moment_ns* of the wall clock, which may be stepped meanwhile; False when asked to stop."""
        while True:
            left = (moment_ns - time.time_ns()) / 1e9
            if left <= 0:
                return True
            self.tick()
            if self.end_reason():
                self.stop_reason = self.end_reason()
                return False
            time.sleep(max(0.0, min(tick, (moment_ns - time.time_ns()) / 1e9)))

    def start(self) -> None:
        for capture in self.captures:
            capture.start()

    def open(self) -> None:
        self.opened_ns = time.time_ns()
        self._opened_boot = time.clock_gettime(time.CLOCK_BOOTTIME) - (self.opened_ns - self.session.t0_ns) / 1e9
        self.state = "capturing"
        self.beat()

    @property
    def time_left(self) -> float:
        """Seconds to the end of the window; once it is open, on a clock that nobody can step."""
        if self.opened_ns is None:
            return (self.session.t1_ns - time.time_ns()) / 1e9
        return self.session.duration_s - (time.clock_gettime(time.CLOCK_BOOTTIME) - self._opened_boot)

    def watch(self) -> None:
        """Stay until the window ends or nobody captures any more."""
        while True:
            self.tick()
            self.apply_limits()
            self.stop_reason = self.end_reason() or ("time" if self.time_left <= 0 else None)
            if self.stop_reason or not any(capture.running for capture in self.captures):
                return
            time.sleep(max(0.0, min(TICK_S, self.time_left)))

    def tick(self) -> None:
        """Watch the engines. A service manager that asks us to end has told them too, so their end is no failure."""
        for capture in self.captures:
            if self.asked:
                capture.stop("asked")
            capture.tick()
            capture.prove_listening()
        if time.monotonic() >= self._next_heartbeat:
            self._next_heartbeat = time.monotonic() + HEARTBEAT_S
            self.beat()
            self.ask_numbers(all_of_them=True)
            self.watch_guard()

    def ask_numbers(self, all_of_them: bool) -> None:
        for capture in self.captures:
            if all_of_them or self.session.limits.packets or capture.vantage.limits.packets:
                capture.ask_numbers()

    def apply_limits(self) -> None:
        self.ask_numbers(all_of_them=False)
        for capture in self.captures:
            reason = reached(capture.vantage.limits, capture.progress())
            if reason:
                capture.stop(reason)

    def end_reason(self) -> str | None:
        """Return why the whole session must end now, if it must."""
        if self.asked or os.path.exists(self.folder.file("stop")):
            return "asked"
        if free_space(self.folder.path)[0] < self._host_floor:
            return "disk"
        return reached(self.session.limits, together([capture.progress() for capture in self.captures]))

    def finish(self) -> None:
        """Stop, count, put back, tell. Each step is taken whatever became of the one before."""
        self.closed_ns = time.time_ns() if self.opened_ns else None
        self.state = "stopping"
        for step in (self.linger, self.stop, self.name_files, lambda: self.observe("after"), self.folder.release_reserve):
            try:
                step()
            except Exception as problem:
                self.error = self.error or f"{type(problem).__name__}: {problem}"
        self.conclude()

    def linger(self) -> None:
        self.beat()
        until = time.monotonic() + LINGER_S
        while self.stop_reason in ("time", "asked") and self.opened_ns and time.monotonic() < until:
            self.tick()
            time.sleep(TICK_S)

    def stop(self) -> None:
        for capture in self.captures:
            capture.stop(self.stop_reason or "asked")
        while any(capture.running for capture in self.captures):
            self.tick()
            time.sleep(EAGER_TICK_S)

    def name_files(self) -> None:
        for capture in self.captures:
            capture.name_files()
            capture.version = engine_version(self.host, capture)

    def conclude(self) -> None:
        settings = put_back(self.host, self.folder, self.session)
        vantages = [describe(capture, self.session) for capture in self.captures]
        if not self.error and self.opened_ns and all(vantage["error"] for vantage in vantages):
            self.error = "no engine captured to the end of the window: " + "; ".join(str(vantage["error"]) for vantage in vantages)
        self.stop_reason = self.stop_reason or _common_reason(vantages)
        self.state = "failed" if self.error else "done"
        self.folder.write_json(
            "result.json",
            {
                "schema": 1,
                "campaign": self.session.campaign,
                "state": self.state,
                "error": self.error,
                "opened_ns": self.opened_ns,
                "closed_ns": self.closed_ns,
                "stop_reason": self.stop_reason,
                "vantages": vantages,
                "settings": settings,
            },
        )
        self.beat()

    def observe(self, when: str) -> None:
        """Write counters, clock and a balancer's connections of each vantage as they are *when* (before or after)."""
        clock = {**read_clock(self.host)._asdict(), "t_ns": time.time_ns()}
        for capture in self.captures:
            counters = {"t_ns": time.time_ns(), **read_counters(self.host, *watched(capture))}
            base = f"vantages/{capture.vantage.vantage_id}"
            self.folder.write_json(f"{base}/counters/{when}.json", counters)
            self.folder.write_json(f"{base}/clock/{when}.json", clock)
            connections = list_connections(self.host, capture.vantage, when)
            if connections:
                self.folder.write_json(f"{base}/state/connections-{when}.json", connections)

    def beat(self) -> None:
        """Write the heartbeat; a full disk is no reason to stop for, the limits are."""
        with contextlib.suppress(OSError):
            self.folder.write_json("heartbeat.json", self.heartbeat(), synced=False)

    def heartbeat(self) -> dict[str, t.Any]:
        return {
            "campaign": self.session.campaign,
            "state": self.state,
            "t_ns": time.time_ns(),
            "time_left_s": round(max(0.0, self.time_left), 3),
            "free_bytes": free_space(self.folder.path)[0],
            "opened_ns": self.opened_ns,
            "vantages": [_pulse(capture) for capture in self.captures],
            "pids": [identity for capture in self.captures for identity in capture.identities],
        }

    def watch_guard(self) -> None:
        """Where no service manager cleans up after us, a second process does; keep one alive."""
        if self.guarded and (self.guard is None or self.guard.poll() is not None):
            self.guard = subprocess.Popen(  # pylint: disable=ansible-bad-function
                [sys.executable, sys.argv[0], "guard", self.folder.path],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )


class TooLate(Exception):
    """The window has begun without us."""


def watched(capture: Capture) -> tuple[list[str], list[str]]:
    """Return the interfaces and RDMA ports whose counters tell whether *capture* was blind."""
    vantage = capture.vantage
    names = {name for name in (vantage.device, vantage.capture_on) if name}
    ports = {name for name in names if os.path.isdir("/sys/class/infiniband/" + name.partition(":")[0])}
    interfaces = names - ports
    for port in ports:
        interfaces.update(_names(f"/sys/class/infiniband/{port.partition(':')[0]}/device/net"))
    for name in interfaces:
        ports.update(_names(f"/sys/class/net/{name}/device/infiniband"))
    return sorted(interfaces), sorted(ports)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def engine_version(host: Host, capture: Capture) -> str | None:
    try:
        said = host.run(capture.engine.version_argv(capture.vantage), timeout=20)
    except Exception:
        return None
    return capture.engine.version(said.out + said.err)


def _pulse(capture: Capture) -> dict[str, t.Any]:
    stats, progress = capture.stats(), capture.progress()
    drops = [count for count in (stats.dropped_kernel, stats.dropped_interface) if count is not None]
    return {
        "vantage_id": capture.vantage.vantage_id,
        "state": capture.state,
        "packets": stats.captured,
        "bytes": progress.bytes,
        "drops": sum(drops) if drops else None,
        "ready_ns": capture.ready_ns,
    }


def _common_reason(vantages: list[dict[str, t.Any]]) -> str | None:
    reasons = {vantage["stop_reason"] for vantage in vantages}
    return next((reason for reason in ("device_gone", "engine_exit", "bytes", "packets") if reason in reasons), None)


@contextlib.contextmanager
def sole(folder: Folder, patience_s: float = 0.0) -> Iterator[bool]:
    """Hold the session's lock, which the kernel frees when its holder dies; yields whether we got it in time."""
    descriptor = os.open(folder.file(LOCK), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        yield _lock(descriptor, time.monotonic() + patience_s)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if until == FOREVER else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)


def run(folder: Folder, guarded: bool, now: bool = False) -> int:
    """Carry out the session of *folder*, in its own window or with *now* in the nearest; returns the exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with sole(folder, GLANCE_S) as alone:
        if not alone:
            return complain(f"another supervisor runs {folder.campaign} already")
        if folder.read_json("result.json"):
            return complain(f"{folder.campaign} has ended: a session runs once")
        data = folder.read_json("session.json") or {}
        if now:
            data = nearest(data, time.time_ns())
            folder.write_json("session.json", data)
        supervisor = Supervisor(Host(), folder, parse_session(data))
        supervisor.guarded = guarded
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: setattr(supervisor, "asked", True))
        supervisor.run()
    if supervisor.session.collect == INDEX:
        begin_index(supervisor.host, folder)
    return 1 if supervisor.error else 0


def begin_index(host: Host, folder: Folder) -> None:
    """Have the captures indexed now that everything is put back; whoever collects starts what could not be started."""
    with contextlib.suppress(Refused, CommandMissing, OSError):
        indexing.start(host, folder)


def clean_up(folder: Folder, wait: bool) -> int:
    """Put back what a supervisor left; with *wait*, be the guard that does so when it dies."""
    if wait:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with sole(folder, FOREVER if wait else GLANCE_S) as alone:
        if not alone:
            return complain(f"{folder.campaign} is still capturing: stop it first")
        return recover.recover(Host(), folder)


def request_stop(folder: Folder) -> int:
    os.close(os.open(folder.file("stop"), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
    return 0


def complain(sentence: str) -> int:
    sys.stderr.write(f"wirefleet: {sentence}\n")
    return 2


def main(argv: list[str]) -> int:
    """Carry out `VERB FOLDER`; returns the exit code.

    Two verbs are programs that captures run: `write FILE BYTES` takes an engine's packets from a pipe, and `rpcap` is an engine.
    """
    os.umask(0o077)
    if len(argv) == 3 and argv[0] == "write":
        return write(argv[1], int(argv[2]))
    if len(argv) == 7 and argv[0] == "rpcap":
        return rpcap.main(argv[1:])
    if len(argv) < 2 or not os.path.isdir(argv[1]):
        return complain("usage: supervisor.pyz run|restore|stop|serve|guard|expire FOLDER")
    folder = Folder(os.path.abspath(argv[1]))
    verbs: dict[str, t.Callable[[], int]] = {
        "run": lambda: run(folder, "guarded" in argv[2:], "now" in argv[2:]),
        "guard": lambda: clean_up(folder, wait=True),
        "restore": lambda: clean_up(folder, wait=False),
        "expire": lambda: expire(Host(), folder.path),
        "stop": lambda: request_stop(folder),
        "serve": lambda: serve.serve(folder, sys.stdin.buffer, sys.stdout.buffer),
    }
    verb = verbs.get(argv[0])
    return verb() if verb else complain(f"there is no verb {argv[0]!r}: use {', '.join(verbs)}")
