# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What programs on a switch printed, as one text: a line `$ program arguments` before what each of them said. Pure."""

from __future__ import annotations

import json
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable

PROMPT = "$ "


def entry(line: str, out: str) -> str:
    """Return one program's part of a transcript."""
    return f"{PROMPT}{line}\n{out.rstrip()}\n"


def entries(text: str) -> Iterable[tuple[str, str]]:
    """Yield (line, output) of each program in *text*. What precedes the first one is nobody's."""
    line, out = None, []
    for row in text.split("\n"):
        if not row.startswith(PROMPT):
            out.append(row)
            continue
        if line is not None:
            yield line, "\n".join(out)
        line, out = row.removeprefix(PROMPT), []
    if line is not None:
        yield line, "\n".join(out)


def said(text: str, line: str) -> str:
    """Return what the program of *line* printed; nothing where it did not run."""
    return next((out for ran, out in entries(text) if ran == line), "")


def documents(out: str) -> list[t.Any]:
    """Return the JSON values in *out*, one after the other, up to what is none."""
    found, decoder, rest = [], json.JSONDecoder(), out.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            break
        found.append(value)
        rest = rest[end:].lstrip()
    return found
