# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking ERSPAN off two million packets: pcap-decap beside editcap, tshark, scapy, dpkt and a plain copy."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import struct
import sys
import tempfile
import typing as t

from .measure import Failed, Table, Used, median, used

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKETS = 2_000_000
FEWER = 500_000
#: How many of the packets scapy gets, which would want a quarter of an hour for all.
FEW = 20_000
REPEATS = 3
#: Frame sizes and their shares, as on a storage network.
SIZES = ((64, 40), (128, 15), (300, 15), (576, 10), (1400, 20))
RECORD, GLOBAL = struct.Struct("<IIII"), struct.Struct("<IHHiIII")
ADDED = 50
SIDE, EXPORT, TABLE = "pcap-decap, with the side table", "tshark -U Ethernet", "tshark -T fields, to a side table"
FIELDS = "-T fields -e frame.number -e erspan.spanid -e erspan.vlan -e erspan.index -e gre.sequence_number"
GIB = 1 << 30


class Tool(t.NamedTuple):
    """A way to do it: *argv* with IN, OUT and N filled in, for how many *packets*, and what it is good for."""

    name: str
    argv: Sequence[str]
    packets: int
    undoes: str
    repeats: int = 1
    checked: bool = False


def run() -> Table:
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    if shutil.disk_usage(memory).free < 5 * GIB:
        raise Failed(f"two million packets and what becomes of them want 5 GiB free in {memory}")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = pathlib.Path(name)
        _make(folder / "whole", PACKETS)
        _make(folder / "fewer", FEWER)
        tools = _tools()
        _once(tools[1], folder, "fewer")  # which compiles the loop in C, where that was never done here
        runs = _interleaved(tools, folder)
        flat = [_once(tools[1], folder, source).rss_mib for source in ("fewer", "whole")]
    rows = [_row(tool, runs[tool.name], _cpu(tools, runs, "editcap -C 50 -L"), _cpu(tools, runs, EXPORT)) for tool in tools]
    columns = (
        "tool",
        "packets",
        "seconds",
        "CPU s",
        "CPU ns per packet",
        "CPU against editcap",
        "times less CPU than tshark -U",
        "peak MiB",
        "undoes",
    )
    cpu = {tool.name: _cpu(tools, runs, tool.name) for tool in tools}
    both, copied = (cpu[EXPORT] + cpu[TABLE]) / cpu[SIDE], cpu[EXPORT] / cpu["cat"]
    notes = [
        f"Frames and side table take two runs of tshark: together {both:.0f} times the CPU of pcap-decap with both.",
        f"Copying the file alone takes {copied:.0f} times less than tshark -U: whatever writes the frames cannot get further than that.",
        f"Peak memory of pcap-decap with {FEWER} packets: {flat[0]:.0f} MiB; with {PACKETS}: {flat[1]:.0f} MiB.",
        "What pcap-decap, in C and in Python, and editcap wrote was compared with the frames that were wrapped, byte for byte.",
        "editcap takes the same 50 bytes off every packet, mirrored or not. tshark writes each packet twice, with and without.",
        "cat copies the file and takes nothing off; scapy got the first packets of the file.",
    ]
    shares = ", ".join(f"{size} bytes {share} %" for size, share in SIZES)
    how = f"{PACKETS} packets of ERSPAN II around frames of {shares}; files in memory, median of {REPEATS} rounds of the fast tools."
    return Table("decap", how, columns, rows, notes)


def _tools() -> list[Tool]:
    ours = [str(ROOT / "scripts" / "pcap-decap"), "--quiet", "IN", "OUT"]
    peers = [sys.executable, str(ROOT / "tests" / "bench" / "decap_peers.py")]
    every = "every type of docs/decap.md"
    return [
        Tool("cat", ["sh", "-c", 'cat "$0" > "$1"', "IN", "OUT"], PACKETS, "nothing", REPEATS),
        Tool("pcap-decap", ours, PACKETS, every, REPEATS, True),
        Tool(SIDE, [*ours, "--side", "OUT.csv"], PACKETS, every, REPEATS, True),
        Tool("editcap -C 50 -L", ["editcap", "-F", "pcap", "-L", "-C", str(ADDED), "IN", "OUT"], PACKETS, "one length", REPEATS, True),
        Tool("pcap-decap --pure", [*ours, "--pure"], FEWER, every, checked=True),
        Tool("dpkt", [*peers, "dpkt", "IN", "OUT", "N"], PACKETS, "type II as written here"),
        Tool(EXPORT, ["tshark", "-r", "IN", "-U", "Ethernet", "-F", "pcap", "-w", "OUT"], PACKETS, "all but Mellanox"),
        Tool(TABLE, ["sh", "-c", f'tshark -r "$0" {FIELDS} > "$1"', "IN", "OUT"], PACKETS, "no frames"),
        Tool("scapy", [*peers, "scapy", "IN", "OUT", "N"], FEW, "types I to III, but some MACs"),
    ]


def _interleaved(tools: list[Tool], folder: pathlib.Path) -> dict[str, list[Used]]:
    """Run every tool in turn, so that a busy moment of the machine hits no tool alone."""
    found: dict[str, list[Used]] = {tool.name: [] for tool in tools}
    for turn in range(REPEATS):
        for tool in tools:
            if turn < tool.repeats:
                found[tool.name].append(_once(tool, folder, "fewer" if tool.packets == FEWER else "whole"))
    return found


def _once(tool: Tool, folder: pathlib.Path, source: str) -> Used:
    out = folder / "out"
    filled = {"IN": str(folder / source), "OUT": str(out), "OUT.csv": f"{out}.csv", "N": str(tool.packets)}
    took = used([filled.get(word, word) for word in tool.argv], {"XDG_CACHE_HOME": str(ROOT / ".cache" / "bench")})
    if tool.checked:
        _check(out, folder / f"{source}.frames")
    for path in folder.glob("out*"):
        path.unlink()
    return took


def _check(found: pathlib.Path, wanted: pathlib.Path) -> None:
    """Compare all but the file header, which says nothing of the frames."""
    with open(found, "rb") as one, open(wanted, "rb") as other:
        one.seek(GLOBAL.size)
        other.seek(GLOBAL.size)
        while True:
            piece = one.read(1 << 20)
            if piece != other.read(1 << 20):
                raise Failed(f"{found.name} does not hold the frames that were wrapped")
            if not piece:
                return


def _cpu(tools: list[Tool], runs: dict[str, list[Used]], name: str) -> float:
    """Return CPU seconds per packet."""
    packets = next(tool.packets for tool in tools if tool.name == name)
    return median(took.cpu_s for took in runs[name]) / packets


def _row(tool: Tool, runs: list[Used], editcap: float, tshark: float) -> tuple[str, ...]:
    cpu = median(took.cpu_s for took in runs)
    each = cpu / tool.packets
    return (
        tool.name, str(tool.packets), f"{median(took.wall_s for took in runs):.2f}", f"{cpu:.2f}", f"{each * 1e9:.0f}",
        f"{each / editcap:.2f}", f"{tshark / each:.0f}" if tshark > each else f"{tshark / each:.2f}",
        f"{max(took.rss_mib for took in runs):.0f}", tool.undoes,
    )  # fmt: skip


def _make(path: pathlib.Path, packets: int) -> None:
    """Write *packets* mirrored packets to *path*, and the frames in them to *path*.frames; the same ones every time."""
    header = GLOBAL.pack(0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    with open(path, "wb") as mirrored, open(f"{path}.frames", "wb") as frames:
        mirrored.write(header)
        frames.write(header)
        for number, frame in enumerate(_frames(packets)):
            stamp = (1_795_428_900 + number // 400_000, number % 400_000)
            around = outer(len(frame), number)
            whole = len(around) + len(frame)
            mirrored.write(b"".join((RECORD.pack(*stamp, whole, whole), around, frame)))
            frames.write(RECORD.pack(*stamp, len(frame), len(frame)) + frame)


def _frames(packets: int) -> Iterator[bytes]:
    chance = random.Random(1)
    made = [bytes.fromhex("102233445566 0a0b0c0d0e0f 0800") + _ip(size - 14, 17) + bytes(size - 34) for size, _share in SIZES]
    shares = [share for _size, share in SIZES]
    for at in range(0, packets, 1000):
        yield from chance.choices(made, shares, k=min(1000, packets - at))


def outer(size: int, number: int) -> bytes:
    """Return what a switch writes before a frame of *size* bytes."""
    macs = bytes.fromhex("0242ac110002 0242ac110003 0800")
    return macs + _ip(36 + size, 47) + struct.pack("!HHIII", 0x1000, 0x88BE, number, 0x10077864, 5)


def _ip(size: int, protocol: int) -> bytes:
    return struct.pack("!BBHHHBBHII", 0x45, 0, size, 0, 0x4000, 64, protocol, 0, 0x0A090001, 0x0A090002)
