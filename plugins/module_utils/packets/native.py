# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles hot.py's C with the machine's cc, once, and loads it. Whatever fails is a reason to do without, never an error."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import stat
import typing as t

from ..host import CommandMissing, Host
from .hot import SOURCE

if t.TYPE_CHECKING:
    import ctypes

    from .pcapfile import Counter

CC = ("cc", "-std=c99", "-O2", "-fPIC", "-shared", "-x", "c")
#: From this size on a file takes longer to walk in Python than C takes to load.
WORTH_C = 32 << 20


class Native(t.NamedTuple):
    """The loaded library, or None and a sentence that says why not."""

    library: ctypes.CDLL | None
    reason: str | None


@functools.cache
def load(folder: str | None = None) -> Native:
    """Return the library, compiled into *folder* (default: cache_folder()) unless it is there already."""
    try:
        import ctypes  # here, because a Python may have been built without it

        return Native(ctypes.CDLL(_built(Host(), folder or cache_folder())), None)
    except CommandMissing:
        return Native(None, "there is no C compiler (cc)")
    except (ImportError, OSError) as error:
        return Native(None, str(error))


def counter_for(size: int) -> Counter | None:
    """Return the loop in C where the file is large and there is a compiler, None for the one in Python."""
    library = load().library if size >= WORTH_C else None
    if library is None:
        return None
    from .pcapfile_hot import HotCounter

    return HotCounter(library)


def cache_folder() -> str:
    """Return the folder for what was compiled: of this user, and private to it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "wirefleet")


def name() -> str:
    """Return the file name for this source, these flags and this machine: whatever changes one of them changes it."""
    parts = "\0".join((SOURCE, *CC, platform.machine(), platform.system()))
    return f"hot-{hashlib.sha256(parts.encode()).hexdigest()[:32]}.so"


def _built(host: Host, folder: str) -> str:
    host.make_private(folder)
    path = os.path.join(folder, name())
    if not _is_ours(path):
        _compile(host, path)
    return path


def _is_ours(path: str) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _compile(host: Host, path: str) -> None:
    """Compile beside *path*, then rename: another process that does the same leaves the same file."""
    fresh = f"{path}.{os.getpid()}"
    try:
        done = host.run([*CC, "-o", fresh, "-"], timeout=120, stdin=SOURCE)
        if done.rc:
            raise OSError(f"cc could not compile: {done.message}")
        os.chmod(fresh, 0o600)
        os.replace(fresh, path)
    finally:
        host.remove(fresh)
