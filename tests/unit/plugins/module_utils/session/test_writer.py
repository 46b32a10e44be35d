# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the pipe is what lies on the disk, at once where it is little, and a full disk is said."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.writer import CHUNK, FLUSH_S

if t.TYPE_CHECKING:
    import pathlib

MODULE = "ansible_collections.wirefleet.capture.plugins.module_utils.session.writer"
COMMAND = [sys.executable, "-c", f"import sys; from {MODULE} import write; sys.exit(write(sys.argv[1], int(sys.argv[2])))"]


def writer(path: object, memory: int = 8 << 20) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, str(path), str(memory)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize("size", [0, 1, 4095, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK, 7 * CHUNK + 4097])
def test_every_byte_arrives(tmp_path: pathlib.Path, size: int) -> None:
    sent = random.Random(size).randbytes(size)
    with writer(tmp_path / "0001.pcap") as running:
        _out, said = running.communicate(sent)
    assert (running.returncode, said) == (0, b"")
    assert (tmp_path / "0001.pcap").read_bytes() == sent
    assert (tmp_path / "0001.pcap").stat().st_mode & 0o777 == 0o600


def test_little_is_on_the_disk_before_more_comes(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "0001.pcap"
    pieces = [b"a" * 24, b"b" * 5000, b"c" * (CHUNK - 3000), b"d" * 10]
    with writer(path) as running:
        assert running.stdin
        for number in range(len(pieces)):
            running.stdin.write(pieces[number])
            running.stdin.flush()
            expected = b"".join(pieces[: number + 1])
            deadline = time.monotonic() + 20 * FLUSH_S
            while not path.exists() or path.read_bytes() != expected:
                assert time.monotonic() < deadline, f"piece {number} did not come"
                time.sleep(0.05)
        running.stdin.close()
        assert running.wait() == 0
    assert path.read_bytes() == b"".join(pieces)


def test_signals_that_end_the_engine_do_not_end_the_writer(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "0001.pcap"
    with writer(path) as running:
        assert running.stdin
        running.stdin.write(b"before")
        running.stdin.flush()
        while not path.exists():
            time.sleep(0.01)
        running.terminate()
        running.stdin.write(b" and after")
        running.stdin.close()
        assert running.wait() == 0
    assert path.read_bytes() == b"before and after"


def test_a_full_disk_is_said_and_closes_the_pipe() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("this machine has no /dev/full")
    with writer("/dev/full") as running:
        assert running.stdin
        with pytest.raises(BrokenPipeError):
            while True:
                running.stdin.write(b"x" * CHUNK)
                running.stdin.flush()
        assert running.stderr
        assert running.stderr.read() == b"writer: full could not be written: No space left on device\n"
        assert running.wait() == 1
