# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as User-Mode Linux: a real Debian kernel each, as a plain process, with modules, sysctls and a clock of its own.

The kernel is that of the host's suite; one of another suite than the machine's runs in a root of its own.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

from .fleet import Host
from .hub import Hub
from .network import make_taps
from .rootfs import SUITE, rootfs, run
from .umlkernel import KERNEL, image, xstate
from .userland import within

INIT = pathlib.Path(__file__).parent / "init" / "uml.sh"


def start(hub: Hub, host: Host, folder: pathlib.Path) -> None:
    """Start *host* from inside the hub. Its writes go to a copy-on-write file in *folder*."""
    folder.mkdir(parents=True)
    where = [] if host.suite == SUITE else within(rootfs(host.suite), folder)
    program = [*where, str(KERNEL)]
    nics = make_taps(host, "eth[0-9]+=" in run([*program, "--help"]).stdout)
    words = {
        "name": host.name, "init": host.init, "device": host.data_device, "key": hub.key.with_suffix(".pub").read_text().split()[1],
        "mgmt": host.address, "data": host.data_address,
    }  # fmt: skip
    kernel = [
        *program, f"umid={host.name}", f"uml_dir={folder}", f"mem={host.memory_mib}M", f"ubd0={folder}/cow,{image(host.suite)}",
        "root=/dev/ubda", "rw", "quiet", "con=null", "con0=null,fd:1", "ssl=null", "systemd.show_status=0", *nics,
        "init=/usr/local/sbin/lab-init", *(f"lab.{name}={value}" for name, value in words.items()),
    ]  # fmt: skip
    with open(folder / "console", "wb") as console:
        subprocess.Popen(
            kernel, stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True,
            env={**os.environ, "TMPDIR": "/dev/shm", "LD_PRELOAD": str(xstate())},
        )  # fmt: skip
