# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What User-Mode Linux hosts boot: a suite's kernel and a disk image of its root, at home with the NIC module built for it."""

from __future__ import annotations

import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

from .problem import Problem
from .rootfs import SUITE, cached, discard, rootfs, run
from .user import as_root

KERNEL = pathlib.Path("/usr/bin/linux.uml")
MODULES = pathlib.Path("/usr/lib/uml/modules")
INIT = pathlib.Path(__file__).parent / "init" / "uml.sh"
XSTATE = pathlib.Path(__file__).parent / "init" / "uml_xstate.c"
SOURCE = pathlib.Path(__file__).parent / "labnic" / "labnic.c"
IMAGE_BYTES = 1 << 30


def modules(suite: str = SUITE) -> pathlib.Path:
    """Return the folder with the modules of a suite's User-Mode Linux kernel; its name is the release, for example 6.1.176.

    The kernel of the suite that the lab is at home in is the machine's, others lie in the root of their suite.
    """
    place = MODULES if suite == SUITE else rootfs(suite) / MODULES.relative_to("/")
    releases = sorted(place.iterdir()) if place.is_dir() else []
    if not releases:
        raise Problem(f"the package user-mode-linux has no modules below {place}: install it again")
    return releases[-1]


def labnic() -> pathlib.Path:
    """Return labnic.ko for the installed kernel, built from the kernel's own source package where it is not cached."""
    recipe = f"{modules().name} from its own source {hashlib.sha256(SOURCE.read_bytes()).hexdigest()}"
    return cached("labnic.ko", recipe, _build_module)


def xstate() -> pathlib.Path:
    """Return the library without which linux.uml does not start on CPUs with more registers than it knows."""
    return cached("uml-xstate.so", XSTATE.read_text(), _build_xstate)


def image(suite: str = SUITE) -> pathlib.Path:
    """Return an ext4 image of a suite's shared root with its kernel's modules, labnic.ko among them where there is one; hosts write to copies."""
    ours = [labnic()] if suite == SUITE else []
    recipe = " ".join([rootfs(suite).name, *(path.name for path in ours), modules(suite).name, INIT.read_text()])
    return cached(f"uml-{suite}.img", recipe, lambda path: _build_image(path, suite, ours))


def _build_xstate(path: pathlib.Path) -> None:
    run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(path), str(XSTATE)])


def _build_image(path: pathlib.Path, suite: str, ours: list[pathlib.Path]) -> None:
    """Make the image; *ours* are modules that we built."""
    source = modules(suite)
    print(f"making the disk image of the User-Mode Linux hosts of Debian {suite} (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tree = pathlib.Path(folder) / "root"
        run([*as_root(), "cp", "-a", "--reflink=auto", str(rootfs(suite)), str(tree)])
        place = tree / "lib/modules" / source.name
        shutil.copytree(source, place, symlinks=True)
        (place / "extra").mkdir(exist_ok=True)
        for module in ours:
            shutil.copy(module, place / "extra" / f"{module.name.partition('.')[0]}.ko")
        shutil.copy(INIT, tree / "usr/local/sbin/lab-init")
        run(["depmod", "-b", str(tree), source.name])
        with open(path, "wb") as handle:
            handle.truncate(IMAGE_BYTES)
        run([*as_root(), "mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", str(tree), str(path)])
        discard(tree)


def _build_module(path: pathlib.Path) -> None:
    """Compile labnic.c against linux-source prepared with the configuration that linux.uml itself prints.

    Debian ships no headers for this kernel; vermagic without modversions lets the result load.
    """
    version = modules().name
    print("building the lab's NIC module for the User-Mode Linux kernel, about a minute (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tree = _kernel_source(pathlib.Path(folder), version)
        _configure(tree)
        work = pathlib.Path(folder) / "labnic"
        work.mkdir()
        shutil.copy(SOURCE, work)
        (work / "Makefile").write_text("obj-m := labnic.o\n")
        run(["make", "-C", str(tree), "ARCH=um", f"M={work}", "KBUILD_MODPOST_WARN=1", "modules"])
        shutil.copy(work / "labnic.ko", path)


def _kernel_source(folder: pathlib.Path, version: str) -> pathlib.Path:
    series = ".".join(version.split(".")[:2])
    package = f"linux-source-{series}"
    wanted = source_version(run(["apt-cache", "madison", package]).stdout, version)
    run(["apt-get", "download", f"{package}={wanted}"], cwd=folder)
    deb = next(folder.glob(f"{package}_*.deb"))
    run(["dpkg-deb", "-x", str(deb), str(folder)])
    deb.unlink()
    archive = folder / f"usr/src/{package}.tar.xz"
    run(["tar", "-xf", str(archive), "-C", str(folder)])
    return folder / package


def source_version(madison: str, release: str) -> str:
    """Return, from what apt-cache madison prints, the version of the source that the kernel *release* was built from.

    Stable updates add fields to struct net_device, so that a module built from a later one reads the wrong ones.
    """
    offered = re.findall(r"^ *\S+ \| *(\S+) \|", madison, re.MULTILINE)
    found = next((version for version in offered if version.partition("-")[0] == release), None)
    if found is None:
        raise Problem(f"apt offers no kernel source of version {release}, which linux.uml is: run apt-get update, or add an archive that has it")
    return found


def _configure(tree: pathlib.Path) -> None:
    shown = subprocess.run([str(KERNEL), "--showconfig"], capture_output=True, text=True, check=True).stdout
    (tree / ".config").write_text("\n".join(re.findall(r"^(?:CONFIG_|# CONFIG_).*$", shown, re.MULTILINE)) + "\n")
    run(["make", "-C", str(tree), "ARCH=um", "olddefconfig"])
    run(["make", "-C", str(tree), "-j2", "ARCH=um", "modules_prepare"])
