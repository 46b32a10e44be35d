# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet keys that came instead of captures: what stays on the host, and whether the one is an index of the other."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import BadKeys, Reader
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Summary

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The file of keys of a vantage, in its folder keys/.
NAME = "index.keys"
STATUSES = ("ok", "empty", "truncated", "unreadable")
MAX_FILES = 100_000
_PATH = re.compile(r"vantages/(?P<vantage>[A-Za-z0-9._-]+)/raw/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIMES = ("first_ns", "last_ns")
_WORDS = ("format", "reason")
_COUNTS = tuple(name for name in Summary._fields if name not in (*_TIMES, *_WORDS, "link_type", "status"))


def left_out(record: Mapping[str, t.Any], session: Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """Return {path: {"bytes", "sha256_raw", "summary"}} of the captures that stay on a host, as its indexer recorded them.

    Raises ValueError with a sentence for what cannot be: whatever a host says may be said by anybody. Pure.
    """
    known = {vantage["vantage_id"] for vantage in session["vantages"]}
    try:
        files = [(vantage["vantage_id"], file) for vantage in record["vantages"] for file in vantage["files"]]
        found = {str(file["path"]): _checked(file) for _vantage, file in files}
    except (KeyError, TypeError) as problem:
        raise ValueError(f"what it says of its index lacks something: {problem}") from None
    for vantage, path in ((vantage, str(file["path"])) for vantage, file in files):
        match = _PATH.fullmatch(path)
        if match is None or match["vantage"] != vantage or vantage not in known:
            raise ValueError(f"it says that {path!r} stays there, which belongs to no vantage of this campaign")
    if len(files) > MAX_FILES or len(found) < len(files):
        raise ValueError(f"it names {len(files)} captures, which are too many or the same")
    return found


def _checked(file: Mapping[str, t.Any]) -> dict[str, t.Any]:
    summary = {name: file["summary"][name] for name in Summary._fields}
    counts = [file["bytes"], *(summary[name] for name in _COUNTS)]
    maybe = [summary[name] for name in (*_TIMES, "link_type") if summary[name] is not None]
    words = [summary[name] for name in _WORDS if summary[name] is not None]
    if not all(type(number) is int and number >= 0 for number in counts) or not all(type(number) is int for number in maybe):
        raise ValueError(f"its numbers of {file['path']!r} are none")
    if not all(isinstance(word, str) and len(word) < 1000 for word in words) or summary["status"] not in STATUSES:
        raise ValueError(f"its words about {file['path']!r} are none")
    if not _SHA256.fullmatch(str(file["sha256"])):
        raise ValueError(f"the hash of {file['path']!r} is none")
    return {"bytes": file["bytes"], "sha256_raw": file["sha256"], "summary": summary}


def compare(path: str, vantage: str, summaries: Iterable[Mapping[str, t.Any]]) -> None:
    """Read the file of keys at *path* once; raises ValueError where it is damaged or no index of captures with these *summaries*."""
    whole = list(summaries)
    try:
        with open(path, "rb") as stream:
            reader = Reader(stream)
            rows = sum(rows for rows, _packed in reader.segments())
    except FileNotFoundError:
        raise ValueError(f"the index of {vantage} did not come") from None
    except BadKeys as problem:
        raise ValueError(f"the index of {vantage} cannot be used: {problem}") from None
    if reader.head.get("vantage") != vantage or reader.counts.get("packets") != rows:
        raise ValueError(f"the index of {vantage} is that of another vantage, or not whole")
    counted = sum(summary["packets"] for summary in whole)
    if rows != counted and all(summary["status"] in ("ok", "empty") for summary in whole):
        raise ValueError(f"the index of {vantage} has {rows} rows, and its captures have {counted} packets")
