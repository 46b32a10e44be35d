# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection and run Galaxy's own importer over it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from tree import copy_tree


def main(build: pathlib.Path) -> int:
    tree = copy_tree(build)
    folder = build.resolve()
    subprocess.run(["ansible-galaxy", "collection", "build", "--force", "--output-path", str(folder), str(tree)], check=True)
    archive = max(folder.glob("wirefleet-capture-*.tar.gz"), key=lambda path: path.stat().st_mtime)
    return subprocess.run([sys.executable, "-m", "galaxy_importer.main", str(archive)], cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
