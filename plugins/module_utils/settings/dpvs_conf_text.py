# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dpvs.conf as DPVS 1.10 reads it. Pure; text is latin-1 throughout, so that no byte of a file is lost."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: isspace(3) in the C locale; Python's own has more, which are parts of letters here.
_SPACE = " \t\n\v\f\r"
#: Longer lines spill: one byte is lost and the rest is read as the next line.
LINE = 1024
LEVELS = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")
START, RELOAD, START_FLAG, RELOAD_FLAG = "start", "reload", "start flag", "reload flag"
"""When a keyword counts. DPVS dies of one that has no value, except of a flag, which needs none."""

Tree = t.Mapping[str, t.Any]
"""{keyword: when it counts, or the Tree of its block}."""


def _keywords(start: str = "", reload: str = "", start_flags: str = "", reload_flags: str = "") -> dict[str, t.Any]:
    rows = ((start, START), (reload, RELOAD), (start_flags, START_FLAG), (reload_flags, RELOAD_FLAG))
    return {word: when for words, when in rows for word in words.split()}


#: Every keyword of DPVS 1.10, because the } of a block that it does not know ends the block around that.
TREE: Tree = {
    "global_defs": _keywords("log_async_mode log_async_pool_size kni pdump", "log_level log_file log_with_timestamp lldp"),
    "netif_defs": {
        **_keywords("pktpool_size pktpool_cache fdir_mode"),
        "device": {
            "rx": _keywords("queue_number descriptor_number rss"),
            "tx": _keywords("queue_number descriptor_number mbuf_fast_free"),
            **_keywords("mtu kni_name", start_flags="promisc_mode allmulticast"),
        },
        "bonding": _keywords("mode slave primary numa_node kni_name options"),
    },
    "worker_defs": {
        "worker": {
            **_keywords("type cpu_id", start_flags="icmp_redirect_core"),
            "port": _keywords("isol_rx_cpu_ids isol_rxq_ring_sz", start_flags="rx_queue_ids tx_queue_ids"),
        }
    },
    "timer_defs": _keywords(reload="schedule_interval"),
    "neigh_defs": _keywords("unres_queue_length", "timeout"),
    "sa_pool": _keywords("pool_hash_size flow_enable"),
    "ipv4_defs": {**_keywords("default_ttl", "forwarding"), "fragment": _keywords("bucket_number bucket_entries max_entries ttl")},
    "ipset_defs": _keywords("ipset_hash_pool_size"),
    "ctrl_defs": {"lcore_msg": _keywords("ring_size", "sync_msg_timeout_us priority_level")},
    "ipvs_defs": {
        "conn": _keywords(
            "conn_pool_size conn_pool_cache redirect", "conn_init_timeout", "fast_xmit_close", "expire_quiescent_template xmit_ttl"
        ),
        "tcp": {
            **_keywords(reload_flags="defence_tcp_drop"),
            "timeout": _keywords(
                reload="none established syn_sent syn_recv fin_wait time_wait close close_wait last_ack listen synack last"
            ),
            "synproxy": {
                "synack_options": _keywords(reload="mss ttl wscale", reload_flags="sack timestamp"),
                **_keywords(reload="rs_syn_max_retry ack_storm_thresh max_ack_saved", reload_flags="close_client_window defer_rs_syn"),
                "conn_reuse_state": _keywords(reload_flags="close time_wait fin_wait close_wait last_ack"),
            },
        },
        "udp": {
            **_keywords(reload="uoa_max_trail uoa_mode", reload_flags="defence_udp_drop"),
            "timeout": _keywords(reload="normal oneway last"),
        },
    },
    "ipv6_defs": {
        **_keywords(reload="forwarding disable addr_gen_mode stable_secret"),
        "route6": {**_keywords("method", "recycle_time"), "lpm": _keywords("lpm6_max_rules lpm6_num_tbl8s rt6_hash_bucket")},
    },
}


class Entry(t.NamedTuple):
    """A keyword that DPVS knows: its *path* from the root, the words of its line, and the line in its file's text."""

    path: tuple[str, ...]
    words: tuple[str, ...]
    when: str | None
    file: str
    start: int
    end: int

    @property
    def deadly(self) -> bool:
        """Whether DPVS dies of it where it counts: a value is missing, or is a lone quotation mark."""
        return self.when in (START, RELOAD) and (len(self.words) < 2 or self.words[1:] == ('"',))


class Parsed(t.NamedTuple):
    """The keywords in the order in which DPVS meets them, and the text of each file that it read."""

    entries: list[Entry]
    texts: dict[str, str]


class Device(t.NamedTuple):
    """A `device` or `bonding` block; *kni_name* is None where the file does not say it."""

    bond: bool
    kni_name: str | None
    slaves: tuple[str, ...]


Loader = t.Callable[[str, str], t.Iterable[tuple[str, str]]]
"""Returns (path, text) of each file that a pattern means in a folder; no file where there is none."""


def parse(path: str, load: Loader) -> Parsed:
    """Return what DPVS makes of the file *path* and all that it includes."""
    parsed = Parsed([], {})
    _read(parsed, load, "/", path, (), TREE, 0)
    return parsed


def _read(parsed: Parsed, load: Loader, folder: str, pattern: str, path: tuple[str, ...], tree: Tree, depth: int) -> None:
    for name, text in load(folder, pattern) if depth < 8 else ():
        parsed.texts[name] = text
        _block(parsed, load, name, lines_of(text), path, tree, depth)


def _block(
    parsed: Parsed, load: Loader, name: str, lines: Iterator[tuple[int, int]], path: tuple[str, ...], tree: Tree, depth: int
) -> None:
    """Follow the lines of one file to the end of the block that *tree* stands for; an included file has this block's tree."""
    for start, end in lines:
        words = tuple(tokens(parsed.texts[name][start:end]))
        if not words:
            continue
        if words[0] == "}" and path:
            return
        if words[0] == "include" and len(words) == 2:
            _read(parsed, load, name.rpartition("/")[0] or "/", words[1], path, tree, depth + 1)
        elif words[0] in tree:
            inner, here = tree[words[0]], (*path, words[0])
            is_block = not isinstance(inner, str)
            parsed.entries.append(Entry(here, words, None if is_block else inner, name, start, end))
            if is_block:
                _block(parsed, load, name, lines, here, inner, depth)


def lines_of(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each line that DPVS handles begins and ends. A lone CR ends one; a last one without its end is ignored."""
    start = 0
    while start < len(text):
        ends = [at for at in (text.find("\n", start, start + LINE + 1), text.find("\r", start, start + LINE + 1)) if at >= 0]
        if not ends and len(text) - start <= LINE:
            return
        end = min(ends, default=start + LINE)
        yield start, end
        start = end + 1


def tokens(line: str) -> Iterator[str]:
    """Yield the words of a line. `<…>` is a remark, ! and # begin a comment at the start of a word, " is a word of its own."""
    for start, end in spans(line):
        yield line[start:end]


def spans(line: str) -> Iterator[tuple[int, int]]:
    """Yield where each word of *line* begins and ends."""
    at = 0
    while True:
        while at < len(line) and line[at] in _SPACE:
            at += 1
        if at >= len(line) or line[at] in "!#":
            return
        if line[at] == "<":
            at = (line.find(">", at) + 1) or len(line)
            continue
        end = at + 1
        while line[at] != '"' and end < len(line) and line[end] not in _SPACE and line[end] != '"':
            end += 1
        yield at, end
        at = end


def value_of(words: Sequence[str]) -> str:
    """Return a keyword's value: its second word, or what stands between quotation marks."""
    if len(words) < 2:
        return ""
    return words[1] if words[1] != '"' else " ".join(word for word in words[2:-1] if word != '"')


def devices(entries: Iterable[Entry]) -> dict[str, Device]:
    """Return the network devices that DPVS is to have, by name; VLAN devices are made at run time and stand nowhere."""
    found: dict[str, Device] = {}
    last = ""
    for entry in entries:
        if entry.path in (("netif_defs", "device"), ("netif_defs", "bonding")):
            last = value_of(entry.words)
            found[last] = Device(entry.path[1] == "bonding", None, ())
        elif entry.path[:-1] in (("netif_defs", "device"), ("netif_defs", "bonding")) and last in found:
            device = found[last]
            if entry.path[-1] == "kni_name":
                found[last] = device._replace(kni_name=value_of(entry.words))
            elif entry.path[-1] == "slave":
                found[last] = device._replace(slaves=(*device.slaves, value_of(entry.words)))
    return found


def switched_on(entries: Iterable[Entry], key: str, default: bool) -> bool:
    """Return what a switch of global_defs is after reading: the last line that says on or off counts."""
    for entry in entries:
        word = value_of(entry.words).lower()
        if entry.path == ("global_defs", key) and word in ("on", "off"):
            default = word == "on"
    return default


def deadly(entries: Iterable[Entry], starting: bool) -> list[str]:
    """Return a phrase for each line that DPVS would die of at its next start, or at a reload."""
    moments = (START, RELOAD) if starting else (RELOAD,)
    return [f"{entry.words[0]} in {entry.file} has no value" for entry in entries if entry.when in moments and entry.deadly]
