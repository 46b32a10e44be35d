# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a DPVS port is captured, found out on its host: by which device, of which instance, with what settings."""

from __future__ import annotations

import typing as t

from ..settings.dpvs_instance import IPC_FILE, Instance, with_socket
from ..settings.dpvs_link import FLAG, layout_of, read_ports, where
from ..settings.dpvs_running import memzones, pdump_running
from ..settings.model import Key, Refused, Value
from .choose import Choice
from .dpdk import TOOLS, WARNING, Found, choice_of, refuse_occupied, spare_core

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

KNI_REASON = (
    "DPVS copies what {port} receives and sends to {device}; Linux receives all of it, so the file does not tell the directions apart, "
    "and copies that DPVS drops when the KNI is full are counted nowhere"
)


def choose_dpvs(host: Host, vantage: Mapping[str, t.Any]) -> Found:
    """Return how the DPVS port of *vantage* is captured. Raises Refused, saying why, where nothing could be seen."""
    port, wish = vantage["device"], vantage.get("dpvs") or {}
    ipc_file = wish.get("ipc_file") or IPC_FILE
    if vantage.get("engine") in TOOLS:
        return _choose_attached(host, port, vantage["engine"], ipc_file, wish)
    if host.which("nsenter") is None:
        raise Refused("nsenter is not installed on this host: install util-linux")
    kni = where(host, ipc_file, port, wish.get("kni"))
    settings: dict[Key, Value] = {
        Key("kni_link", kni.netns, kni.device): True,
        Key("dpvs_link", ipc_file, f"{port}/{FLAG}"): {"on": True, "kni": wish["kni"]} if wish.get("kni") else True,
    }
    reason = KNI_REASON.format(port=port, device=kni.device)
    choice = Choice(port, "dpvs_kni", kni.device, reason, settings, WARNING.format(port=port, owner="DPVS"))
    return Found(choice, {**wish, "ipc_file": ipc_file, "netns": kni.netns})


def _choose_attached(host: Host, port: str, engine: str, ipc_file: str, wish: Mapping[str, t.Any]) -> Found:
    """Return how *engine* captures *port*; the instance must say that it can, since a try without pdump hangs for 15 s."""
    ports, instance = read_ports(host, ipc_file), with_socket(host, ipc_file)
    layout = layout_of(host, instance)
    if instance is None or layout is None:
        raise Refused(f"no dpvs process that serves {ipc_file} and has a readable dpvs.conf was found: run this where DPVS runs")
    if port not in ports:
        raise Refused(f"DPVS has no port {port!r}: it has {', '.join(sorted(ports)) or 'none'}")
    if port not in layout["devices"]:
        raise Refused(f"{port} is a VLAN or tunnel device, which {TOOLS[engine]} does not know: capture the port under it")
    zones = _attachable(host, instance, engine)
    lcore = spare_core(host, instance.lcores, wish.get("lcore"), engine, "DPVS")
    facts = {"netns": "", "ipc_file": ipc_file, "prefix": instance.prefix, "pid": instance.pid, "port_id": ports[port].number, "lcore": lcore}
    return Found(choice_of(engine, port, lcore, "DPVS", zones), {**wish, **facts})


def _attachable(host: Host, instance: Instance, engine: str) -> list[str]:
    """Return the memory zones of a DPVS that a capture can attach to. Raises Refused."""
    running = pdump_running(host, instance)
    if running.value is None:
        raise Refused(f"{running.note}; without telemetry {TOOLS[engine]} cannot be watched: use engine dpvs_kni")
    if not running.value:
        raise Refused(
            f"DPVS {instance.pid} runs without pdump: set it in {instance.conf} (module dpvs_config) and restart DPVS, or use dpvs_kni"
        )
    zones = memzones(host, instance.prefix) or []
    refuse_occupied(host, zones, "DPVS")
    return zones
