# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all switches have in common whose sessions are made by programs on them: argument vectors, and JSON that programs print."""

from __future__ import annotations

import json
import shlex
import typing as t


class Box:
    """A switch that runs programs. Box(text) starts from the transcript that running() returns; each knows its own *reads*.

    apply(line) runs a program and returns its error, nothing when it is content. print(words) returns what a reading program
    prints, load(words, printed) takes that back.
    """

    def __init__(self, text: str = "") -> None:
        self.setup()
        line = ""
        for row in text.splitlines():
            if row.startswith("$ "):
                line = row[2:]
            elif row:
                self.load(shlex.split(line), row)

    def setup(self) -> None:
        """Make what the platform keeps."""

    def reads(self) -> list[str]:
        raise NotImplementedError

    def show(self, line: str) -> str:
        raise NotImplementedError

    def load(self, words: list[str], row: str) -> None:
        raise NotImplementedError

    def run(self, words: list[str]) -> str:
        raise NotImplementedError

    def apply(self, line: str) -> str:
        return "" if line == "end" else self.run(shlex.split(line))

    def running(self) -> str:
        return "".join(f"$ {line}\n{self.show(line)}\n" for line in self.reads())


def dumped(value: t.Any) -> str:
    return json.dumps(value, sort_keys=True)
