# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs the supervisor and what it imports into one file that any Python from 3.9 can run."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import os
import typing as t
import zipfile

from ..host import replace_file
from . import supervisor

if t.TYPE_CHECKING:
    from collections.abc import Callable

NAME = "supervisor.pyz"
PACKAGE = "wirefleet"
_ENTRY = f"import sys\nfrom {PACKAGE}.session.%s import main\nsys.exit(main(sys.argv[1:]))\n"
#: Where our layers begin: plugins.module_utils of the collection, wherever that was imported from.
_BASE = supervisor.__name__.rpartition(".session.")[0]
SUPERVISOR = supervisor.__name__


def source_of(name: str) -> str | None:
    """Return the source of the module *name*, also from inside a zip; None where there is no such module."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.loader is None or spec.submodule_search_locations is not None:
        return None
    return t.cast("str | None", spec.loader.get_source(name))  # type: ignore[attr-defined]


def imports(name: str, source: str) -> list[str]:
    """Return what the relative imports of the module *name* may name: modules, and names that turn out to be none."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*name.split(".")[: -node.level], *([node.module] if node.module else [])])
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return found


def closure(start: str, source: Callable[[str], str | None]) -> dict[str, str]:
    """Return {module: source} of *start* and everything below our base that it needs."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        text = source(name) if name not in found else None
        if text is not None:
            found[name] = text
            waiting += imports(name, text)
    return found


def build(start: str = SUPERVISOR) -> bytes:
    """Return the bundle that runs `main` of the module *start*; the same sources give the same bytes."""
    modules = closure(start, source_of)
    files = {PACKAGE + name[len(_BASE) :].replace(".", "/") + ".py": text for name, text in modules.items()}
    for path in list(files):
        while "/" in path:
            path = os.path.dirname(path)
            files[f"{path}/__init__.py"] = ""
    files.pop("/__init__.py", None)
    files["__main__.py"] = _ENTRY % start.rpartition(".")[2]
    return _zip(files)


def _zip(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), files[path])
    return buffer.getvalue()


def write(folder: str, data: bytes, name: str = NAME) -> str:
    """Put the bundle into *folder* (0600) unless these very bytes are there; return its path."""
    path = os.path.join(folder, name)
    if not _is_there(path, data):
        replace_file(path, data)
    return path


def _is_there(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as handle:
            return hashlib.sha256(handle.read()).digest() == hashlib.sha256(data).digest()
    except OSError:
        return False
