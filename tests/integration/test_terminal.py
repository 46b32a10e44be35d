# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign on a real terminal, a narrow one: what is left on it when the campaign is over."""

from __future__ import annotations

import fcntl
import os
import pathlib
import pty
import struct
import termios

import pyte
import yaml

from tests.integration.fleet import HUNG

COLUMNS, LINES = 48, 12


def test_progress_is_one_table_that_fits_the_window(pair, tmp_path):
    file = pathlib.Path(pair.inventory).parent / "campaigns" / "terminal.yml"
    file.parent.mkdir(exist_ok=True)
    vantages = [{"hosts": "tcp_hosts", "device": ["eth0", "eth1"]}]
    file.write_text(yaml.safe_dump({"campaign_vantages": vantages, "campaign_start": pair.soon(), "campaign_duration": "4s"}))
    words = ["-e", "campaign=terminal", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]
    shown = on_terminal(pair, pair.playbook_words("capture_campaign.yml", *words))
    tables = [number for number, line in enumerate(shown) if line.startswith("vantage") and " left" in line]
    assert len(tables) == 1, "\n".join(shown)
    rows = shown[tables[0] + 1 : tables[0] + 5]
    assert [row.split()[0] for row in rows] == ["node1__eth0", "node1__eth1", "node2__eth0", "node2__eth1"], shown
    assert all(" done " in row for row in rows), "the last state stays"
    assert shown[tables[0] + 5] == "", "and nothing of it was wrapped"
    assert [line for line in shown if "campaign : Wait" in line], "what Ansible says of the task is not drawn over"


def on_terminal(fleet, argv):
    """Run *argv* inside the lab on a terminal and return all lines that went over it, as they were left."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = fleet.start("env", "-u", "COLUMNS", "-u", "LINES", "TERM=xterm", *argv, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    screen = pyte.Screen(COLUMNS, 400)
    stream = pyte.ByteStream(screen)
    try:
        while data := os.read(master, 1 << 16):
            stream.feed(data)
    except OSError:
        # Linux says EIO where the other end was closed.
        pass
    finally:
        os.close(master)
    assert process.wait(HUNG) == 0, screen.display
    return [line.rstrip() for line in screen.display]
