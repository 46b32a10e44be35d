# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of host systems: versions as the hosts say them, and below them what the tests found. Pure but for about()."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import typing as t

from tests.bench.measure import Table
from tests.lab.fleet import fleet

SUITES = tuple(host.name for host in fleet("systems"))
#: The fleets, each a table of its own, and what the hosts of each are.
FLEETS: t.Mapping[str, str] = {
    "systems": "Each suite is a host of the lab, all of them in one fleet, on the machine's own kernel.",
    "kernels": "Each suite is a host of the lab, all of them in one fleet, on the User-Mode Linux kernel of its suite, one CPU each.",
}
#: What a host is asked for its versions, and how each is found in the answer.
ASK = (
    "cat /etc/debian_version; uname -r; python3 --version; ethtool --version; tcpdump --version 2>&1; systemctl --version;"
    "dpkg-query -W -f '${Package} ${Version}\\n' procps iproute2 kmod"
)
PATTERNS: t.Mapping[str, str] = {
    "Debian": r"\A(\S+)",
    "Linux": r"\A\S+\n(\d+\.\d+[.\d]*)",
    "Python": r"^Python (\S+)",
    "ethtool": r"^ethtool version (\S+)",
    "tcpdump": r"^tcpdump version (\S+)",
    "libpcap": r"^libpcap version (\S+)",
    "systemd": r"^systemd (\d+)",
    "procps": r"^procps (?:\d+:)?([\d.]+)",
    "iproute2": r"^iproute2 ([\d.]+)",
    "kmod": r"^kmod ([\d.]+)",
}


def versions(said: str) -> dict[str, str]:
    """Return the versions in what ASK printed; one that is not found is `?`."""
    found = {name: re.search(pattern, said, re.MULTILINE) for name, pattern in PATTERNS.items()}
    return {name: match[1] if match else "?" for name, match in found.items()}


def claim(test: t.Callable[..., t.Any]) -> str:
    """Return what a test proves, which is the first line of its documentation."""
    return (test.__doc__ or test.__name__).strip().splitlines()[0].rstrip(".")


def table(name: str, known: dict[str, dict[str, str]], outcomes: dict[tuple[str, str], str]) -> Table:
    """Return the table of the fleet *name*: *known* versions by suite, and *outcomes* by claim and suite."""
    rows = [(what, *(known[suite][what] for suite in SUITES)) for what in PATTERNS]
    claims = dict.fromkeys(what for what, _suite in outcomes)
    rows += [(what, *(outcomes.get((what, suite), "not run") for suite in SUITES)) for what in claims]
    return Table(name, FLEETS[name], ("", *SUITES), rows, [])


def about() -> str:
    """Return one line about where this runs."""
    return f"ansible-core {importlib.metadata.version('ansible-core')} on Python {platform.python_version()}."
