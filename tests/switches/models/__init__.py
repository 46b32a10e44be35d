# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches that cannot run here, by the name of their platform: each a class that takes lines and prints its
configuration; those that programs are run on take and print what programs do (box.py).

They stand for what vendors' documents and recorded configurations say (docs/switches.md). They know nothing of Session, and
nothing of how somebody reaches them.
"""

from __future__ import annotations

import typing as t

from .comware import Comware
from .eos import Eos
from .ios import Ios, Iosxe
from .junos import Junos
from .nvue import Nvue
from .nxos import Nxos
from .ovs import Ovs
from .sonic import Sonic
from .tc import Tc
from .vrp import CloudEngine, Vrp

if t.TYPE_CHECKING:
    from .base import Device
    from .box import Box

MODELS: dict[str, type[Device | Box]] = {
    "ios": Ios,
    "iosxe": Iosxe,
    "nxos": Nxos,
    "eos": Eos,
    "junos": Junos,
    "comware": Comware,
    "vrp": Vrp,
    "cloudengine": CloudEngine,
    "ovs": Ovs,
    "tc": Tc,
    "sonic": Sonic,
    "nvue": Nvue,
}
