# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dumpcap, Wireshark's capture tool, on a network interface."""

from __future__ import annotations

import typing as t

from .base import Engine, Stats, newest

if t.TYPE_CHECKING:
    from ..spec import Vantage


class Dumpcap(Engine):
    name = "dumpcap"
    programs = ("dumpcap",)
    suffix = "pcapng"

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        command = ["dumpcap", "-i", vantage.capture_on, "-B", str(vantage.buffer_mib), "-s", str(vantage.snaplen)]
        if vantage.filter:
            command += ["-f", vantage.filter]
        return [*command, *self._rotation(vantage), "-w", path]

    def _rotation(self, vantage: Vantage) -> list[str]:
        ring, split = vantage.ring, vantage.split
        options = []
        if ring:
            options += ["-b", f"filesize:{ring.file_bytes // 1000}", "-b", f"files:{ring.files}"]
        if split and split.bytes:
            options += ["-b", f"filesize:{split.bytes // 1000}"]
        if split and split.seconds:
            options += ["-b", f"duration:{round(split.seconds)}"]
        return options

    def ready(self, text: str) -> bool:
        """It says "Capturing on" before it has tried; the file's name comes after the device was opened."""
        return "File: " in text

    def statistics(self, text: str) -> Stats:
        final = newest(r"received/dropped on interface .*?: (\d+)/(\d+) \(pcap:(\d+)/dumpcap:(\d+)/flushed:(\d+)/ps_ifdrop:(\d+)\)", text)
        if final:
            received, dropped, _pcap, _own, _flushed, interface = (int(item) for item in final.groups())
            return Stats(received, received + dropped, dropped, interface, True, "dumpcap, kernel and own drops together")
        live = newest(r"Packets: (\d+)", text)
        if live:
            return Stats(int(live.group(1)), None, None, None, False, "dumpcap while running, which counts no drops")
        return Stats()
