# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the supervisor must know of a capture tool. An engine is pure: text and values in, text and values out."""

from __future__ import annotations

import re
import signal
import typing as t

if t.TYPE_CHECKING:
    from ..spec import Vantage

MEGA = 1_000_000


class Stats(t.NamedTuple):
    """What a tool says it saw; None where it does not say. *source* tells whose words these are."""

    captured: int | None = None
    received: int | None = None
    dropped_kernel: int | None = None
    dropped_interface: int | None = None
    trustworthy: bool = False
    source: str = "the engine said nothing"


class Engine:
    """One capture tool. A new one is a file here and a line in registry.py."""

    name: t.ClassVar[str]
    #: What must be installed for it.
    programs: t.ClassVar[tuple[str, ...]]
    suffix: t.ClassVar[str] = "pcap"
    #: Whether the device is an RDMA device, not a network interface.
    on_rdma: t.ClassVar[bool] = False
    #: Whether the device is a port of a DPVS instance or other DPDK process, which the vantage's `dpvs` or `dpdk` describes.
    on_dpvs: t.ClassVar[bool] = False
    #: Whether it takes packets out of that process itself, so that no network interface is involved.
    on_process: t.ClassVar[bool] = False
    #: Whether the file's header promises nanoseconds while its records hold microseconds.
    mistaken_stamps: t.ClassVar[bool] = False
    #: Whether the packets come from a server by the network, so that no device of this host is involved.
    remote: t.ClassVar[bool] = False
    #: Longer paths of files are cut without a word.
    longest_path: t.ClassVar[int | None] = None
    filters: t.ClassVar[bool] = True
    #: Whether SIGKILL leaves nothing behind in the device.
    killable: t.ClassVar[bool] = True
    #: Asks the running tool to say its numbers, where it does not do so unasked.
    live_signal: t.ClassVar[signal.Signals | None] = None

    @property
    def on_interface(self) -> bool:
        """Whether the device is a network interface of this host."""
        return not (self.on_rdma or self.on_dpvs or self.remote)

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        """Return the command that captures *vantage* into *path*."""
        raise NotImplementedError

    def piped(self, vantage: Vantage) -> int:
        """Return how many bytes of memory are to lie between the tool's output and the disk, 0 where it writes its file itself."""
        return 0

    def marker(self, pid: int) -> str | None:
        """Return the memory zone of the DPDK process that is there while this captures as *pid*, and stays when it was killed."""
        return None

    def ready(self, text: str) -> bool:
        """Whether the tool says in *text* (all of its output) that it is listening."""
        raise NotImplementedError

    def statistics(self, text: str) -> Stats:
        """Return the newest numbers in *text*, which may begin in the middle of a line."""
        raise NotImplementedError

    def explain(self, text: str) -> str | None:
        """Return what the tool's last words mean and what to do, None where they speak for themselves."""
        return None

    def version_argv(self, vantage: Vantage) -> list[str]:
        return [self.programs[0], "--version"]

    def version(self, text: str) -> str | None:
        """Return the version that the tool's own text names."""
        found = re.search(r"\(DPDK (\d[\w.-]*)\)", text) or re.search(r"\b(\d+(?:\.\d+)+)", text)
        return found.group(1) if found else None

    def problems(self, vantage: Vantage) -> list[str]:
        """Return a sentence for each wish that this tool cannot fulfil."""
        if vantage.filter and not self.filters:
            return [f"{vantage.vantage_id}: {self.name} cannot filter: leave the filter empty, or name another engine"]
        return []


def newest(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match, since tools repeat their numbers as they go on."""
    last = None
    for last in re.finditer(pattern, text):
        pass
    return last


def megabytes(size: int) -> str:
    return str(max(1, size // MEGA))
