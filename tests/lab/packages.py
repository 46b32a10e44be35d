# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs of the machine, and getting it from Debian when we may."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import typing as t

from .fleet import Host
from .problem import Problem
from .rootfs import cache

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: A program that proves the package, and the package.
ALWAYS = (
    ("mmdebstrap", "mmdebstrap"), ("ssh", "openssh-client"), ("ssh-keygen", "openssh-client"), ("ip", "iproute2"), ("tc", "iproute2"),
    ("nsenter", "util-linux"),
)  # fmt: skip
UNPRIVILEGED = (("newuidmap", "uidmap"),)
BUILDING = (("gcc", "gcc"), ("make", "make"), ("flex", "flex"), ("bison", "bison"))
UML = (
    ("linux.uml", "user-mode-linux"), ("mkfs.ext4", "e2fsprogs"), *BUILDING, ("bc", "bc"), ("xz", "xz-utils"), ("depmod", "kmod"),
)  # fmt: skip
QEMU = (("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("mkfs.ext4", "e2fsprogs"))
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def missing(hosts: tuple[Host, ...]) -> list[str]:
    """Return the Debian packages that making *hosts* still needs."""
    wanted = [*ALWAYS]
    if os.geteuid():
        wanted += UNPRIVILEGED
    if any(host.kind == "uml" for host in hosts):
        wanted += UML
    if any(host.kind == "qemu" for host in hosts):
        wanted += QEMU
    return lacking(wanted)


def lacking(wanted: Iterable[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(package for program, package in wanted if not shutil.which(program, path=PATH)))


def ensure(look: Callable[[], list[str]]) -> None:
    """Install, as root, what *look* finds missing; one at a time where several labs come up at once."""
    with open(cache() / "packages.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(look())


def _install(packages: list[str]) -> None:
    if "flex" in packages or "gcc" in packages:
        packages += ["libelf-dev", "libc6-dev"]
    if not packages:
        return
    if os.geteuid() or not shutil.which("apt-get"):
        raise Problem(f"the lab needs these Debian packages: as root, apt-get install {' '.join(packages)}")
    print(f"installing Debian packages for the lab: {' '.join(packages)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "-qq", "update"], env=quiet, check=False, stdout=subprocess.DEVNULL)
    done = subprocess.run(
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", *packages], env=quiet, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Problem(f"apt-get could not install {' '.join(packages)}: {done.stderr.strip().splitlines()[-1:]}")
