# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a DPVS port is captured, found out on its host: by which device, of which instance, with what settings."""

from __future__ import annotations

import typing as t

from ..settings.dpvs_instance import IPC_FILE, Instance, instances, parse_cpus, with_socket
from ..settings.dpvs_link import FLAG, layout_of, read_ports, where
from ..settings.dpvs_running import ATTACHED_ZONE, memzones, pdump_running
from ..settings.model import Key, Refused, Value
from .choose import Choice

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

KNI_REASON = (
    "DPVS copies what {port} receives and sends to {device}; Linux receives all of it, so the file does not tell the directions apart, "
    "and copies that DPVS drops when the KNI is full are counted nowhere"
)
WARNING = "DPVS copies every packet of {port} during the capture, which costs it throughput: keep the window short"


PDUMP_REASON = (
    "dpdk-pdump takes copies of what {port} receives and sends out of DPVS, on core {lcore}; both go into one file, which does not tell "
    "the directions apart, and what its ring loses is counted nowhere"
)
STALE = (
    "a dpdk-pdump is attached to this DPVS, or one was killed: wait for the first to end, after the second restart DPVS; two would crash"
)


class Found(t.NamedTuple):
    """A choice, and what of the instance the engine has to know."""

    choice: Choice
    dpvs: dict[str, Value]


def choose_dpvs(host: Host, vantage: Mapping[str, t.Any]) -> Found:
    """Return how the DPVS port of *vantage* is captured. Raises Refused, saying why, where nothing could be seen."""
    port, wish = vantage["device"], vantage.get("dpvs") or {}
    ipc_file = wish.get("ipc_file") or IPC_FILE
    if vantage.get("engine") == "dpdk_pdump":
        return _choose_pdump(host, port, ipc_file, wish)
    if host.which("nsenter") is None:
        raise Refused("nsenter is not installed on this host: install util-linux")
    kni = where(host, ipc_file, port, wish.get("kni"))
    settings: dict[Key, Value] = {
        Key("kni_link", kni.netns, kni.device): True,
        Key("dpvs_link", ipc_file, f"{port}/{FLAG}"): {"on": True, "kni": wish["kni"]} if wish.get("kni") else True,
    }
    reason = KNI_REASON.format(port=port, device=kni.device)
    choice = Choice(port, "dpvs_kni", kni.device, reason, settings, WARNING.format(port=port))
    return Found(choice, {**wish, "ipc_file": ipc_file, "netns": kni.netns})


def _choose_pdump(host: Host, port: str, ipc_file: str, wish: Mapping[str, t.Any]) -> Found:
    """Return how dpdk-pdump captures *port*; the instance must say that it can, since a try without pdump hangs for 15 s."""
    ports, instance = read_ports(host, ipc_file), with_socket(host, ipc_file)
    layout = layout_of(host, instance)
    if instance is None or layout is None:
        raise Refused(f"no dpvs process that serves {ipc_file} and has a readable dpvs.conf was found: run this where DPVS runs")
    if port not in ports:
        raise Refused(f"DPVS has no port {port!r}: it has {', '.join(sorted(ports)) or 'none'}")
    if port not in layout["devices"]:
        raise Refused(f"{port} is a VLAN or tunnel device, which dpdk-pdump does not know: capture the port under it")
    _refuse_unattachable(host, instance)
    lcore = spare_core(host, instance, wish.get("lcore"))
    choice = Choice(port, "dpdk_pdump", port, PDUMP_REASON.format(port=port, lcore=lcore), {}, WARNING.format(port=port))
    facts = {"netns": "", "ipc_file": ipc_file, "prefix": instance.prefix, "pid": instance.pid, "port_id": ports[port].number}
    return Found(choice, {**wish, **facts, "lcore": lcore})


def _refuse_unattachable(host: Host, instance: Instance) -> None:
    running = pdump_running(host, instance)
    if running.value is None:
        raise Refused(f"{running.note}; without telemetry dpdk-pdump cannot be watched: use engine dpvs_kni")
    if not running.value:
        raise Refused(
            f"DPVS {instance.pid} runs without pdump: set it in {instance.conf} (module dpvs_config) and restart DPVS, or use dpvs_kni"
        )
    if ATTACHED_ZONE in (memzones(host, instance.prefix) or []):
        raise Refused(STALE)


def spare_core(host: Host, instance: Instance, wanted: int | None) -> int:
    """Return the core that dpdk-pdump may poll: *wanted*, or the last one that no DPVS has. Raises Refused."""
    online = parse_cpus(host.read("/sys/devices/system/cpu/online") or "")
    if wanted is None and instance.lcores is None:
        raise Refused("the cores of DPVS could not be read from its command line: name one that it does not use (dpvs: {lcore: …})")
    taken = frozenset().union(*(other.lcores or () for other in instances(host)))
    free = sorted(online - taken)
    if wanted is not None and wanted not in free:
        raise Refused(f"core {wanted} is {'used by DPVS' if wanted in online else 'not online'}: dpdk-pdump needs one of its own")
    if not free:
        raise Refused("DPVS uses every core of this host, and dpdk-pdump needs one of its own: use dpvs_kni")
    return free[-1] if wanted is None else wanted
