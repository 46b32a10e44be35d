# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The remote capture of Comware 7: the switch serves what its CPU sees of an interface by RPCAP. Pure.

Read in H3C's command references and configuration guides; not proven on a switch. The command is typed in user view and is
no configuration. A switch has one capture at a time, and shows neither its interface nor its port.
"""

from __future__ import annotations

import re
import typing as t

from ..settings.model import Refused
from .comware import canonical
from .platform import WORD, Typing
from .remote_capture import Capture, RemoteCapture, Running

#: The direction that no word says is the default.
_WAYS = {"rx": "", "tx": " outbound", "both": " bidirection"}
_FIELD = re.compile(r"^ *([A-Za-z]+(?: [A-Za-z]+)?) {0,40}: {0,40}(\S.{0,255})?$", re.MULTILINE)


def parse(text: str) -> Running | None:
    """Return what `display packet-capture status` shows, which knows no other status than that of a running capture."""
    fields = {match[1].lower(): (match[2] or "").strip() for match in _FIELD.finditer(text)}
    if fields.get("status", "").lower() != "capturing":
        return None
    return Running("" if fields.get("file name", "N/A") == "N/A" else fields["file name"])


def start(want: Capture) -> list[str]:
    port = f" port {want.port}" if want.port else ""
    return [f"packet-capture remote interface {want.interface}{_WAYS[want.direction]}{port}"]


def stop() -> list[str]:
    return ["packet-capture stop"]


def interface(name: str) -> str:
    """Return the full name of an interface; raises Refused for what could be more than a name."""
    full = canonical(name)
    if not WORD.fullmatch(full):
        raise Refused(f"comware has no interface {name!r}: write it as in GigabitEthernet1/0/1")
    return full


CAPTURE: t.Final = RemoteCapture(
    platform="comware",
    reads=("display packet-capture status",),
    parse=parse,
    start=start,
    stop=stop,
    interface=interface,
    typing=Typing((), (), ()),
    hint="many models need the packet-capture feature image for this",
)
