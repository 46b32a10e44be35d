#!/usr/bin/python
# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module is implemented by the action plugin of the same name; here is its documentation.

from __future__ import annotations

DOCUMENTATION = r"""
module: campaign_collect
short_description: Bring a host's captured files home and verify them
version_added: 0.1.0
author: Wirefleet Authors (@wirefleet)
description:
  - Copies the files of a run in segments over the host's own connection, with C(become) too. That is one streaming
    ssh where the connection is ssh, pieces through the connection's own fetch elsewhere.
  - Each segment is decompressed once on the controller, compared with the hash that the host took of the raw bytes,
    and walked as a capture file.
  - Only after everything is verified and synced on the controller's disk may the host remove its raw files. A rerun
    goes on at the segment where the last one stopped.
  - Where the campaign has C(campaign_collect_to), the host writes its capture files to that object store itself, with presigned URLs,
    and everything else comes home. It may remove them once the store has confirmed to the controller what it has.
    This needs C(botocore) on the controller.
options:
  compress:
    description:
      - V(auto) measures the link with the first segment of a large file and compresses only where that is faster.
      - V(never) copies as it is; V(zstd) and V(gzip) always compress.
      - Without it, what C(-e campaign_compress=) says, else as the run was planned.
    type: str
    choices: [auto, never, gzip, zstd]
  collect:
    description:
      - V(whole) brings the captures home.
      - V(index) has the host make a table of packet keys of each vantage, brings that home and leaves the captures on the host. The
        run must have been armed for it (C(campaign_collect=index)).
      - Without it, what C(-e campaign_collect=) says, else as the run's plan says.
    type: str
    choices: [whole, index]
extends_documentation_fragment:
  - wirefleet.capture.attributes
  - wirefleet.capture.attributes.action
  - wirefleet.capture.run
attributes:
  check_mode:
    support: none
    details: Collecting is all it does, so it is skipped.
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Bring the files home and verify them
  wirefleet.capture.campaign_collect:
"""

RETURN = r"""
files:
  description: How many files of the host are here, or in the object store.
  returned: success
  type: int
bytes:
  description: Their raw size, that of files in an object store too.
  returned: success
  type: int
stored:
  description: What they take on the controller, or in the object store.
  returned: success
  type: int
"""
