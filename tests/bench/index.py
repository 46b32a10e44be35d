# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of two million packets: pcap-index beside counting them with tcpdump, tshark, dpkt and scapy."""

from __future__ import annotations

import multiprocessing
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
    from collections.abc import Callable, Iterator, Sequence

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKETS, FEWER, FEW = 2_000_000, 200_000, 10_000
REPEATS = 3
RECORD, GLOBAL = struct.Struct("<IIII"), struct.Struct("<IHHiIII")
GIB = 1 << 30
SNAP = 128
#: Payloads and their shares: what a storage network carries, of which five in six packets are RoCE.
SIZES = ((0, 30), (64, 20), (256, 20), (1024, 30))
COUNT, TSHARK = "tcpdump --count", "tshark -T fields"
FIELDS = (
    "frame.time_epoch", "frame.len", "ip.src", "ip.dst", "ip.dsfield.dscp", "ip.dsfield.ecn", "ip.ttl", "ip.id", "ip.proto", "udp.srcport",
    "udp.dstport", "tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "infiniband.bth.opcode", "infiniband.bth.destqp",
    "infiniband.bth.psn", "infiniband.bth.a", "infiniband.aeth.syndrome", "infiniband.aeth.msn", "infiniband.reth.dmalen",
    "infiniband.invariant.crc",
)  # fmt: skip


class Tool(t.NamedTuple):
    """A way to do it: *argv* with IN, OUT and N filled in, on which *source* of how many *packets*, and what it gives."""

    name: str
    argv: Sequence[str]
    source: str
    packets: int
    gives: str
    repeats: int = REPEATS
    bare: bool = False


def run() -> Table:
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()
    if shutil.disk_usage(memory).free < 5 * GIB:
        raise Failed(f"two million packets and their tables want 5 GiB free in {memory}")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder = pathlib.Path(name)
        _apart(_make, folder)
        _apart(_check, folder)
        tools = _tools()
        runs: dict[str, list[Used]] = {tool.name: [] for tool in tools}
        for turn in range(REPEATS):
            for tool in tools:
                if turn < tool.repeats:
                    runs[tool.name].append(_once(tool, folder))
        flat = [_once(tools[1]._replace(source=source), folder).rss_mib for source in ("fewer", "whole")]
    rows = [_row(tool, tools, runs) for tool in tools]
    columns = (
        "tool", "packets", "seconds", "CPU s", "CPU ns per packet", "packets per CPU second", "CPU against tcpdump --count",
        "times less CPU than tshark", "peak MiB", "gives",
    )  # fmt: skip
    notes = [
        f"Peak memory of pcap-index with {FEWER} packets: {flat[0]:.0f} MiB; with {PACKETS}: {flat[1]:.0f} MiB.",
        f"Of whole packets the ICRC is computed, of those cut to {SNAP} bytes it cannot be. tcpdump reads packets and counts them.",
        "As on a host: the Python that the system has, with nothing installed, so that rows are compressed with zlib instead of zstd.",
        "The rows of the loop in C and of the one in Python were compared, byte for byte.",
        "tshark prints 24 fields of what the row has, dpkt and scapy up to 14 as CSV; none of them makes a fingerprint or checks the ICRC.",
    ]
    how = f"{PACKETS} packets, five in six of them RoCE v2, the others TCP, {_mean()} bytes each; files in memory, median of {REPEATS} rounds."
    return Table("index", how, columns, rows, notes)


def _apart(work: Callable[[pathlib.Path], None], folder: pathlib.Path) -> None:
    """Do it in a process of its own: what this one holds would count as memory of every tool that it begins."""
    child = multiprocessing.get_context("fork").Process(target=work, args=(folder,))
    child.start()
    child.join()
    if child.exitcode:
        raise Failed("the captures could not be made, or the two loops make different rows")


def _mean() -> int:
    return sum(size * share for size, share in SIZES) // 100 + 66


def _tools() -> list[Tool]:
    ours = [str(ROOT / "scripts" / "pcap-index"), "--quiet", "IN"]
    peers = [sys.executable, str(ROOT / "tests" / "bench" / "index_peers.py")]
    fields = [word for field in FIELDS for word in ("-e", field)]
    shell = ["sh", "-c", 'source=$1 out=$2; shift 2; exec tshark -r "$source" -T fields "$@" > "$out"', "sh", "IN", "OUT", *fields]
    return [
        Tool(COUNT, ["tcpdump", "--count", "-nr", "IN"], "whole", PACKETS, "a number"),
        Tool("pcap-index", [*ours, "OUT.keys"], "whole", PACKETS, "all keys"),
        Tool("pcap-index, as on a host", [*ours, "OUT.keys"], "whole", PACKETS, "all keys", bare=True),
        Tool("pcap-index to Parquet", [*ours, "OUT.parquet"], "whole", PACKETS, "all keys, occurrence"),
        Tool(f"{COUNT}, {SNAP} bytes", ["tcpdump", "--count", "-nr", "IN"], "short", PACKETS, "a number"),
        Tool(f"pcap-index, {SNAP} bytes", [*ours, "OUT.keys"], "short", PACKETS, "all keys but ICRC"),
        Tool("pcap-index --pure, as on a host", [*ours, "OUT.keys", "--pure"], "fewer", FEWER, "all keys", bare=True),
        Tool("dpkt", [*peers, "dpkt", "IN", "OUT", "N"], "fewer", FEWER, "14 fields", 1),
        Tool(TSHARK, shell, "fewer", FEWER, "24 fields", 1),
        Tool("scapy", [*peers, "scapy", "IN", "OUT", "N"], "fewer", FEW, "14 fields", 1),
    ]


def _once(tool: Tool, folder: pathlib.Path) -> Used:
    out = str(folder / "out")
    filled = {"IN": str(folder / tool.source), "OUT": out, "OUT.keys": f"{out}.keys", "OUT.parquet": f"{out}.parquet", "N": str(tool.packets)}
    path = os.environ["PATH"] if tool.bare else f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    took = used([filled.get(word, word) for word in tool.argv], {"XDG_CACHE_HOME": str(ROOT / ".cache" / "bench"), "PATH": path})
    for made in folder.glob("out*"):
        made.unlink()
    return took


def _check(folder: pathlib.Path) -> None:
    """Have both loops index the smaller file and compare their rows; this also compiles the loop in C, where that was never done."""
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets.keyfile import Reader

    found = []
    for pure in ([], ["--pure"]):
        tool = Tool("", [str(ROOT / "scripts" / "pcap-index"), "--quiet", *pure, str(folder / "fewer"), str(folder / "check")], "", 0, "")
        used(tool.argv, {"XDG_CACHE_HOME": str(ROOT / ".cache" / "bench")})
        with open(folder / "check", "rb") as stream:
            found.append(list(Reader(stream).rows()))
    (folder / "check").unlink()
    if found[0] != found[1]:
        raise Failed("the loops in C and in Python make different rows")


def _row(tool: Tool, tools: list[Tool], runs: dict[str, list[Used]]) -> tuple[str, ...]:
    each = _cpu(tool, runs)
    count = next(other for other in tools if other.name.startswith(COUNT) and (other.source == "short") == (tool.source == "short"))
    against = each / _cpu(count, runs)
    tshark = _cpu(next(other for other in tools if other.name == TSHARK), runs) / each
    took = runs[tool.name]
    return (
        tool.name, str(tool.packets), f"{median(run.wall_s for run in took):.2f}", f"{median(run.cpu_s for run in took):.2f}", f"{each * 1e9:.0f}",
        f"{1 / each:,.0f}", f"{against:.1f}" if against < 100 else f"{against:.0f}", f"{tshark:.0f}" if tshark > 10 else f"{tshark:.1f}",
        f"{max(run.rss_mib for run in took):.0f}", tool.gives,
    )  # fmt: skip


def _cpu(tool: Tool, runs: dict[str, list[Used]]) -> float:
    """Return CPU seconds per packet."""
    return median(took.cpu_s for took in runs[tool.name]) / tool.packets


def _make(folder: pathlib.Path) -> None:
    """Write the capture whole, its beginning, and it cut to SNAP bytes a packet; the same ones every time."""
    header = (0xA1B2C3D4, 2, 4, 0, 0)
    with open(folder / "whole", "wb") as whole, open(folder / "fewer", "wb") as fewer, open(folder / "short", "wb") as short:
        for out, snap in ((whole, 262144), (fewer, 262144), (short, SNAP)):
            out.write(GLOBAL.pack(*header, snap, 1))
        for number, frame in enumerate(_frames(PACKETS)):
            stamp = (1_795_428_900 + number // 400_000, number % 400_000 * 2)
            record = RECORD.pack(*stamp, len(frame), len(frame)) + frame
            whole.write(record)
            if number < FEWER:
                fewer.write(record)
            short.write(RECORD.pack(*stamp, min(SNAP, len(frame)), len(frame)) + frame[:SNAP])


def _frames(packets: int) -> Iterator[bytes]:
    """Yield packets of which no two are the same: four queue pairs of WRITEs with their ACKs, and two TCP connections."""
    from ansible_collections.wirefleet.capture.plugins.module_utils.packets.roce import Bth

    from tests.traffic.roce_frames import aeth, frame, packet

    chance = random.Random(1)
    macs = bytes.fromhex("102233445566"), bytes.fromhex("0a0b0c0d0e0f")
    noise = chance.randbytes(1 << 20)
    sizes = chance.choices([size for size, _share in SIZES], [share for _size, share in SIZES], k=packets)
    for number, size in enumerate(sizes):
        begin = number * 61 % (len(noise) - 2048)
        payload = noise[begin : begin + size]
        qp, psn = 0x1A4 + number % 4, number // 4 & 0xFFFFFF
        if number % 6 == 5:
            yield frame(*macs, _tcp(number, payload))
        elif not size:
            yield frame(*macs, packet("10.9.0.2", "10.9.0.1", Bth(0x11, 0x40, 0xFFFF, qp, False, psn), aeth(0x1F, psn)))
        else:
            yield frame(*macs, packet("10.9.0.1", "10.9.0.2", Bth(0x07, 0x40, 0xFFFF, qp, False, psn), payload, 49152 + qp))


def _tcp(number: int, payload: bytes) -> bytes:
    tcp = struct.pack("!HHIIBBHHH", 40000 + number % 2, 2049, number * 97 & 0xFFFFFFFF, 7, 0x80, 0x18, 500, 0, 0)
    tcp += b"\x01\x01\x08\x0a" + struct.pack("!II", number, 5) + payload
    return struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(tcp), number & 0xFFFF, 0x4000, 64, 6, 0, 0x0A090001, 0x0A090002) + tcp
