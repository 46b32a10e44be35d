# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter wirefleet.capture.capture_filter."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.bpf import BadFilter, build, expand


def capture_filter(wishes: t.Any, **more: t.Any) -> str:
    """Return a pcap filter for a name or a mapping of names; more of them can be given as keywords."""
    if not isinstance(wishes, (str, t.Mapping)):
        raise AnsibleFilterError(f"capture_filter takes a name or a mapping, not {wishes!r}")
    try:
        return build({**({wishes: True} if isinstance(wishes, str) else wishes), **more}) if more else expand(wishes)
    except BadFilter as problem:
        raise AnsibleFilterError(str(problem)) from problem


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., str]]:
        return {"capture_filter": capture_filter}
