# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of recordings: files, links and what commands printed, answered as the host they were taken from would."""

from __future__ import annotations

import shlex
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.host import CommandMissing, Host, Result

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Recorded(Host):
    """*said* maps a command line to (exit code, stdout, stderr); a program that is in no command line is not installed."""

    def __init__(
        self,
        files: Mapping[str, str] | None = None,
        said: Mapping[str, tuple[int, str, str]] | None = None,
        links: Mapping[str, str] | None = None,
    ) -> None:
        self.files, self.said, self.links = dict(files or {}), dict(said or {}), dict(links or {})
        self.ran: list[str] = []

    def run(self, argv: Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        if self.which(argv[0]) is None:
            raise CommandMissing(argv[0])
        command = shlex.join(argv)
        self.ran.append(command)
        return Result(list(argv), *self.said[command])

    def which(self, program: str) -> str | None:
        return f"/usr/bin/{program}" if any(shlex.split(command)[0] == program for command in self.said) else None

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return path in self.files or path in self.links or bool(self.names(path))

    def names(self, path: str) -> list[str]:
        inside = [known[len(path) + 1 :] for known in (*self.files, *self.links) if known.startswith(path + "/")]
        return sorted({name.partition("/")[0] for name in inside})

    def target(self, path: str) -> str | None:
        return self.links.get(path)

    def write(self, path: str, text: str | bytes, mode: int = 0o600) -> None:
        self.files[path] = text if isinstance(text, str) else text.decode()

    def remove(self, path: str) -> bool:
        return self.files.pop(path, None) is not None
