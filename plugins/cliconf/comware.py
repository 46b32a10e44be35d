# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: comware
short_description: Command line of H3C and HPE switches with Comware 7
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Lets C(ansible.netcommon.network_cli) talk to switches with Comware 7. Set C(ansible_network_os=wirefleet.capture.comware).
  - Log in as a user whose role may configure, such as C(network-admin). There is no privilege to escalate to.
"""

import re

from ansible_collections.wirefleet.capture.plugins.plugin_utils.views import ViewCliconf


class Cliconf(ViewCliconf):
    system = "comware"
    config = {"running": "display current-configuration", "startup": "display saved-configuration"}
    version = re.compile(r"Comware Software, Version (\S+?),?\s")
    model = re.compile(r"^(?:H3C|HPE?|HP) (\S.*?) uptime is", re.MULTILINE)
