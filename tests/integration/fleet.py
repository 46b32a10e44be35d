# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab fleet as tests use it: Ansible as a user runs it, and a look at the hosts behind Ansible's back."""

from __future__ import annotations

import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import typing as t

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
#: When the window of a campaign opens that has switches make sessions first, one after the other: far enough away to ask and arm hosts
#: on a machine that has several other things to do.
SOON_WITH_SWITCHES = "+45s"
#: Seconds after which a command on the lab has hung, whatever else the machine does. The longest takes a tenth of it.
HUNG = 600
#: The module, and its arguments, that put back what no campaign changed.
RESTORED = "capture_session", {"campaign": "standing", "state": "restored"}


class Fleet:
    """One lab instance of its own, up from the first use to the end of the tests; or *lab*, which is up and stays so."""

    def __init__(self, name: str, lab: str | None = None) -> None:
        self.lab = lab or f"it-{name}-{os.getpid()}"
        self._ours = lab is None
        if self._ours:
            self.up = subprocess.run(self._verb("up", name), cwd=ROOT, capture_output=True, text=True, check=False)
            if self.up.returncode:
                raise RuntimeError(self.up.stderr)
        self.inventory = subprocess.run(self._verb("inventory"), cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    def _verb(self, verb: str, *words: str) -> list[str]:
        return [sys.executable, "-m", "tests.lab", verb, "--lab", self.lab, *words]

    def down(self) -> None:
        if self._ours:
            subprocess.run(self._verb("down"), cwd=ROOT, capture_output=True, check=False)

    def inside(self, *argv: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a command inside the lab's network."""
        return subprocess.run(
            self._verb("exec", "--", "env", f"PATH={BIN}:{os.environ['PATH']}", *argv),
            cwd=ROOT, capture_output=True, text=True, check=False, **{"timeout": HUNG, **options},
        )  # fmt: skip

    def start(self, *argv: str, **options: t.Any) -> subprocess.Popen[str]:
        """Start a command inside the lab's network, in a process group of its own."""
        words = self._verb("exec", "--", "env", f"PATH={BIN}:{os.environ['PATH']}", *argv)
        ends = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        return subprocess.Popen(words, cwd=ROOT, text=True, start_new_session=True, **ends)

    def playbook_words(self, name: str, *words: str) -> list[str]:
        return ["ansible-playbook", "-i", self.inventory, f"playbooks/{name}", *words]

    def playbook(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a shipped playbook and return what it printed on stdout."""
        return self.inside(*self.playbook_words(name, *words))

    def module(self, host: str, name: str, arguments: dict[str, t.Any], check: bool = False, **extra: t.Any) -> dict[str, t.Any]:
        """Run one module of the collection on *host* and return its result, of a failure too."""
        return self.modules(host, name, arguments, check, **extra)[host]

    def modules(self, pattern: str, name: str, arguments: dict[str, t.Any], check: bool = False, **extra: t.Any) -> dict[str, t.Any]:
        """Run one module on the hosts of *pattern* at once and return their results by host, of failures too."""
        with tempfile.TemporaryDirectory() as folder:
            argv = ["ansible", "-i", self.inventory, pattern, "-m", f"wirefleet.capture.{name}", "-t", folder]
            argv += ["-a", json.dumps(arguments)] if arguments else []
            argv += ["-e", json.dumps(extra)] if extra else []
            done = self.inside(*argv, *(["--check", "--diff"] if check else []))
            results = {path.name: json.loads(path.read_text()) for path in pathlib.Path(folder).iterdir()}
            if not results:
                raise RuntimeError(done.stdout + done.stderr)
            return results

    def sequence(self, host: str, *calls: tuple[str, dict[str, t.Any]], check: bool = False) -> list[dict[str, t.Any]]:
        """Run modules of the collection, (name, arguments) each, one after the other on *host* and return their results, of failures too.

        With *check* nothing is changed, and the results have what --diff shows.
        """
        return self.sequences(host, *calls, check=check)[host]

    def sequences(self, pattern: str, *calls: tuple[str, dict[str, t.Any]], check: bool = False) -> dict[str, list[dict[str, t.Any]]]:
        """Do so on the hosts of *pattern* at once and return their results by host."""
        with tempfile.TemporaryDirectory() as folder:
            tasks: list[dict[str, t.Any]] = [
                {f"wirefleet.capture.{name}": arguments, "register": f"result_{number}", "ignore_errors": True}
                for number, (name, arguments) in enumerate(calls)
            ]
            results = ", ".join(f"result_{number}" for number in range(len(calls)))
            keep = {"content": f"{{{{ [{results}] | to_json }}}}", "dest": f"{folder}/{{{{ inventory_hostname }}}}.json", "mode": "0600"}
            tasks.append({"ansible.builtin.copy": keep, "delegate_to": "localhost", "check_mode": False, "diff": False})
            play = pathlib.Path(folder, "play.yml")
            play.write_text(json.dumps([{"hosts": pattern, "gather_facts": False, "tasks": tasks}]))
            done = self.inside("ansible-playbook", "-i", self.inventory, str(play), *(["--check", "--diff"] if check else []))
            found = {path.stem: json.loads(path.read_text()) for path in pathlib.Path(folder).glob("*.json")}
            if not found:
                raise RuntimeError(done.stdout + done.stderr)
            return found

    def set_clocks(self) -> None:
        """Set the clocks of hosts that have one of their own, which lose time while the machine is busy."""
        subprocess.run(self._verb("clocks"), cwd=ROOT, check=True)

    def soon(self, logins: int = 12) -> str:
        """Return when a campaign's window is to open: far enough away to ask and arm the hosts first, which takes less than *logins* do."""
        return "+" + self.lasting(22, logins)

    def lasting(self, seconds: float, logins: int) -> str:
        """Return *seconds* and the time that so many *logins* take now, which says how much the machine has to do, as a campaign says it."""
        host = next(iter(json.loads(pathlib.Path(self.inventory).read_text())["all"]["children"]["fleet"]["hosts"]))
        begun = time.monotonic()
        self.ssh(host, "true")
        return f"{seconds + logins * (time.monotonic() - begun):.0f}s"

    def power_cycle(self, host: str) -> None:
        """Press a guest's reset button and return when it answers again."""
        subprocess.run(self._verb("power-cycle", host), cwd=ROOT, check=True)

    def ssh(self, host: str, command: str, check: bool = True, text: str = "") -> str:
        """Return what *command* prints on *host*, given *text*, asked over ssh, not through Ansible."""
        done = subprocess.run(
            self._verb("ssh", host, command), cwd=ROOT, input=text, capture_output=True, text=True, check=False, timeout=HUNG
        )
        if check and done.returncode:
            raise RuntimeError(f"{host}: {command}: {done.stderr or done.stdout}")
        return done.stdout.strip()

    def put(self, host: str, *files: pathlib.Path, folder: str = "/var/tmp") -> None:
        """Copy *files* into *folder* of *host*."""
        for file in files:
            words = self._verb("ssh", host, f"mkdir -p {folder} && cat > {folder}/{file.name}")
            subprocess.run(words, cwd=ROOT, input=file.read_bytes(), check=True, timeout=HUNG)


def frames(data: bytes) -> list[bytes]:
    """Return the packets of a pcap file as this machine's tcpdump writes it."""
    found, at = [], 24
    while at < len(data):
        size = struct.unpack_from("<I", data, at + 8)[0]
        found.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    return found


def wait_until(what: t.Callable[[], t.Any], seconds: float, why: str) -> t.Any:
    """Return the first true answer of *what*; fail with *why* when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {why}")
        time.sleep(0.2)
