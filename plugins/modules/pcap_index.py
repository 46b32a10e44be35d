#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pcap_index
short_description: Make a table of packet keys of a capture
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Writes a row of 152 bytes for each packet, in which are its time, addresses, ports, what TCP and RoCE say of it, whether its
    ICRC holds, and a fingerprint that routers leave alone, by which it is found again in captures made elsewhere. Mirrored and
    tunnelled packets are known by their innermost headers, the outermost addresses beside them.
  - Connections of RDMA that are being set up, and clients that a load balancer hides (TOA, UOA), go to a small side table.
  - Reads files of the host, pcap or pcapng, plain, gzip or zstd, told by their first bytes; zstd needs the program C(zstd).
  - The same as a command line is C(scripts/pcap-index) of the collection. C(docs/index.md) describes the table.
options:
  src:
    description: The capture files of one vantage, in the order of time.
    type: list
    elements: path
    required: true
  dest:
    description: >-
      The file for the table. Where its name ends in C(.parquet), it becomes Parquet, for which the Python that runs the module
      needs C(numpy) and C(pyarrow); else a file of packet keys, for which it needs nothing.
    type: path
    required: true
  vantage:
    description: What the vantage is called. Without it, as the first capture.
    type: str
  jobs:
    description: How many captures are read at once. Without it, one for each CPU that the module may use.
    type: int
  allow_incomplete:
    description: >-
      Do not fail where a capture ends too early, is damaged, or has packets of a link type that cannot be read. What could be
      read has been written in any case.
    type: bool
    default: false
extends_documentation_fragment: [wirefleet.capture.attributes]
attributes:
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Ship keys instead of payload
  wirefleet.capture.pcap_index:
    src:
      - /var/captures/eth1_00001.pcap.zst
      - /var/captures/eth1_00002.pcap.zst
    dest: /var/captures/eth1.keys
    vantage: "{{ inventory_hostname }}__eth1"
  register: index

- name: Refuse what was damaged on the way
  ansible.builtin.assert:
    that: index.flags.icrc == index.flags.icrc_valid
"""

RETURN = r"""
complete:
  description: Every capture was whole, and all its packets could be read.
  returned: success
  type: bool
  sample: true
vantage:
  description: What the vantage is called.
  returned: success
  type: str
  sample: node1__eth1
packets:
  description: How many packets the captures hold; each has a row.
  returned: success
  type: int
  sample: 120344
first_ns:
  description: Time of the earliest packet, in nanoseconds since 1970; null without.
  returned: success
  type: int
  sample: 1795428900000123000
last_ns:
  description: Time of the latest packet.
  returned: success
  type: int
  sample: 1795428960000120000
flags:
  description: Of each flag, how many packets have it.
  returned: success
  type: dict
  sample: {ip: 120344, roce2: 120000, icrc: 120000, icrc_valid: 120000, identified: 120344}
side:
  description: Rows of the side table.
  returned: success
  type: int
  sample: 12
side_left_out:
  description: Rows for which the side table had no room.
  returned: success
  type: int
  sample: 0
files:
  description: >-
    Each capture with its packets, bytes, times, link types, smallest snap length, packets that are older than the one before,
    those of a link type that cannot be read (C(foreign)), and C(damage), null where it is whole.
  returned: success
  type: list
  elements: dict
  sample:
    - {path: /var/captures/eth1_00001.pcap.zst, damage: null, link_types: [1], snaplen: 256, loop: c, packets: 120344, foreign: 0,
       captured: 30808064, wire: 132000000, out_of_order: 0, first_ns: 1795428900000123000, last_ns: 1795428960000120000,
       flags: {ip: 120344}}
reasons:
  description: What is not as it should be, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["/var/captures/eth1_00002.pcap.zst has no packet"]
loop:
  description: C(c) where a compiler was found, else C(python), which gives the same rows more slowly.
  returned: success
  type: str
  sample: c
loop_reason:
  description: Why it was not C(c).
  returned: success
  type: str
  sample: there is no C compiler (cc)
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import run
from ..module_utils.packets.decap_files import BadPaths
from ..module_utils.packets.index_files import Wish, index
from ..module_utils.settings.model import Refused


def work(module: AnsibleModule) -> dict[str, t.Any]:
    wishes = module.params
    wish = Wish(wishes["src"], wishes["dest"], wishes["vantage"], jobs=wishes["jobs"])
    if "-" in (*wish.sources, wish.dest):
        raise Refused("a module has no standard input or output: name files")
    try:
        changed, found = index(wish, rehearse=module.check_mode)
    except BadPaths as problem:
        raise Refused(str(problem)) from problem
    if not found["complete"] and not wishes["allow_incomplete"]:
        module.fail_json(msg=f"not all could be indexed: {'; '.join(found['reasons'])}", changed=changed, **found)
    return {"changed": changed, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "list", "elements": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "vantage": {"type": "str"},
            "jobs": {"type": "int"},
            "allow_incomplete": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
