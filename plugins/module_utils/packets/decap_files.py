# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decapsulates one capture file into others: what the module and the command line share."""

from __future__ import annotations

import contextlib
import os
import typing as t

from ..host import CommandMissing, Host
from . import native
from .decap import Decap, Kernel, PythonKernel, Wanted, summary
from .mirrors import MAX_DEPTH
from .streams import STANDARD, Rehearsal, Sink, Source, wants_zstd


class BadPaths(ValueError):
    """One sentence that says which file cannot be read or written, before any is touched."""


class Paths(t.NamedTuple):
    """Where everything comes from and goes to; "-" is standard input or output."""

    source: str
    out: str
    rest: str | None = None
    side: str | None = None

    def check(self) -> None:
        """Raise BadPaths where a file would be overwritten that is still needed, or cannot be there; CommandMissing without zstd."""
        if self.source != STANDARD and not os.path.exists(self.source):
            raise BadPaths(f"there is no file {self.source}")
        if os.path.isdir(self.source):
            raise BadPaths(f"{self.source} is a folder, not a capture file")
        written = [path for path in (self.out, self.rest, self.side) if path is not None]
        for path in written:
            folder = os.path.dirname(path) or "."
            if path != STANDARD and (os.path.isdir(path) or not os.path.isdir(folder)):
                raise BadPaths(f"{path} cannot be written: {'it is a folder' if os.path.isdir(path) else f'there is no folder {folder}'}")
        places = [_place(path) for path in (self.source, *written) if path not in (STANDARD, os.devnull)]
        if len(set(places)) < len(places) or written.count(STANDARD) > 1:
            raise BadPaths("input, output, the other packets and the side table are different files")
        if any(map(wants_zstd, written)) and not Host().which("zstd"):
            raise CommandMissing("zstd")


def _place(path: str) -> t.Any:
    """Return what is the same for two names of one file."""
    if not os.path.exists(path):
        return os.path.realpath(path)
    found = os.stat(path)
    return found.st_dev, found.st_ino


def kernel_for(wanted: Wanted, pure: bool) -> tuple[Kernel, str | None]:
    """Return the loop in C, or the one in Python and why."""
    loaded = native.Native(None, "pure Python was asked for") if pure else native.load()
    if loaded.library is None:
        return PythonKernel(wanted), loaded.reason
    from .decap_hot import HotKernel

    return HotKernel(loaded.library, wanted), None


def decapsulate(paths: Paths, depth: int = MAX_DEPTH, pure: bool = False, rehearse: bool = False) -> tuple[bool, dict[str, t.Any]]:
    """Write the mirrored frames, the other packets and the side table; return whether that changed a file, and `summary`.

    To *rehearse* is to write nothing. Raises BadPaths before anything is touched, CommandMissing where a file wants zstd and
    there is none, and OSError where writing fails, which leaves what was written until then under the names of unfinished files.
    """
    paths.check()
    kernel, reason = kernel_for(Wanted(paths.rest is not None, paths.side is not None, depth), pure)
    sinks: list[t.Any] = []
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(Source(paths.source)))
        for path in (paths.out, paths.rest, paths.side):
            sinks.append((Rehearsal if rehearse else Sink)(path) if path is not None else None)
            if sinks[-1]:
                stack.push(sinks[-1].end)
        out, rest, side = sinks
        decap = Decap(source, out, rest, side, kernel)
        try:
            decap.run()
        except KeyboardInterrupt:
            decap.damage = "it was interrupted before the end of its input"
        except BrokenPipeError:
            decap.damage = "whoever read the frames has gone"
    return any(sink.changed for sink in sinks if sink), summary(kernel, decap.damage, reason)
