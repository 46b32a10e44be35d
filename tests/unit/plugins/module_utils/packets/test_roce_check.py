# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of RDMA tests held against what was sent, on frames as a card would make them."""

from __future__ import annotations

import random

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets import roce
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.reading import Packet
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce_check import End, Psns, Sent, Watch, problems, roce_packet
from ansible_collections.wirefleet.capture.tests.traffic import roce_frames
from hypothesis import given
from hypothesis import strategies as st

CLIENT, SERVER = "10.78.0.2", "10.78.0.3"
MACS = b"\x02\0\0\0\0\x02", b"\x02\0\0\0\0\x01"
NEAR_WRAP = roce.PSN_MODULUS - 5
MTU, MESSAGES, PER_MESSAGE = 1024, 4, 3
SIZE = MTU * (PER_MESSAGE - 1) + 510
FIRST_MIDDLE_LAST = {"send": (0, 1, 2), "write": (6, 7, 8), "read": (0x0D, 0x0E, 0x0F)}
RETH, AETH = roce.RETH.pack(0, 1, SIZE), roce_frames.aeth(0x1F, 1)
EXTRA = {6: RETH, 0x0D: AETH, 0x0F: AETH}


def sent(verb="send", dscp=26, began_ns=0, size=SIZE):
    gids = (roce_frames.gid(address) for address in (CLIENT, SERVER))
    return Sent(verb, size, MESSAGES, *map(End, gids, (0x11, 0x22)), dscp, began_ns)


def frame(forward, opcode, psn, rest=b"", tos=104, pad=0, vlan=None, version=2):
    ends = (CLIENT, SERVER) if forward else (SERVER, CLIENT)
    bth = roce.Bth(opcode, 0x40 | pad << 4, 0xFFFF, 0x22 if forward else 0x11, False, psn % roce.PSN_MODULUS)
    return roce_frames.frame(*MACS, roce_frames.packet(*ends, bth, rest, tos=tos), vlan)


def test_of(verb, first_psn=NEAR_WRAP, **more):
    """Return the frames of one test: each message of three packets, the last padded, and what the other side answers."""
    found, psn, forward = [], first_psn, verb != "read"
    for _message in range(MESSAGES):
        if verb == "read":
            found.append(frame(True, 0x0C, psn, RETH, **more))
        for number, opcode in enumerate(FIRST_MIDDLE_LAST[verb]):
            last = number == PER_MESSAGE - 1
            payload = bytes(512 if last else MTU)
            found.append(frame(forward, opcode, psn + number, EXTRA.get(opcode, b"") + payload, pad=2 if last else 0, **more))
        psn += PER_MESSAGE
        if verb != "read":
            found.append(frame(False, 0x11, psn - 1, AETH, **more))
    return found


test_of.__test__ = False


def watched(frames, *tests, snaplen=256):
    watch = Watch(tests)
    for number, data in enumerate(frames):
        watch(Packet(number, 1, len(data), memoryview(data)[:snaplen]))
    return watch.tallies


@pytest.mark.parametrize("vlan", [None, 6])
@pytest.mark.parametrize("verb", ["send", "write", "read"])
def test_what_was_sent_is_there(verb, vlan):
    (tally,) = watched(test_of(verb, vlan=vlan), sent(verb))
    assert problems(tally) == []
    assert (tally.messages, tally.payload, tally.packets) == (MESSAGES, MESSAGES * SIZE, MESSAGES * (PER_MESSAGE + 1))
    assert (tally.asked, tally.acks) == ((MESSAGES, 0) if verb == "read" else (0, MESSAGES))


@pytest.mark.parametrize("verb", ["send", "write", "read"])
def test_every_packet_twice_counts_once(verb):
    (tally,) = watched([data for data in test_of(verb) for _twice in range(2)], sent(verb))
    assert problems(tally) == []
    assert tally.data.repeated == MESSAGES * PER_MESSAGE


@pytest.mark.parametrize("verb", ["send", "write", "read"])
def test_order_of_the_capture_does_not_matter(verb):
    frames = test_of(verb)
    random.Random(1).shuffle(frames)
    (tally,) = watched(frames, sent(verb, dscp=None))
    assert (tally.messages, tally.payload, tally.data.missing, tally.data.repeated) == (MESSAGES, MESSAGES * SIZE, 0, 0)


def test_lost_packet_is_said_with_its_psn():
    frames = test_of("write")
    del frames[frames.index(frame(True, 7, 2, bytes(MTU)))]
    (tally,) = watched(frames, sent("write"))
    assert problems(tally) == [
        f"it has {MESSAGES * SIZE - MTU} of {MESSAGES * SIZE} bytes",
        "1 packets are missing between others, the first with PSN 0x000002",
    ]


def test_lost_message_at_the_end_is_no_gap_but_missing():
    (tally,) = watched(test_of("send")[: -PER_MESSAGE - 1], sent())
    assert problems(tally) == ["it has 3 of 4 messages", f"it has {3 * SIZE} of {4 * SIZE} bytes"]


def test_lost_read_request():
    frames = test_of("read")
    (tally,) = watched(frames[:4] + frames[5:], sent("read"))
    assert problems(tally) == ["it has 3 of 4 READ requests"]


def test_nothing_at_all():
    (tally,) = watched(test_of("send"), sent()._replace(client=End(roce_frames.gid(CLIENT), 0x99), server=End(roce_frames.gid(SERVER), 0x98)))
    assert problems(tally) == ["it captured no packet of this test"]


def test_wrong_dscp_of_one_side():
    frames = test_of("send")
    frames[3] = frame(False, 0x11, NEAR_WRAP + 2, AETH, tos=0)
    (tally,) = watched(frames, sent())
    assert problems(tally) == ["1 packets have DSCP 0 instead of 26"]
    assert problems(watched(frames, sent(dscp=None))[0]) == []


def test_verb_that_was_not_asked_for():
    frames = [*test_of("send"), frame(True, 0x0A, 99, RETH + bytes(8)), frame(True, roce.CNP, 0, bytes(16))]
    (tally,) = watched(frames, sent())
    assert problems(tally) == ["there are packets that no RDMA SEND makes: RC WRITE Only (1)"]


def test_queue_pairs_that_come_again_are_told_by_time():
    first, second = test_of("send"), test_of("write", first_psn=500)
    tallies = watched(first + second, sent("send"), sent("write", began_ns=len(first)))
    assert [problems(tally) for tally in tallies] == [[], []]


def test_other_traffic_and_rubbish_are_left_alone():
    rubbish = [b"", b"\x00" * 13, test_of("send")[0][:50], roce_frames.frame(*MACS, roce_frames.packet(CLIENT, "10.9.9.9", roce.Bth(4, 0, 0, 0x22, False, 1)))]
    (tally,) = watched([*test_of("send"), *rubbish], sent())
    assert problems(tally) == []


@pytest.mark.parametrize(
    ("opcode", "headers"),
    [(0x04, 0), (0x05, 4), (0x0A, 16), (0x0B, 20), (0x10, 4), (0x0E, 0), (0x13, 28), (0x64, 8), (0x65, 12), (0xA4, 4), (0xB0, 4), (0x1C, 20), (0x1D, 16)],
)
def test_payload_is_what_is_no_header(opcode, headers):
    data = frame(True, opcode, 1, bytes(headers) + bytes(100), pad=3)
    assert roce_packet(Packet(0, 1, len(data), memoryview(data))).payload == 97


def test_roce_v1_and_ipv6():
    bth = roce.Bth(4, 0x40, 0xFFFF, 0x22, False, 7)
    v1 = roce_packet(Packet(0, 1, 200, memoryview(roce_frames.frame_v1(*MACS, bth, bytes(64), vlan=6, traffic_class=104))))
    assert (v1.source, v1.dscp, v1.payload, v1.bth) == (bytes(16), 26, 64, bth)
    six = roce_frames.frame(*MACS, roce_frames.packet("fd78::2", "fd78::3", bth, bytes(64), tos=104))
    found = roce_packet(Packet(0, 1, len(six), memoryview(six)))
    assert (found.source, found.target) == (roce_frames.gid("fd78::2"), roce_frames.gid("fd78::3"))
    assert (found.dscp, found.payload) == (26, 64)


@given(first=st.integers(0, roce.PSN_MODULUS - 1), count=st.integers(1, 60), data=st.data())
def test_gaps_are_what_never_came(first, count, data):
    """However numbers come, within half a circle, what is missing lies between the lowest and the highest that did."""
    offsets = data.draw(st.lists(st.integers(0, count), min_size=1, max_size=120))
    psns = Psns()
    new = [psns.take((first + offset) % roce.PSN_MODULUS) for offset in offsets]
    assert sum(new) == len(set(offsets))
    assert psns.repeated == len(offsets) - len(set(offsets))
    assert psns.missing == max(offsets) - min(offsets) + 1 - len(set(offsets))
