# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every switch platform, by name. AnsiballZ ships what is imported here; a new platform is one import and one entry."""

from __future__ import annotations

import typing as t

from . import comware, eos, ios, junos, nxos, vrp

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from .platform import Platform

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
    )
}  # fmt: skip
