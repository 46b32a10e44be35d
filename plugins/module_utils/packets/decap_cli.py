# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take what switches wrote around mirrored frames (ERSPAN I, II, III, GRE) off a capture file, also while it is being made:

    tcpdump -i eth1 -U -w - ip proto 47 | pcap-decap - - | wireshark -k -i -

Exit code: 0, all is whole; 1, the input ends too early or is damaged, or some mirrors could not be undone, and everything
else has been written; 2, nothing could be done.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import typing as t

from ..host import CommandMissing, replace_file
from .decap_files import BadPaths, Paths, decapsulate
from .mirrors import COLUMNS, MAX_DEPTH
from .streams import STANDARD

WHOLE, INCOMPLETE, REFUSED = 0, 1, 2


def main(words: list[str]) -> int:
    options = parser().parse_args(words)
    paths = Paths(options.input, options.output, options.rest, options.side)
    _let_the_input_end(options.input == STANDARD)
    try:
        _changed, found = decapsulate(paths, options.depth, options.pure)
        if options.report:
            replace_file(options.report, (json.dumps(found, indent=1) + "\n").encode(), synced=False)
    except (BadPaths, CommandMissing) as problem:
        _say(str(problem))
        return REFUSED
    except OSError as problem:
        _say(f"it could not be done: {problem}")
        return REFUSED
    if not options.quiet:
        for line in told(found):
            _say(line)
    return WHOLE if found["complete"] else INCOMPLETE


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pcap-decap", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("input", help="pcap or pcapng, plain, gzip or zstd; - is standard input")
    top.add_argument("output", help="the mirrored frames, in the format of the input; .gz and .zst compress; - is standard output")
    top.add_argument("--rest", metavar="FILE", help="packets that mirror nothing, or could not be undone, as they were")
    top.add_argument("--side", metavar="FILE", help=f"a CSV line for each header taken off: {', '.join(COLUMNS)}")
    top.add_argument("--report", metavar="FILE", help="counts, streams and missing sequence numbers, as JSON")
    top.add_argument("--depth", type=_depth, default=MAX_DEPTH, help="how many mirrors within mirrors are undone (default: %(default)s)")
    top.add_argument("--pure", action="store_true", help="do not use a C compiler")
    top.add_argument("--quiet", action="store_true", help="say nothing of a run that worked")
    return top


def _depth(word: str) -> int:
    if not word.isdigit() or not 1 <= int(word) <= MAX_DEPTH:
        raise argparse.ArgumentTypeError(f"a depth is a number from 1 to {MAX_DEPTH}, not {word!r}")
    return int(word)


def told(found: t.Mapping[str, t.Any]) -> list[str]:
    """Return what the summary says, in sentences for a terminal."""
    lines = [f"{found['packets']} packets read, {found['frames']} mirrored frames written, {found['other']} others"]
    undone = [f"{found[name]} {words}" for name, words in _LEFT if found[name]]
    if undone:
        lines.append(f"not undone: {', '.join(undone)}")
    for stream in found["streams"]:
        lines.append(_stream(stream))
    if found["damage"]:
        lines.append(f"it ended early: {found['damage']}")
    lines.append("the loop ran in C" if found["loop"] == "c" else f"the loop ran in Python: {found['loop_reason']}")
    return lines


_LEFT = (("short", "cut within their headers"), ("fragments", "fragments of IP packets"), ("unknown", "of an unknown form"))


def _stream(stream: t.Mapping[str, t.Any]) -> str:
    parts = [f"{name} {stream[name]}" for name in ("session", "key") if stream[name] is not None]
    name = " ".join([stream["source"], ">", stream["target"], stream["type"], *parts])
    if stream["missing"] is None:
        return f"{name}: {stream['packets']} frames, not numbered by the sender"
    return f"{name}: {stream['packets']} frames, {stream['missing']} missing in {stream['gaps']} gaps"


def _let_the_input_end(live: bool) -> None:
    """At the first Ctrl-C whoever feeds a pipe ends, and with it the input; the second, or SIGTERM, ends it here."""

    def interrupt(_number: int, _frame: t.Any) -> None:
        raise KeyboardInterrupt

    def wait(_number: int, _frame: t.Any) -> None:
        signal.signal(signal.SIGINT, interrupt)

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, wait if live else interrupt)


def _say(line: str) -> None:
    sys.stderr.write(f"pcap-decap: {line}\n")


def run() -> t.NoReturn:
    """End the process with the exit code of `main`; standard output may be gone, so that it is not flushed once more."""
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
