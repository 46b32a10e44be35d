# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose network is another namespace, and recorded output of real tools."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host, Result

RECORDINGS = pathlib.Path(__file__).parent / "recordings"


def recorded(name: str) -> str:
    return (RECORDINGS / name).read_text()


class Inside(Host):
    """The commands and the device list of another network namespace, the files of this machine."""

    def __init__(self, pid: int) -> None:
        self.prefix = ["nsenter", f"--net=/proc/{pid}/ns/net"]

    def run(self, argv: t.Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        return super().run([*self.prefix, *argv], timeout, stdin)._replace(argv=list(argv))

    def read(self, path: str) -> str | None:
        if path.startswith("/proc/net/"):
            return self.run(["cat", path]).out
        return super().read(path)

    def features(self, device: str = "v0") -> str:
        return self.run(["ethtool", "-k", device]).out
