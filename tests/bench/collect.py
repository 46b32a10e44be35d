# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing one large capture file home: the collector beside what else copies files."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import sys
import tempfile
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.session import bundle
from ansible_collections.wirefleet.capture.plugins.plugin_utils import remote

from . import fetcher
from .fleet import Fleet
from .measure import Failed, Table, Used, median

if t.TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
SIZE = 1 << 30
SLURPED = 32 * MIB
REPEATS = 3
HOST = "node1"
FOLDER = f"/var/lib/wirefleet/{fetcher.RUN}"
SOURCE = f"{FOLDER}/{fetcher.FILE}"
GCM = ["-o", "Ciphers=aes128-gcm@openssh.com"]
#: Writes a pcap file of the given size whose packets have so many bytes of noise each, and a second, small one.
WRITER = """
import os, struct, sys
path, size, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(os.path.dirname(path), exist_ok=True)
noise = os.urandom(1 << 20)
block = b"".join(struct.pack("<IIII", 1000 + n, n, length, 1500) + noise[n * 64 % 524288:][:length] for n in range(16384))
with open(path, "wb") as file:
    file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
    while size - file.tell() >= len(block):
        file.write(block)
    file.write(block[: (size - file.tell()) // (16 + length) * (16 + length)])
    os.chmod(path, 0o600)
    print(file.tell())
"""


class Way(t.NamedTuple):
    """One way to copy: *copy(folder)* returns (seconds, what it used)."""

    name: str
    size: int
    verified: str
    copy: Callable[[pathlib.Path], tuple[float, Used]]


def run() -> Table:
    with Fleet("pair") as fleet, tempfile.TemporaryDirectory(dir=_memory()) as folder:
        ways = [*_others(fleet), _ours(fleet, 1024), _ours(fleet, 256)]
        figures: dict[str, list[tuple[float, Used]]] = {way.name: [] for way in ways}
        for _round in range(REPEATS):
            for way in ways:
                target = pathlib.Path(folder) / "copy"
                target.mkdir()
                figures[way.name].append(way.copy(target))
                shutil.rmtree(target)
    return _table(ways, figures)


def _memory() -> str | None:
    """Return a folder that no disk slows down, where there is one."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 2 * SIZE else None


def _table(ways: list[Way], figures: dict[str, list[tuple[float, Used]]]) -> Table:
    seconds = {way.name: median(taken for taken, _use in figures[way.name]) for way in ways}
    best = min(seconds[way.name] for way in ways if way.name.startswith(("ssh", "rsync")))
    rows = []
    for way in ways:
        taken, uses = seconds[way.name], [use for _taken, use in figures[way.name]]
        ratio = taken / best * SIZE / way.size
        rows.append(
            (
                way.name, str(way.size // MIB), f"{taken:.2f}", f"{way.size / taken / 1e6:.0f}", f"{ratio:.2f}",
                f"{median(use.cpu_s for use in uses):.2f}", f"{max(use.rss_mib for use in uses):.0f}", way.verified,
            )
        )  # fmt: skip
    notes = [
        "The host is a namespace of this machine: ssh, sshd, both ends' hashing and the kernel share its cores.",
        "Time is the wall clock: of ansible.builtin.fetch with the start of ansible, of the collector from opening its "
        "connection to the host's removing the file. Peak memory is that of the largest process on the controller.",
        f"fetch with become reads the file through JSON; {SLURPED // MIB} MiB is what it can be asked for here.",
    ]
    columns = ("way", "MiB", "seconds", "MB/s", "time against the best of ssh and rsync", "CPU s", "peak MiB", "verified")
    how = f"One file from a host to a folder in memory, median of {REPEATS} interleaved rounds."
    return Table("collect", how, columns, rows, notes)


def _others(fleet: Fleet) -> list[Way]:
    path, small = "/root/large.pcap", "/root/small.pcap"
    size, slurped = _write(fleet, path, SIZE, 1024), _write(fleet, small, SLURPED, 1024)
    ssh = fleet.ssh_words(HOST)

    def cat(options: list[str]) -> Callable[[pathlib.Path], tuple[float, Used]]:
        def copy(folder: pathlib.Path) -> tuple[float, Used]:
            with open(folder / "file", "wb") as sink:
                return _timed(fleet.inside(*ssh[:-1], *options, ssh[-1], f"cat {path}", stdout=sink), folder, size)

        return copy

    def rsync(options: list[str]) -> Callable[[pathlib.Path], tuple[float, Used]]:
        shell = " ".join([*ssh[:-1], *options])
        return lambda folder: _timed(fleet.inside("rsync", "-W", "-e", shell, f"{ssh[-1]}:{path}", f"{folder}/file"), folder, size)

    def fetch(source: str, expected: int, *words: str) -> Callable[[pathlib.Path], tuple[float, Used]]:
        argv = ["ansible", "-i", fleet.inventory, HOST, "-m", "ansible.builtin.fetch", *words, "-a"]
        return lambda folder: _timed(fleet.inside(*argv, f"src={source} dest={folder}/file flat=true"), folder, expected)

    return [
        Way("ssh cat, default cipher", size, "no", cat([])),
        Way("ssh cat, aes128-gcm", size, "no", cat(GCM)),
        Way("rsync -W, default cipher", size, "by rsync", rsync([])),
        Way("rsync -W, aes128-gcm", size, "by rsync", rsync(GCM)),
        Way("ansible.builtin.fetch", size, "SHA-1", fetch(path, size)),
        Way("ansible.builtin.fetch, become", slurped, "SHA-1", fetch(small, slurped, "-e", "ansible_user=engineer", "--become")),
    ]


def _ours(fleet: Fleet, length: int) -> Way:
    """The collector through sudo, with the supervisor that hosts really run; the file is made anew for each copy."""
    user = fleet.ssh_words(HOST)
    target = user[-1].replace("root@", "engineer@")
    argv = [*user[:-1], *(word.decode() for word in remote.ssh_options([])), target]
    argv.append(f"sudo -n python3 {FOLDER}/supervisor.pyz serve {FOLDER}")
    size = _write(fleet, SOURCE, SIZE, length)

    def copy(folder: pathlib.Path) -> tuple[float, Used]:
        _write(fleet, SOURCE, SIZE, length)
        fleet.ssh(HOST, f"cat > {FOLDER}/supervisor.pyz", bundle.build())
        fleet.ssh(HOST, f"echo '{{\"schema\": 1, \"state\": \"done\", \"vantages\": []}}' > {FOLDER}/result.json")
        sha256 = fleet.ssh(HOST, f"sha256sum {SOURCE}").split()[0]
        use = fleet.inside(sys.executable, "-m", "tests.bench.fetcher", str(folder), *argv, PYTHONPATH=_modules())
        said = json.loads(use.out.splitlines()[-1])
        if said["sha256"] != sha256:
            raise Failed("the collector did not bring what is on the host")
        return said["seconds"], use

    return Way(f"wirefleet.capture, packets of {length} bytes", size, "SHA-256, every packet counted", copy)


def _modules() -> str:
    return os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), ".cache", "tree")])


def _write(fleet: Fleet, path: str, size: int, length: int) -> int:
    return int(fleet.ssh(HOST, f"python3 - {path} {size} {length}", WRITER.encode()))


def _timed(use: Used, folder: pathlib.Path, size: int) -> tuple[float, Used]:
    if (folder / "file").stat().st_size != size:
        raise Failed("a copy has another size than the file")
    return use.wall_s, use
