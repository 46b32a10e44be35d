# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switches of tests/switches/models as functions: (configuration, commands) -> configuration as `Platform.reads` print it."""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import PLATFORMS

from tests.switches import models

if t.TYPE_CHECKING:
    from tests.switches.models.base import Device


#: Those that are typed at.
DEVICES = {name: device for name, device in models.MODELS.items() if name in PLATFORMS and not PLATFORMS[name].host}


def typed(device: Device, commands: t.Iterable[str]) -> None:
    """Type *commands* as a user of the command line does; the switch must be content with each."""
    for command in commands:
        reply = device.apply(command)
        if reply:
            raise AssertionError(f"{command}: {reply}\n{device.running()}")
    device.apply("end")


def made(name: str, text: str, commands: t.Iterable[str]) -> str:
    """Return the whole running configuration of switch *text* after *commands*."""
    device, commit = models.MODELS[name](text), PLATFORMS[name].commit
    typed(device, [*commands, *([commit] if commit else [])])
    return device.running()


def shown(name: str, text: str) -> str:
    """Return what the reading commands of platform *name* print of running configuration *text*."""
    device = DEVICES[name](text)
    return "\n".join(device.show(command) for command in PLATFORMS[name].reads)


MODELS: dict[str, t.Callable[[str, t.Iterable[str]], str]] = {
    name: functools.partial(made, name) for name in models.MODELS if name in PLATFORMS
}
