#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pcap_split
short_description: Cut a capture file into pieces
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Cuts a finished capture between packets. Each piece is a capture file of its own, in the format and compression of the
    capture, which stays as it is. Packets and time stamps are copied as they are.
  - Each piece of a pcapng file begins with the interfaces, names and secrets that its packets may need.
  - To begin new files while capturing, use O(ignore:split) and O(ignore:ring) of a campaign's vantage.
  - The same as a command line is C(scripts/pcap-split) of the collection.
options:
  src:
    description: The capture, pcap or pcapng, plain or compressed with gzip or, where the host has it, zstd.
    type: path
    required: true
  dest:
    description:
      - The folder for the pieces, which are called as O(src) is, with C(_00001) and so on. It is made where it is missing.
      - A second run of the same changes nothing. Pieces of the same name that hold something else are replaced.
    type: path
    required: true
  bytes:
    description: No piece is larger before compression, as V(64M), which is what C(tcpdump -C) does while capturing.
    type: bytes
  seconds:
    description:
      - Each piece spans so many seconds, counted from the first packet, as with C(editcap -i). Intervals without a packet make
        no file. A packet that is earlier than the one before it stays with that one.
    type: float
  packets:
    description: No piece has more packets, as with C(editcap -c).
    type: int
  allow_incomplete:
    description: Do not fail where the capture ends too early or is damaged. What could be read has been written in any case.
    type: bool
    default: false
extends_documentation_fragment: [wirefleet.capture.attributes]
attributes:
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Cut a capture into pieces that fit a mail
  wirefleet.capture.pcap_split:
    src: /var/captures/trace.pcap
    dest: /var/captures/pieces
    bytes: 10M

- name: Cut it by the minute
  wirefleet.capture.pcap_split:
    src: /var/captures/trace.pcap
    dest: /var/captures/minutes
    seconds: 60
  register: minutes

- name: Say which minute had most packets
  ansible.builtin.debug:
    msg: "{{ (minutes.files | sort(attribute='packets') | last).path }}"
"""

RETURN = r"""
complete:
  description: The capture was whole.
  returned: success
  type: bool
  sample: true
packets:
  description: How many packets are in the pieces.
  returned: success
  type: int
  sample: 120344
files:
  description:
    - The pieces in order, with their bytes before compression, and the earliest and latest time of their packets in
      nanoseconds since 1970; null where no packet has one.
  returned: success
  type: list
  elements: dict
  sample:
    - {path: /var/captures/pieces/trace_00001.pcap, bytes: 10485701, packets: 48541, first_ns: 1795428900000000000,
       last_ns: 1795428913420000000}
damage:
  description: Where and why reading ended early; null where it did not.
  returned: success
  type: str
  sample: "at byte 926: the file ends within a record, 74 bytes after its beginning"
stale:
  description: Pieces of an earlier run with smaller pieces, which this run did not make and leaves alone.
  returned: success
  type: list
  elements: path
  sample: []
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._module import run
from ..module_utils.packets.split import Rule
from ..module_utils.packets.split_files import Unsplittable, split
from ..module_utils.settings.model import Refused


def work(module: AnsibleModule) -> dict[str, t.Any]:
    wishes = module.params
    rule = Rule(wishes["bytes"], wishes["seconds"], wishes["packets"])
    try:
        changed, found = split(wishes["src"], wishes["dest"], rule, rehearse=module.check_mode)
    except Unsplittable as problem:
        raise Refused(str(problem)) from problem
    if found["stale"]:
        module.warn(f"{len(found['stale'])} pieces of another run are still there, from {found['stale'][0]} on: remove them")
    if not found["complete"] and not wishes["allow_incomplete"]:
        module.fail_json(msg=f"the capture is not whole, {found['packets']} packets could be written: {found['damage']}", changed=changed, **found)
    return {"changed": changed, **found}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "bytes": {"type": "bytes"},
            "seconds": {"type": "float"},
            "packets": {"type": "int"},
            "allow_incomplete": {"type": "bool", "default": False},
        },
        required_one_of=[("bytes", "seconds", "packets")],
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
