# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds the C loops mutated files in buffers that are exactly as large as they must be, for a sanitizer to watch.

Run by test_decap.py and test_index.py in a process of its own: fuzz_hot.py LIBRARY ROUNDS SEED decap|index
"""

from __future__ import annotations

import ctypes
import pathlib
import random
import struct
import sys
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[5] / ".cache" / "tree"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[5]))
import wrapped as w
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.decap import PCAP, PCAPNG, Wanted
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.decap_hot import HotKernel
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_hot import HotKernel as IndexKernel
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_loop import Interface
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.pcapfile import Clock

from tests.unit.plugins.module_utils.packets import keyed

PACKETS = list(w.variants(w.inner(0x21, 90)).values())
INDEXED = [*PACKETS, *keyed.FRAMES.values()]
LINKS = (1, 1, 1, 1, 101, 113, 228, 229, 276, 105)


def noisy(chance: random.Random, packets: list[bytes]) -> bytes:
    packet = bytearray(chance.choice(packets) or b"\0")
    for _change in range(chance.choice((0, 1, 1, 2, 4))):
        packet[chance.randrange(len(packet))] = chance.choice((0, 255, chance.randrange(256)))
    return bytes(packet[: chance.randrange(len(packet) + 1)]) if chance.random() < 0.5 else bytes(packet)


def file(chance: random.Random, kind: str, order: str, packets: list[bytes]) -> bytearray:
    """Return the packets of a file without its header, with now and then a byte of their own headers overwritten or the end cut."""
    out = b""
    for number in range(chance.randrange(1, 4)):
        packet = noisy(chance, packets)
        more = chance.choice((0, 0, 5, 70_000))
        if kind == PCAP:
            out += struct.pack(order + "IIII", 1, number, len(packet), len(packet) + more) + packet
        else:
            options = w.option(chance.choice((1, 2, 3)), b"abcd"[: chance.choice((3, 4))], order) + w.option(0, b"", order) if chance.random() < 0.4 else b""
            out += w.packet(packet, number, order, number=chance.choice((0, 0, 0, 1)), more=more, options=options)
    data = bytearray(out)
    if chance.random() < 0.3:
        data[chance.randrange(len(data))] = chance.randrange(256)
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    return data


def decap(library: ctypes.CDLL, chance: random.Random) -> None:
    kind, order = chance.choice((PCAP, PCAPNG)), chance.choice("<>")
    data: t.Any = file(chance, kind, order, PACKETS)
    kernel = HotKernel(library, Wanted(True, True, chance.randrange(1, 9)))
    kernel.begin(kind, order)
    kernel.interface(chance.choice(LINKS))
    if data:
        batch = kernel.run(data)
        assert batch.used <= len(data) and len(batch.out) + len(batch.rest) <= len(data)


def index(library: ctypes.CDLL, chance: random.Random) -> None:
    kind, order = chance.choice((PCAP, PCAPNG)), chance.choice("<>")
    data: t.Any = file(chance, kind, order, INDEXED)
    kernel = IndexKernel(library, chance.randrange(1, 4), chance.randrange(1, 4))
    kernel.begin(kind, order, 1000)
    kernel.interface(Interface(chance.choice(LINKS), Clock(1, chance.choice((1, 1000, 10**6, 1 << 60)), chance.randrange(99)), chance.choice((0, 60))))
    if data:
        batch = kernel.run(data)
        assert batch.used <= len(data) and len(batch.rows) % 152 == 0


def main(path: str, rounds: str, seed: str, what: str = "decap") -> None:
    library, chance = ctypes.CDLL(path), random.Random(int(seed))
    once = {"decap": decap, "index": index}[what]
    for _round in range(int(rounds)):
        once(library, chance)
    print(f"{rounds} rounds")


if __name__ == "__main__":
    main(*sys.argv[1:])
