# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ibdump, for InfiniBand ports and for firmware that has no sniffer flow."""

from __future__ import annotations

import typing as t

from .base import Engine, Stats, newest

if t.TYPE_CHECKING:
    from ..spec import Vantage


class Ibdump(Engine):
    """SIGKILL leaves the firmware's sniffer attached, so it is never sent."""

    name = "ibdump"
    programs = ("ibdump", "stdbuf")
    on_rdma = True
    filters = False
    killable = False

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """stdbuf: ibdump says that it is ready through a buffer that a file never empties."""
        device, _colon, port = vantage.capture_on.partition(":")
        return ["stdbuf", "-oL", "ibdump", "-d", device, "-i", port or "1", "-w", path]

    def ready(self, text: str) -> bool:
        return "Ready to capture" in text

    def statistics(self, text: str) -> Stats:
        found = newest(r"Captured:\s+(\d+) packets", text)
        if not found:
            return Stats()
        return Stats(int(found.group(1)), None, None, None, False, "ibdump does not report what it lost")

    def problems(self, vantage: Vantage) -> list[str]:
        found = super().problems(vantage)
        if vantage.ring or vantage.split:
            found.append(f"{vantage.vantage_id}: ibdump writes one file: leave ring and split out, or name another engine")
        return found
