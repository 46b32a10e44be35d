# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: vrp
short_description: Command line of Huawei switches with VRP
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Lets C(ansible.netcommon.network_cli) talk to Huawei switches with VRP 5 (S series) and VRP 8 (CloudEngine).
    Set C(ansible_network_os=wirefleet.capture.vrp).
  - VRP 8 collects what is typed until C(commit), and marks its prompt with an asterisk meanwhile. VRP 5 obeys at once.
"""

import re

from ansible_collections.wirefleet.capture.plugins.plugin_utils.views import ViewCliconf

UNCOMMITTED = re.compile(rb"\[\*")


class Cliconf(ViewCliconf):
    system = "vrp"
    config = {"running": "display current-configuration", "startup": "display saved-configuration"}
    version = re.compile(r"VRP \(R\) software, Version ([^\s(]+)")
    model = re.compile(r"^(?:HUAWEI|Huawei) (\S.*?) (?:Routing Switch |Router )?uptime is", re.MULTILINE)

    def finish(self) -> None:
        if UNCOMMITTED.search(self._connection.get_prompt() or b""):
            self.send_command("commit")
        super().finish()

    def abandon(self) -> None:
        """Leave what somebody typed and did not commit behind: VRP asks whether to commit it."""
        self.send_command("return", prompt=r"\[Y/N[^\]]*\]:?", answer="n")
