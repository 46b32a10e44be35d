# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what the evidence answers beside it: `report/` and `derived/`, each with sums of its own, made again at will."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.wirefleet.capture.plugins.plugin_utils import evidence, units

from . import page, summary, views
from .load import DERIVED, KEYS, MANIFEST, analyse_evidence, elsewhere, manifest_of
from .markup import plain
from .model import Unavailable

if t.TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPORT, SUMS = "report", "SHA256SUMS"


class Answer(t.NamedTuple):
    """What was found, and where it is to be read. *home*: the folder that holds `report/` and `derived/`."""

    report: Mapping[str, t.Any]
    home: str

    @property
    def page(self) -> str:
        return os.path.join(self.home, REPORT, "report.html")

    def words(self) -> str:
        """Return the verdict as it is printed at the end of a play."""
        return "\n".join(["", *map(plain, self.report["verdict"]["sentences"]), f"report: {self.page}"])


def answer(folders: Sequence[str], home: str | None = None) -> Answer:
    """Analyse the runs in *folders* as one and write what they answer to *home*, the first of them if None.

    Raises Unusable where a folder holds no published run, and Unavailable where what the analysis needs is not here.
    """
    for folder in folders:
        if not os.path.isfile(os.path.join(folder, MANIFEST)) or folder.rstrip("/").endswith(evidence.PARTIAL):
            raise units.Unusable(f"{folder} holds no published run: name the folder in which campaign.json and SHA256SUMS are.")
    away = list(filter(None, (elsewhere(folder, manifest_of(folder)) for folder in folders)))
    if away:
        raise Unavailable(" ".join(away))
    home = home or folders[0]
    found = analyse_evidence(folders, home)
    runs = [page.Evidence(_relative(folder, home), manifest_of(folder)) for folder in folders]
    _write(os.path.join(home, REPORT), {"report.md": summary.text(found), "report.html": page.page(found, runs)}, found)
    evidence.write_text(os.path.join(home, DERIVED, views.FILE), views.text(found, _source(runs)))
    for folder in dict.fromkeys((*folders, home)):
        add_sums(os.path.join(folder, DERIVED))
    return Answer(found, home)


def _relative(folder: str, home: str) -> str:
    near = os.path.relpath(folder, home)
    return "" if near == os.curdir else near


def _source(runs: Sequence[page.Evidence]) -> str:
    """Return what the views select from: relative to derived/, where they lie. Pure."""
    places = [os.path.normpath(os.path.join(os.pardir, run.folder, DERIVED, "*", KEYS)) if run.folder else views.PARQUET for run in runs]
    return views.source(places)


def _write(folder: str, texts: Mapping[str, str], found: Mapping[str, t.Any]) -> None:
    evidence.make_private(folder)
    evidence.write_json(os.path.join(folder, "report.json"), found)
    for name, text in texts.items():
        evidence.write_text(os.path.join(folder, name), text)
    add_sums(folder)


def add_sums(folder: str) -> None:
    """Write SHA256SUMS of all else below *folder*, for sha256sum -c."""
    names = sorted(name for name in evidence.files_below(folder) if name != SUMS)
    evidence.write_text(os.path.join(folder, SUMS), "".join(f"{evidence.file_sha256(os.path.join(folder, name))}  {name}\n" for name in names))
