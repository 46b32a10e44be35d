# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of setting, by name. AnsiballZ ships what is imported here; a new kind is one import and one entry."""

from __future__ import annotations

import typing as t

from .dpvs_conf import DpvsConf
from .dpvs_link import DpvsLink, KniLink
from .ethtool_feature import EthtoolFeature
from .ethtool_private_flag import EthtoolPrivateFlag
from .ethtool_ring import EthtoolRing
from .kernel_module import KernelModule
from .link import LinkDevice
from .mirror_session import MirrorSession
from .modprobe_option import ModprobeOption
from .remote_capture import PacketCapture
from .sysctl_floor import SysctlDropIn, SysctlFloor
from .tc_drop import TcDrop

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .model import Kind

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        EthtoolRing(),
        EthtoolPrivateFlag(),
        EthtoolFeature(),
        SysctlFloor(),
        SysctlDropIn(),
        ModprobeOption(),
        KniLink(),
        DpvsLink(),
        DpvsConf(),
        KernelModule(),
        LinkDevice(),
        TcDrop(),
        MirrorSession(),
        PacketCapture(),
    )
}
