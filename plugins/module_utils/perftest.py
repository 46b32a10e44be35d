# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RDMA traffic between two hosts by perftest's bandwidth tests, and what these say of it.

Each test is a process on both hosts. The server takes one client and ends; the client tries until the server listens. By the RDMA
connection manager a client can come between the server's first answer and its second; then both processes are lost, and the client
goes on to a spare server, which waits at a port of its own.
Source: linux-rdma/perftest, src/perftest_parameters.c (options, output formats) and perftest_communication.c (errors).
"""

from __future__ import annotations

import re
import time
import typing as t

from .settings.model import Refused

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .host import Host, Result

PROGRAMS: t.Mapping[str, str] = {"send": "ib_send_bw", "write": "ib_write_bw", "read": "ib_read_bw"}
FEWEST_ITERATIONS = 5
RETRY_SECONDS = 0.5
#: Servers that wait beside the first one, where a client may be too early.
SPARES = 2
#: What a client says where nobody listens yet: by TCP, and by the RDMA connection manager (8 is RDMA_CM_EVENT_REJECTED).
_NOBODY_LISTENS = ("Couldn't connect to", "Unexpected CM event bl blka 8")
#: What it says where the server, which had answered, does not listen for the queue pairs yet (8 is IB_CM_REJ_INVALID_SERVICE_ID).
_NOT_READY = "RDMA_CM_EVENT_REJECTED; error: 8"
_HARMLESS = "Device not recognized to implement inline feature"
_END = re.compile(r"^ (local|remote) address: .*QPN (0x[0-9a-f]+).*\n GID: ([0-9:]+)", re.MULTILINE)
_ROW = re.compile(r"^ (\d+) +(\d+) +([\d.]+) +([\d.]+)", re.MULTILINE)
_MTU = re.compile(r"^ Mtu +: (\d+)\[B\]", re.MULTILINE)
_UNIT = re.compile(r"BW average\[(\w+/sec)\]")
_TOS = re.compile(r"TOS +: (\d+)")


class Wish(t.NamedTuple):
    """The tests to run: each of *verbs* with each of *sizes*. *peer* is the server's address, None on the server.

    Without *tos* queue pairs are connected over TCP, with it by the RDMA connection manager, which alone honours it.
    """

    device: str
    peer: str | None
    verbs: Sequence[str]
    sizes: Sequence[int]
    iterations: int
    tos: int | None
    port: int
    connect_s: float
    test_s: float

    def tests(self) -> Iterator[tuple[str, int, int]]:
        """Yield (verb, size, port); each test has a port of its own, so that none meets the end of the one before."""
        pairs = ((verb, size) for verb in self.verbs for size in self.sizes)
        return ((verb, size, self.port + number) for number, (verb, size) in enumerate(pairs))

    def ports(self, port: int) -> list[int]:
        """Return the port of a test and those of its spare servers, after the ports of all tests."""
        tests = len(self.verbs) * len(self.sizes)
        return [port + tests * number for number in range(1 if self.tos is None else 1 + SPARES)]


class Side(t.NamedTuple):
    """One end of a test's connection: its GID as 32 hexadecimal digits, and its queue pair."""

    gid: str
    qp: int


class Report(t.NamedTuple):
    """What perftest printed at the end of a test. *rate* is the average with its unit, *tos* None where it was not asked for."""

    size: int
    iterations: int
    mtu: int | None
    tos: int | None
    local: Side
    remote: Side
    rate: str


def argv(wish: Wish, verb: str, size: int, port: int) -> list[str]:
    """Return the command of one test. Pure."""
    words = [PROGRAMS[verb], "-d", wish.device, "-s", str(size), "-n", str(wish.iterations), "-p", str(port), "-F"]
    words += ["-R", "--tos", str(wish.tos)] if wish.tos is not None else []
    return words + ([wish.peer] if wish.peer else [])


def parse_report(text: str) -> Report:
    """Return what the output of a test says; raises ValueError where it has no result. Pure."""
    ends = {side: Side(gid_of(gid), int(qp, 16)) for side, qp, gid in _END.findall(text)}
    row = _ROW.search(text)
    if row is None or set(ends) != {"local", "remote"}:
        raise ValueError("perftest printed no result")
    mtu, tos, unit = _MTU.search(text), _TOS.search(text), _UNIT.search(text)
    rate = f"{row[4]} {unit[1] if unit else '?'}"
    return Report(int(row[1]), int(row[2]), int(mtu[1]) if mtu else None, int(tos[1]) if tos else None, ends["local"], ends["remote"], rate)


def gid_of(text: str) -> str:
    """Return a GID that is written as 16 decimal numbers as 32 hexadecimal digits."""
    numbers = [int(part) for part in text.split(":")]
    if len(numbers) != 16 or max(numbers) > 255:
        raise ValueError(f"{text!r} is no GID")
    return bytes(numbers).hex()


def complaint(result: Result) -> str:
    """Return what perftest complains of: the cause comes first, on stderr or else on stdout. Pure."""
    text = re.sub(r":\s*\n\s*", ": ", result.err or result.out)  # what follows a colon belongs to it
    lines = [line.strip() for line in text.splitlines() if re.search("[a-z]", line)]
    return next((line for line in lines if not line.startswith(_HARMLESS)), "it said nothing")


def nobody_listens(text: str) -> bool:
    """Whether a client found no server, which may only have to begin. Pure."""
    return any(words in text for words in _NOBODY_LISTENS)


def missing(host: Host, verbs: Sequence[str]) -> list[str]:
    """Return the programs that *verbs* need and this host does not have."""
    return [PROGRAMS[verb] for verb in verbs if host.which(PROGRAMS[verb]) is None]


def run(host: Host, wish: Wish) -> list[dict[str, t.Any]]:
    """Run every test and return what this side knows of each; raises Refused where one fails."""
    done = []
    for verb, size, port in wish.tests():
        began_ns = time.time_ns()
        commands = [argv(wish, verb, size, one) for one in wish.ports(port)]
        result = _client(host, wish, commands) if wish.peer else host.first(commands, timeout=wish.connect_s + wish.test_s)
        report = _finished(result, wish)
        done.append({
            "verb": verb, **report._asdict(), "local": report.local._asdict(), "remote": report.remote._asdict(),
            "began_ns": began_ns, "ended_ns": time.time_ns(), "command": result.command,
        })  # fmt: skip
    return done


def _client(host: Host, wish: Wish, commands: list[list[str]]) -> Result:
    for words in commands:
        result = _connected(host, wish, words)
        if result.rc == 0 or _NOT_READY not in result.out + result.err:
            break
    return result


def _connected(host: Host, wish: Wish, words: list[str]) -> Result:
    deadline = time.monotonic() + wish.connect_s
    while True:
        result = host.run(words, timeout=wish.test_s)
        if result.rc == 0 or not nobody_listens(result.out + result.err) or time.monotonic() > deadline:
            return result
        time.sleep(RETRY_SECONDS)


def _finished(result: Result, wish: Wish) -> Report:
    said = result.err + "\n" + result.out
    if result.rc == 124:
        waited = f"{wish.test_s:g} s" if wish.peer else f"{wish.connect_s + wish.test_s:g} s, so no client came or the test hung"
        raise Refused(f"{result.command} did not end within {waited}")
    if result.rc and nobody_listens(said):
        raise Refused(f"{result.command}: no server answered within {wish.connect_s:g} s; is the test running there, and may its port pass?")
    if result.rc and _NOT_READY in said:
        raise Refused(
            f"{result.command}: the server was not ready when the client connected its queue pairs, which perftest does not wait for, "
            f"{1 + SPARES} times; run it again"
        )
    if result.rc:
        raise Refused(f"{result.command} failed: {complaint(result)}")
    try:
        return parse_report(result.out)
    except ValueError as wrong:
        raise Refused(f"{result.command}: {wrong}") from wrong
