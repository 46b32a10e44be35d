# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that cannot run here, by the name of their platform: each a class that takes lines and prints its configuration.

They stand for what vendors' documents and recorded configurations say (docs/switches.md). They know nothing of Session, and
nothing of how somebody reaches them.
"""

from __future__ import annotations

import typing as t

from .comware import Comware
from .eos import Eos
from .ios import Ios, Iosxe
from .junos import Junos
from .nxos import Nxos
from .vrp import CloudEngine, Vrp

if t.TYPE_CHECKING:
    from .base import Device

MODELS: dict[str, type[Device]] = {
    "ios": Ios,
    "iosxe": Iosxe,
    "nxos": Nxos,
    "eos": Eos,
    "junos": Junos,
    "comware": Comware,
    "vrp": Vrp,
    "cloudengine": CloudEngine,
}
