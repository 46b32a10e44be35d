# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""modprobe.d files and module parameters as values. Pure; follows modprobe.d(5) of kmod 28 to 33."""

from __future__ import annotations

import re
import typing as t

PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MODULE = re.compile(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*")


class Option(t.NamedTuple):
    """One `parameter=value` of an `options` line, and where it stands; value is None where only the name is given."""

    module: str
    parameter: str
    value: str | None
    path: str
    line: int


def normal(module: str) -> str:
    """Return a module's name as the kernel has it: '-' and '_' are the same to modprobe."""
    return module.replace("-", "_")


def parse_options(text: str, path: str) -> list[Option]:
    """Return every option in a modprobe.d file; a backslash joins lines, several may share one."""
    found = []
    for number, line in _logical_lines(text):
        words = line.split()
        if len(words) > 2 and words[0] == "options":
            for word in words[2:]:
                parameter, equals, value = word.partition("=")
                found.append(Option(normal(words[1]), parameter, value if equals else None, path, number))
    return found


def _logical_lines(text: str) -> t.Iterator[tuple[int, str]]:
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if pending else number
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole = (pending + line).strip()
        pending = ""
        if whole and not whole.startswith("#"):
            yield start, whole


def text_of(value: t.Any) -> str:
    """Return a YAML value as a module parameter is written: true is Y, a list is joined by commas. Pure."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    return ",".join(map(text_of, value)) if isinstance(value, list) else str(value)


def render_options(module: str, values: t.Mapping[str, str | None]) -> str:
    """Return the text of our own file for *module*, "" where no option is left."""
    words = [f"{name}={value}" for name, value in sorted(values.items()) if value is not None]
    if not words:
        return ""
    return f"# Written by wirefleet.capture (module modprobe_options); options of other files are not touched.\noptions {module} {' '.join(words)}\n"


def parse_parmtype(text: str) -> dict[str, str]:
    """Return {parameter: type} of `modinfo -F parmtype`, whose lines read `name:type`."""
    rows = (line.partition(":") for line in text.splitlines())
    return {name: kind.strip() for name, colon, kind in rows if colon and PARAMETER.fullmatch(name)}


def parse_parm(text: str) -> list[str]:
    """Return the parameters in the output of `modinfo -0 -F parm`, `name:description` each, of one or more lines."""
    rows = (row.partition(":") for row in text.split("\0"))
    return [name for name, colon, _description in rows if colon and PARAMETER.fullmatch(name)]


def parse_passed(text: str, module: str) -> dict[str, str] | None:
    """Return what *module* would be loaded with by the output of `modprobe --show-depends`, None where a command loads it."""
    for line in reversed(text.splitlines()):
        words = line.split()
        if words[:1] == ["insmod"] and normal(words[1].rsplit("/", 1)[-1].partition(".ko")[0]) == normal(module):
            return {name: value for name, _equals, value in (word.partition("=") for word in words[2:])}
    return None


def bad_value(kind: str, value: str) -> str | None:
    """Return why *value* is no value for a parameter of type *kind*, None where it is one."""
    if not value or re.search(r"[\s\"'\\\\]", value):
        return "it must be one word without spaces, quotes or backslashes"
    if kind.startswith("array of "):
        return next((why for why in (bad_value(kind[len("array of ") :], part) for part in value.split(",")) if why), None)
    if kind in ("bool", "invbool"):
        return None if value.lower() in ("0", "1", "y", "n", "yes", "no", "on", "off") else "it must be y or n"
    if kind in ("int", "short", "long", "byte", "uint", "ushort", "ulong", "hexint", "ullong"):
        if not re.fullmatch(r"-?(0[xX][0-9A-Fa-f]+|\d+)", value):
            return "it must be a whole number"
        if kind not in ("int", "short", "long") and value.startswith("-"):
            return "it must not be negative"
    return None


def same_value(kind: str, stored: str, live: str) -> bool:
    """Whether the kernel's spelling *live* means the same as the stored one: 0x10 is 16, y is Y is 1."""
    if kind in ("bool", "invbool"):
        return _truth(stored) == _truth(live)
    try:
        return int(stored, 0) == int(live, 0)
    except ValueError:
        return stored.strip() == live.strip()


def _truth(word: str) -> bool:
    return word.strip().lower() in ("1", "y", "yes", "on")
