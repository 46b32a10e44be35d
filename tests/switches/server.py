# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that cannot run here, behind a real SSH server: prompts, modes and refusals around the models of models/."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import typing as t

import paramiko

if t.TYPE_CHECKING:
    from tests.switches.models.base import Device

USER, PASSWORD = "admin", "lab-Only-1"
BUSY = "Interface is busy with something else"
SAVES = ("write memory", "copy running-config startup-config", "save force")


class Vendor(t.NamedTuple):
    """What a vendor's command line is around its configuration mode. *answers* has what the connection plugins ask at first."""

    prompt: str = "{host}#"
    inside: str = "{host}({mode})#"
    enter: str = r"conf(igure)?( terminal)?"
    leave: str = r"end"
    reads: str = r"show (running-config|clock).*"
    #: What is done at the prompt outside configuration mode, and is no configuration.
    operations: str = r"(?!)"
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
        reads=r"display (current-configuration|packet-capture status).*",
        operations=r"packet-capture .*",
        quiet=r"screen-length disable|save force",
        invalid="% Unrecognized command found at '^' position.",
    ),
}


class Terminal:
    """One login."""

    def __init__(self, switch: FakeSwitch) -> None:
        self.switch, self.configuring = switch, False
        #: The line that waits for an answer.
        self.asking = ""

    def prompt(self) -> str:
        if self.asking:
            return self.switch.device.question
        vendor = self.switch.vendor
        shape = vendor.inside if self.configuring else vendor.prompt
        return shape.format(host=self.switch.host, mode=self.switch.device.mode)

    def type(self, line: str) -> str:
        """Return what the switch prints; raises EOFError where the connection is to break."""
        vendor, line = self.switch.vendor, " ".join(line.split())
        if self.configuring:
            return self._configure(line)
        if re.fullmatch(vendor.enter, line):
            self.configuring = True
            return ""
        if re.fullmatch(vendor.reads, line):
            return self.switch.device.show(line)
        if re.fullmatch(vendor.operations, line):
            return self.switch.operate(line)
        if not line or re.fullmatch(vendor.quiet, line):
            self.switch.saves += line in SAVES
            return ""
        return vendor.answers.get(line, vendor.invalid)

    def _configure(self, line: str) -> str:
        if self.asking:
            waiting, self.asking = self.asking, ""
            return self.switch.configure(waiting) if line in ("y", "Y") else ""
        if re.fullmatch(self.switch.device.asks, line):
            self.asking = line
            return ""
        if re.fullmatch(self.switch.vendor.leave, line) or (line in ("exit", "quit") and not self.switch.device.stack):
            self.configuring, self.switch.device.stack = False, []
            return ""
        return self.switch.configure(line)


class FakeSwitch(paramiko.ServerInterface):
    """A switch with state that outlives its logins. *typed* has every line that reached its configuration mode, and what is done outside it.

    A line with the word *busy* is refused with BUSY and no sign of an error; at the first with the word *breaks* the
    connection is cut before it is obeyed.
    """

    def __init__(self, system: str, host: str, device: Device, busy: str = "", breaks: str = "") -> None:
        self.vendor, self.host, self.device = VENDORS[system], host, device
        self.busy, self.breaks = busy, breaks
        self.typed: list[str] = []
        self.saves = 0

    def configure(self, line: str) -> str:
        self.typed.append(line)
        words = line.split()
        if self.breaks in words:
            self.breaks = ""
            raise EOFError
        return BUSY if self.busy in words else self.device.apply(line)

    def operate(self, line: str) -> str:
        self.typed.append(line)
        return BUSY if self.busy in line.split() else self.device.operate(line)

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
        channel.sendall("\r\n" + terminal.prompt())
        try:
            for line in _lines(channel):
                if not terminal.configuring and line.strip() in ("exit", "quit"):
                    break
                reply = terminal.type(line).strip("\n")
                said = f"{line}\n{reply}\n" if reply else f"{line}\n"
                channel.sendall(said.replace("\n", "\r\n") + terminal.prompt())
        except (EOFError, OSError):
            pass
        with contextlib.suppress(EOFError, OSError):
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

    def __enter__(self) -> Server:  # noqa: PYI034 - typing.Self is newer than Python 3.9
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
