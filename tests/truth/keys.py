# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture files to Parquet by the real index."""

from __future__ import annotations

import pathlib

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index


def parquet_of(*captures: pathlib.Path, name: str) -> str:
    """Index *captures* of one vantage beside the first of them; return the path of the Parquet file."""
    into = str(captures[0].with_suffix(".parquet"))
    index(Wish([str(path) for path in captures], into, name, jobs=1))
    return into
