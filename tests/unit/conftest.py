# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the checkout importable as the collection it is, so that a plain `pytest` works."""

from __future__ import annotations

import importlib.util
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TREE = ROOT / ".cache" / "tree"

# ansible-test brings a loader of its own; the rest of the world needs a folder of the right name.
if importlib.util.find_spec("ansible_collections") is None:
    link = TREE / "ansible_collections" / "wirefleet" / "capture"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.exists():
        link.symlink_to(ROOT)
    sys.path.insert(0, str(TREE))
