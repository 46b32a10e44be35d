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
_MIRROR = "this driver cannot show its RDMA traffic on the host: mirror the switch port (SPAN or ERSPAN) to a monitor host"
_PLAIN = "this driver passes every packet through the kernel, so plain tcpdump already sees them"

#: Where there is no `sniffer` flag: what to do instead, by the driver that `ethtool -i` names.
INSTEAD: t.Mapping[str, str] = {
    "mlx5_core": _RDMA_DEVICE,
    "mlx4_en": _RDMA_DEVICE + "; mlx4_core also needs log_num_mgm_entry_size=-1 (module modprobe_options)",
    "mlx4_core": _RDMA_DEVICE + "; mlx4_core also needs log_num_mgm_entry_size=-1 (module modprobe_options)",
    "bnxt_en": _RDMA_DEVICE + " (rdma-core 60 and a firmware with RoCE mirroring)",
    "ice": _MIRROR,
    "i40e": _MIRROR,
    "qede": _MIRROR,
    "cxgb4": _MIRROR,
    "veth": _PLAIN,
    "virtio_net": _PLAIN,
    "tun": _PLAIN,
    "e1000e": _PLAIN,
}


class EthtoolPrivateFlag(Kind):
    """Key ("ethtool_private_flag", device, flag); value true or false."""

    name = "ethtool_private_flag"
    follows = ("ethtool_ring",)
    disturbs = ("ethtool_feature",)

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        flags = parse_private_flags(ask(host, "--show-priv-flags", scope) or "")
        return Reading(dict(flags), {"driver": parse_driver(ask(host, "-i", scope) or "")})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        for name in wanted:
            if name not in reading.values:
                raise Refused(_missing(scope, name, reading))
        return dict(wanted)

    def argvs(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[list[str]]:
        words = [word for name, value in wanted.items() for word in (name, "on" if value else "off")]
        return [["ethtool", "--set-priv-flags", scope, *words]]


def _missing(device: str, name: str, reading: Reading) -> str:
    driver = reading.facts["driver"] or "unknown"
    start = f"{device}: its driver {driver} has no private flag {name!r}"
    if name == "sniffer":
        return f"{start} (only MLNX_OFED up to 4.9 and 5.0 has it): {INSTEAD.get(driver, _MIRROR)}"
    return f"{start}: it has {', '.join(reading.values) or 'none'}"
