# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a table of packet keys of the capture files of one vantage, in the order in which they are named:

    pcap-index node1_00001.pcap.zst node1_00002.pcap.zst node1.keys
    pcap-index trace.pcapng trace.parquet && duckdb -c "select src, dst, count(*) from 'trace.parquet' group by all"

Exit code: 0, all is whole; 1, a capture ends too early, is damaged or has packets that cannot be read, and everything else has
been written; 2, nothing could be done.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import typing as t

from ..host import CommandMissing, replace_file
from .decap_files import BadPaths
from .index_files import Wish, index

WHOLE, INCOMPLETE, REFUSED = 0, 1, 2
#: Seconds until a run tells how far it is, and between two such lines.
PATIENCE_S = 3.0


def main(words: list[str]) -> int:
    options = parser().parse_args(words)
    wish = Wish(options.input, options.output, options.vantage, options.pure, options.jobs)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        _changed, found = index(wish, told=(lambda path, packets: None) if options.quiet else Progress())
        if options.report:
            replace_file(options.report, (json.dumps(found, indent=1) + "\n").encode(), synced=False)
    except (BadPaths, CommandMissing) as problem:
        _say(str(problem))
        return REFUSED
    except OSError as problem:
        _say(f"it could not be done: {problem}")
        return REFUSED
    except KeyboardInterrupt:
        _say("interrupted: nothing was written")
        return REFUSED
    if not options.quiet:
        for line in told(found):
            _say(line)
    return WHOLE if found["complete"] else INCOMPLETE


def _interrupt(_number: int, _frame: t.Any) -> None:
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="pcap-index", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("input", nargs="+", help="pcap or pcapng, plain, gzip or zstd; - is standard input")
    top.add_argument("output", help="Parquet where it ends in .parquet, which takes numpy and pyarrow; else a file of keys; - is standard output")
    top.add_argument("--vantage", metavar="NAME", help="what the vantage is called (default: as the first capture)")
    top.add_argument("--jobs", "-j", type=int, metavar="N", help="how many captures are read at once (default: one for each CPU)")
    top.add_argument("--report", metavar="FILE", help="counts, and what is wrong with each capture, as JSON")
    top.add_argument("--pure", action="store_true", help="do not use a C compiler")
    top.add_argument("--quiet", action="store_true", help="say nothing of a run that worked")
    return top


class Progress:
    """Tells how far a run is, once it has taken a few seconds. *clock* returns seconds."""

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said = clock()

    def __call__(self, path: str, packets: int) -> None:
        now = self._clock()
        if now - self._said >= PATIENCE_S:
            self._said = now
            _say(f"{os.path.basename(path)}: {packets} packets so far")


def told(found: t.Mapping[str, t.Any]) -> list[str]:
    """Return what the summary says, in sentences for a terminal. Pure."""
    flags = found["flags"]
    rdma = flags["roce1"] + flags["roce2"]
    lines = [f"{found['packets']} packets of {found['vantage']}, {flags['ip']} of them IP, {rdma} RoCE, {flags['identified']} told apart for sure"]
    if flags["icrc"] > flags["icrc_valid"]:
        lines.append(f"{flags['icrc'] - flags['icrc_valid']} of {flags['icrc']} whole RoCE packets have a wrong ICRC")
    if found["side"]:
        lines.append(f"{found['side']} rows of the side table: connections being set up, and clients behind load balancers")
    lines += found["reasons"]
    lines.append("the loop ran in C" if found["loop"] == "c" else f"the loop ran in Python: {found['loop_reason']}")
    return lines


def _say(line: str) -> None:
    sys.stderr.write(f"pcap-index: {line}\n")


def run() -> t.NoReturn:
    """End the process with the exit code of `main`; standard output may be gone, so that it is not flushed once more."""
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
