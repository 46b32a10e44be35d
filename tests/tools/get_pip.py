# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install with the pip wheel beside this file, whose name says the version: get_pip_24_2.py runs pip-24.2."""

from __future__ import annotations

import pathlib
import sys

here = pathlib.Path(__file__).resolve()
version = here.stem.replace("get_pip_", "").replace("_", ".")
sys.path.insert(0, str(next(here.parent.glob(f"pip-{version}-*.whl"))))

from pip._internal.cli.main import main

sys.exit(main(["install", *(word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel"))]))
