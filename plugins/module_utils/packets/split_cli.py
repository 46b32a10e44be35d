# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a capture file into pieces between packets; each is a capture file of its own, and the capture stays as it is.

    pcap-split --bytes 64M trace.pcap.zst pieces/
    pcap-split --seconds 60 trace.pcapng pieces/

Exit code: 0, all is whole; 1, the capture ends too early or is damaged, and all that could be read has been written; 2,
nothing could be done.
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
import typing as t

from ..host import CommandMissing, replace_file
from .split import NS, Rule
from .split_files import Unsplittable, split

WHOLE, INCOMPLETE, REFUSED = 0, 1, 2
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def main(words: list[str]) -> int:
    options = parser().parse_args(words)
    rule = Rule(options.bytes, options.seconds, options.packets)
    try:
        _changed, found = split(options.input, options.folder, rule, told=(lambda file: None) if options.quiet else _tell)
        if options.report:
            replace_file(options.report, (json.dumps(found, indent=1) + "\n").encode(), synced=False)
    except (Unsplittable, CommandMissing) as problem:
        _say(str(problem))
        return REFUSED
    except OSError as problem:
        _say(f"it could not be done: {problem}")
        return REFUSED
    for line in ended(found):
        _say(line)
    return WHOLE if found["complete"] else INCOMPLETE


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pcap-split", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("input", help="pcap or pcapng, plain, gzip or zstd")
    top.add_argument("folder", help="for the pieces, which are called and compressed as the input is, with _00001 and so on")
    top.add_argument("--bytes", "-C", type=_size, metavar="SIZE", help="no piece is larger before compression, as 64M or 2G (tcpdump -C)")
    top.add_argument("--seconds", "-i", type=float, metavar="S", help="each piece spans so many seconds (editcap -i, tcpdump -G)")
    top.add_argument("--packets", "-c", type=int, metavar="N", help="no piece has more packets (editcap -c)")
    top.add_argument("--report", metavar="FILE", help="the files with their packets and times, as JSON")
    top.add_argument("--quiet", action="store_true", help="do not tell of each piece")
    return top


def _size(word: str) -> int:
    found = re.fullmatch(r"(\d{1,15})([KMG]?)(i?B)?", word, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"a size is a number of bytes, or one with K, M or G, not {word!r}")
    return int(found[1]) * _UNITS[found[2].upper()]


def told(file: t.Mapping[str, t.Any]) -> str:
    """Return one line about a piece. Pure."""
    times = [_clock(file[name]) for name in ("first_ns", "last_ns") if file[name] is not None]
    return ", ".join([f"{file['path']}: {file['packets']} packets", f"{file['bytes']} bytes", *([" to ".join(times)] if times else [])])


def ended(found: t.Mapping[str, t.Any]) -> list[str]:
    """Return what must be said at the end. Pure."""
    lines = [f"{found['packets']} packets in {len(found['files'])} pieces"]
    if found["damage"]:
        lines.append(f"the capture is not whole: {found['damage']}")
    if found["stale"]:
        lines.append(f"{len(found['stale'])} pieces of another run are still there, from {found['stale'][0]} on: remove them")
    return lines


def _clock(ns: int) -> str:
    seconds, fraction = divmod(ns, NS)
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc):%Y-%m-%dT%H:%M:%S}.{fraction // 1000:06}Z"
    except (OverflowError, OSError, ValueError):
        return f"{seconds}.{fraction // 1000:06} s"


def _tell(file: t.Mapping[str, t.Any]) -> None:
    _say(told(file))


def _say(line: str) -> None:
    sys.stderr.write(f"pcap-split: {line}\n")


def run() -> t.NoReturn:
    """End the process with the exit code of `main`."""
    raise SystemExit(main(sys.argv[1:]))
