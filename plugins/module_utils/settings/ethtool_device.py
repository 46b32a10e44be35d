# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking one device through ethtool, as the three ethtool kinds need it."""

from __future__ import annotations

import typing as t

from .ethtool_text import unsupported
from .model import Gone, Refused

if t.TYPE_CHECKING:
    from ..host import Host


def ask(host: Host, option: str, device: str) -> str | None:
    """Return what `ethtool OPTION DEVICE` prints, None where the driver has no such thing.

    Raises Gone for a device that does not exist and Refused for any other error, in ethtool's words.
    """
    devices = device_names(host.read("/proc/net/dev") or "")
    if device not in devices:
        known = ", ".join(name for name in devices if name != "lo")
        raise Gone(f"there is no network device {device!r} on this host: it has {known or 'none but lo'}")
    done = host.run(["ethtool", option, device])
    if done.rc == 0:
        return done.out
    if unsupported(done.err + done.out):
        return None
    raise Refused(f"{done.command}: {done.message}")


def device_names(proc_net_dev: str) -> list[str]:
    """Return the devices in /proc/net/dev, which shows the network namespace one is in, whatever is mounted on /sys."""
    return [line.split(":")[0].strip() for line in proc_net_dev.splitlines() if ":" in line]
