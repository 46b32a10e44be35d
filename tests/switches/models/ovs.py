# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open vSwitch: transactions of ovs-vsctl on the tables that matter to a mirror, and what they look like in JSON."""

from __future__ import annotations

import copy
import json
import typing as t
import uuid

from .box import Box, dumped

READ = (
    "ovs-vsctl --timeout=10 --format=json -- --columns=name,mirrors list Bridge -- list Mirror"
    " -- --columns=_uuid,name,interfaces list Port -- --columns=_uuid,name,type,options,error list Interface"
)
TABLES = ("Bridge", "Mirror", "Port", "Interface")
BRIDGES = ("br0", "br-int")
PORTS = (*(f"swp{port}" for port in range(1, 11)), "eth0.5", "vnet0")
SETS = ("mirrors", "select_src_port", "select_dst_port", "select_vlan", "output_port", "output_vlan", "snaplen", "error")
MIRROR: dict[str, list[t.Any]] = {column: [] for column in SETS[1:7]}

Row = dict[str, t.Any]


class Ovs(Box):
    def setup(self) -> None:
        self.tables: dict[str, list[Row]] = {table: [] for table in TABLES}
        self.fresh = True

    def reads(self) -> list[str]:
        return [READ]

    def load(self, words: list[str], row: str) -> None:
        """Take the next of the four tables back."""
        if self.fresh:
            self.waiting, self.fresh = list(TABLES), False
        document = json.loads(row)
        rows = [{head: plain(head, value) for head, value in zip(document["headings"], values)} for values in document["data"]]
        self.tables[self.waiting.pop(0)] = rows

    def furnish(self) -> None:
        if self.fresh:
            self.fresh = False
            self.tables["Bridge"] = [{"name": name, "mirrors": []} for name in BRIDGES]
            for name in PORTS:
                self.add_port("br0", name)

    def add_port(self, bridge: str, name: str) -> None:
        port, interface = str(uuid.uuid4()), str(uuid.uuid4())
        self.tables["Port"].append({"_uuid": port, "name": name, "interfaces": interface})
        self.tables["Interface"].append({"_uuid": interface, "name": name, "type": "", "options": {}, "error": []})

    def show(self, line: str) -> str:
        self.furnish()
        columns = {"Bridge": ("name", "mirrors"), "Port": ("_uuid", "name", "interfaces"), "Interface": ("_uuid", "name", "type", "options", "error")}
        columns["Mirror"] = ("_uuid", "external_ids", "name", *SETS[1:7], "select_all")
        documents = []
        for table in TABLES:
            heads = columns[table]
            documents.append(dumped({"headings": heads, "data": [[shown(head, row[head]) for head in heads] for row in self.tables[table]]}))
        return "\n".join(documents)

    def run(self, words: list[str]) -> str:
        self.furnish()
        if words == ["ovs-appctl", "revalidator/purge"]:
            return ""
        if words[:3] != ["ovs-vsctl", "--timeout=10", "--"]:
            return f"unknown: {words}"
        before = copy.deepcopy(self.tables)
        self.handles: dict[str, str] = {}
        try:
            for action in split(words[3:]):
                self.act(action)
        except LookupError as error:
            self.tables = before
            return str(error)
        used = {mirror for bridge in self.tables["Bridge"] for mirror in bridge["mirrors"]}
        self.tables["Mirror"] = [row for row in self.tables["Mirror"] if row["_uuid"] in used]
        return ""

    def act(self, words: list[str]) -> None:
        options = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
        verb, *rest = [word for word in words if not word.startswith("--")]
        if verb == "add-port":
            if not self.rows("Port", rest[1]):
                self.find("Bridge", rest[0])
                self.add_port(*rest)
        elif verb == "del-port":
            for table in ("Port", "Interface"):
                self.tables[table] = [row for row in self.tables[table] if row["name"] != rest[1]]
        elif verb == "get":
            self.handles[options["--id"]] = self.find(*rest)["_uuid"]
        elif verb == "create":
            row: Row = {"_uuid": str(uuid.uuid4()), "name": "", "external_ids": {}, "select_all": False, **copy.deepcopy(MIRROR)}
            self.tables["Mirror"].append(row)
            self.handles[options["--id"]] = row["_uuid"]
            self.fill(row, rest[1:])
        elif verb == "set":
            self.fill(self.find(*rest[:2]), rest[2:])
        elif verb == "remove" and rest[2] == "external_ids":
            self.find(*rest[:2])["external_ids"].pop(rest[3], None)
        elif verb in ("add", "remove"):
            mirrors = self.find(*rest[:2])[rest[2]]
            (mirrors.append if verb == "add" else mirrors.remove)(self.handles[rest[3]])
        else:
            raise LookupError(f"unknown command '{verb}'")

    def rows(self, table: str, name: str) -> list[Row]:
        return [row for row in self.tables[table] if row["name"] == name]

    def find(self, table: str, name: str) -> Row:
        found = self.rows(table, name)
        if len(found) != 1:
            raise LookupError(f'{"multiple rows in" if found else "no row"} "{name}" in table {table}')
        return found[0]

    def fill(self, row: Row, settings: list[str]) -> None:
        for setting in settings:
            column, _equals, text = setting.partition("=")
            column, _colon, key = column.partition(":")
            if key:
                row.setdefault(column, {})[key] = text.strip('"')
            elif text.startswith("{"):
                row[column] = dict(pair.split("=") for pair in text.strip("{}").split(","))
            elif column in SETS:
                row[column] = [] if text == "[]" else [self.handles[one] if one.startswith("@") else int(one) for one in text.split(",")]
            else:
                row[column] = {"true": True, "false": False}.get(text, text)


def split(words: list[str]) -> list[list[str]]:
    actions: list[list[str]] = [[]]
    for word in words:
        if word == "--":
            actions.append([])
        else:
            actions[-1].append(word)
    return actions


def shown(column: str, value: t.Any) -> t.Any:
    """Return *value* as ovs-vsctl writes it: a set of one as its member."""
    if column in ("external_ids", "options"):
        return ["map", sorted(value.items())]
    if column in SETS:
        atoms = [["uuid", one] if isinstance(one, str) else one for one in value]
        return atoms[0] if len(atoms) == 1 else ["set", atoms]
    return ["uuid", value] if column in ("_uuid", "interfaces") else value


def plain(column: str, value: t.Any) -> t.Any:
    if column in ("external_ids", "options"):
        return dict(value[1])
    if column in SETS:
        atoms = value[1] if isinstance(value, list) and value[0] == "set" else [value]
        return [one[1] if isinstance(one, list) else one for one in atoms]
    return value[1] if isinstance(value, list) else value
