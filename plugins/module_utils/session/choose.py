# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which engine captures a device, and why. Pure, but for the probe, which the caller hands in.

A driver's or library's version decides nothing here: flags, build and a functional probe do.
"""

from __future__ import annotations

import typing as t

from ..settings.model import Key, Refused, Value
from .rdma import Facts, Netdev, Port, Probe

AUTO_RDMA = "auto_rdma"
SOFTWARE = ("rxe", "siw")
SNIFFING = ("mlx5_core", "mlx4_core", "bnxt_en")
MIRROR_ONLY = "its driver {driver} cannot show RDMA traffic on the host: mirror the switch port (SPAN or ERSPAN) to a monitor host"

IBDUMP_MLX4 = (
    "ibdump builds since March 2023 refuse ConnectX-3, and older ones need mlx4_core log_num_mgm_entry_size=-1: "
    "if the capture fails at once, that is why"
)
#: What it takes when the hardware refuses to install the sniffer rule (`Failed to create flow`).
FLOW_ADVICE: t.Mapping[str, str] = {
    "mlx4_core": "set log_num_mgm_entry_size=-1 on mlx4_core (module modprobe_options) and reload the driver, so that it steers by device",
    "mlx5_core": "the firmware cannot share its receive tables with a sniffer: update it, or install ibdump",
    "bnxt_en": "the firmware has no RoCE mirror, or another capture has it: mirror the switch port (SPAN or ERSPAN) to a monitor host",
}

#: ibdump for an InfiniBand port, where not every build will do.
IBDUMP_ADVICE: t.Mapping[str, str] = {
    "mlx4_core": "install an ibdump older than March 2023, which still knows ConnectX-3, and set log_num_mgm_entry_size=-1 on mlx4_core",
}

Prober = t.Callable[[str], Probe]


class Choice(t.NamedTuple):
    """How a device is captured: *capture_on* is what the engine is told, *settings* must hold during the capture."""

    device: str
    engine: str
    capture_on: str
    reason: str
    settings: dict[Key, Value] = {}
    warning: str | None = None


def expand(facts: Facts, device: str) -> list[str]:
    """Return the devices that *device* stands for: itself, or for auto_rdma every one whose RDMA traffic may be captured.

    Raises Refused where auto_rdma finds none.
    """
    if device != AUTO_RDMA:
        return [device]
    ports = [port.capture_name for port in facts.ports if port.active]
    covered = {port.netdev for port in facts.ports}
    flagged = [netdev.name for netdev in facts.netdevs.values() if "sniffer" in netdev.private_flags and netdev.name not in covered]
    if ports or flagged:
        return ports + flagged
    down = [f"{port.capture_name} is {port.state}" for port in facts.ports]
    raise Refused(
        "auto_rdma found no RDMA device that is up"
        + (f": {', '.join(down)}" if down else " and no driver with a sniffer flag")
        + "; name a network device to capture what the kernel sees"
    )


def choose(facts: Facts, device: str, prober: Prober) -> Choice:
    """Return how to capture *device*, a network interface or an RDMA device (`mlx5_0`, `mlx4_0:2`).

    Raises Refused for a device that does not exist and for one whose traffic cannot be seen on the host.
    """
    port = next((port for port in facts.ports if device in (port.capture_name, f"{port.device}:{port.port}")), None)
    if port is not None:
        return _of_port(facts, port, prober)
    netdev = facts.netdevs.get(device)
    if netdev is None:
        known = [*facts.netdevs, *(port.capture_name for port in facts.ports)]
        raise Refused(f"there is no device {device!r} on this host: it has {', '.join(known) or 'none but lo'}")
    return _of_netdev(facts, netdev)


def _of_netdev(facts: Facts, netdev: Netdev) -> Choice:
    if "sniffer" in netdev.private_flags:
        return _by_flag(netdev.name, netdev)
    port = next((port for port in facts.ports if port.netdev == netdev.name and port.driver not in SOFTWARE), None)
    warning = None
    if port is not None:
        warning = f"RDMA traffic bypasses {netdev.name}: capture device {port.capture_name} or auto_rdma to see it"
    return Choice(netdev.name, "tcpdump", netdev.name, "the kernel sees every packet of this interface", {}, warning)


def _of_port(facts: Facts, port: Port, prober: Prober) -> Choice:
    if port.driver in SOFTWARE:
        return _by_software(port)
    netdev = facts.netdevs.get(port.netdev or "")
    if port.link_layer == "Ethernet" and netdev is not None and "sniffer" in netdev.private_flags:
        return _by_flag(port.capture_name, netdev)
    if port.driver not in SNIFFING:
        raise Refused(f"{port.capture_name}: {MIRROR_ONLY.format(driver=port.driver)}")
    found = prober(port.capture_name)
    if found.works:
        reason = "tcpdump can activate a capture on the RDMA device (libpcap with RDMA, driver and firmware agree)"
        return Choice(port.capture_name, "tcpdump_rdma", port.capture_name, reason)
    return _without_probe(facts, port, found)


def _by_software(port: Port) -> Choice:
    if port.netdev is None:
        raise Refused(f"{port.capture_name} is a software device whose network interface could not be found: name the interface")
    reason = f"{port.driver} is a software device: all of its packets pass through the kernel on {port.netdev}"
    return Choice(port.capture_name, "tcpdump", port.netdev, reason)


def _by_flag(device: str, netdev: Netdev) -> Choice:
    reason = f"the driver has the private flag sniffer, which copies RDMA traffic to {netdev.name} (MLNX_OFED up to 4.9 and 5.0)"
    return Choice(device, "tcpdump", netdev.name, reason, {Key("ethtool_private_flag", netdev.name, "sniffer"): True})


def _without_probe(facts: Facts, port: Port, found: Probe) -> Choice:
    """Return the way that is left when tcpdump cannot capture on the RDMA device."""
    ibdump = bool(facts.tools.ibdump) and (port.link_layer == "InfiniBand" or port.driver == "mlx5_core")
    container = facts.tools.libpcap_rdma is False and bool(facts.tools.container_runtime) and port.driver != "bnxt_en"
    if container and not (ibdump and port.link_layer == "InfiniBand"):
        reason = f"{facts.tools.why}, and {facts.tools.container_runtime} can run a tcpdump that has it"
        return Choice(port.capture_name, "container", port.capture_name, reason)
    if ibdump:
        reason = f"tcpdump cannot capture here ({found.words}), ibdump is installed"
        return Choice(port.capture_name, "ibdump", port.capture_name, reason, {}, IBDUMP_MLX4 if port.driver == "mlx4_core" else None)
    raise Refused(f"{port.capture_name}: {_way_out(facts, port, found)}")


def _way_out(facts: Facts, port: Port, found: Probe) -> str:
    if facts.tools.tcpdump is None:
        return "tcpdump is not installed on this host: install it, with a libpcap that has RDMA support"
    if facts.tools.libpcap_rdma is False:
        return f"{facts.tools.why}: install a tcpdump whose libpcap has it, or docker or podman for engine: container"
    return f"tcpdump says {found.words!r}: {_advice(port, found.words)}"


def _advice(port: Port, words: str) -> str:
    """Return what to do about an activation that failed, by libpcap's words for the step that failed."""
    if "No such device" in words:
        return "load ib_uverbs and install libibverbs' driver for this card (ibverbs-providers on Debian, libibverbs on RHEL)"
    if port.driver == "mlx4_core" and "create flow" in words:
        return FLOW_ADVICE[port.driver]
    if port.link_layer == "InfiniBand":
        return IBDUMP_ADVICE.get(port.driver, "install ibdump (built with mstflint), which captures InfiniBand ports")
    if "create flow" not in words:
        return "capturing on an RDMA device needs root with CAP_NET_RAW, and a port number that the card has"
    return FLOW_ADVICE[port.driver]
