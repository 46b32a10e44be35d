#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pcap_decap
short_description: Take what switches wrote around mirrored frames off a capture file
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Undoes ERSPAN I, II and III, transparent Ethernet bridging and Mellanox's GRE, behind VLAN tags, IPv4 options and IPv6
    extension headers, also several times over. Time stamps, lengths on the wire and the format of the file stay as they are.
  - Reads and writes files of the host, pcap or pcapng. Compressed ones are told by their first bytes, written ones by their
    names, which end in C(.gz) or C(.zst); the latter need the program C(zstd).
  - The same as a command line is C(scripts/pcap-decap) of the collection, which also works on captures that are being made.
options:
  src:
    description: The capture with the mirrored packets.
    type: path
    required: true
  dest:
    description: The file for the frames.
    type: path
    required: true
  rest:
    description: A file for the packets that mirror nothing, or could not be undone.
    type: path
  side:
    description: A CSV file with a line for each header that was taken off.
    type: path
  depth:
    description: How many mirrors within mirrors are undone, from 1 to 8.
    type: int
    default: 8
  allow_incomplete:
    description: >-
      Do not fail where the capture ends too early or is damaged, or where mirrors could not be undone. What could be read
      has been written in any case.
    type: bool
    default: false
extends_documentation_fragment: [wirefleet.capture.attributes]
attributes:
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: See what the switch saw
  wirefleet.capture.pcap_decap:
    src: /var/captures/mirror.pcap
    dest: /var/captures/frames.pcap
    rest: /var/captures/others.pcap
    side: /var/captures/mirror.csv
  register: decap

- name: Refuse to judge where copies were lost on their way
  ansible.builtin.assert:
    that: decap.streams | selectattr('missing') | length == 0
"""

RETURN = r"""
complete:
  description: The capture was whole, and no mirror was left undone.
  returned: success
  type: bool
  sample: true
packets:
  description: How many packets the capture holds.
  returned: success
  type: int
  sample: 120344
frames:
  description: How many frames were written.
  returned: success
  type: int
  sample: 120340
other:
  description: Packets that mirror nothing.
  returned: success
  type: int
  sample: 4
short:
  description: Mirrored packets that are cut within the headers around the frame.
  returned: success
  type: int
  sample: 0
fragments:
  description: Fragments of IP packets that carry a mirror.
  returned: success
  type: int
  sample: 0
unknown:
  description: Mirrored packets of a form that nobody knows.
  returned: success
  type: int
  sample: 0
left_out:
  description: Headers of more streams than are told apart.
  returned: success
  type: int
  sample: 0
damage:
  description: Where and why reading ended early; null where it did not.
  returned: success
  type: str
  sample: "at byte 926: the file ends within a record, 74 bytes after its beginning"
streams:
  description: >-
    Each sender, receiver, type, session and key, with the sequence numbers that were jumped over (C(missing), in C(gaps)),
    came C(late) or began anew (C(restarts)); null where the sender does not count.
  returned: success
  type: list
  elements: dict
  sample:
    - {stream: 0, source: 10.9.0.1, target: 10.9.0.2, type: erspan2, session: 100, key: null, depth: 0, packets: 120340,
       bytes: 90255000, sequence_first: 1, sequence_last: 120342, gaps: 1, missing: 2, late: 0, restarts: 0}
loop:
  description: C(c) where a compiler was found, else C(python), which gives the same more slowly.
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
from ..module_utils.packets.decap_files import BadPaths, Paths, decapsulate
from ..module_utils.packets.mirrors import MAX_DEPTH
from ..module_utils.settings.model import Refused


def work(module: AnsibleModule) -> dict[str, t.Any]:
    wishes = module.params
    paths = Paths(*(wishes[name] for name in ("src", "dest", "rest", "side")))
    if not 1 <= wishes["depth"] <= MAX_DEPTH:
        raise Refused(f"depth is a number from 1 to {MAX_DEPTH}, not {wishes['depth']}")
    if "-" in paths:
        raise Refused("a module has no standard input or output: name files")
    try:
        changed, found = decapsulate(paths, wishes["depth"], rehearse=module.check_mode)
    except BadPaths as problem:
        raise Refused(str(problem)) from problem
    if not found["complete"] and not wishes["allow_incomplete"]:
        module.fail_json(msg=_why(found), changed=changed, **found)
    return {"changed": changed, **found}


def _why(found: dict[str, t.Any]) -> str:
    undone = found["short"] + found["fragments"] + found["unknown"]
    if found["damage"]:
        return f"the capture is not whole, {found['frames']} frames could be written: {found['damage']}"
    return f"{undone} of {found['packets']} packets carry a mirror that could not be undone: see short, fragments and unknown"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "rest": {"type": "path"},
            "side": {"type": "path"},
            "depth": {"type": "int", "default": 8},
            "allow_incomplete": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    run(module, lambda: work(module))


if __name__ == "__main__":
    main()
