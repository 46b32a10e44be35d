# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches: hosts with ports, into which other hosts are plugged; real Open vSwitch, or Linux' own bridge."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

from .problem import Problem

if t.TYPE_CHECKING:
    from .fleet import Host

INIT = pathlib.Path(__file__).parent / "init"


def furnish(ssh: list[str], host: Host) -> None:
    """Make *host* the switch that it is to be, or let it send through one; *ssh* are the words that log in there."""
    words = [host.data_device, f"{host.data_address}/16", *(f"swp{number}" for number, _name in enumerate(host.ports, 1))]
    script = INIT / f"switch_{host.switch or 'end'}.sh"
    done = subprocess.run([*ssh, f"bash -s -- {' '.join(words)}"], input=script.read_bytes(), capture_output=True, check=False)
    if done.returncode:
        raise Problem(f"{host.name} did not become what it is to be: {done.stderr.decode(errors='replace').strip()[-500:]}")
