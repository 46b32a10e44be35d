# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SONiC: `config mirror_session` as sonic-utilities has it, on a CONFIG_DB that is a dictionary."""

from __future__ import annotations

import json

from .box import Box, dumped

CONFIG = "sonic-cfggen -d --var-json MIRROR_SESSION"
STATE = "sonic-db-dump -n STATE_DB -k 'MIRROR_SESSION_TABLE*' -y"


class Sonic(Box):
    def setup(self) -> None:
        self.rows: dict[str, dict[str, str]] = {}

    def reads(self) -> list[str]:
        return [CONFIG, STATE]

    def show(self, line: str) -> str:
        if line == CONFIG:
            return dumped(self.rows) if self.rows else ""
        return dumped({f"MIRROR_SESSION_TABLE|{name}": {"type": "hash", "value": {"status": "active"}} for name in self.rows})

    def load(self, words: list[str], row: str) -> None:
        if words[0] == "sonic-cfggen":
            self.rows = json.loads(row)

    def run(self, words: list[str]) -> str:
        tool, group, kind, *rest = words
        if (tool, group) != ("config", "mirror_session"):
            return f"no such command: {words}"
        if kind == "remove":
            self.rows.pop(rest[0], None)
            return ""
        name = rest[1]
        if name not in self.rows:  # an existing one is told about, and not touched
            self.rows[name] = self.span(*rest[2:]) if kind == "span" else self.erspan(*rest[2:])
        return ""

    def span(self, dst_port: str, src_port: str = "", direction: str = "both", queue: str = "") -> dict[str, str]:
        return {"type": "SPAN", "dst_port": dst_port, **self.common(src_port, direction, queue)}

    def erspan(self, src_ip: str, dst_ip: str, dscp: str, ttl: str, gre: str = "", queue: str = "", *ports: str) -> dict[str, str]:
        row = {"type": "ERSPAN", "src_ip": src_ip, "dst_ip": dst_ip, "dscp": dscp, "ttl": ttl}
        row |= {"gre_type": str(int(gre, 0))} if gre else {}
        return {**row, **self.common(ports[0] if ports else "", ports[1] if len(ports) > 1 else "both", queue)}

    def common(self, src_port: str, direction: str, queue: str) -> dict[str, str]:
        row = {"queue": queue} if queue else {}
        return {**row, "src_port": src_port, "direction": direction.upper()} if src_port else row
