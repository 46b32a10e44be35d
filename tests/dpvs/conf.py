# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a DPVS 1.10 reads dpvs.conf, for the double: its own reading of the rules, shared with nothing that it tests."""

from __future__ import annotations

import glob
import os
import typing as t

LINE = 1024


class Key(t.NamedTuple):
    """A keyword without a block. *init* is read at start only; one that is not *valued* means something by being there."""

    init: bool = False
    valued: bool = True


Tree = t.Mapping[str, t.Any]
"""{keyword: Key, or the Tree of its block}."""

START = Key(init=True)
_QUEUES = {"queue_number": START, "descriptor_number": START}
TREE: Tree = {
    "global_defs": {
        **dict.fromkeys(("log_level", "log_file", "log_with_timestamp", "lldp"), Key()),
        **dict.fromkeys(("log_async_mode", "log_async_pool_size", "kni", "pdump"), START),
    },
    "netif_defs": {
        **dict.fromkeys(("pktpool_size", "pktpool_cache", "fdir_mode"), START),
        "device": {
            "rx": {**_QUEUES, "rss": START},
            "tx": {**_QUEUES, "mbuf_fast_free": START},
            **dict.fromkeys(("promisc_mode", "allmulticast"), Key(init=True, valued=False)),
            **dict.fromkeys(("mtu", "kni_name"), START),
        },
        "bonding": dict.fromkeys(("mode", "slave", "primary", "numa_node", "kni_name", "options"), START),
    },
    "worker_defs": {
        "worker": {
            **dict.fromkeys(("type", "cpu_id"), START),
            "icmp_redirect_core": Key(init=True, valued=False),
            "port": dict.fromkeys(("rx_queue_ids", "tx_queue_ids"), START),
        }
    },
    "timer_defs": {"schedule_interval": Key()},
    "neigh_defs": {"unres_queue_length": START, "timeout": Key()},
    "ipvs_defs": {
        "conn": {**dict.fromkeys(("conn_pool_size", "conn_pool_cache"), START), "conn_init_timeout": Key()},
        "udp": {"defence_udp_drop": Key(valued=False), "timeout": dict.fromkeys(("normal", "oneway", "last"), Key())},
    },
}


class Aborted(Exception):
    """The real parser's assertion fails here, and the process with it."""


class Reader:
    """Reads a file and all that it includes, and calls *found* with (path of keywords, tokens) for each that counts now."""

    def __init__(self, starting: bool, found: t.Callable[[tuple[str, ...], list[str]], None], warn: t.Callable[[str], None]) -> None:
        self.starting, self.found, self.warn = starting, found, warn

    def read(self, pattern: str, path: tuple[str, ...] = (), tree: Tree | None = None) -> None:
        for name in sorted(glob.glob(pattern)):
            with open(name, "rb") as handle:
                self._block(_lines(handle.read()), os.path.dirname(os.path.abspath(name)), path, TREE if tree is None else tree)

    def _block(self, lines: t.Iterator[bytes], folder: str, path: tuple[str, ...], tree: Tree) -> None:
        for line in lines:
            words = tokens(line.decode("utf-8", "surrogateescape"))
            if words[:1] == ["}"] and path:
                return
            if len(words) == 2 and words[0] == "include":
                self.read(os.path.join(folder, words[1]), path, tree)
            elif words and words[0] in tree:
                self._keyword(words, lines, folder, path, tree)
            elif words and not words[0].startswith("}"):
                self.warn(f"not supported keyword -- {words[0]}")

    def _keyword(self, words: list[str], lines: t.Iterator[bytes], folder: str, path: tuple[str, ...], tree: Tree) -> None:
        entry, here = tree[words[0]], (*path, words[0])
        if isinstance(entry, Key):
            if entry.init and not self.starting:
                return
            if entry.valued and len(words) < 2:
                raise Aborted("parser.c:382: set_value: Assertion `VECTOR_SIZE(tokens) > 1' failed.")
            self.found(here, words)
            return
        if self.starting or words[0].endswith("_defs"):
            self.found(here, words)
        self._block(lines, folder, here, entry)


def _lines(data: bytes) -> t.Iterator[bytes]:
    """Yield the lines that are handled: a CR ends one too, one without an end is not, and a long one spills, less a byte."""
    start, size = 0, len(data)
    for at in range(size):
        if data[at] in b"\r\n" or at - start == LINE:
            yield data[start:at]
            start = at + 1


def tokens(line: str) -> list[str]:
    """Return the words of a line: comments and <attributes> are none, a quotation mark is one of its own."""
    found: list[str] = []
    rest = line.lstrip()
    while rest and rest[0] not in "!#":
        if rest[0] == "<":
            rest = rest.partition(">")[2].lstrip()
            continue
        end = next((at for at, letter in enumerate(rest) if letter.isspace() or letter == '"'), len(rest)) or 1
        found.append(rest[:end])
        rest = rest[end:].lstrip()
    return found


def value(words: list[str]) -> str:
    """Return what stands after a keyword: one word, or what is between quotation marks."""
    return words[1] if words[1] != '"' else " ".join(word for word in words[2:] if word != '"')
