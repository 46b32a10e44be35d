# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDMA between two guests through a switch that mirrors: the monitor shows what the sender's own kernel saw pass."""

from __future__ import annotations

import collections

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.bpf import expand

from tests.integration.fleet import Fleet
from tests.integration.span import TYPES, harvest, mirror, sniff, tunnels

#: What is behind a switch has an MTU of 1400, so messages travel in packets of 1024.
SEND = "ib_send_bw -d rxe0 -F -m 1024 -s 4096 -n 200"


@pytest.fixture(scope="module", name="path")
def mirrored_guests():
    fleet = Fleet("span-guests")
    mirror(fleet)
    yield fleet
    fleet.down()


def test_verbs_arrive_packet_for_packet_in_every_type(path):
    assert tunnels(path)["changed"]
    sniff(path, "mon1", expand("roce"), *TYPES)
    sniff(path, "guest1", "udp port 4791", "eth1")
    path.ssh("guest2", f"setsid {SEND} < /dev/null > /tmp/server 2>&1 & until ss -Hltn | grep -q :18515; do sleep 0.2; done")
    path.ssh("guest1", f"{SEND} 10.78.0.3 > /tmp/client")
    (sent,) = harvest(path, "guest1", "eth1")
    seen = harvest(path, "mon1", *TYPES, expected=len(sent), on=TYPES)
    assert len(sent) > 800, "200 messages of 4 packets, and what acknowledges them"
    for name, found in zip(TYPES, seen):
        assert collections.Counter(found) == collections.Counter(sent), f"{name}: {len(found)} of {len(sent)}"
