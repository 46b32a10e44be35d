# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that cannot run here, behind a real SSH server: prompts, modes and refusals around the models of models/."""

from __future__ import annotations

import re
import socket
import threading
import typing as t

import paramiko

if t.TYPE_CHECKING:
    from tests.switches.models.base import Device

USER, PASSWORD = "admin", "lab-Only-1"


class Vendor(t.NamedTuple):
    """What a vendor's command line is around its configuration mode. *answers* has what the connection plugins ask at first."""

    prompt: str = "{host}#"
    inside: str = "{host}({mode})#"
    enter: str = r"conf(igure)?( terminal)?"
    leave: str = r"end"
    reads: str = r"show running-config.*"
    quiet: str = r"terminal .*|write memory|copy running-config startup-config|disable|enable"
    invalid: str = "% Invalid input detected at '^' marker."
    answers: t.Mapping[str, str] = {}


VENDORS = {
    "ios": Vendor(answers={"show privilege": "Current privilege level is 15"}),
    "nxos": Vendor(prompt="{host}# ", inside="{host}({mode})# ", invalid="% Invalid command at '^' marker."),
    "eos": Vendor(invalid="% Invalid input"),
    "comware": Vendor(
        prompt="<{host}>",
        inside="[{host}-{mode}]",
        enter="system-view",
        leave="return",
        reads=r"display current-configuration.*",
        quiet=r"screen-length disable|save force",
        invalid="% Unrecognized command found at '^' position.",
    ),
}


class Terminal:
    """One login. Lines that begin with `lab` are for the double itself, see README.md."""

    def __init__(self, switch: FakeSwitch) -> None:
        self.switch, self.configuring = switch, False

    def prompt(self) -> str:
        vendor = self.switch.vendor
        shape = vendor.inside if self.configuring else vendor.prompt
        return shape.format(host=self.switch.host, mode=self.switch.device.mode)

    def type(self, line: str) -> str:
        """Return what the switch prints; raises EOFError where the connection is to break."""
        vendor, line = self.switch.vendor, " ".join(line.split())
        if line.startswith("lab "):
            return self.switch.control(*line.split(" ")[1:])
        if self.configuring:
            return self._configure(line)
        if re.fullmatch(vendor.enter, line):
            self.configuring = True
            return ""
        if re.fullmatch(vendor.reads, line):
            return self.switch.device.show(line)
        if not line or re.fullmatch(vendor.quiet, line):
            self.switch.note_save(line)
            return ""
        return vendor.answers.get(line, vendor.invalid)

    def _configure(self, line: str) -> str:
        if re.fullmatch(self.switch.vendor.leave, line) or (line in ("exit", "quit") and not self.switch.device.stack):
            self.configuring, self.switch.device.stack = False, []
            return ""
        return self.switch.configure(line)


class FakeSwitch(paramiko.ServerInterface):
    """A switch with state that outlives its logins. *typed* has every line that reached its configuration mode."""

    def __init__(self, system: str, host: str, device: Device) -> None:
        self.vendor, self.host, self.device = VENDORS[system], host, device
        self.typed: list[str] = []
        self.saves = 0
        self.refusal: tuple[str, str] | None = None
        self.breaks_at: str | None = None

    def configure(self, line: str) -> str:
        self.typed.append(line)
        if self.breaks_at and re.search(self.breaks_at, line):
            self.breaks_at = None
            raise EOFError
        if self.refusal and re.search(self.refusal[0], line):
            return self.refusal[1]
        return self.device.apply(line)

    def control(self, word: str, *words: str) -> str:
        """Do what the tests ask over the same connection as Ansible: refuse WORD TEXT, accept, break WORD, wait MINUTES, typed, saves."""
        if word == "refuse":
            self.refusal = (words[0], " ".join(words[1:]))
        elif word == "accept":
            self.refusal = None
        elif word == "break":
            self.breaks_at = words[0]
        elif word == "wait":
            self.device.elapse(int(words[0]))
        return {"typed": str(len(self.typed)), "saves": str(self.saves)}.get(word, "")

    def note_save(self, line: str) -> None:
        self.saves += bool(re.match(r"write|copy|save", line))

    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if (username, password) == (USER, PASSWORD) else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_pty_request(self, *_request: t.Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        threading.Thread(target=self._serve, args=(channel,), daemon=True).start()
        return True

    def _serve(self, channel: paramiko.Channel) -> None:
        terminal = Terminal(self)
        channel.sendall(terminal.prompt())
        try:
            for line in _lines(channel):
                if not terminal.configuring and line.strip() in ("exit", "quit"):
                    break
                reply = terminal.type(line).strip("\n")
                said = f"{line}\n{reply}\n" if reply else f"{line}\n"
                channel.sendall(said.replace("\n", "\r\n") + terminal.prompt())
        except (EOFError, OSError):
            pass
        channel.close()


def _lines(channel: paramiko.Channel) -> t.Iterator[str]:
    waiting = ""
    while data := channel.recv(4096):
        waiting += data.decode("utf-8", "replace")
        *whole, waiting = re.split(r"\r\n|\r|\n", waiting)
        yield from whole


class Server:
    """Listens on a free port of this machine for the logins of one switch. A context manager."""

    def __init__(self, switch: FakeSwitch) -> None:
        self.switch = switch
        self._key = paramiko.ECDSAKey.generate()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._transports: list[paramiko.Transport] = []

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_what: object) -> None:
        self._socket.close()
        for transport in self._transports:
            transport.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _address = self._socket.accept()
                transport = paramiko.Transport(client)
                transport.add_server_key(self._key)
                transport.start_server(server=self.switch, event=threading.Event())
            except (OSError, paramiko.SSHException):
                if self._socket.fileno() < 0:
                    return
            else:
                self._transports.append(transport)
