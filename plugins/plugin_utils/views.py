# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the command lines of Comware and VRP share, which both have a user view <name> and a system view [name]."""

from __future__ import annotations

import json
import re
import typing as t

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.cliconf import CliconfBase
from ansible.plugins.terminal import TerminalBase

#: <name> or [name], which VRP marks with * or ~, at the beginning of a line; a question such as [Y/N]: ends otherwise.
PROMPT = re.compile(rb"(?:^|[\r\n])(?:<[\w.:+/-]{1,64}>|\[[~*]?(?![YN]/[YN])[\w.:+/-]{1,128}\]) ?$")


class ViewTerminal(TerminalBase):
    """*no_paging* is what stops the terminal from waiting at the end of a page."""

    terminal_stdout_re = [PROMPT]
    terminal_stderr_re: t.ClassVar[list[re.Pattern[bytes]]]
    no_paging: t.ClassVar[bytes]

    def on_open_shell(self) -> None:
        try:
            self._exec_cli_command(self.no_paging)
        except AnsibleConnectionFailure as error:
            raise AnsibleConnectionFailure(f"the switch does not take {self.no_paging.decode()!r}: {error}") from error


class ViewCliconf(CliconfBase):
    """A network_cli command line; *system* is what it answers to, *config* prints the configuration, *save* stores it."""

    system: t.ClassVar[str]
    config: t.ClassVar[dict[str, str]]
    version: t.ClassVar[re.Pattern[str]]
    model: t.ClassVar[re.Pattern[str]]

    def get_config(self, source: str = "running", flags: list[str] | None = None, format: str | None = None) -> str:
        if source not in self.config or format:
            raise ValueError(f"{self.system} has the configurations {', '.join(self.config)}, as text only")
        return self.send_command(" ".join([self.config[source], *(flags or [])]))

    def edit_config(
        self, candidate: t.Any = None, commit: bool = True, replace: str | None = None, diff: bool = False, comment: str | None = None
    ) -> dict[str, t.Any]:
        if not commit or replace:
            raise ValueError(f"{self.system} can neither try a configuration nor replace it by this way")
        lines = candidate if isinstance(candidate, list) else str(candidate or "").splitlines()
        self.send_command("system-view")
        replies = [self._typed(line) for line in lines]
        self.finish()
        return {"request": lines, "response": replies}

    def _typed(self, line: t.Any) -> str:
        return self.send_command(**line) if isinstance(line, dict) else self.send_command(line)

    def finish(self) -> None:
        """Leave the system view with what was typed in force."""
        self.send_command("return")

    def get(
        self,
        command: str | None = None,
        prompt: t.Any = None,
        answer: t.Any = None,
        sendonly: bool = False,
        newline: bool = True,
        output: str | None = None,
        check_all: bool = False,
    ) -> str:
        if not command or output:
            raise ValueError(f"{self.system} needs a command, and answers with text only")
        return self.send_command(command, prompt=prompt, answer=answer, sendonly=sendonly, newline=newline, check_all=check_all)

    def get_device_info(self) -> dict[str, str]:
        said = self.send_command("display version")
        found = {"network_os_version": self.version.search(said), "network_os_model": self.model.search(said)}
        return {"network_os": self.system, **{name: match[1] for name, match in found.items() if match}}

    def get_device_operations(self) -> dict[str, bool]:
        return {"supports_commit": False, "supports_rollback": False, "supports_diff_replace": False, "supports_onbox_diff": False}

    def get_capabilities(self) -> str:
        return json.dumps({
            "rpc": self.get_base_rpc(),
            "network_api": "cliconf",
            "device_info": self.get_device_info(),
            "device_operations": self.get_device_operations(),
        })  # fmt: skip

    def set_cli_prompt_context(self) -> None:
        """Be in the user view at the beginning of a task, whatever an earlier one left behind."""
        prompt = self._connection.get_prompt() if self._connection.connected else b""
        if bytes(prompt or b"").strip().endswith(b"]"):
            self.abandon()

    def abandon(self) -> None:
        self.send_command("return")
