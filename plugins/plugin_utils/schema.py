# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks a value against the part of JSON Schema that this collection's own schemas use.

The keywords: type, properties, required, additionalProperties, items, minItems, enum, pattern, minimum, $ref to
$defs, description. Own code rather than the jsonschema library, because a campaign must read the same on a controller
that has only ansible-core, and because "did you mean" is worth more to a user than a JSON path.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CAMPAIGN_FILE = os.path.join(ROOT, "campaigns", "schema.json")
MANIFEST = os.path.join(ROOT, "docs", "schemas", "campaign.schema.json")

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list, tuple),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_WORDS = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


def load(path: str) -> dict[str, t.Any]:
    with open(path, encoding="utf-8") as handle:
        return json.load(handle)


def problems(value: t.Any, schema: dict[str, t.Any], where: str) -> list[str]:
    """Return one sentence for each thing in *value* that *schema* does not allow; *where* names the value."""
    return list(_walk(value, schema, schema, where))


def _walk(value: t.Any, node: dict[str, t.Any], root: dict[str, t.Any], where: str) -> Iterator[str]:
    node = _resolve(node, root)
    allowed = node.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    if allowed and not any(_is(value, name) for name in allowed):
        yield f"{where} must be {' or '.join(_WORDS[name] for name in allowed)}, not {json.dumps(value, default=str)}."
        return
    yield from _scalar(value, node, where)
    if isinstance(value, dict):
        yield from _mapping(value, node, root, where)
    if isinstance(value, (list, tuple)):
        yield from _list(value, node, root, where)


def _resolve(node: dict[str, t.Any], root: dict[str, t.Any]) -> dict[str, t.Any]:
    return root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def _is(value: t.Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _scalar(value: t.Any, node: dict[str, t.Any], where: str) -> Iterator[str]:
    if "enum" in node and value not in node["enum"]:
        choices = ", ".join(str(choice) for choice in node["enum"])
        yield f"{where} is {value!r}{_guess(str(value), node['enum'])}; it must be one of {choices}."
    if isinstance(value, str) and "pattern" in node and not re.search(node["pattern"], value):
        yield f"{where} is {value!r}; {node.get('description', 'it must match ' + node['pattern'])}"
    if _is(value, "number") and value < node.get("minimum", value):
        yield f"{where} is {value}; it must be at least {node['minimum']}."


def _mapping(value: dict[str, t.Any], node: dict[str, t.Any], root: dict[str, t.Any], where: str) -> Iterator[str]:
    known = node.get("properties", {})
    extra = node.get("additionalProperties", True)
    for name in node.get("required", []):
        if name not in value:
            yield f"{where} lacks {name!r}."
    for name, item in value.items():
        if name in known:
            yield from _walk(item, known[name], root, f"{where}.{name}")
        elif extra is False:
            yield f"{where} has no option {name!r}{_guess(str(name), known)}; it knows {', '.join(known)}."
        elif isinstance(extra, dict):
            yield from _walk(item, extra, root, f"{where}.{name}")


def _list(value: t.Sequence[t.Any], node: dict[str, t.Any], root: dict[str, t.Any], where: str) -> Iterator[str]:
    if len(value) < node.get("minItems", 0):
        yield f"{where} must have at least {node['minItems']} entry."
    for number, item in enumerate(value, 1):
        yield from _walk(item, node.get("items", {}), root, f"{where}[{number}]")


def _guess(written: str, known: t.Iterable[t.Any]) -> str:
    close = difflib.get_close_matches(written, [str(name) for name in known], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
