# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cumulus: NVUE's tree of port mirrors, applied and pending. Below these words `nv set` adds to a set, elsewhere it replaces."""

from __future__ import annotations

import copy
import json
import typing as t

from .box import Box, dumped

APPLIED = "nv show system port-mirror session --applied -o json"
PENDING = "nv config diff -o commands"
SETS = ("source-port", "destination", "dest-ip", "source-ip")


class Nvue(Box):
    def setup(self) -> None:
        self.applied: dict[str, t.Any] = {}
        self.commands: list[list[str]] = []

    def reads(self) -> list[str]:
        return [APPLIED, PENDING]

    def show(self, line: str) -> str:
        return dumped(self.applied) if line == APPLIED else "\n".join(" ".join(words) for words in self.commands)

    def load(self, words: list[str], row: str) -> None:
        if words[1] == "show":
            self.applied = json.loads(row)
        else:
            self.commands.append(row.split())

    def run(self, words: list[str]) -> str:
        if words == ["nv", "config", "apply", "-y"]:
            self.applied, self.commands = self.tree(), []
            return ""
        if words[:2] not in (["nv", "set"], ["nv", "unset"]) or words[2:5] != ["system", "port-mirror", "session"] or len(words) < 6:
            return f"Error: {words}"
        self.commands.append(words)
        return ""

    def tree(self) -> dict[str, t.Any]:
        """Return what would be applied."""
        tree = copy.deepcopy(self.applied)
        for words in self.commands:
            path = words[5:]
            if words[1] == "unset":
                self.unset(tree, path)
            else:
                self.set(tree, path)
        return tree

    def unset(self, tree: dict[str, t.Any], path: list[str]) -> None:
        for word in path[:-1]:
            tree = tree.get(word, {})
        tree.pop(path[-1], None)

    def set(self, tree: dict[str, t.Any], path: list[str]) -> None:
        *way, last = path
        for word in way[:-1]:
            tree = tree.setdefault(word, {})
        if way[-1] in SETS:
            tree.setdefault(way[-1], {})[last] = {}
        else:
            tree[way[-1]] = int(last) if last.isdigit() else last
