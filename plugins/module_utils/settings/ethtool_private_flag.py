# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private flags of a driver: what `ethtool --show-priv-flags` shows. Names are the driver's own, verbatim."""

from __future__ import annotations

import typing as t

from .ethtool_device import ask
from .ethtool_text import parse_driver, parse_private_flags
from .model import Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

_RDMA_DEVICE = (
    "capture on the RDMA device instead (tcpdump -i RDMA_DEVICE with a libpcap built with RDMA support), "
    "which the campaign's engine: auto does where it works"
)
_MLX4 = _RDMA_DEVICE + "; mlx4_core also needs log_num_mgm_entry_size=-1 (module modprobe_options)"
_MIRROR = (
    "its RDMA traffic bypasses the kernel and this driver cannot copy it: mirror the switch port (SPAN or ERSPAN) to a "
    "monitor host, or capture at a peer that can"
)
_PLAIN = "there is no RDMA hardware behind it, so plain tcpdump on it already sees every packet"

#: Drivers without the `sniffer` flag whose RDMA device can be captured from, as `ethtool -i` names them.
INSTEAD: t.Mapping[str, str] = {
    "mlx5_core": _RDMA_DEVICE,
    "mlx4_en": _MLX4,
    "mlx4_core": _MLX4,
    "bnxt_en": _RDMA_DEVICE + " (rdma-core 60 and a firmware with RoCE mirroring)",
}


class EthtoolPrivateFlag(Kind):
    """Key ("ethtool_private_flag", device, flag); value true or false."""

    name = "ethtool_private_flag"
    follows = ("ethtool_ring",)
    disturbs = ("ethtool_feature",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        flags = parse_private_flags(ask(host, "--show-priv-flags", scope) or "")
        facts = {} if flags.keys() >= set(names) else _driver_facts(host, scope)
        return Reading(dict(flags), facts)

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        for name in wanted:
            if name not in reading.values:
                raise Refused(_missing(scope, name, reading))
        return dict(wanted)

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        words = [word for name, value in wanted.items() for word in (name, "on" if value else "off")]
        return [["ethtool", "--set-priv-flags", scope, *words]]


def _driver_facts(host: Host, device: str) -> dict[str, t.Any]:
    driver = parse_driver(ask(host, "-i", device) or "") or "unknown"
    return {"driver": driver, "rdma": bool(host.names(f"/sys/class/net/{device}/device/infiniband"))}


def _missing(device: str, name: str, reading: Reading) -> str:
    driver = reading.facts["driver"]
    start = f"{device}: its driver {driver} has no private flag {name!r}"
    if name == "sniffer":
        instead = INSTEAD.get(driver) or (_MIRROR if reading.facts["rdma"] else _PLAIN)
        return f"{start} (only MLNX_OFED up to 4.9 and 5.0 has it): {instead}"
    return f"{start}: it has {', '.join(reading.values) or 'none'}"
