# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host can receive mirrors on a device: who takes them off, what fits, which CPUs are free for the capture."""

from __future__ import annotations

import typing as t

from ..packets.overhead import TYPES, largest_frame
from ..settings.dpvs_instance import parse_cpus
from ..settings.kernel_module import availability
from ..settings.model import Gone

if t.TYPE_CHECKING:
    from ..host import Host

KERNEL, RAW = "kernel", "raw"
MODULE = "ip_gre"
IRDMA = "irdma"


class Way(t.NamedTuple):
    """*mode* is kernel (ERSPAN devices show the frames) or raw (capture the outer packets), and why."""

    mode: str
    reason: str


class Cpus(t.NamedTuple):
    """Lists of CPU numbers, None where the device does not say: near its memory, taken by its interrupts, and left for a capture."""

    local: list[int] | None
    interrupts: list[int] | None
    capture: list[int] | None


def choose_way(asked: str, missing: str | None) -> Way:
    """Return the way for what was *asked* (auto, kernel or raw); *missing* says why the kernel has no ERSPAN devices. Pure."""
    if asked == RAW:
        return Way(RAW, "asked for")
    if missing:
        return Way(RAW, f"{missing}: capture the outer packets with the filter `ip proto 47`, and take the mirror off with pcap_decap")
    return Way(KERNEL, f"the kernel has {MODULE}: its ERSPAN devices show the mirrored frames, and filters work on them")


def missing_module(host: Host) -> str | None:
    """Return why the kernel can make no ERSPAN device, None where it can."""
    return None if host.exists(f"/sys/module/{MODULE}") else availability(host, MODULE)[0]


def mtu_of(host: Host, device: str) -> int:
    text = (host.read(f"/sys/class/net/{device}/mtu") or "").strip()
    if not text.isdecimal():
        raise Gone(f"there is no network device {device!r}")
    return int(text)


def largest_frames(mtu: int) -> dict[str, int]:
    """Return what fits, by type and, for type III with a sub-header, as III+. Over IPv4; IPv6 takes 20 bytes more. Pure."""
    frames = {name: largest_frame(mtu, version) for name, version in TYPES.items()}
    return {**frames, "III+": largest_frame(mtu, TYPES["III"], subheader=True)}


def cpus_of(host: Host, device: str) -> Cpus:
    folder = f"/sys/class/net/{device}/device"
    numbers = host.names(f"{folder}/msi_irqs")
    used = [parse_cpus(host.read(f"/proc/irq/{number}/effective_affinity_list") or "") for number in numbers]
    return place(parse_cpus(host.read(f"{folder}/local_cpulist") or ""), frozenset().union(*used))


def place(local: frozenset[int], interrupts: frozenset[int]) -> Cpus:
    """Return where a capture runs best: near the device's memory, but not where its interrupts are served. Pure."""
    return Cpus(sorted(local) or None, sorted(interrupts) or None, sorted(local - interrupts or local) or None)


def reverse_path_warning(host: Host, device: str) -> str | None:
    """Strict reverse path filtering drops mirrors whose sender has its route by another device."""
    values = [(host.read(f"/proc/sys/net/ipv4/conf/{name}/rp_filter") or "0").strip() for name in ("all", device)]
    if max(values) != "1":
        return None
    return (
        f"{device} has strict reverse path filtering: mirrors from an address whose route is by another device are dropped without a word; "
        f"where that is so, set net.ipv4.conf.{device}.rp_filter to 2"
    )
