# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes the capture files of one vantage: what the module and the command line share."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import typing as t

from ..host import CommandMissing, Host
from . import keyfile, keytable, native, side
from .decap_files import BadPaths
from .index_loop import Batch, Index, Kernel, PythonKernel
from .keyfile import Reader, Writer
from .keys import ROW, Key
from .streams import STANDARD, Rehearsal, Sink, Source, is_zstd

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .index import Note

PARQUET = ".parquet"
MAX_NAME = 255
_ENDING = re.compile(r"(\.(?:pcapng|pcap|cap|dmp))?(\.(?:gz|zst|zstd))?$")


class Wish(t.NamedTuple):
    """What is to be done. *vantage* None: called after the first file; *jobs* None: a process for each CPU there is to use; *codec* of
    the rows (zlib, which everybody reads, or zstd) None: the fastest that is here."""

    sources: Sequence[str]
    dest: str
    vantage: str | None = None
    pure: bool = False
    jobs: int | None = None
    codec: str | None = None

    def check(self) -> None:
        """Raise BadPaths where a file cannot be read or written, CommandMissing where zstd or what makes Parquet is missing."""
        if not self.sources:
            raise BadPaths("name at least one capture file")
        for path in self.sources:
            if path != STANDARD and not os.path.exists(path):
                raise BadPaths(f"there is no file {path}")
            if os.path.isdir(path):
                raise BadPaths(f"{path} is a folder, not a capture file")
        folder = os.path.dirname(self.dest) or "."
        if self.dest != STANDARD and (os.path.isdir(self.dest) or not os.path.isdir(folder)):
            raise BadPaths(f"{self.dest} cannot be written: {'it is a folder' if os.path.isdir(self.dest) else f'there is no folder {folder}'}")
        places = [os.path.realpath(path) for path in (*self.sources, self.dest) if path != STANDARD]
        if len(set(places)) < len(places) or list(self.sources).count(STANDARD) > 1:
            raise BadPaths("each capture is named once, and the index is another file")
        if self.dest.endswith((".gz", ".zst", ".zstd")):
            raise BadPaths(f"an index is compressed inside: call it something.keys or something{PARQUET}, not {self.dest}")
        if not 0 < len(self.name()) <= MAX_NAME:
            raise BadPaths(f"the name of a vantage has 1 to {MAX_NAME} letters")
        if self.jobs is not None and self.jobs < 1:
            raise BadPaths("there is at least one job")
        if any(map(is_zstd, self.sources)) and not Host().which("zstd"):
            raise CommandMissing("zstd")
        if self.dest.endswith(PARQUET) and keytable.missing():
            raise CommandMissing(keytable.missing() or "")

    def name(self) -> str:
        """Return the name of the vantage. Pure."""
        if self.vantage is not None:
            return self.vantage
        first = os.path.basename(self.sources[0])
        name = first[: len(first) - len(t.cast("re.Match[str]", _ENDING.search(first))[0])]
        return "capture" if name in ("", STANDARD) else name


class Loop(t.NamedTuple):
    """What goes over packets: a new kernel for each file, what transposes rows, and why it is not C where it is not."""

    kernel: Callable[[], Kernel]
    transpose: Callable[[t.Any], t.Any] | None
    reason: str | None


def loop_for(pure: bool) -> Loop:
    loaded = native.Native(None, "pure Python was asked for") if pure else native.load()
    if loaded.library is None:
        return Loop(PythonKernel, None, loaded.reason)
    from .index_hot import HotKernel, Transpose

    library = loaded.library
    try:
        HotKernel(library, rows=1, notes=1)
    except ValueError as problem:
        return Loop(PythonKernel, None, str(problem))
    return Loop(lambda: HotKernel(library), Transpose(library), None)


class Sided:
    """The side table of a capture file, as far as there is room: rows that were noted, read further."""

    def __init__(self) -> None:
        self.rows: list[dict[str, t.Any]] = []
        self.left_out = 0

    def take(self, notes: Sequence[Note], rows: t.Any, before: int) -> None:
        """Read what was noted of a batch of *rows*, before which this capture had so many packets."""
        for note in notes:
            key = Key(*ROW.unpack_from(rows, note.row * ROW.size))._replace(number=before + note.row + 1)
            said = side.row(note.kind, note.data, key)
            if said is not None:
                self.add(said)

    def add(self, said: dict[str, t.Any]) -> None:
        if len(self.rows) < side.MAX_ROWS:
            self.rows.append(said)
        else:
            self.left_out += 1


def _one(path: str, loop: Loop, writer: Writer, sided: Sided, told: Callable[[str, int], None]) -> dict[str, t.Any]:
    """Add the rows of one capture file; return what there is to say of it."""
    kernel, packets = loop.kernel(), 0

    def take(batch: Batch) -> None:
        nonlocal packets
        sided.take(batch.notes, batch.rows, packets)
        packets += len(batch.rows) // ROW.size
        writer.rows(batch.rows)
        told(path, packets)

    with contextlib.closing(Source(path)) as source:
        index = Index(source, kernel, take)
        try:
            index.run()
        except KeyboardInterrupt:
            index.damage = "it was interrupted before the end of its input"
    writer.flush()
    return {
        "path": path, "damage": index.damage, "link_types": index.link_types(), "snaplen": index.snaplen(), "loop": kernel.loop,
        **kernel.totals()._asdict(),
    }  # fmt: skip


def _part(path: str, into: str, pure: bool, codec: str | None) -> tuple[dict[str, t.Any], int]:
    """Index one file into one of its own, in a process of its own."""
    loop, sided = loop_for(pure), Sided()
    with open(into, "wb") as sink:
        os.chmod(into, 0o600)
        writer = Writer(sink, "", keyfile.codec(codec), loop.transpose)
        file = _one(path, loop, writer, sided, lambda path, packets: None)
        writer.end(sided.rows, {})
    return file, sided.left_out


def _apart(wish: Wish, jobs: int, writer: Writer, sided: Sided, folder: str, told: Callable[[str, int], None]) -> list[dict[str, t.Any]]:
    """Index the files at once and put the segments together in the order of the files."""
    import concurrent.futures  # here, because a single file has no use for what takes a while to load
    import multiprocessing

    files: list[dict[str, t.Any]] = []
    with concurrent.futures.ProcessPoolExecutor(jobs, multiprocessing.get_context("fork")) as pool:
        parts = [os.path.join(folder, f"{number}.keys") for number in range(len(wish.sources))]
        running = [pool.submit(_part, source, part, wish.pure, wish.codec) for source, part in zip(wish.sources, parts)]
        for part, future in zip(parts, running):
            try:
                file, left_out = future.result()
            except concurrent.futures.BrokenExecutor as problem:
                raise OSError("a process that read a capture was killed, perhaps for want of memory") from problem
            with open(part, "rb") as stream:
                reader = Reader(stream)
                for rows, packed in reader.segments():
                    writer.chunk(b"ROWS", rows, packed)
            os.unlink(part)
            _count_on(sided, reader.side, sum(other["packets"] for other in files))
            sided.left_out += left_out
            files.append(file)
            told(file["path"], file["packets"])
    return files


def _count_on(sided: Sided, rows: list[dict[str, t.Any]], before: int) -> None:
    for said in rows:
        sided.add({**said, "number": said["number"] + before})


def index(
    wish: Wish, rehearse: bool = False, told: Callable[[str, int], None] = lambda path, packets: None
) -> tuple[bool, dict[str, t.Any]]:
    """Write the index of one vantage; return whether that changed the file, and `summary`.

    *told* hears (file, packets so far). To *rehearse* is to write nothing that stays. Raises BadPaths or CommandMissing before
    anything is touched, and OSError where writing fails.
    """
    wish.check()
    with contextlib.ExitStack() as stack:
        sink = (Rehearsal if rehearse else Sink)(wish.dest)
        stack.push(sink.end)
        beside = None if rehearse or wish.dest == STANDARD else os.path.dirname(os.path.abspath(wish.dest))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=".index-", dir=beside))
        if not wish.dest.endswith(PARQUET):
            found = _write(wish, sink, folder, told)
        else:
            with open(os.path.join(folder, "keys"), "w+b") as keys:
                found = _write(wish, keys, folder, told)
                keytable.write_parquet(keys, sink)
    return sink.changed, found


def _write(wish: Wish, sink: t.Any, folder: str, told: Callable[[str, int], None]) -> dict[str, t.Any]:
    loop, sided = loop_for(wish.pure), Sided()
    writer = Writer(sink, wish.name(), keyfile.codec(wish.codec), loop.transpose)
    jobs = min(len(wish.sources), wish.jobs or len(os.sched_getaffinity(0)))
    if jobs > 1 and STANDARD not in wish.sources:
        files = _apart(wish, jobs, writer, sided, folder, told)
    else:
        files = []
        for path in wish.sources:
            mine = Sided()
            files.append(_one(path, loop, writer, mine, told))
            _count_on(sided, mine.rows, sum(file["packets"] for file in files[:-1]))
            sided.left_out += mine.left_out
    found = summary(wish.name(), files, sided, loop.reason)
    stored = [{**file, "path": os.path.basename(file["path"])} for file in files]
    writer.end(sided.rows, {**found, "files": stored, "reasons": _reasons(stored, sided)})
    return found


def summary(vantage: str, files: list[dict[str, t.Any]], sided: Sided, reason: str | None) -> dict[str, t.Any]:
    """Return what an index holds. *complete*: every file was whole, and all its packets could be read. Pure."""
    edges = {name: [file[name] for file in files if file[name] is not None] for name in ("first_ns", "last_ns")}
    return {
        "vantage": vantage,
        "complete": not any(file["damage"] or file["foreign"] for file in files),
        "packets": sum(file["packets"] for file in files),
        "first_ns": min(edges["first_ns"], default=None),
        "last_ns": max(edges["last_ns"], default=None),
        "flags": {name: sum(file["flags"][name] for file in files) for name in (files[0]["flags"] if files else ())},
        "side": len(sided.rows),
        "side_left_out": sided.left_out,
        "loop": "python" if any(file["loop"] == "python" for file in files) else "c",
        "loop_reason": reason,
        "files": files,
        "reasons": _reasons(files, sided),
    }


def _reasons(files: list[dict[str, t.Any]], sided: Sided) -> list[str]:
    """Return what is not as it should be, a sentence each. Pure."""
    said = []
    for file in files:
        if file["damage"]:
            said.append(f"{file['path']} is not whole, {file['packets']} packets were read: {file['damage']}")
        if file["foreign"]:
            types = ", ".join(map(str, file["link_types"]))
            said.append(f"{file['path']}: {file['foreign']} packets cannot be read, the link types are {types}: only times and lengths are known")
        if not file["packets"] and not file["damage"]:
            said.append(f"{file['path']} has no packet")
        if file["out_of_order"]:
            said.append(f"{file['path']}: {file['out_of_order']} packets are older than the one before")
    if sided.left_out:
        said.append(f"{sided.left_out} rows of the side table were left out: it has no more than {side.MAX_ROWS}")
    return said
