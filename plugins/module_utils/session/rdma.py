# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What RDMA hardware and capture tools a host has, read from sysfs, ethtool and the tools themselves.

Sources: Linux Documentation/ABI/stable/sysfs-class-infiniband, rdma-core's persistent naming, libpcap's pcap-rdmasniff.c.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ..host import CommandMissing
from ..settings.ethtool_device import ask, device_names
from ..settings.ethtool_text import parse_driver, parse_private_flags
from ..settings.model import Refused

if t.TYPE_CHECKING:
    from ..host import Host

CLASS = "/sys/class/infiniband"
SIW_DESCRIPTION = "Software iWARP"
PROBE_SECONDS = 10.0
MAX_GIDS = 256


class Gid(t.NamedTuple):
    """One entry of a port's GID table; *type* is `IB/RoCE v1` or `RoCE v2`, as the kernel writes it."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    gid: str
    type: str | None
    netdev: str | None


class Port(t.NamedTuple):
    """One port of an RDMA device. *driver* is the PCI driver's name, or rxe or siw for software devices."""

    device: str
    port: int
    link_layer: str
    state: str
    driver: str
    netdev: str | None
    gids: list[Gid]

    @property
    def capture_name(self) -> str:
        """The name that libpcap knows: the port is said where it is not the first."""
        return self.device if self.port == 1 else f"{self.device}:{self.port}"

    @property
    def active(self) -> bool:
        return self.state == "ACTIVE"

    @property
    def addresses(self) -> list[str]:
        """The IP addresses under which RoCE v2 reaches this port, IPv4 first; those of the link alone are left out."""
        found = [ipaddress.IPv6Address(gid.gid) for gid in self.gids if gid.type == "RoCE v2"]
        four = [str(address.ipv4_mapped) for address in found if address.ipv4_mapped]
        return four + [str(address) for address in found if not (address.ipv4_mapped or address.is_link_local)]


class Netdev(t.NamedTuple):
    """A network interface; *private_flags* are the driver's, {} where it has none."""

    name: str
    driver: str
    operstate: str
    private_flags: dict[str, bool]


class Tools(t.NamedTuple):
    """What there is to capture with. *libpcap_rdma* is None where it could not be found out; *why* says so in words."""

    tcpdump: str | None
    libpcap: str | None
    libpcap_rdma: bool | None
    why: str
    listed: list[str]
    ibdump: str | None
    container_runtime: str | None


class Facts(t.NamedTuple):
    ports: list[Port]
    netdevs: dict[str, Netdev]
    ofed: str | None
    tools: Tools


class Probe(t.NamedTuple):
    """Whether a capture on an RDMA device can be activated, in tcpdump's own words where not."""

    works: bool
    words: str


def gather(host: Host) -> Facts:
    """Read everything; never raises, what is absent is None or empty."""
    ports = [port for device in host.names(CLASS) for port in read_ports(host, device)]
    names = [name for name in device_names(host.read("/proc/net/dev") or "") if name != "lo"]
    return Facts(ports, {name: read_netdev(host, name) for name in names}, read_ofed(host), read_tools(host))


def read_ports(host: Host, device: str) -> list[Port]:
    return [read_port(host, device, int(name)) for name in host.names(f"{CLASS}/{device}/ports") if name.isdecimal()]


def read_port(host: Host, device: str, number: int) -> Port:
    folder = f"{CLASS}/{device}/ports/{number}"
    gids = read_gids(host, folder)
    return Port(
        device,
        number,
        (host.read(f"{folder}/link_layer") or "").strip(),
        parse_state(host.read(f"{folder}/state") or ""),
        read_driver(host, device),
        next((gid.netdev for gid in gids if gid.netdev), None) or _pci_netdev(host, device, number),
        gids,
    )


def read_gids(host: Host, folder: str) -> list[Gid]:
    """Return the filled slots of the port's GID table; reading type or netdev of an empty one is EINVAL and skipped."""
    found = []
    slots = sorted(int(name) for name in host.names(f"{folder}/gids") if name.isdecimal())[:MAX_GIDS]
    for slot in slots:
        gid = (host.read(f"{folder}/gids/{slot}") or "").strip()
        if gid.strip("0:"):
            kind = (host.read(f"{folder}/gid_attrs/types/{slot}") or "").strip() or None
            netdev = (host.read(f"{folder}/gid_attrs/ndevs/{slot}") or "").strip() or None
            found.append(Gid(slot, gid, kind, netdev))
    return found


def _pci_netdev(host: Host, device: str, number: int) -> str | None:
    """Return the netdev that a software device names, or that of the same PCI function; two ports on one differ by dev_port."""
    parent = (host.read(f"{CLASS}/{device}/parent") or "").strip()
    if parent:
        return parent
    names = host.names(f"{CLASS}/{device}/device/net")
    for name in names:
        if (host.read(f"/sys/class/net/{name}/dev_port") or "").strip() == str(number - 1):
            return name
    return names[0] if names else None


def read_driver(host: Host, device: str) -> str:
    """Return the driver of the card, that of a mlx5 subfunction by the card's, or rxe or siw.

    Up to Linux 5.10 software devices hang below the device of their interface, whose driver says nothing about them: rxe is known
    by its attribute `parent`, siw by its name or its description.
    """
    description = host.read(f"{CLASS}/{device}/node_desc") or ""
    if device.startswith("siw") or description.startswith(SIW_DESCRIPTION):
        return "siw"
    target = host.target(f"{CLASS}/{device}/device/driver")
    if target is None or host.read(f"{CLASS}/{device}/parent") is not None:
        return "rxe"
    return target.rsplit("/", 1)[-1].partition(".")[0]


def read_netdev(host: Host, name: str) -> Netdev:
    operstate = (host.read(f"/sys/class/net/{name}/operstate") or "unknown").strip()
    try:
        driver = parse_driver(ask(host, "-i", name) or "")
        flags = parse_private_flags(ask(host, "--show-priv-flags", name) or "")
    except (Refused, CommandMissing):
        driver, flags = "", {}
    return Netdev(name, driver, operstate, flags)


def read_ofed(host: Host) -> str | None:
    """Return what `ofed_info -s` says, None with inbox drivers. A hint only: the probes decide."""
    try:
        done = host.run(["ofed_info", "-s"])
    except CommandMissing:
        return None
    return done.out.strip().rstrip(":") or None if done.rc == 0 else None


def read_tools(host: Host) -> Tools:
    runtime = next((path for path in map(host.which, ("docker", "podman")) if path), None)
    tcpdump = host.which("tcpdump")
    if tcpdump is None:
        return Tools(None, None, None, "tcpdump is not installed", [], host.which("ibdump"), runtime)
    versions = host.run(["tcpdump", "--version"])
    linked, why = read_linkage(host, tcpdump)
    listed = parse_listing(host.run(["tcpdump", "-D"]).out)
    numbers = parse_versions(versions.out + versions.err)
    return Tools(numbers.get("tcpdump"), numbers.get("libpcap"), True if listed else linked, why, listed, host.which("ibdump"), runtime)


def read_linkage(host: Host, tcpdump: str) -> tuple[bool | None, str]:
    """Return whether the libpcap that tcpdump loads was built with RDMA, which no version number tells."""
    try:
        outer = host.run(["ldd", tcpdump]).out
        pcap = parse_libpcap_path(outer)
        inner = host.run(["ldd", pcap]).out if pcap else ""
    except CommandMissing:
        return None, "ldd is not installed, so how libpcap was built is not known"
    if pcap is None:
        return None, f"{tcpdump} loads no libpcap (it is static), so how that was built is not known"
    if "libibverbs" in inner:
        return True, f"{pcap} is linked with libibverbs"
    return False, f"{pcap} was built without RDMA support (no libibverbs among its libraries)"


def probe(host: Host, capture_name: str) -> Probe:
    """Activate a capture on an RDMA device for a moment: `tcpdump -L` makes the queue pair and the flow rule, then ends."""
    try:
        done = host.run(["tcpdump", "-i", capture_name, "-L"], timeout=PROBE_SECONDS)
    except CommandMissing as missing:
        return Probe(False, str(missing))
    return Probe(done.rc == 0, done.message)


def parse_state(text: str) -> str:
    """Return the name in a port's `state` file, for example ACTIVE from `4: ACTIVE`."""
    return text.partition(":")[2].strip() or text.strip()


def parse_listing(text: str) -> list[str]:
    """Return the RDMA devices in the output of `tcpdump -D`."""
    return re.findall(r"^\d+\.(\S+) \(RDMA sniffer\)", text, re.MULTILINE)


def parse_versions(text: str) -> dict[str, str]:
    """Return the versions of tcpdump and libpcap in the output of `tcpdump --version`."""
    found = re.findall(r"^(tcpdump|libpcap) version (\d[\w.-]*)", text, re.MULTILINE)
    return dict(found)


def parse_libpcap_path(text: str) -> str | None:
    """Return the path of libpcap in the output of `ldd`, None for a static tcpdump."""
    found = re.search(r"libpcap\.so\S* => (/\S+)", text)
    return found[1] if found else None
