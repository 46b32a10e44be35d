# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ethtool prints, as values. Recorded from ethtool 5.9 to 7.2; every function is pure."""

from __future__ import annotations

import fnmatch
import re
import typing as t

#: Short names of `ethtool -K` and the kernel features behind them (ethtool's off_flag_def, net/ethtool/common.c), as
#: patterns, since kernels add members: Linux 6.18 has tx-tcp-accecn-segmentation in tso, 6.1 does not.
ALIASES: t.Mapping[str, str] = {
    "rx": "rx-checksum",
    "tx": "tx-checksum-*",
    "sg": "tx-scatter-gather*",
    "tso": "tx-tcp*-segmentation",
    "gso": "tx-generic-segmentation",
    "gro": "rx-gro",
    "lro": "rx-lro",
    "rxvlan": "rx-vlan-hw-parse",
    "txvlan": "tx-vlan-hw-insert",
    "ntuple": "rx-ntuple-filter",
    "rxhash": "rx-hashing",
    "tx-checksumming": "tx-checksum-*",
    "scatter-gather": "tx-scatter-gather*",
    "tcp-segmentation-offload": "tx-tcp*-segmentation",
}

#: Long names in the text of `ethtool -k` whose kernel name is another.
LONG_NAMES: t.Mapping[str, str] = {
    "rx-checksumming": "rx-checksum",
    "generic-segmentation-offload": "tx-generic-segmentation",
    "generic-receive-offload": "rx-gro",
    "large-receive-offload": "rx-lro",
    "rx-vlan-offload": "rx-vlan-hw-parse",
    "tx-vlan-offload": "tx-vlan-hw-insert",
    "ntuple-filters": "rx-ntuple-filter",
    "receive-hashing": "rx-hashing",
}

#: Rows of `ethtool -k` that only sum up others.
SUMS = ("tx-checksumming", "scatter-gather", "tcp-segmentation-offload", "udp-fragmentation-offload")

_ROW = re.compile(r"\s*([A-Za-z0-9_.-]+): (on|off)((?: \[[a-z ]+\])*)\s*")
_FLAG = re.compile(r"(\S.*?)\s*: (on|off)\s*")
_RING_ROW = re.compile(r"(RX|RX Mini|RX Jumbo|TX):\s+(\d+)\s*")


class Feature(t.NamedTuple):
    """What one feature is, whether the driver keeps it so, and what was last asked of it (it may wait for another)."""

    active: bool
    fixed: bool
    requested: bool


class Rings(t.NamedTuple):
    """Ring sizes in descriptors by name (rx, rx_mini, rx_jumbo, tx); what the driver does not have is left out."""

    maximum: dict[str, int]
    current: dict[str, int]


def parse_features(text: str) -> dict[str, Feature]:
    """Return the kernel features in the text of `ethtool -k DEVICE`.

    The text says the same in every version, while JSON came with 5.17 and older versions refuse or ignore --json
    (ethtool NEWS), so the text is all that is read.
    """
    rows = (_ROW.fullmatch(line) for line in text.splitlines())
    return {LONG_NAMES.get(row[1], row[1]): _feature(row[2] == "on", row[3]) for row in rows if row and row[1] not in SUMS}


def _feature(active: bool, remarks: str) -> Feature:
    asked = re.search(r"requested (on|off)", remarks)
    return Feature(active, "[fixed]" in remarks, asked[1] == "on" if asked else active)


def parse_private_flags(text: str) -> dict[str, bool]:
    """Return the flags in the output of `ethtool --show-priv-flags DEVICE`; names are the driver's, verbatim."""
    rows = (_FLAG.fullmatch(line) for line in text.splitlines())
    return {row[1]: row[2] == "on" for row in rows if row}


def parse_rings(text: str) -> Rings:
    """Return both halves of `ethtool -g DEVICE`; a row that says n/a (or nothing) is a ring the driver lacks."""
    maximum: dict[str, int] = {}
    current: dict[str, int] = {}
    half = maximum
    for line in text.splitlines():
        if line.startswith("Current hardware settings"):
            half = current
        row = _RING_ROW.fullmatch(line)
        if row:
            half[row[1].lower().replace(" ", "_")] = int(row[2])
    usable = {name: size for name, size in maximum.items() if size}
    return Rings(usable, {name: size for name, size in current.items() if name in usable})


def parse_driver(text: str) -> str:
    """Return the driver in the output of `ethtool -i DEVICE`, "" where it does not say."""
    for line in text.splitlines():
        if line.startswith("driver: "):
            return line[len("driver: ") :].strip()
    return ""


def unsupported(text: str) -> bool:
    """Whether ethtool's words mean that the driver has no such thing at all."""
    return "Operation not supported" in text or "No private flags defined" in text


def kernel_names(name: str, known: t.Iterable[str]) -> list[str]:
    """Return which of the *known* kernel features *name* stands for: a short, long or kernel name, dashes or underscores."""
    dashed = name.replace("_", "-")
    if dashed in ALIASES:
        return fnmatch.filter(known, ALIASES[dashed])
    return [feature for feature in known if feature.replace("_", "-") == LONG_NAMES.get(dashed, dashed)]
