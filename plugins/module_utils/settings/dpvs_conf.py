# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of global_defs in dpvs.conf: read as DPVS reads them, changed in place, and every other byte of the file left alone."""

from __future__ import annotations

import fnmatch
import posixpath
import typing as t

from . import dpvs_instance
from .dpvs_conf_text import LEVELS, TREE, Entry, Parsed, parse, spans, tokens, value_of
from .model import Gone, Kind, Reading, Refused, Value

if t.TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ..host import Host

BLOCK = "global_defs"
SWITCHES = ("pdump", "kni", "lldp", "log_with_timestamp", "log_async_mode")
OWN_BLOCK = f"{BLOCK} {{ ! added by wirefleet.capture"
BACKUPS = "/var/backups/wirefleet"
_POOL_LEAST = 1023


class DpvsConf(Kind):
    """Key ("dpvs_conf", file, "global_defs/pdump"); value the text that the file has, None where it does not set the key."""

    name = "dpvs_conf"
    cleared_by_reboot = False

    def read(self, host: Host, scope: str, names: Collection[str]) -> Reading:
        parsed = load(host, scope)
        found = {f"{BLOCK}/{entry.path[1]}": raw_value(entry, parsed) for entry in parsed.entries if _is_key(entry)}
        return Reading({name: found.get(name) for name in names}, {"parsed": parsed})

    def resolve(self, scope: str, wanted: Mapping[str, Value], reading: Reading) -> dict[str, Value]:
        parsed = reading.facts["parsed"]
        for entry in parsed.entries:
            _refuse_one_line(entry, parsed)
        return {name: self._target(name, value, reading.values.get(name)) for name, value in wanted.items()}

    def _target(self, name: str, wish: Value, present: Value) -> Value:
        """Return the text to have: the present one where DPVS takes it for the same."""
        block, _slash, key = name.partition("/")
        if block != BLOCK or key not in TREE[BLOCK]:
            raise Refused(f"{name!r} is no key of {BLOCK} that DPVS knows: it has {', '.join(sorted(TREE[BLOCK]))}")
        value = checked(key, wish)
        return present if present is not None and same(key, str(present), value) else value

    def commands(self, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> list[str]:
        words = (
            f"{name.replace('/', ' ')} {value}" if value is not None else f"without {name.replace('/', ' ')}"
            for name, value in wanted.items()
        )
        return [f"write {scope}: {', '.join(words)}"]

    def write(self, host: Host, scope: str, wanted: Mapping[str, Value], current: Mapping[str, Value]) -> None:
        parsed = load(host, scope)
        edited = edit_all(parsed, scope, wanted)
        host.make_private(BACKUPS)
        for path, text in edited.texts.items():
            if text != parsed.texts[path]:
                host.write(backup_path(path), parsed.texts[path].encode("latin-1"))
                host.rewrite(path, text.encode("latin-1"))


def backup_path(path: str) -> str:
    """Return where a file is kept as it was before our last change; not beside it, where an include could find it. Pure."""
    return f"{BACKUPS}/{path.strip('/').replace('/', '_')}"


def load(host: Host, path: str) -> Parsed:
    """Return the file *path* with what it includes; raises Gone where there is none, Refused where it cannot be read."""
    if not path.startswith("/"):
        raise Refused(f"{path!r} cannot be dpvs.conf: write its absolute path")
    if host.read_bytes(path) is None:
        if host.exists(path):
            raise Refused(f"{path} cannot be read: use become")
        raise Gone(f"there is no {path} on this host: name the file that DPVS was started with (its option -c)")
    return dpvs_instance.read_conf(host, path)


def checked(key: str, wish: Value) -> str:
    """Return *wish* as the file has it. Pure; raises Refused for what DPVS would not take, since it only logs that."""
    text = ("on" if wish else "off") if isinstance(wish, bool) else str(wish)
    if key in SWITCHES and text.lower() not in ("on", "off"):
        raise Refused(f"{key} is on or off, not {text!r}")
    if key == "log_level" and text not in LEVELS:
        raise Refused(f"log_level is one of {', '.join(LEVELS)}, not {text!r}")
    if key == "log_async_pool_size" and not (text.isdecimal() and int(text) >= _POOL_LEAST):
        raise Refused(f"log_async_pool_size is a number of at least {_POOL_LEAST}, not {text!r}")
    if key == "log_file" and (not text.startswith("/") or list(tokens(text)) != [text] or len(text) > 512 or not text.isascii()):
        raise Refused(f"log_file is an absolute path without spaces, quotation marks and letters beyond ASCII, not {text!r}")
    return text.lower() if key in SWITCHES else text


def same(key: str, stored: str, wanted: str) -> bool:
    """Whether DPVS takes both texts for the same: a switch in any case, a level by its beginning. Pure."""
    value = value_of(["", *tokens(stored)])
    if key in SWITCHES:
        return value.lower() == wanted
    return value.startswith(wanted) if key == "log_level" else value == wanted


def raw_value(entry: Entry, parsed: Parsed) -> str:
    """Return a key's value as the file writes it, with its quotation marks; "" where it has none. Pure."""
    start, end = value_span(entry, parsed)
    return parsed.texts[entry.file][start:end]


def value_span(entry: Entry, parsed: Parsed) -> tuple[int, int]:
    """Return where the value of *entry* stands in its file. Pure."""
    line = parsed.texts[entry.file][entry.start : entry.end]
    words = list(spans(line))
    if len(words) < 2:
        return entry.start + words[0][1], entry.start + words[0][1]
    start, end = words[1]
    if line[start] == '"':
        end = next((stop for at, stop in words[2:] if line[at] == '"'), words[-1][1])
    return entry.start + start, entry.start + end


def edit_all(parsed: Parsed, path: str, wanted: Mapping[str, Value]) -> Parsed:
    """Return *parsed* with the texts that have *wanted*. Pure; raises Refused where that would change anything else."""
    for name, value in wanted.items():
        key = name.partition("/")[2]
        edited = _again(edit(parsed, path, key, value), path)
        if _others(edited, key) != _others(parsed, key) or _stored(edited, key) != value:
            raise Refused(f"{path} is written in a way that a change of {key} would change more than that: change it by hand")
        parsed = edited
    return parsed


def edit(parsed: Parsed, path: str, key: str, value: str | None) -> dict[str, str]:
    """Return {file: text} in which *key* has *value*, or stands nowhere. Pure."""
    found = [entry for entry in parsed.entries if entry.path == (BLOCK, key)]
    texts = dict(parsed.texts)
    if value is None:
        for entry in sorted(found, key=lambda entry: entry.start, reverse=True):
            text = texts[entry.file]
            texts[entry.file] = _without_own_block(text[: entry.start] + text[entry.end + len(_line_end(text, entry.end)) :])
    elif found:
        start, end = value_span(found[-1], parsed)
        text = texts[found[-1].file]
        before = text[:start] if value else text[:start].rstrip(" ")
        texts[found[-1].file] = before + (" " if start == end else "") + value + text[end:]
    else:
        texts.update(_insert(parsed, path, key, value))
    return texts


def _insert(parsed: Parsed, path: str, key: str, value: str) -> dict[str, str]:
    """Return {file: text} with a new line for *key*: first in the block, or in a block of its own at the file's beginning."""
    blocks = [entry for entry in parsed.entries if entry.path == (BLOCK,)]
    home = next((entry for entry in blocks if entry.file == path), blocks[0] if blocks else None)
    mark = "<init> " if TREE[BLOCK][key] == "start" else ""
    if home is None:
        text = parsed.texts[path]
        end = _first_end(text)
        return {path: f"{OWN_BLOCK}{end}    {mark}{key} {value}{end}}}{end}{text}"}
    text = parsed.texts[home.file]
    end = _line_end(text, home.end) or "\n"
    at = home.end + len(end)
    following = text[at : text.find("\n", at)] if "\n" in text[at:] else ""
    if "{" not in home.words and list(tokens(following)) == ["{"]:
        at += len(following) + 1
    return {home.file: f"{text[:at]}    {mark}{key} {value}{end}{text[at:]}"}


def _without_own_block(text: str) -> str:
    """Take away the empty block that we put first, and only that."""
    end = _first_end(text)
    return text.removeprefix(f"{OWN_BLOCK}{end}}}{end}")


def _first_end(text: str) -> str:
    return "\r\n" if "\r\n" in text[: text.find("\n") + 1] else "\n"


def _line_end(text: str, at: int) -> str:
    return "\r\n" if text.startswith("\r\n", at) else text[at : at + 1]


def _again(texts: Mapping[str, str], path: str) -> Parsed:
    """Read edited texts in the places where the files were found before. Pure."""

    def load_text(folder: str, pattern: str) -> list[tuple[str, str]]:
        whole = pattern if pattern.startswith("/") else f"{folder.rstrip('/')}/{pattern}"
        return [(name, texts[name]) for name in sorted(texts) if matches(name, whole)]

    return parse(path, load_text)


def matches(path: str, pattern: str) -> bool:
    """Whether glob(3) finds *path* by *pattern*: letter by letter within each folder. Pure."""
    parts, wanted = posixpath.normpath(path).split("/"), posixpath.normpath(pattern).split("/")
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted))


def _others(parsed: Parsed, key: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(entry.path, entry.words) for entry in parsed.entries if entry.path not in ((BLOCK, key), (BLOCK,))]


def _stored(parsed: Parsed, key: str) -> str | None:
    found = [raw_value(entry, parsed) for entry in parsed.entries if entry.path == (BLOCK, key)]
    return found[-1] if found else None


def _is_key(entry: Entry) -> bool:
    return len(entry.path) == 2 and entry.path[0] == BLOCK


def _refuse_one_line(entry: Entry, parsed: Parsed) -> None:
    """Raise Refused for a block whose line has more than its beginning: DPVS does not read that, and leaves the block open."""
    if entry.path == (BLOCK,) and entry.words[1:] not in ((), ("{",)):
        line = parsed.texts[entry.file].count("\n", 0, entry.start) + 1
        raise Refused(
            f"{entry.file}:{line} has {' '.join(entry.words[1:])} on the line of {BLOCK}, which DPVS does not read: "
            "write the block on lines of its own first"
        )
