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

from .fleet import Fleet
from .measure import Failed, Table, Used, median

if t.TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
SIZE = 1 << 30
SLURPED = 32 * MIB
REPEATS = 3
COMPARED = "at both ends"
HOST = "node1"
FOLDER = "/var/lib/wirefleet/20260101T000000Z-bench-000000"
SOURCE = f"{FOLDER}/vantages/node1__eth1/raw/0001.pcap"
#: What the hosts' link is slowed down to for the last rows; far above it, this machine's cores are the limit.
LINK = "1gbit"
GCM = ["-o", "Ciphers=aes128-gcm@openssh.com"]
#: Writes a pcap file of the given size whose packets have so many bytes of noise each.
WRITER = """
import os, struct, sys
path, size, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.makedirs(os.path.dirname(path), exist_ok=True)
count = (16 << 20) // (16 + length)
block = b"".join(struct.pack("<IIII", 1000 + n, n, length, 1500) + os.urandom(length) for n in range(count))
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


#: What a peer that compares does after copying: SHA-256 at both ends at once, over a connection of its own.
SUMS = """
$1 $4 "$2" < "$3.py" > "$3.there" & $4 "$3" < "$3.py" > "$3.here"; wait
[ "$(cut -c1-64 "$3.there")" = "$(cut -c1-64 "$3.here")" ]
"""
#: The same sum by OpenSSL, which uses what the CPU has for it. sha256sum of Debian 12 does not.
OPENSSL = "import hashlib, sys; print(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256').hexdigest())"


class Group(t.NamedTuple):
    """What is compared with each other: all over the same link."""

    link: str
    ways: list[Way]
    figures: dict[str, list[tuple[float, Used]]]


def run() -> Table:
    with Fleet("pair") as fleet, tempfile.TemporaryDirectory(dir=_memory()) as folder:
        others, ours = _others(fleet), [_ours(fleet, 1024), _ours(fleet, 256)]
        groups = [_measured("memory", [*others, *ours], folder)]
        fleet.ssh(HOST, f"tc qdisc add dev eth0 root tbf rate {LINK} burst 256kb latency 20ms")
        fair = [way for way in others if "aes128" in way.name]
        groups.append(_measured("1 Gbit/s", [*fair, *ours], folder))
    return _table(groups)


def _measured(link: str, ways: list[Way], folder: str) -> Group:
    figures: dict[str, list[tuple[float, Used]]] = {way.name: [] for way in ways}
    for _round in range(REPEATS):
        for way in ways:
            target = pathlib.Path(folder) / "copy"
            target.mkdir()
            figures[way.name].append(way.copy(target))
            shutil.rmtree(target)
    return Group(link, ways, figures)


def _memory() -> str | None:
    """Return a folder that no disk slows down, where there is one."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and shutil.disk_usage("/dev/shm").free > 2 * SIZE else None


def _table(groups: list[Group]) -> Table:
    notes = [
        "The host is a namespace of this machine: ssh, sshd, both ends' hashing and the kernel share its cores, which is "
        "what limits the rows over memory. Packets are noise, which no compression makes smaller.",
        "Time is the wall clock: of ansible.builtin.fetch with the start of ansible, of the collector from opening its "
        "connection to the host's removing the file. CPU is the controller's. Peak memory is that of the largest "
        "process there; the collector's has Ansible's modules loaded, as a task has.",
        "A copy that nobody compared is not the same work: what was damaged on a disk, in memory or by a process in between goes "
        f"unseen. The rows '{COMPARED}' compare afterwards, both ends at once; the collector does while it copies. OpenSSL is Python's "
        "hashlib, which uses the CPU's instructions for SHA-256; sha256sum of Debian 12 does not.",
        f"fetch with become reads the file through JSON; {SLURPED // MIB} MiB is what it can be asked for here.",
    ]
    columns = ("link", "way", "MiB", "seconds", "MB/s", "time against ssh cat", "against the best that compares", "CPU s", "peak MiB", "verified")
    how = f"One file from a host to a folder in memory, median of {REPEATS} interleaved rounds."
    return Table("collect", how, columns, [row for group in groups for row in _rows(group)], notes)


def _rows(group: Group) -> list[tuple[str, ...]]:
    seconds = {way.name: median(taken for taken, _use in group.figures[way.name]) for way in group.ways}
    plain = min(taken for name, taken in seconds.items() if name.startswith("ssh") and not name.endswith(COMPARED))
    compared = min(taken for name, taken in seconds.items() if name.endswith(COMPARED))
    rows = []
    for way in group.ways:
        taken, uses = seconds[way.name], [use for _taken, use in group.figures[way.name]]
        scale = SIZE / way.size
        rows.append(
            (
                group.link, way.name, f"{way.size / MIB:.0f}", f"{taken:.2f}", f"{way.size / taken / 1e6:.0f}",
                f"{taken / plain * scale:.2f}", f"{taken / compared * scale:.2f}",
                f"{median(use.cpu_s for use in uses):.2f}", f"{max(use.rss_mib for use in uses):.0f}", way.verified,
            )
        )  # fmt: skip
    return rows


def _others(fleet: Fleet) -> list[Way]:
    path, small = "/var/tmp/large.pcap", "/var/tmp/small.pcap"
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

    def compared(copy: Callable[[pathlib.Path], tuple[float, Used]], tool: str) -> Callable[[pathlib.Path], tuple[float, Used]]:
        there = " ".join([*ssh[:-1], *GCM, ssh[-1]])

        def both(folder: pathlib.Path) -> tuple[float, Used]:
            seconds, use = copy(folder)
            (folder / "file.py").write_text(OPENSSL)
            sums = fleet.inside("sh", "-c", SUMS, "sh", there, path, f"{folder}/file", tool)
            return seconds + sums.wall_s, use._replace(cpu_s=use.cpu_s + sums.cpu_s)

        return both

    def fetch(source: str, expected: int, *words: str) -> Callable[[pathlib.Path], tuple[float, Used]]:
        argv = ["ansible", "-i", fleet.inventory, HOST, "-m", "ansible.builtin.fetch", *words, "-a"]
        return lambda folder: _timed(fleet.inside(*argv, f"src={source} dest={folder}/file flat=true"), folder, expected)

    return [
        Way("ssh cat, default cipher", size, "no", cat([])),
        Way("ssh cat, aes128-gcm", size, "no", cat(GCM)),
        Way("rsync -W, default cipher", size, "by rsync", rsync([])),
        Way("rsync -W, aes128-gcm", size, "by rsync", rsync(GCM)),
        Way(f"ssh cat, aes128-gcm, then sha256sum {COMPARED}", size, "SHA-256", compared(cat(GCM), "sha256sum")),
        Way(f"ssh cat, aes128-gcm, then OpenSSL {COMPARED}", size, "SHA-256", compared(cat(GCM), "python3 -")),
        Way(f"rsync -W, aes128-gcm, then OpenSSL {COMPARED}", size, "SHA-256", compared(rsync(GCM), "python3 -")),
        Way("ansible.builtin.fetch", size, "SHA-1", fetch(path, size)),
        Way("ansible.builtin.fetch, become", slurped, "SHA-1", fetch(small, slurped, "-e", "ansible_user=engineer", "--become")),
    ]


def _ours(fleet: Fleet, length: int) -> Way:
    """The collector through sudo, with the supervisor that hosts really run; the file is made anew for each copy."""
    user = fleet.ssh_words(HOST)
    argv = [*user[:-1], user[-1].replace("root@", "engineer@")]
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
        return said["seconds"], use._replace(cpu_s=said["cpu_s"])

    return Way(f"wirefleet.capture, packets of {length} bytes", size, "SHA-256, every packet counted", copy)


def _modules() -> str:
    return os.pathsep.join([os.getcwd(), os.path.join(os.getcwd(), ".cache", "tree")])


def _write(fleet: Fleet, path: str, size: int, length: int) -> int:
    return int(fleet.ssh(HOST, f"python3 - {path} {size} {length}", WRITER.encode()))


def _timed(use: Used, folder: pathlib.Path, size: int) -> tuple[float, Used]:
    if (folder / "file").stat().st_size != size:
        raise Failed("a copy has another size than the file")
    return use.wall_s, use
