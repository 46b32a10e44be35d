# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures this collection against what else one could use, on this machine, and prints tables of ratios."""

from __future__ import annotations

import argparse
import datetime
import importlib
import pathlib
import sys

from .machine import about, busy
from .measure import Failed, Table

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "bench.md"
PARTS = ("cost", "skew", "collect", "loss", "decap", "index", "live", "localise")


def main(words: list[str]) -> int:
    options = parser().parse_args(words)
    failed = False
    sys.path.insert(0, str(ROOT / ".cache" / "tree"))
    print(about(), flush=True)
    for name in options.parts or PARTS:
        try:
            table: Table = importlib.import_module(f".{name}", __package__).run()
        except Failed as problem:
            failed = True
            print(f"\n{name}: {problem}", file=sys.stderr)
            continue
        print(f"\n{name}: {table.how}\n\n{table.text()}", flush=True)
        if options.write:
            PAGE.write_text(replaced(PAGE.read_text(), table, about() + busy()))
    return int(failed)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 -m tests.bench", description=__doc__)
    top.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default: all)", type=_part)
    top.add_argument("--write", action="store_true", help="put the tables into docs/bench.md")
    return top


def _part(word: str) -> str:
    if word not in PARTS:
        raise argparse.ArgumentTypeError(f"there is no part {word!r}")
    return word


def replaced(page: str, table: Table, machine: str) -> str:
    """Return *page* with the table in place of what stood between the part's two marks. Pure but for the date."""
    begin, end = f"<!-- {table.part} -->\n", f"<!-- /{table.part} -->"
    head, _mark, rest = page.partition(begin)
    _old, _mark, tail = rest.partition(end)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    return f"{head}{begin}\n{table.how} Measured on {today}: {machine}\n\n{table.text()}\n\n{end}{tail}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
