# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host counted before and after: tells a capture that was blind from one that had nothing to see."""

from __future__ import annotations

import re
import typing as t

from ..host import CommandMissing

if t.TYPE_CHECKING:
    from ..host import Host

#: A cache age in milliseconds that lies among the counters.
_NOT_COUNTERS = ("lifespan",)


def read_counters(host: Host, interfaces: list[str], rdma_ports: list[str]) -> dict[str, t.Any]:
    """Return the counters of *interfaces* and *rdma_ports* ("mlx5_0:1"); what is absent is null with a reason."""
    reasons: dict[str, str] = {}
    return {
        "softnet": parse_softnet(host.read("/proc/net/softnet_stat") or ""),
        "interfaces": {name: read_interface(host, name, reasons) for name in interfaces},
        "rdma": {port: read_rdma_port(host, port) for port in rdma_ports},
        "reasons": reasons,
    }


def read_interface(host: Host, name: str, reasons: dict[str, str]) -> dict[str, t.Any] | None:
    base = f"/sys/class/net/{name}"
    if not host.exists(base):
        reasons[name] = f"there is no interface {name}"
        return None
    return {
        "operstate": _line(host.read(f"{base}/operstate")),
        "carrier": _line(host.read(f"{base}/carrier")),
        "flags": _line(host.read(f"{base}/flags")),
        "statistics": _folder(host, f"{base}/statistics"),
        "ethtool": _ethtool(host, name, reasons),
    }


def read_rdma_port(host: Host, port: str) -> dict[str, t.Any] | None:
    device, _colon, number = port.partition(":")
    base = f"/sys/class/infiniband/{device}/ports/{number or 1}"
    if not host.exists(base):
        return None
    return {
        "state": _line(host.read(f"{base}/state")),
        "hw_counters": _folder(host, f"{base}/hw_counters"),
        "counters": _folder(host, f"{base}/counters"),
    }


def parse_softnet(text: str) -> list[dict[str, int]]:
    """Return one entry per CPU of /proc/net/softnet_stat, whose columns are hexadecimal."""
    rows = [[int(column, 16) for column in line.split()] for line in text.splitlines() if line.strip()]
    return [{"processed": row[0], "dropped": row[1], "time_squeeze": row[2]} for row in rows if len(row) > 2]


def parse_ethtool_statistics(text: str) -> dict[str, int]:
    """Return the `name: number` lines of `ethtool -S`; other lines are headings."""
    found = re.findall(r"^\s*(\S[^:]*):\s*(-?\d+)\s*$", text, re.MULTILINE)
    return {name.strip(): int(value) for name, value in found}


def _ethtool(host: Host, name: str, reasons: dict[str, str]) -> dict[str, int] | None:
    try:
        result = host.run(["ethtool", "-S", name], timeout=5)
    except CommandMissing as missing:
        reasons[f"{name} ethtool"] = str(missing)
        return None
    if result.rc != 0:
        reasons[f"{name} ethtool"] = result.message
        return None
    return parse_ethtool_statistics(result.out)


def _folder(host: Host, folder: str) -> dict[str, int]:
    texts = {name: _line(host.read(f"{folder}/{name}")) for name in host.names(folder) if name not in _NOT_COUNTERS}
    return {name: int(text) for name, text in texts.items() if text and re.fullmatch(r"-?\d+", text)}


def _line(text: str | None) -> str | None:
    return None if text is None else text.strip()
