# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that are QEMU guests: Debian's own kernel with its drivers, Soft-RoCE among them, on an emulated CPU."""

from __future__ import annotations

import json
import pathlib
import socket
import subprocess
import typing as t

from . import qemuroot
from .fleet import Host
from .hub import Hub
from .network import make_guest_taps
from .problem import Problem
from .rootfs import SUITE, run
from .userland import within

PROGRAM = "qemu-system-x86_64"
#: What an emulated CPU gains nothing from: self tests, mitigations, five-level paging. Its clock is ACPI's, which needs no
#: measuring at boot: beside busy neighbours the kernel measures its TSC wrong, and time then runs several times too fast.
COMMAND_LINE = (
    "console=ttyS0 quiet root=/dev/vda rw net.ifnames=0 nokaslr mitigations=off cryptomgr.notests random.trust_cpu=on clocksource=acpi_pm "
    "systemd.show_status=0 init=/usr/local/sbin/lab-init"
)
#: PVH, by which QEMU starts an unpacked kernel, is for this machine.
MACHINE = ["-machine", "q35,hpet=off", "-accel", "tcg,tb-size=256", "-cpu", "max,la57=off", "-smp", "1"]
#: Device models of the links by their order; those from the third on are there for their rings, features and flags.
NICS = ("virtio-net-pci", "virtio-net-pci", "e1000e", "vmxnet3")
#: What the machine's QEMU (7.2 in Debian bookworm) does not emulate, and that of a later suite does.
LATER_NICS = (*NICS, "igb")
#: How long QEMU's monitor may take to answer: it does so within milliseconds, or its process does not run.
MONITOR_SECONDS = 60


def start(hub: Hub, host: Host, folder: pathlib.Path) -> None:
    """Start *host* from inside the hub. Its writes go to an overlay in *folder* and survive a power cycle, not the lab."""
    folder.mkdir(parents=True)
    disk = folder / "disk.qcow2"
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(qemuroot.image()), str(disk)])
    key = hub.key.with_suffix(".pub").read_text().split()[1]
    words = {"name": host.name, "device": host.data_device, "mgmt": host.address, "data": host.data_address, "key": key}
    kernel = ["-kernel", str(qemuroot.kernel()), "-initrd", str(qemuroot.initramfs())]
    kernel += ["-append", " ".join([COMMAND_LINE, *(f"lab.{name}={value}" for name, value in words.items())])]
    drive = ["-drive", f"if=none,id=disk,file={disk},format=qcow2,cache=writeback", "-device", "virtio-blk-pci,drive=disk,romfile="]
    ends = ["-serial", f"file:{folder}/console", "-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    where = [] if host.suite == SUITE else within(qemuroot.emulator(host.suite), folder)
    argv = [
        *where, PROGRAM, "-name", host.name, *MACHINE, "-m", str(host.memory_mib), "-nodefaults", "-no-user-config", "-display", "none",
        *ends, *kernel, *drive, "-device", "virtio-rng-pci,romfile=", *_nics(host),
    ]  # fmt: skip
    (folder / "console").touch()
    with open(folder / "qemu.log", "wb") as log:
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def _nics(host: Host) -> list[str]:
    words, models = [], NICS if host.suite == SUITE else LATER_NICS
    for number, (tap, mac) in enumerate(make_guest_taps(host, len(models))):
        mtu = f",host_mtu={host.data_mtu}" if number == 1 else ""
        words += ["-netdev", f"tap,id=n{number},ifname={tap},script=no,downscript=no"]
        words += ["-device", f"{models[number]},netdev=n{number},mac={mac}{mtu},romfile="]
    return words


def power_cycle(folder: pathlib.Path) -> None:
    """Reset a guest as its reset button would: what its kernel had not written to the disk is gone."""
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(MONITOR_SECONDS)
        try:
            monitor.connect(str(folder / "qmp"))
        except OSError as error:
            raise Problem(f"{folder.name} has no QEMU monitor ({error.strerror or error}): only qemu guests have a reset button") from None
        with monitor.makefile("rw", encoding="utf-8") as stream:
            _reply(stream, "QMP")
            for command in ("qmp_capabilities", "system_reset"):
                stream.write(json.dumps({"execute": command}) + "\n")
                stream.flush()
                _reply(stream, "return")


def _reply(stream: t.TextIO, wanted: str) -> None:
    """Read the monitor's messages up to one that has *wanted*; events come in between."""
    while line := _line(stream):
        message = json.loads(line)
        if wanted in message:
            return
        if "error" in message:
            raise Problem(f"QEMU's monitor says: {message['error'].get('desc')}")
    raise Problem("QEMU's monitor hung up")


def _line(stream: t.TextIO) -> str:
    try:
        return stream.readline()
    except TimeoutError:
        raise Problem(f"QEMU's monitor said nothing for {MONITOR_SECONDS} s: has its process stopped?") from None
