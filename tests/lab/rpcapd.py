# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rpcapd, libpcap's server of remote captures, from Debian's source package: Debian builds it into no package."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t

from . import packages
from .rootfs import SUITE, cached, run

if t.TYPE_CHECKING:
    import pathlib

SOURCES = f"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian {SUITE} main\n"
#: Nothing that the hosts' root would need more packages for.
OPTIONS = (
    "--enable-remote --disable-shared --without-libnl --disable-dbus --disable-usb --disable-bluetooth --disable-rdma "
    "--without-dpdk"
).split()


def rpcapd() -> pathlib.Path:
    """Return the program, built where it is not cached."""
    return cached("rpcapd", " ".join((SOURCES, *OPTIONS)), _build)


def _build(path: pathlib.Path) -> None:
    print("building rpcapd from Debian's libpcap, about half a minute (once)", flush=True)
    packages.ensure(lambda: packages.lacking(packages.BUILDING))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        _download(folder)
        archive = next(name for name in os.listdir(folder) if name.startswith("libpcap_") and ".orig.tar." in name and not name.endswith(".asc"))
        tree = os.path.join(folder, "tree")
        os.mkdir(tree)
        run(["tar", "-xf", os.path.join(folder, archive), "-C", tree, "--strip-components=1"])
        run(["./configure", *OPTIONS], cwd=tree)
        run(["make", "-j2"], cwd=tree)
        shutil.copy(os.path.join(tree, "rpcapd/rpcapd"), path)


def _download(folder: str) -> None:
    """Fetch the source package by lists of our own, since few machines have those of sources; apt checks the signatures."""
    os.makedirs(os.path.join(folder, "lists/partial"))
    with open(os.path.join(folder, "sources.list"), "w", encoding="utf-8") as handle:
        handle.write(SOURCES)
    options = {
        "Dir::Etc::SourceList": f"{folder}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
    }
    words = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    run([*words, "update"], cwd=folder)
    run([*words, "source", "--download-only", "libpcap"], cwd=folder)
