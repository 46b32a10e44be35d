# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How stored module options stand to the running kernel: is a reload due, is the initramfs stale, may the driver go."""

from __future__ import annotations

import typing as t

from ..host import CommandMissing
from .model import Refused
from .modprobe_option import parameter_types
from .modprobe_text import normal, same_value

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

STORAGE_MODULES = ("nvme_rdma", "nvmet_rdma", "ib_iser", "ib_isert", "ib_srp", "ib_srpt", "rpcrdma", "ko2iblnd")


class Live(t.NamedTuple):
    """The running side of a module's options; None where it cannot be known, with the reason in *notes*."""

    loaded: bool
    running: dict[str, str | None]
    reload_required: bool
    initramfs_update_required: bool | None
    notes: list[str]


def compare(host: Host, module: str, stored: Mapping[str, str | None]) -> Live:
    """Return how the running kernel stands to *stored* ({parameter: value or None})."""
    types = parameter_types(host, module)
    folder = f"/sys/module/{normal(module)}"
    loaded = host.exists(folder)
    running = {name: _stripped(host.read(f"{folder}/parameters/{name}")) for name in stored}
    stale, notes = _stale(types, stored, running) if loaded else (False, [])
    inside, note = in_initramfs(host, module)
    return Live(loaded, running, stale, inside, notes + ([note] if note else []))


def _stale(types: Mapping[str, str], stored: Mapping[str, str | None], running: Mapping[str, str | None]) -> tuple[bool, list[str]]:
    stale, notes = False, []
    for name, value in stored.items():
        live = running.get(name)
        if value is not None and live is None:
            notes.append(f"the kernel does not show {name}, so whether it took cannot be known before a reload")
        elif value is not None and live is not None and not same_value(types.get(name, ""), value, live):
            stale = True
    return stale, notes


def _stripped(text: str | None) -> str | None:
    return text.strip() if text is not None else None


def in_initramfs(host: Host, module: str) -> tuple[bool | None, str | None]:
    """Return whether *module* is loaded from the initramfs, with the options that were stored in it; and a note."""
    for tool, update in (("lsinitramfs", "update-initramfs -u"), ("lsinitrd", "dracut -f")):
        if not host.which(tool):
            continue
        release = host.run(["uname", "-r"]).out.strip()
        argv = [tool, f"/boot/initrd.img-{release}"] if tool == "lsinitramfs" else [tool]
        done = host.run(argv, timeout=60)
        if done.rc:
            return None, f"the initramfs could not be listed ({done.message})"
        inside = any(line.rsplit("/", 1)[-1].partition(".ko")[0].replace("-", "_") == normal(module) for line in done.out.splitlines())
        return inside, f"{module} is in the initramfs: run {update}, or the old options come back at boot" if inside else None
    return None, "neither lsinitramfs nor lsinitrd is installed, so the initramfs could not be looked into"


def reload_module(host: Host, module: str) -> list[str]:
    """Unload and load *module* and return the commands. Raises Refused, with the reason, where traffic could be cut."""
    reasons = reload_hindrances(host, module)
    if reasons:
        raise Refused(f"{module} is not reloaded: {'; '.join(reasons)}")
    commands = []
    for argv in (["modprobe", "-r", module], ["modprobe", module]):
        done = host.run(argv, timeout=60)
        commands.append(done.command)
        if done.rc:
            raise Refused(f"{done.command}: {done.message}")
    return commands


def reload_hindrances(host: Host, module: str) -> list[str]:
    """Return every reason why unloading *module* now could take a host away or lose data; [] when it is safe."""
    folder = f"/sys/module/{normal(module)}"
    devices = _devices_of(host, module)
    reasons = []
    holders = host.names(f"{folder}/holders")
    if holders:
        reasons.append(f"{', '.join(holders)} use it: unload them first")
    elif int((host.read(f"{folder}/refcnt") or "0").strip() or 0) > 0:
        reasons.append("it is in use (its reference count is not 0)")
    reasons += [reason for device in devices for reason in _device_hindrances(host, device)]
    storage = [name for name in STORAGE_MODULES if host.exists(f"/sys/module/{name}")]
    if storage:
        reasons.append(f"storage over RDMA may be in use ({', '.join(storage)} loaded)")
    users = _rdma_users(host) if host.names("/dev/infiniband") else []
    if users:
        reasons.append(f"processes have /dev/infiniband open: {', '.join(users)}")
    if host.exists("/etc/init.d/openibd"):
        reasons.append("the drivers belong to MLNX_OFED: use /etc/init.d/openibd restart, which has checks of its own")
    return reasons


def _devices_of(host: Host, module: str) -> list[str]:
    """Return the network devices whose driver comes from *module*."""
    wanted = f"/sys/module/{normal(module)}"
    return [
        name for name in host.names("/sys/class/net") if host.target(f"/sys/class/net/{name}/device/driver/module") == wanted
    ]  # fmt: skip


def _device_hindrances(host: Host, device: str) -> list[str]:
    reasons = []
    if host.exists(f"/sys/class/net/{device}/master"):
        reasons.append(f"{device} belongs to a bond or bridge")
    if int((host.read(f"/sys/class/net/{device}/device/sriov_numvfs") or "0").strip() or 0):
        reasons.append(f"{device} has virtual functions")
    if _carries_default_route(host, device):
        reasons.append(f"{device} carries the default route")
    if _carries_ssh(host, device):
        reasons.append(f"{device} carries an ssh connection, which may be this one")
    return reasons


def _carries_default_route(host: Host, device: str) -> bool:
    rows = [line.split() for line in (host.read("/proc/net/route") or "").splitlines()[1:]]
    return any(row[0] == device and row[1] == "00000000" for row in rows if len(row) > 1)


def _carries_ssh(host: Host, device: str) -> bool:
    """Whether a connection to port 22 of this host uses an address of *device*."""
    try:
        addresses = {word.partition("/")[0] for word in host.run(["ip", "-o", "address", "show", "dev", device]).out.split()}
        peers = host.run(["ss", "-Htn", "state", "established", "( sport = :22 )"]).out.splitlines()
    except CommandMissing:
        return True
    locals_ = {line.split()[2].rpartition(":")[0].strip("[]") for line in peers if len(line.split()) > 2}
    return bool(addresses & locals_)


def _rdma_users(host: Host) -> list[str]:
    found = []
    for pid in filter(str.isdecimal, host.names("/proc")):
        links = (host.target(f"/proc/{pid}/fd/{fd}") or "" for fd in host.names(f"/proc/{pid}/fd"))
        if any(link.startswith("/dev/infiniband/") for link in links):
            found.append(f"{(host.read(f'/proc/{pid}/comm') or '?').strip()} ({pid})")
    return found
