# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of another suite of Debian than the machine's: they run in a root of that suite, which sees the lab's files."""

from __future__ import annotations

import pathlib

from .rootfs import cache, run


def within(root: pathlib.Path, folder: pathlib.Path) -> list[str]:
    """Return the words before a program that is to run in *root* and to find *folder* and the cache where they are.

    From inside the hub, whose mounts end with it. *root* itself is shared and stays as it is: *folder* takes what is written.
    """
    place = folder / "userland"
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True)
    options = f"lowerdir={root},upperdir={place}/upper,workdir={place}/work"
    run(["mount", "-t", "overlay", "overlay", "-o", options, str(place / "root")])
    for path, how in (("/dev", "--rbind"), ("/proc", "--rbind"), (str(cache()), "--bind"), (str(folder), "--bind")):
        (place / "root" / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        run(["mount", how, path, str(place / "root" / path.lstrip("/"))])
    return ["chroot", str(place / "root")]
