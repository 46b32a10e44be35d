# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a kernel module may be taken out of a running kernel: what the kernel itself would not refuse and somebody would miss."""

from __future__ import annotations

import re
import typing as t

from .link import FALLBACKS, read_links
from .model import Refused
from .modprobe_text import normal
from .module_reload import STORAGE_MODULES, device_hindrances, devices_of, module_hindrances, rdma_users

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

#: Tunnels do not count as users of their module: they are gone when it goes.
TUNNEL_KINDS: Mapping[str, tuple[str, ...]] = {
    "ip_gre": ("gre", "gretap", "erspan"),
    "ip6_gre": ("ip6gre", "ip6gretap", "ip6erspan"),
    "ip6_tunnel": ("ip6tnl",),
}
_CONNECTION = re.compile(r"^link (\S+)/\d+ .*\btype (?:RC|UC|UD)\b.*?\bcomm (\S+)", re.MULTILINE)


class Surroundings(t.NamedTuple):
    """What depends on a module. *kernel* and *devices* are reasons already; the rest are names, and `rdma` says whether RDMA is its trade."""

    module: str
    kernel: list[str] = []
    devices: list[str] = []
    tunnels: list[str] = []
    rdma: bool = False
    configured: list[str] = []
    rdma_users: list[str] = []
    rdma_connections: list[str] = []
    rdma_storage: list[str] = []
    vendor_script: bool = False


def hindrances(seen: Surroundings) -> list[str]:
    """Return every reason to leave the module where it is. Pure."""
    reasons = [*seen.kernel, *seen.devices]
    if seen.tunnels:
        reasons.append(f"the tunnels {', '.join(seen.tunnels)} would be gone with it: remove them first")
    if not seen.rdma:
        return reasons
    if seen.configured:
        reasons.append(f"it is configured by {', '.join(seen.configured)}: remove these folders first (rmdir)")
    if seen.rdma_users:
        reasons.append(f"processes have /dev/infiniband open: {', '.join(seen.rdma_users)}")
    if seen.rdma_connections:
        reasons.append(f"RDMA connections are open: {', '.join(seen.rdma_connections)}")
    if seen.rdma_storage:
        reasons.append(f"storage over RDMA may be in use ({', '.join(seen.rdma_storage)} loaded): install iproute2's rdma, which tells")
    if seen.vendor_script:
        reasons.append("the drivers belong to MLNX_OFED: use /etc/init.d/openibd, which has checks of its own")
    return reasons


def survey(host: Host, module: str) -> Surroundings:
    """Look at all that hindrances() wants to know."""
    kinds = TUNNEL_KINDS.get(normal(module), ())
    links = read_links(host) if kinds else {}
    seen = Surroundings(
        module,
        kernel=module_hindrances(host, module),
        devices=[reason for device in devices_of(host, module) for reason in device_hindrances(host, device)],
        tunnels=[name for name, link in links.items() if link.device["kind"] in kinds and name not in FALLBACKS],
    )
    return _rdma_survey(host, seen) if "ib_core" in needed(host, module) else seen


def _rdma_survey(host: Host, seen: Surroundings) -> Surroundings:
    folder, told = f"/sys/kernel/config/{normal(seen.module)}", host.which("rdma") is not None
    return seen._replace(
        rdma=True,
        configured=[f"{folder}/{name}" for name in host.names(folder)],
        rdma_users=rdma_users(host) if host.names("/dev/infiniband") else [],
        rdma_connections=connections(host.run(["rdma", "resource", "show", "qp"]).out) if told else [],
        # rdma-core loads some of these on every RDMA host, so they count only where nobody tells whether they have connections
        rdma_storage=[name for name in STORAGE_MODULES if not told and host.exists(f"/sys/module/{name}")],
        vendor_script=host.exists("/etc/init.d/openibd"),
    )


def connections(text: str) -> list[str]:
    """Return `device: program` of queue pairs that carry data in the output of `rdma resource show qp`, each once. Pure."""
    return list(
        dict.fromkeys(f"{device}: {program.strip('[]')}" for device, program in _CONNECTION.findall(text) if program != "[ib_core]")
    )


def needed(host: Host, module: str) -> list[str]:
    """Return what `modprobe module` loads, in its order and *module* last; only itself where modprobe does not know it. Reads only."""
    said = host.run(["modprobe", "--show-depends", module]).out if host.which("modprobe") else ""
    paths = re.findall(r"^insmod (\S+)", said, re.MULTILINE)
    names = [normal(path.rpartition("/")[2].partition(".ko")[0]) for path in paths]
    return names if normal(module) in names else [*names, normal(module)]


def refuse_unload(host: Host, module: str) -> None:
    """Raise Refused, with every reason, where somebody would miss *module*."""
    reasons = hindrances(survey(host, module))
    if reasons:
        raise Refused(f"{module} stays loaded: {'; '.join(reasons)}")


def unload(host: Host, module: str) -> None:
    """Take *module* alone out of the kernel: `modprobe -r` would take those that it needs too, whoever else relies on them."""
    refuse_unload(host, module)
    done = host.run(["rmmod", module], timeout=60)
    if done.rc:
        raise Refused(f"{done.command}: {done.message}")
