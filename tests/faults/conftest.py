# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host to break: a network namespace with a veth pair, and sessions in it with a store of their own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
import typing as t
import uuid

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, ".cache", "tree"), ROOT]

from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle
from ansible_collections.wirefleet.capture.plugins.module_utils.session.folder import Folder
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import apply
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key

PROGRAMS = ("ip", "ethtool", "tcpdump", "dumpcap")
SENDER = """
import socket, sys, time
device, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((device, 0))
for number in range(count):
    link.send(b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + number.to_bytes(4, "big") + bytes(size - 18))
"""
SENDER_UNTIL = """
import socket, sys, time
device, until_ns = sys.argv[1], int(sys.argv[2])
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((device, 0))
sent = 0
while True:
    link.send(b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + sent.to_bytes(4, "big") + bytes(100))
    if time.time_ns() >= until_ns:
        break
    sent += 1
    time.sleep(0.002)
print(sent)
"""
GRO = Key("ethtool_feature", "v0", "rx-gro")


class Place:
    """A network namespace with v0 and v1, two ends of one cable."""

    def __init__(self) -> None:
        self.name = f"wf-faults-{uuid.uuid4().hex[:8]}"

    def ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.name, *words], check=True)

    def argv(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]

    def send(self, count: int = 100, size: int = 118, device: str = "v1") -> None:
        """Send frames of an experimental EtherType, which nothing else on the cable uses."""
        subprocess.run(self.argv(sys.executable, "-c", SENDER, device, str(count), str(size)), check=True)

    def send_until(self, moment_ns: int) -> int:
        """Send such frames one after the other, the last of them after *moment_ns*; return how many went before it."""
        argv = self.argv(sys.executable, "-c", SENDER_UNTIL, "v1", str(moment_ns))
        return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)

    def gro(self) -> bool:
        text = subprocess.run(self.argv("ethtool", "-k", "v0"), check=True, capture_output=True, text=True).stdout
        return "generic-receive-offload: on" in text


class Case:
    """One session: laid out as capture_session does, its supervisor started when asked."""

    def __init__(self, place: Place, root: str, changes: dict[str, t.Any]) -> None:
        self.place = place
        self.session = _session(changes)
        self.folder = Folder(os.path.join(root, self.session["campaign"]))
        self.bundle = ""
        self.process: subprocess.Popen[bytes] | None = None

    def lay_out(self) -> None:
        self.folder.make(Host(), (vantage["vantage_id"] for vantage in self.session["vantages"]))
        self.bundle = bundle.write(self.folder.path, bundle.build())

    def start(self, guarded: bool = False) -> None:
        """Start with the nearest window, which the supervisor sets when it runs: no machine is too slow for it."""
        self.lay_out()
        self.folder.write_json("session.json", self.session)
        words = ["run", self.folder.path, "now", *(["guarded"] if guarded else [])]
        self.process = subprocess.Popen(self.place.argv(sys.executable, self.bundle, *words), start_new_session=True)

    @property
    def t0_ns(self) -> int:
        """When the window opens; known once there is a heartbeat."""
        return t.cast("int", self.folder.read_json("session.json")["t0_ns"])

    def verb(self, verb: str, *words: str) -> int:
        return subprocess.run(self.place.argv(sys.executable, self.bundle, verb, self.folder.path, *words), check=False).returncode

    def wait_for(self, state: str) -> dict[str, t.Any]:
        """Return the heartbeat as soon as it says *state*."""
        return self.until(lambda: (beat := self.heartbeat()) and beat["state"] == state and beat, f"state {state}")

    def listening(self) -> dict[str, t.Any]:
        self.wait_for("capturing")
        return self.until(
            lambda: (beat := self.heartbeat()) and all(one["state"] == "listening" for one in beat["vantages"]) and beat,
            "every engine listening",
        )

    def heartbeat(self) -> t.Any:
        return self.folder.read_json("heartbeat.json")

    def has(self, packets: int) -> None:
        """Wait until the engine of the first vantage says that it has so many *packets*."""
        self.until(lambda: self.heartbeat()["vantages"][0]["packets"] == packets, f"{packets} packets")

    def stopped(self) -> dict[str, t.Any]:
        """End the window now and return the result."""
        assert self.verb("stop") == 0
        return self.result()

    def result(self) -> dict[str, t.Any]:
        return self.until(lambda: self.folder.read_json("result.json"), "a result")

    def until(self, question: t.Callable[[], t.Any], what: str, seconds: float = 120.0) -> t.Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = question()
            if answer:
                return answer
            time.sleep(0.05)
        raise AssertionError(f"no {what} within {seconds:g} s: {self.heartbeat()}")

    def packets(self, number: int = 0) -> int:
        """Count the packets in the files of a vantage with the tool that everyone has."""
        vantage = self.result()["vantages"][number]
        return sum(count_packets(self.folder.file(file["path"])) for file in vantage["files"])

    def engine_pids(self) -> list[int]:
        return [pid for pid, _started in self.heartbeat()["pids"]]

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.verb("stop")
            self.process.wait(60)


def count_packets(path: str) -> int:
    done = subprocess.run(["tcpdump", "-r", path, "--count"], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[0])


def _session(changes: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return a session whose window is longer than any test takes, which ends it."""
    vantage = {
        "vantage_id": "host__v0", "device": "v0", "capture_on": "v0", "engine": "tcpdump", "engine_reason": "asked for",
        "filter": "ether proto 0x88b5", "snaplen": 128, "buffer_mib": 8, "ring": None, "split": None, "limits": {},
    }  # fmt: skip
    vantages = [{**vantage, **more} for more in changes.pop("vantages", [{}])]
    return {
        "schema": 1, "campaign": f"20261123T101500Z-fault-{uuid.uuid4().hex[:6]}", "name": "fault", "host": "host",
        "t0_ns": 1, "duration_s": 600.0, "lead_s": 0.5, "limits": {}, "settings": [], "vantages": vantages, **changes,
    }  # fmt: skip


@pytest.fixture(autouse=True)
def _possible() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a network namespace and to capture")


@pytest.fixture
def place() -> t.Iterator[Place]:
    made = Place()
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
        for name in ("lo", "v0", "v1"):
            made.ip("link", "set", name, "up")
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=True)


@pytest.fixture
def root(tmp_path: t.Any) -> str:
    return str(tmp_path / "store")


@pytest.fixture
def case(place: Place, root: str) -> t.Iterator[t.Callable[..., Case]]:
    made: list[Case] = []

    def make(**changes: t.Any) -> Case:
        made.append(Case(place, root, changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def gro_on(place: Place, root: str) -> t.Callable[[Case], None]:
    """Change a setting for a case through its journal, in the namespace, as arming does."""

    def change(one: Case) -> None:
        script = (
            "import sys\n"
            f"from {apply.__module__} import apply\nfrom {Store.__module__} import Owner, Store\n"
            f"from {Host.__module__} import Host\nfrom {Key.__module__} import Key\n"
            "host = Host()\n"
            "apply(host, Store(host, sys.argv[1]), Owner(sys.argv[2], None, 'test'), {Key(*sys.argv[3:6]): True})\n"
        )
        words = [sys.executable, "-c", script, root, one.session["campaign"], *GRO]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(place.argv(*words), check=True, env=environment)
        assert place.gro()

    return change
