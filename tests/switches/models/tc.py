# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux: devices, clsact and filters as ip and tc change and print them (iproute2 6.1)."""

from __future__ import annotations

import json
import typing as t

from .box import Box, dumped

PORTS = (*(f"swp{port}" for port in range(1, 11)), "eth0.5", "vnet0")
NUMBERS = ("ttl", "erspan_ver")


class Tc(Box):
    def setup(self) -> None:
        self.links: list[dict[str, t.Any]] = [{"ifname": name, "flags": ["UP"], "mtu": 1500} for name in PORTS]
        self.hooked: list[str] = []
        self.filters: dict[tuple[str, str], list[dict[str, t.Any]]] = {}

    def reads(self) -> list[str]:
        return ["ip -d -j link show", "tc -j qdisc show", *(f"tc -j filter show dev {d} {h}" for d in self.hooked for h in ("ingress", "egress"))]

    def show(self, line: str) -> str:
        words = line.split()
        if words[0] == "ip":
            return dumped(self.links)
        if words[2] == "qdisc":
            return dumped([{"kind": "noqueue", "dev": "lo"}, *({"kind": "clsact", "dev": device} for device in self.hooked)])
        return dumped(self.filters.get((words[5], words[6]), []))

    def load(self, words: list[str], row: str) -> None:
        value = json.loads(row)
        if words[0] == "ip":
            self.links = value
        elif words[2] == "qdisc":
            self.hooked = [qdisc["dev"] for qdisc in value if qdisc["kind"] == "clsact"]
        else:
            self.filters[words[5], words[6]] = value

    def run(self, words: list[str]) -> str:
        """The words are those of ip and tc that the model knows; another is an error, as a typing mistake would be."""
        verbs: dict[tuple[str, ...], t.Callable[..., str]] = {
            ("ip", "link", "add"): self.add_link, ("ip", "link", "set"): self.set_link, ("ip", "link", "del"): self.del_link,
            ("tc", "qdisc", "replace"): self.hook, ("tc", "filter", "add"): self.add_filter, ("tc", "filter", "del"): self.del_filter,
            ("sysctl", "-qe", "-w"): lambda *words: "",
        }  # fmt: skip
        return verbs[words[0], words[1], words[2]](*words[3:])

    def link(self, name: str) -> dict[str, t.Any] | None:
        return next((link for link in self.links if link["ifname"] == name), None)

    def add_link(self, _dev: str, name: str, _type: str, kind: str, _seq: str, *pairs: str) -> str:
        if self.link(name):
            return "RTNETLINK answers: File exists"
        data: dict[str, t.Any] = {"ttl": 0}
        for key, value in zip(pairs[::2], pairs[1::2]):
            data[key] = int(value) if key in NUMBERS else value
        session = int(data.pop("key"))
        data |= {"ikey": f"0.0.{session >> 8}.{session & 255}", "okey": f"0.0.{session >> 8}.{session & 255}"}
        self.links.append({"ifname": name, "flags": [], "mtu": 1450, "linkinfo": {"info_kind": kind, "info_data": data}})
        return ""

    def set_link(self, _dev: str, name: str, *words: str) -> str:
        link = self.link(name)
        if link is None:
            return "Cannot find device"
        if words[0] == "mtu":
            link["mtu"] = int(words[1])
        else:
            link["flags"] = [*link["flags"], words[0].upper()]
        return ""

    def del_link(self, _dev: str, name: str) -> str:
        if not self.link(name):
            return "Cannot find device"
        self.links = [link for link in self.links if link["ifname"] != name]
        for filters in self.filters.values():
            for one in filters:
                action = one["options"]["actions"][0]
                action["to_dev"] = "*" if action["to_dev"] == name else action["to_dev"]
        return ""

    def hook(self, _dev: str, name: str, kind: str) -> str:
        if not self.link(name) or kind != "clsact":
            return "Cannot find device"
        self.hooked += [name] if name not in self.hooked else []
        return ""

    def add_filter(self, _dev: str, device: str, hook: str, *words: str) -> str:
        _protocol, protocol, _pref, pref, kind, _action, _mirred, direction, action, _to, target, control, _cookie, cookie = words
        rules = self.filters.setdefault((device, hook), [])
        if device not in self.hooked or not self.link(target):
            return "Cannot find device"
        if any(rule["pref"] == int(pref) for rule in rules):
            return "RTNETLINK answers: File exists"
        does: dict[str, t.Any] = {"kind": "mirred", "mirred_action": action, "direction": direction, "to_dev": target, "cookie": cookie}
        does["control_action"] = {"type": control}
        rules.append({"protocol": protocol, "pref": int(pref), "kind": kind, "options": {"handle": 1, "actions": [does]}})
        return ""

    def del_filter(self, _dev: str, device: str, hook: str, _protocol: str, protocol: str, _pref: str, pref: str) -> str:
        rules = self.filters.get((device, hook), [])
        left = [rule for rule in rules if (rule["pref"], rule["protocol"]) != (int(pref), protocol)]
        self.filters[device, hook] = left
        return "" if len(left) < len(rules) else "Error: Cannot find specified filter chain."
