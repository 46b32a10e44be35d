# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every switch platform, by name. AnsiballZ ships what is imported here; a new platform is one import and one entry."""

from __future__ import annotations

import typing as t

from ..settings.model import Refused
from . import comware, comware_capture, eos, ios, junos, nvue, nxos, ovs, sonic, tc, vrp

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .platform import Platform
    from .remote_capture import RemoteCapture

PLATFORMS: Mapping[str, Platform] = {
    platform.name: platform
    for platform in (
        ios.PLATFORM,
        ios.XE,
        nxos.PLATFORM,
        eos.PLATFORM,
        junos.PLATFORM,
        comware.PLATFORM,
        vrp.PLATFORM,
        vrp.CLOUDENGINE,
        nvue.PLATFORM,
        ovs.PLATFORM,
        sonic.PLATFORM,
        tc.PLATFORM,
    )
}  # fmt: skip


#: The platforms that serve a capture of their own by RPCAP.
CAPTURES: Mapping[str, RemoteCapture] = {capture.platform: capture for capture in (comware_capture.CAPTURE,)}


def platform_of(name: str) -> Platform:
    """Return the platform called *name*, or the one for the ansible_network_os *name*; raises Refused where there is none."""
    for platform in PLATFORMS.values():
        if name == platform.name or name in platform.systems:
            return platform
    raise Refused(f"no platform is called {name!r}: there are {', '.join(sorted(PLATFORMS))}")


def capture_of(name: str) -> RemoteCapture:
    """Return how the platform *name* captures for others; raises Refused where it cannot."""
    platform = platform_of(name)
    if platform.name not in CAPTURES:
        raise Refused(f"{platform.name} serves no capture by RPCAP, as {', '.join(CAPTURES)} does: mirror the port, with mirror_session")
    return CAPTURES[platform.name]
