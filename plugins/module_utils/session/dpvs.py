# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a DPVS port is captured, found out on its host: by which device, of which instance, with what settings."""

from __future__ import annotations

import typing as t

from ..settings.dpvs_instance import IPC_FILE
from ..settings.dpvs_link import FLAG, where
from ..settings.model import Key, Refused, Value
from .choose import Choice

if t.TYPE_CHECKING:
    from collections.abc import Mapping

    from ..host import Host

KNI_REASON = (
    "DPVS copies what {port} receives and sends to {device}; Linux receives all of it, so the file does not tell the directions apart, "
    "and copies that DPVS drops when the KNI is full are counted nowhere"
)
WARNING = "DPVS copies every packet of {port} during the capture, which costs it throughput: keep the window short"


class Found(t.NamedTuple):
    """A choice, and what of the instance the engine has to know."""

    choice: Choice
    dpvs: dict[str, Value]


def choose_dpvs(host: Host, vantage: Mapping[str, t.Any]) -> Found:
    """Return how the DPVS port of *vantage* is captured. Raises Refused, saying why, where nothing could be seen."""
    port, wish = vantage["device"], vantage.get("dpvs") or {}
    ipc_file = wish.get("ipc_file") or IPC_FILE
    if host.which("nsenter") is None:
        raise Refused("nsenter is not installed on this host: install util-linux")
    kni = where(host, ipc_file, port, wish.get("kni"))
    settings: dict[Key, Value] = {
        Key("kni_link", kni.netns, kni.device): True,
        Key("dpvs_link", ipc_file, f"{port}/{FLAG}"): {"on": True, "kni": wish["kni"]} if wish.get("kni") else True,
    }
    reason = KNI_REASON.format(port=port, device=kni.device)
    choice = Choice(port, "dpvs_kni", kni.device, reason, settings, WARNING.format(port=port))
    return Found(choice, {**wish, "ipc_file": ipc_file, "netns": kni.netns})
