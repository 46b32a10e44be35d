# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unloading and loading a kernel module, but only where that takes nobody's network, storage or RDMA away."""

from __future__ import annotations

import re
import typing as t

from ..host import CommandMissing
from .model import Refused
from .modprobe_text import normal

if t.TYPE_CHECKING:
    from ..host import Host

STORAGE_MODULES = ("nvme_rdma", "nvmet_rdma", "ib_iser", "ib_isert", "ib_srp", "ib_srpt", "rpcrdma", "ko2iblnd")

#: What is in a driver's folder beside its devices (Linux drivers/base/bus.c, drivers/pci/pci-driver.c).
_DRIVER_FILES = ("bind", "unbind", "new_id", "remove_id", "uevent", "module")


def reload_argvs(module: str) -> list[list[str]]:
    return [["modprobe", "-r", module], ["modprobe", module]]


def reload_module(host: Host, module: str) -> None:
    """Unload and load *module*; raises Refused in modprobe's words."""
    for argv in reload_argvs(module):
        done = host.run(argv, timeout=60)
        if done.rc:
            raise Refused(f"{done.command}: {done.message}")


def refuse_reload(host: Host, module: str) -> None:
    """Raise Refused, with every reason, where unloading *module* now could take a host away or lose data."""
    reasons = module_hindrances(host, module)
    if not _drives_nothing(host, module):
        reasons += [reason for device in devices_of(host, module) for reason in device_hindrances(host, device)]
        reasons += _rdma_hindrances(host)
    if host.exists("/etc/init.d/openibd"):
        reasons.append("the drivers belong to MLNX_OFED: use /etc/init.d/openibd restart, which has checks of its own")
    if reasons:
        raise Refused(f"{module} is not reloaded: {'; '.join(reasons)}")


def _drives_nothing(host: Host, module: str) -> bool:
    """Whether *module* has drivers and no device is bound to any, so that nobody's traffic goes through it."""
    folder = f"/sys/module/{normal(module)}/drivers"
    drivers = host.names(folder)
    bound = [name for driver in drivers for name in host.names(f"{folder}/{driver}") if name not in _DRIVER_FILES]
    return bool(drivers) and not bound


def _rdma_hindrances(host: Host) -> list[str]:
    """Return what may use RDMA, through whichever card; rdma-core loads some of these modules on every RDMA host."""
    storage = [name for name in STORAGE_MODULES if host.exists(f"/sys/module/{name}")]
    users = rdma_users(host) if host.names("/dev/infiniband") else []
    reasons = [f"storage over RDMA may be in use ({', '.join(storage)} loaded)"] if storage else []
    return reasons + ([f"processes have /dev/infiniband open: {', '.join(users)}"] if users else [])


def module_hindrances(host: Host, module: str) -> list[str]:
    """Return why the kernel itself would not let *module* go."""
    folder = f"/sys/module/{normal(module)}"
    holders = host.names(f"{folder}/holders")
    if holders:
        return [f"{', '.join(holders)} use it: unload them first"]
    count = (host.read(f"{folder}/refcnt") or "0").strip()
    return [] if count == "0" else [f"it is in use (its reference count is {count})"]


def devices_of(host: Host, module: str) -> list[str]:
    """Return the network devices whose driver comes from *module*."""
    wanted = f"/sys/module/{normal(module)}"
    return [name for name in host.names("/sys/class/net") if host.target(f"/sys/class/net/{name}/device/driver/module") == wanted]


def device_hindrances(host: Host, device: str) -> list[str]:
    """Return what would miss the network device *device*."""
    folder = f"/sys/class/net/{device}"
    reasons = [f"{name[len('upper_') :]} stands on {device}" for name in host.names(folder) if name.startswith("upper_")]
    if (host.read(f"{folder}/device/sriov_numvfs") or "0").strip() != "0":
        reasons.append(f"{device} has virtual functions")
    if device in default_route_devices(host.read("/proc/net/route") or "", host.read("/proc/net/ipv6_route") or ""):
        reasons.append(f"{device} carries the default route")
    if _carries_ssh(host, device):
        reasons.append(f"{device} carries an ssh connection, which may be this one")
    return reasons


def _carries_ssh(host: Host, device: str) -> bool:
    """Whether an ssh server of this host talks through an address of *device*; assumed where it cannot be found out."""
    try:
        addresses = re.findall(r"\binet6? ([^ /]+)", host.run(["ip", "-o", "address", "show", "dev", device]).out)
        sockets = host.run(["ss", "-Htnp", "state", "established"])
    except CommandMissing:
        return True
    return sockets.rc != 0 or not ssh_addresses(sockets.out).isdisjoint(addresses)


def rdma_users(host: Host) -> list[str]:
    """Return the programs, with their process ids, that have an RDMA device open."""
    found = []
    for pid in filter(str.isdecimal, host.names("/proc")):
        links = (host.target(f"/proc/{pid}/fd/{fd}") or "" for fd in host.names(f"/proc/{pid}/fd"))
        if any(link.startswith("/dev/infiniband/") for link in links):
            found.append(f"{(host.read(f'/proc/{pid}/comm') or '?').strip()} ({pid})")
    return found


def default_route_devices(route: str, ipv6_route: str) -> set[str]:
    """Return the devices of default routes in /proc/net/route and /proc/net/ipv6_route; lo has one that rejects."""
    four = [words for words in map(str.split, route.splitlines()[1:]) if len(words) > 7]
    six = [words for words in map(str.split, ipv6_route.splitlines()) if len(words) > 9]
    found = {words[0] for words in four if (words[1], words[7]) == ("00000000", "00000000")}
    return found | {words[9] for words in six if (words[0].strip("0"), words[1]) == ("", "00")} - {"lo"}


def ssh_addresses(text: str) -> set[str]:
    """Return the local addresses of ssh servers in the output of `ss -Htnp state established`."""
    found = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) > 3:
            address, _colon, port = words[2].rpartition(":")
            if port == "22" or '"sshd' in line:
                found.add(address.strip("[]").partition("%")[0].removeprefix("::ffff:"))
    return found
