# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a whole lab up and down. up() runs outside the hub, populate() inside it."""

from __future__ import annotations

import pathlib
import shutil
import socket
import subprocess
import sys
import time

from . import loadbalancer, namespace, network, qemu, qemuroot, switch, uml
from .fleet import Host, fleet
from .hub import Hub
from .inventory import inventory
from .packages import ensure, missing
from .problem import Problem
from .rootfs import SUITE, rootfs, run
from .umlkernel import image, xstate
from .user import require

MAKERS = {"namespace": namespace.start, "uml": uml.start, "qemu": qemu.start}
#: An emulated CPU beside busy neighbours takes its time.
BOOT_SECONDS = {"namespace": 600, "uml": 600, "qemu": 800}
#: What takes long and is cached: built before the hub exists.
PREPARE = {
    "namespace": lambda hosts: [rootfs(suite) for suite in sorted({host.suite for host in hosts if host.kind == "namespace"})],
    "uml": lambda hosts: (*map(image, sorted({host.suite for host in hosts if host.kind == "uml"})), xstate()),
    "qemu": lambda hosts: (
        qemuroot.image(), qemuroot.kernel(), *map(qemuroot.emulator, {host.suite for host in hosts if host.kind == "qemu"} - {SUITE}),
    ),
}
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def up(hub: Hub, name: str) -> float:
    """Bring fleet *name* up in *hub*; return how many seconds the hosts took to answer."""
    hosts = fleet(name)
    kinds = {host.kind for host in hosts}
    ensure(lambda: missing(hosts))
    require(not kinds <= {"namespace"} or any(host.dpvs or host.switch for host in hosts))
    for kind in sorted(kinds):
        PREPARE[kind](hosts)
    hub.create()
    started = time.monotonic()
    try:
        hub.key.unlink(missing_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"wirefleet-lab {hub.name}", "-f", str(hub.key)])
        (hub.state / "fleet").write_text(name)
        hub.inventory.write_text(inventory(hosts, str(hub.key), str(hub.state / "cp")))
        inside(hub, "populate", name)
    except BaseException:
        down(hub)
        raise
    return time.monotonic() - started


def inside(hub: Hub, *words: str) -> None:
    """Run a verb of this program inside the hub."""
    argv = [*hub.enter(), sys.executable, "-m", "tests.lab", *words, "--lab", hub.name]
    if subprocess.run(argv, cwd=REPOSITORY, check=False).returncode:
        raise Problem(f"the lab {hub.name} could not be set up; what was made has been taken down")


def populate(hub: Hub, name: str) -> None:
    """Make the networks and hosts of fleet *name*, from inside the hub, and wait until every sshd answers."""
    hosts = fleet(name)
    state = hub.state / "hosts"
    state.mkdir(exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "lab", str(state)])
    _raise_limits()
    network.make_bridges()
    network.make_cables(hosts)
    for host in hosts:
        MAKERS[host.kind](hub, host, state / host.name)
    wait_for(hosts, state)
    for host in hosts:
        if host.dpvs:
            loadbalancer.furnish(ssh_words(hub, host), host)
        if host.switch or host.behind:
            switch.furnish(ssh_words(hub, host), host)
    set_clocks(hub, hosts)  # last, since a clock of one's own loses time while others are busy


def set_clocks(hub: Hub, hosts: tuple[Host, ...]) -> None:
    for host in hosts:
        if host.kind != "namespace":
            set_clock(hub, host)


def set_clock(hub: Hub, host: Host) -> None:
    """Set the clock of a host that has one of its own: right, or wrong by as much as its description says.

    Such a clock loses time while its kernel boots beside others. The time is sent once the host waits for it.
    """
    script = 'echo ready; read -r now; date -s "@$now" >/dev/null'
    with subprocess.Popen([*ssh_words(hub, host), script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ssh:
        if ssh.stdin is None or ssh.stdout is None or ssh.stdout.readline() != b"ready\n":
            raise Problem(f"{host.name} does not let us in to set its clock")
        ssh.stdin.write(f"{time.time() + host.clock_offset_s:.6f}\n".encode())


def _raise_limits() -> None:
    """systemd takes about four inotify instances a host, and the default of 128 ends at 28 hosts. Not ours to insist on."""
    limit = pathlib.Path("/proc/sys/fs/inotify/max_user_instances")
    try:
        if int(limit.read_text()) < 8192:
            limit.write_text("8192")
    except OSError:
        return


def wait_for(hosts: tuple[Host, ...], state: pathlib.Path) -> None:
    waiting = {host.name: host for host in hosts}
    seconds = max(BOOT_SECONDS[host.kind] for host in hosts)
    deadline = time.monotonic() + seconds
    while waiting:
        waiting = {name: host for name, host in waiting.items() if not answers(host)}
        if waiting and time.monotonic() > deadline:
            name = next(iter(waiting))
            words = (state / name / "console").read_text(errors="replace").strip().splitlines()[-5:]
            raise Problem(f"{', '.join(waiting)} did not answer within {seconds} s; the console of {name} ends: {' / '.join(words)}")
        time.sleep(0.05 if waiting else 0)


def answers(host: Host) -> bool:
    """Whether *host*'s sshd says its name; from inside the hub only."""
    try:
        with socket.create_connection((host.address, 22), timeout=1) as connection:
            connection.settimeout(2)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def power_cycle(hub: Hub, host: Host) -> None:
    """Press the reset button of a guest and wait until it answers again; from inside the hub."""
    state = hub.state / "hosts"
    qemu.power_cycle(state / host.name)
    time.sleep(1)
    wait_for((host,), state)
    set_clock(hub, host)


def down(hub: Hub) -> bool:
    """End the lab and remove all it left: processes, namespaces and mounts go with the hub, cgroups and state after it."""
    was_up = hub.destroy()
    for attempt in range(50):
        try:
            namespace.remove_cgroups(hub)
            break
        except OSError:
            time.sleep(0.1 if attempt < 49 else 0)
    shutil.rmtree(hub.state, ignore_errors=True)
    return was_up


def hosts_of(hub: Hub) -> tuple[Host, ...]:
    try:
        return fleet((hub.state / "fleet").read_text())
    except OSError:
        raise Problem(f"the lab {hub.name} is not up: python3 -m tests.lab up FLEET --lab {hub.name}") from None


def host_of(hub: Hub, name: str) -> Host:
    hosts = {host.name: host for host in hosts_of(hub)}
    if name not in hosts:
        raise Problem(f"the lab {hub.name} has no host {name!r}: it has {', '.join(hosts)}")
    return hosts[name]


def ssh_words(hub: Hub, host: Host) -> list[str]:
    options = [
        "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR",
        "ConnectTimeout=30", "ServerAliveInterval=10", "ServerAliveCountMax=6",  # a host that froze ends the wait for it
    ]  # fmt: skip
    return ["ssh", "-q", "-i", str(hub.key), *(word for option in options for word in ("-o", option)), f"root@{host.address}"]


def status(hub: Hub) -> str:
    """Return a table of the lab's hosts, asked now; from inside the hub."""
    rows = [("host", "kind", "init", "address", "data device", "data address", "answers")]
    for host in hosts_of(hub):
        init = namespace.init_of(hub, host) if host.kind == "namespace" else host.init
        rows.append((host.name, host.kind, init, host.address, host.data_device, host.data_address, "yes" if answers(host) else "NO"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows)
