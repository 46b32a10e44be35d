# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running DPVS really runs with, asked of DPDK's telemetry (since 21.11): its file may have been edited since it started."""

from __future__ import annotations

import json
import typing as t

from .dpvs_conf_text import devices
from .dpvs_instance import read_conf
from .dpvs_link import kni_devices

if t.TYPE_CHECKING:
    from ..host import Host
    from .dpvs_instance import Instance

RUNTIME = "/var/run/dpdk"
#: There exactly when the pdump library was initialised.
PDUMP_ZONE = "rte_pdump_stats"
#: There while a dpdk-pdump is attached, and still after one was killed.
ATTACHED_ZONE = "RG_rx_ring_0"
#: With the number of its process behind it, there while a dpdk-dumpcap runs, and after one ended other than by SIGINT.
DUMPCAP_ZONE = "RG_dumpcap-"
_ARRAY_LIMIT = 512
_MOST_ZONES = 2560


class Running(t.NamedTuple):
    """The value of a switch in the process; None where that is not known, with the reason in *note*."""

    value: bool | None
    note: str | None = None


def pdump_running(host: Host, instance: Instance) -> Running:
    """Return whether *instance* serves dpdk-pdump."""
    try:
        zones = memzones(host, instance.prefix)
    except (OSError, ValueError) as error:
        why = "it runs with --no-telemetry" if not instance.telemetry else str(error)
        return Running(None, f"whether DPVS {instance.pid} runs with pdump is not known: {why}")
    if zones is None:
        return Running(None, f"whether DPVS {instance.pid} runs with pdump is not known: its DPDK is older than 21.11")
    return Running(PDUMP_ZONE in zones)


def kni_running(host: Host, instance: Instance) -> Running:
    """Return whether *instance* has KNI devices: they are made at start, and only then."""
    there = kni_devices(host, instance)
    known = devices(read_conf(host, instance.conf).entries)
    names = {name for port, device in known.items() for name in (device.kni_name, f"{port}.kni") if name}
    return Running(bool(names & set(there)))


def memzones(host: Host, prefix: str, patience_s: float = 3.0) -> list[str] | None:
    """Return the names of the primary's memory zones, None where its telemetry does not know them.

    Raises OSError where there is no telemetry, ValueError where the answer is none.
    """
    path = f"{RUNTIME}/{prefix}/dpdk_telemetry.v2"
    listed = answer(host.converse(path, ["/eal/memzone_list"], patience_s)[1])
    if listed is None:
        return None
    # An array holds no more than that, so there may be others.
    numbers = range(_MOST_ZONES) if len(listed) >= _ARRAY_LIMIT else listed
    answers = host.converse(path, [f"/eal/memzone_info,{int(number)}" for number in numbers], patience_s)[1:]
    found = (answer(text) for text in answers)
    return [str(zone["Name"]) for zone in found if isinstance(zone, dict) and "Name" in zone]


def answer(text: str) -> t.Any:
    """Return the value in `{"/command": value}`, None for a command that is not known. Pure."""
    said = json.loads(text)
    return next(iter(said.values()), None) if isinstance(said, dict) else None
