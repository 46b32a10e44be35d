# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity without the internet beyond PyPI, with every supported Python that is installed."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

from tree import copy_tree

#: What ansible-test of core 2.19 bootstraps its environments with, from a get-pip script that it would download.
PIP = "24.2"
STAND_IN = """import pathlib, sys
sys.path.insert(0, str(next(pathlib.Path(__file__).parent.glob("pip-{version}-*.whl"))))
from pip._internal.cli.main import main
sys.exit(main(["install", *(word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel"))]))
"""


def prime_pip() -> None:
    cache = pathlib.Path.home() / ".ansible" / "test" / "cache"
    script = cache / f"get_pip_{PIP.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "-q", "download", "--no-deps", f"pip=={PIP}", "-d", str(cache)], check=True)
    script.write_text(STAND_IN.format(version=PIP))


def search_path() -> str:
    """Put real interpreters before version managers' shims, which ansible-test cannot run."""
    versions = sorted(pathlib.Path.home().glob(".pyenv/versions/3.*/bin"))
    return os.pathsep.join([str(pathlib.Path(sys.executable).parent), *map(str, versions), os.environ["PATH"]])


def main(build: pathlib.Path) -> int:
    prime_pip()
    tree = copy_tree(build)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    argv = ["ansible-test", "sanity", "--venv", "--python", python, "--color", "no"]
    done = subprocess.run(argv, cwd=tree, env={**os.environ, "PATH": search_path()}, check=False)
    shutil.rmtree(tree / "tests" / "output", ignore_errors=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
