# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ERSPAN devices as `ip -d -j link show` says them and as `ip link add` takes them. Pure.

A device is a mapping of FIELDS: `version` is 0, 1, 2 for type I, II, III; `receive_in_order` has the kernel drop what comes
late; `addrgenmode` is how it comes to an IPv6 address, `none` so that it never sends by itself; what a version does not have
is None. Of devices of other kinds only `kind`, `mtu` and `up` are told.
"""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Mapping

KINDS = ("erspan", "ip6erspan")
FIELDS = (
    "kind", "version", "key", "local", "remote", "dev", "ttl", "tos", "index", "direction", "hwid", "receive_in_order", "addrgenmode", "mtu", "up",
)  # fmt: skip
#: What can be changed while the device lives on; all else needs a new one.
ALIVE = ("mtu", "up")
#: What of a tunnel is read and written, or the same for every one that we make.
_SAID = frozenset(
    "remote local link ttl hoplimit tos tclass ikey okey iseq oseq erspan_ver erspan_index erspan_dir erspan_hwid".split()
    + ["pmtudisc", "flowlabel", "encap_limit"]
)
_USUAL = {"pmtudisc": True, "flowlabel": "0x00000", "encap_limit": 4}


class Link(t.NamedTuple):
    """A network device, the names of settings that it has and we do not know how to make, and whether IPv6 knows it."""

    device: dict[str, t.Any]
    unknown: tuple[str, ...] = ()
    addresses_itself: bool = False


def parse_links(text: str) -> dict[str, Link]:
    """Return {name: Link} of `ip -d -j link show`; raises ValueError and its like for what is not its output."""
    rows = json.loads(text)
    return {str(row["ifname"]): _link(row) for row in rows if "ifname" in row}


def _link(row: Mapping[str, t.Any]) -> Link:
    info = row.get("linkinfo") or {}
    kind, data = info.get("info_kind"), info.get("info_data") or {}
    common = {"kind": kind, "mtu": row.get("mtu"), "up": "UP" in row.get("flags", ())}
    if kind not in KINDS:
        return Link(common, (), "inet6_addr_gen_mode" in row)
    unknown = {name for name in data if name not in _SAID} | {name for name, usual in _USUAL.items() if data.get(name, usual) != usual}
    if _key(data.get("ikey")) != _key(data.get("okey")):
        unknown.add("okey")
    found = {**common, **_tunnel(data), "dev": row.get("link"), "addrgenmode": row.get("inet6_addr_gen_mode")}
    return Link({name: found[name] for name in FIELDS}, tuple(sorted(unknown)), "inet6_addr_gen_mode" in row)


def _tunnel(data: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {
        "version": data.get("erspan_ver"),
        "key": _key(data.get("ikey")),
        "local": _address(data.get("local")),
        "remote": _address(data.get("remote")),
        "ttl": _number(data.get("ttl", data.get("hoplimit"))),
        "tos": _number(data.get("tos", data.get("tclass"))),
        "index": data.get("erspan_index"),
        "direction": data.get("erspan_dir"),
        "hwid": _number(data["erspan_hwid"]) if "erspan_hwid" in data else None,
        "receive_in_order": bool(data.get("iseq")),
    }


def _key(text: str | None) -> int | None:
    """A key is shown as if it were an address."""
    return sum(int(part) << shift for part, shift in zip(text.split("."), (24, 16, 8, 0))) if text else None


def _address(text: str | None) -> str | None:
    return None if text in (None, "any") else text


def _number(value: t.Any) -> int:
    """Numbers come as such, as hexadecimal text, or not at all where they are 0; `inherit` is 0 for a ttl and 1 for a tos."""
    return value if isinstance(value, int) else int(value, 0) if value and value[0].isdigit() else 0


def argvs(name: str, wanted: Mapping[str, t.Any] | None, current: Mapping[str, t.Any] | None) -> list[list[str]]:
    """Return the commands that make *wanted* of *current*; None is a device that does not exist."""
    delete = ["ip", "link", "delete", "dev", name]
    if wanted is None:
        return [delete]
    if current is None:
        return _add(name, wanted)
    if any(wanted.get(field) != current.get(field) for field in FIELDS if field not in ALIVE):
        return [delete, *_add(name, wanted)]
    words = ["mtu", str(wanted["mtu"])] if wanted["mtu"] != current["mtu"] else []
    words += ["up" if wanted["up"] else "down"] if wanted["up"] != current["up"] else []
    return [["ip", "link", "set", "dev", name, *words]]


def _add(name: str, device: Mapping[str, t.Any]) -> list[list[str]]:
    """A type that numbers its packets says so for sending only: a receiver that insists on the order drops what is late."""
    words = ["ip", "link", "add", "name", name, "mtu", str(device["mtu"])]
    words += ["type", device["kind"], "erspan_ver", str(device["version"])]
    if device["version"]:
        words.append("seq" if device["receive_in_order"] else "oseq")
    options = {"key": "key", "local": "local", "remote": "remote", "dev": "dev", "index": "erspan", "direction": "erspan_dir"}
    options.update(hwid="erspan_hwid", ttl="ttl", tos="tos")
    for field, option in options.items():
        value = device[field]
        if value is not None and not (field in ("ttl", "tos", "index") and not value):  # ip takes no 0 as an index, but means it
            words += [option, hex(value) if field == "tos" else str(value)]
    after = [["addrgenmode", device["addrgenmode"]]] if device["addrgenmode"] else []
    after += [["up"]] if device["up"] else []
    return [words, *(["ip", "link", "set", "dev", name, *rest] for rest in after)]
