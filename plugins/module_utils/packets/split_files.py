# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits one capture file into a folder of pieces: what the module and the command line share."""

from __future__ import annotations

import contextlib
import os
import re
import typing as t

from ..host import CommandMissing, Host
from .split import Piece, Rule, Split
from .streams import Rehearsal, Sink, Source, wants_zstd

if t.TYPE_CHECKING:
    from collections.abc import Callable

MAX_PIECES = 99_999
SMALLEST, SHORTEST_S = 1024, 0.001
_DIGITS = 5
_ENDING = re.compile(r"(\.(?:pcapng|pcap|cap|dmp))?(\.(?:gz|zst|zstd))?$")


class Unsplittable(ValueError):
    """One sentence that says what cannot be read, written or asked for."""


class Names(t.NamedTuple):
    """The names of the pieces in *folder*: *stem*_00001*ending* and so on, as the capture's own name has it."""

    folder: str
    stem: str
    ending: str

    def path(self, number: int) -> str:
        return os.path.join(self.folder, f"{self.stem}_{number:0{_DIGITS}}{self.ending}")

    def number(self, name: str) -> int | None:
        """Return which piece a file called *name* would be, None for any other file. Pure."""
        found = re.fullmatch(rf"{re.escape(self.stem)}_(\d{{{_DIGITS}}}){re.escape(self.ending)}", name)
        return int(found[1]) if found else None


def names_for(source: str, folder: str) -> Names:
    """Return how the pieces of *source* are called. Pure."""
    name = os.path.basename(source)
    ending = t.cast("re.Match[str]", _ENDING.search(name))[0]
    return Names(folder, name[: len(name) - len(ending)] or "capture", ending)


def check(source: str, folder: str, rule: Rule) -> None:
    """Raise Unsplittable or CommandMissing where this cannot be done, before anything is touched."""
    if not os.path.exists(source):
        raise Unsplittable(f"there is no file {source}")
    if os.path.isdir(source):
        raise Unsplittable(f"{source} is a folder, not a capture file")
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise Unsplittable(f"{folder} is a file: name a folder for the pieces")
    if not os.path.isdir(os.path.dirname(os.path.abspath(folder))):
        raise Unsplittable(f"there is no folder {os.path.dirname(os.path.abspath(folder))} to make {folder} in")
    if rule == Rule():
        raise Unsplittable("say where to cut: after how many bytes, seconds or packets")
    if (rule.size is not None and rule.size < SMALLEST) or (rule.packets is not None and rule.packets < 1):
        raise Unsplittable(f"a piece has at least {SMALLEST} bytes and 1 packet")
    if rule.seconds is not None and not SHORTEST_S <= rule.seconds < 1e9:
        raise Unsplittable(f"a piece is at least {SHORTEST_S} seconds long, and not more than 1e9")
    if wants_zstd(source) and not Host().which("zstd"):
        raise CommandMissing("zstd")


class Pieces:
    """The files that are made, in order; *told* hears of each when it is complete."""

    def __init__(self, names: Names, rehearse: bool, told: Callable[[dict[str, t.Any]], None]) -> None:
        self.files: list[dict[str, t.Any]] = []
        self.changed = False
        self._names, self._rehearse, self._told = names, rehearse, told
        self._begun = 0

    def begin(self) -> Sink | Rehearsal:
        self._begun += 1
        if self._begun > MAX_PIECES:
            raise Unsplittable(f"this makes more than {MAX_PIECES} files: choose larger pieces")
        return (Rehearsal if self._rehearse else Sink)(self._names.path(self._begun))

    def done(self, piece: Piece) -> None:
        self.changed |= piece.sink.changed
        times = {"first_ns": piece.first_ns, "last_ns": piece.last_ns}
        self.files.append({"path": self._names.path(len(self.files) + 1), "bytes": piece.size, "packets": piece.packets, **times})
        self._told(self.files[-1])

    def stale(self) -> list[str]:
        """Return files of the same names with higher numbers, which an earlier run with smaller pieces left."""
        found = os.listdir(self._names.folder) if os.path.isdir(self._names.folder) else []
        return sorted(os.path.join(self._names.folder, name) for name in found if (self._names.number(name) or 0) > len(self.files))


def split(
    source: str, folder: str, rule: Rule, rehearse: bool = False, told: Callable[[dict[str, t.Any]], None] = lambda file: None
) -> tuple[bool, dict[str, t.Any]]:
    """Write the pieces of *source* into *folder*; return whether that changed a file, and what was made.

    That is {"files": [{"path", "bytes", "packets", "first_ns", "last_ns"}], "packets", "complete", "damage", "stale"}; bytes are
    those before compression. To *rehearse* is to write nothing. Raises Unsplittable or CommandMissing before anything is
    touched, and OSError where writing fails, which leaves whole pieces under their names and no other.
    """
    check(source, folder, rule)
    pieces = Pieces(names_for(source, folder), rehearse, told)
    makes = not os.path.isdir(folder)
    if makes and not rehearse:
        Host().make_private(folder)
    with contextlib.closing(Source(source)) as stream:
        passage = Split(stream, rule, pieces.begin, pieces.done)
        try:
            passage.run()
        except KeyboardInterrupt:
            passage.damage = "it was interrupted before the end of its input"
            passage.finish()
        except BaseException as problem:
            if passage.piece:
                passage.piece.sink.end(type(problem))
            raise
    packets = sum(file["packets"] for file in pieces.files)
    facts = {"files": pieces.files, "packets": packets, "complete": passage.damage is None, "damage": passage.damage, "stale": pieces.stale()}
    return pieces.changed or makes, facts
