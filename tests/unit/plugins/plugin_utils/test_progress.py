# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a running campaign on a real terminal, read as the terminal shows it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios

import pyte
import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import progress

LONG = "dpvs-lb-01.rack7.fra.example.com__ens785f0np0"
DRAWER = """
import json, sys
from ansible_collections.wirefleet.capture.plugins.callback.progress import Terminal
from ansible_collections.wirefleet.capture.plugins.plugin_utils.progress import Row
view = Terminal()
for line in sys.stdin:
    view.show([Row(*row) for row in json.loads(line)])
    print(end="\\0", flush=True)
"""


def row(vantage, state="listening", **more):
    return progress.Row(vantage, state, **{"left_s": 41.0, "packets": 1203, "bytes": 310_222, "drops": 0, **more})


class Window:
    """A terminal of *columns* and *lines* with something printed on it, on which a process of its own draws."""

    def __init__(self, columns, lines):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._stream.feed(b"TASK [Arm]\r\nchanged: [node1]\r\n")
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRAWER], stdin=subprocess.PIPE, stdout=slave, text=True,
            env={**environment, "TERM": "xterm", "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        os.close(slave)

    def show(self, rows):
        """Draw *rows* and return the lines of the screen that are not empty."""
        self._process.stdin.write(json.dumps(rows) + "\n")
        self._process.stdin.flush()
        drawn = b""
        while not drawn.endswith(b"\0"):
            drawn += os.read(self._master, 1 << 16)
        self._stream.feed(drawn[:-1])
        return [line.rstrip() for line in self.screen.display if line.strip()]

    def close(self):
        self._process.stdin.close()
        self._process.wait(60)
        os.close(self._master)


@pytest.fixture
def window():
    opened = []

    def make(columns, lines):
        opened.append(Window(columns, lines))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_table_is_drawn_over_the_one_before(window, columns):
    terminal = window(columns, 24)
    for packets in (1, 20, 300_000, 4):
        shown = terminal.show([row(LONG, packets=packets), row("node2__eth1", "no answer", left_s=None)])
        assert shown[:2] == ["TASK [Arm]", "changed: [node1]"], "what was there stays"
        assert shown[2].split()[0] == "vantage"
        assert len(shown) == 5, shown
        assert shown[3].endswith("0") and f" {packets} " in shown[3] and shown[3].split()[0].startswith("dpvs")
        assert shown[3].split()[0].endswith("np0"), "the device can be told"
    assert (terminal.screen.cursor.x, terminal.screen.cursor.y) == (0, 6), "below the table, where the next line goes"


def test_fewer_rows_leave_nothing_behind(window):
    terminal = window(80, 24)
    terminal.show([row(f"node{n}__eth1") for n in range(9)])
    assert len(terminal.show([row("node1__eth1", "done")])) == 4


def test_more_rows_than_lines_show_the_unusual_and_count_the_rest(window):
    terminal = window(80, 12)
    rows = [row(f"node{n}__eth1") for n in range(100)]
    rows[77] = row("node77__eth1", "no answer")
    for _again in range(5):
        shown = terminal.show(rows)
    assert [line.split()[0] for line in shown].count("vantage") == 1
    assert any("node77__eth1" in line for line in shown)
    assert shown[-1] == "... and 92 more: 92 listening"


@pytest.mark.parametrize(("columns", "lines"), [(20, 3), (1, 1), (200, 2)])
def test_no_window_is_too_small(columns, lines):
    found = progress.fitted([row(LONG), row("node1__eth1")], columns, lines)
    assert found and max(map(len, found)) <= columns


def test_a_session_that_failed_leaves_no_vantage_armed():
    vantage = {"vantage_id": "node1__eth1", "state": "armed", "packets": None, "bytes": 0, "drops": None}
    heartbeat = {"state": "failed", "time_left_s": 14.0, "vantages": [vantage]}
    assert progress.cells(progress.rows("node1", heartbeat)[0])[:3] == ["node1__eth1", "failed", "-"]
    assert progress.cells(progress.rows("node1", {**heartbeat, "state": "armed"})[0])[:3] == ["node1__eth1", "armed", "14 s"]


def test_a_name_loses_its_middle():
    assert progress.shortened(LONG, 20) == "dpvs-lb-0..s785f0np0"
    assert progress.shortened(LONG, 21) == "dpvs-lb-0..ns785f0np0"
    assert progress.shortened("node1__eth1", 5) == "node1__eth1", "names are not cut to nothing"
