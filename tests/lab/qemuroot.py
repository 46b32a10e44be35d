# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What QEMU guests boot: a root file system of Debian packages, with Debian's own kernel and its initramfs."""

from __future__ import annotations

import lzma
import pathlib
import shutil
import struct

from . import rootfs
from .problem import Problem
from .rootfs import cached, run
from .umlkernel import SOURCE
from .user import as_root

INIT = pathlib.Path(__file__).parent / "init" / "qemu.sh"
IMAGE_BYTES = 3 << 30
EMULATOR = "qemu-system-x86"
PACKAGES = (*rootfs.PACKAGES, "linux-image-amd64", "udev", "rdma-core", "ibverbs-utils", "ibverbs-providers", "perftest")
#: What labnic is compiled with, for the very kernel of the same build; removed again.
HEADERS = ("linux-headers-amd64", "make")
#: These guests have hardware, so that what finds and names it runs.
NEEDED = (
    "systemd-udevd", "systemd-udev-trigger", "systemd-modules-load", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket",
)  # fmt: skip
MASKED = tuple(unit for unit in rootfs.MASKED if unit not in NEEDED)
#: The initramfs has what mounts the disk and no more, since every byte of it is unpacked by an emulated CPU.
INITRAMFS = {
    "etc/initramfs-tools/conf.d/lab": "MODULES=list\nCOMPRESS=lz4\nBUSYBOX=n\nRESUME=none\nFSTYPE=ext4\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n",
}
XZ = b"\xfd7zXZ\0"


def root() -> pathlib.Path:
    """Return the guests' root as a folder; their disk is made of it."""
    text = rootfs.recipe([*PACKAGES, *HEADERS], MASKED) + INIT.read_text() + SOURCE.read_text() + "".join(INITRAMFS.values())
    return cached("qemu-root", text, _build_root)


def image() -> pathlib.Path:
    """Return the disk, raw ext4 with a journal; guests write to overlays of it."""
    return cached("qemu-root.img", root().name, _build_image)


def kernel() -> pathlib.Path:
    """Return Debian's kernel unpacked, which an emulated CPU would take seconds for."""
    return cached("qemu-vmlinux", root().name, lambda path: _write(path, vmlinux(_in_boot("vmlinuz").read_bytes())))


def initramfs() -> pathlib.Path:
    return _in_boot("initrd.img")


def _in_boot(name: str) -> pathlib.Path:
    found = sorted((root() / "boot").glob(f"{name}-*"))
    if not found:
        raise Problem(f"the guests' root has no {name} in /boot: remove {root()} and try again")
    return found[-1]


def _write(path: pathlib.Path, data: bytes) -> None:
    path.write_bytes(data)


def vmlinux(bzimage: bytes) -> bytes:
    """Return the ELF kernel within *bzimage* (Linux' Documentation/arch/x86/boot.rst: setup_sects, payload_offset and _length)."""
    if bzimage[0x202:0x206] != b"HdrS":
        raise Problem("the guests' kernel is no bzImage")
    start, length = struct.unpack_from("<II", bzimage, 0x248)
    payload = bzimage[((bzimage[0x1F1] or 4) + 1) * 512 + start :][:length]
    if not payload.startswith(XZ):
        raise Problem("the guests' kernel is not packed with xz, as those of Debian bookworm are")
    return lzma.LZMADecompressor().decompress(payload)


def _build_root(folder: pathlib.Path) -> None:
    rootfs.build(folder, [*PACKAGES, *HEADERS], MASKED)
    _add_labnic(folder)
    for path, text in INITRAMFS.items():
        (folder / path).write_text(text)
    shutil.copy(INIT, folder / "usr/local/sbin/lab-init")
    run([*as_root(), "chroot", str(folder), "update-initramfs", "-u", "-k", "all"])


def emulator(suite: str) -> pathlib.Path:
    """Return a root of *suite* with its QEMU, which emulates cards that the machine's may not know."""
    return cached(f"qemu-of-{suite}", EMULATOR, lambda folder: rootfs.install(folder, [EMULATOR], suite))


def _add_labnic(folder: pathlib.Path) -> None:
    (release,) = (path.name for path in (folder / "lib/modules").iterdir())
    print(f"building the lab's NIC module for {release} (once)", flush=True)
    work, inside = folder / "usr/local/src/labnic", [*as_root(), "chroot", str(folder)]
    work.mkdir(parents=True)
    shutil.copy(SOURCE, work)
    (work / "Makefile").write_text("obj-m := labnic.o\n")
    run([*inside, "make", "-C", f"/lib/modules/{release}/build", "M=/usr/local/src/labnic", "modules"])
    run([*inside, "install", "-D", "-m", "644", "/usr/local/src/labnic/labnic.ko", f"/lib/modules/{release}/extra/labnic.ko"])
    run([*inside, "depmod", release])
    run([*inside, "apt-get", "-qq", "purge", "-y", "--autoremove", "^linux-(headers|kbuild|compiler)-", "make"])
    shutil.rmtree(work)


def _build_image(path: pathlib.Path) -> None:
    print("making the disk image of the QEMU guests (once)", flush=True)
    with open(path, "wb") as handle:
        handle.truncate(IMAGE_BYTES)
    run([*as_root(), "mkfs.ext4", "-q", "-F", "-d", str(root()), str(path)])
