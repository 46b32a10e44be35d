#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: capture_info
short_description: Tell what captures a host holds, and whether and how it could do another
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Without O(session), lists what is armed, kept or changed on the host.
  - With O(session), also finds out how the host would carry it out. Engine and device are chosen, each filter is
    compiled by tcpdump, and disk, clock, tools, devices, settings and other campaigns are looked at. All problems are
    returned at once and nothing is touched.
options:
  session:
    description: The session to check, with C(engine=auto) and C(device=auto_rdma) where the host shall choose.
    type: dict
  campaign:
    description: Name or id of the campaign to list. All are listed by default.
    type: str
  object_store:
    description:
      - Presigned URLs with which the host tries whether it can write to an object store itself. What prevents it is one of RV(problems).
    type: dict
    suboptions:
      put:
        description: Writes a tiny object.
        type: str
      delete:
        description: Deletes it.
        type: str
      get:
        description: Asks for an object that is not there, in place of the others when nothing may be changed.
        type: str
extends_documentation_fragment: [wirefleet.capture.attributes]
attributes:
  diff_mode:
    support: none
seealso:
  - module: wirefleet.capture.capture_session
"""

EXAMPLES = r"""
- name: List what is armed, kept or changed
  wirefleet.capture.capture_info:
  register: found

- name: Name what was changed and not put back yet
  ansible.builtin.debug:
    msg: "{{ found.captures | map(attribute='open_changes') | flatten(levels=1) }}"
"""

RETURN = r"""
now_ns:
  description: The host's clock, in nanoseconds since 1970.
  returned: success
  type: int
  sample: 1795428900000000000
python:
  description: The Python that would run the supervisor.
  returned: success
  type: str
  sample: /usr/bin/python3
free_bytes:
  description: Free disk where captures are kept.
  returned: success
  type: int
  sample: 81604378624
clock:
  description: Who keeps the clock, and how far it may be off; null with a C(reason) where nobody knows.
  returned: success
  type: dict
  sample: {source: chrony, synchronised: true, offset_s: 0.000021, error_s: 0.0013, reason: null}
session:
  description: The session with engine, device and settings filled in, to be given to M(wirefleet.capture.capture_session).
  returned: success
  type: dict
problems:
  description: A sentence for each thing that prevents the session.
  returned: success
  type: list
  elements: str
  sample: ["there is no device 'eth7' on this host: it has eth0, eth1."]
warnings_found:
  description: A sentence for each thing that may surprise.
  returned: success
  type: list
  elements: str
preview:
  description: What would be changed, and the commands for it.
  returned: success
  type: dict
predicted:
  description: >-
    Most bytes that the session can write, beside the free ones, and most that its packet keys can have where it collects these
    (C(index_bytes), else null).
  returned: success
  type: dict
  sample: {bytes: 104857600, free_bytes: 81604378624, why: the limits of bytes and rings, index_bytes: null}
captures:
  description: What the host holds, one entry for each campaign.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import sys
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import run
from ..module_utils.host import Host
from ..module_utils.session.objects import probe
from ..module_utils.session.preflight import Checked, captures, check, facts_of_host
from ..module_utils.settings.journal import ROOT

#: Who has one of these may do what it was signed for.
URLS = {name: {"type": "str", "no_log": True} for name in ("put", "delete", "get")}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    host, session, store = Host(), module.params["session"], module.params["object_store"]
    checked = check(host, ROOT, session) if session is not None else Checked(None, [], [], None, None)
    problem = probe(store) if store else None
    return {
        "changed": False,
        "python": sys.executable,
        **facts_of_host(host, ROOT),
        "session": checked.session,
        "problems": [*checked.problems, *([f"{problem}."] if problem else [])],
        "warnings_found": checked.warnings,
        "preview": checked.preview,
        "predicted": checked.predicted,
        "captures": captures(host, ROOT, module.params["campaign"]),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={"session": {"type": "dict"}, "campaign": {"type": "str"}, "object_store": {"type": "dict", "options": URLS}},
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
