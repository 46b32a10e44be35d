# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tcpdump from a container whose libpcap has RDMA, where the host's own has not."""

from __future__ import annotations

import os
import typing as t

from .tcpdump import TcpdumpRdma

if t.TYPE_CHECKING:
    from ..spec import Vantage

_INSIDE = "/capture"


class TcpdumpContainer(TcpdumpRdma):
    """Killing the client would leave the container running, so it is never killed. Images are never pulled."""

    name = "container"
    programs = ()
    killable = False

    def argv(self, vantage: Vantage, path: str) -> list[str]:
        folder, name = os.path.split(path)
        inner = super().argv(vantage, os.path.join(_INSIDE, name))
        return [*self._run(vantage, f"--volume={folder}:{_INSIDE}"), *inner]

    def version_argv(self, vantage: Vantage) -> list[str]:
        return [*self._run(vantage), "tcpdump", "--version"]

    def problems(self, vantage: Vantage) -> list[str]:
        found = super().problems(vantage)
        if vantage.container.get("runtime") not in ("docker", "podman") or not vantage.container.get("image"):
            found.append(f"{vantage.vantage_id}: say container: {{runtime: docker or podman, image: …}} for {self.name}")
        return found

    def _run(self, vantage: Vantage, *more: str) -> list[str]:
        command = [vantage.container["runtime"], "run", "--rm", "--pull=never", "--network=host", "--privileged"]
        return [*command, "--volume=/dev/infiniband:/dev/infiniband", *more, vantage.container["image"]]
