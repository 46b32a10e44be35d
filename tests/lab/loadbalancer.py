# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load balancers: hosts on which doubles of DPVS run, each between a client and a server of its own."""

from __future__ import annotations

import io
import pathlib
import subprocess
import tarfile
import typing as t

from .problem import Problem

if t.TYPE_CHECKING:
    from .fleet import Host

DOUBLE = pathlib.Path(__file__).resolve().parents[1] / "dpvs"
THERE = "/opt/dpvs-double"


def archive() -> bytes:
    """Return the double as a tar file that is unpacked in THERE."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path in sorted(DOUBLE.glob("*.py")):
            tar.add(path, f"tests/dpvs/{path.name}")
    return whole.getvalue()


def furnish(ssh: list[str], host: Host) -> None:
    """Put *host*'s doubles on it and start them; *ssh* are the words that log in there."""
    script = f"mkdir -p {THERE} && cd {THERE} && tar -x && exec python3 -m tests.dpvs.standing {host.dpvs}"
    done = subprocess.run([*ssh, script], input=archive(), capture_output=True, check=False)
    if done.returncode:
        raise Problem(f"no DPVS came up on {host.name}: {done.stderr.decode(errors='replace').strip()}")
