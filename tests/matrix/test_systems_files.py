# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What works on capture files that a host has: the same bytes on every Python."""

from __future__ import annotations

import base64
import io
import tarfile

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.packets.index_files import Wish, index

from tests.matrix.hosts import in_turn, on_each, rows
from tests.matrix.page import SUITES
from tests.unit.plugins.module_utils.packets import wrapped

FOLDER = "/var/tmp/files"
FRAMES = [wrapped.inner(0x10, 64 + 40 * number) for number in range(30)]
WAYS = (wrapped.type1, wrapped.type2, wrapped.type3)
MIRRORED = [wrapped.ethernet(wrapped.ipv4(WAYS[number % 3](frame))) for number, frame in enumerate(FRAMES)]
OTHER = wrapped.ethernet(b"not mirrored", 0x88B5)
PIECES = [f"{FOLDER}/pieces/frames_0000{number}.pcap" for number in (1, 2, 3)]
#: Without packets; pieces have it each.
HEADER = 24


@pytest.fixture(scope="module")
def worked(systems, tmp_path_factory):
    """A mirror that is taken off, cut and indexed: what the modules say, and the files they made, by suite."""
    file = tmp_path_factory.mktemp("files") / "mirror.pcap"
    file.write_bytes(wrapped.pcap([*MIRRORED, OTHER]))
    for suite in SUITES:
        systems.put(suite, file, folder=FOLDER)
    calls = (
        ("pcap_decap", {"src": f"{FOLDER}/mirror.pcap", "dest": f"{FOLDER}/frames.pcap", "rest": f"{FOLDER}/rest.pcap.gz"}),
        ("pcap_split", {"src": f"{FOLDER}/frames.pcap", "dest": f"{FOLDER}/pieces", "packets": 10}),
        ("pcap_index", {"src": PIECES, "dest": f"{FOLDER}/frames.keys", "vantage": "here", "jobs": 2}),
    )
    said = in_turn(systems, *calls)
    made = {suite: unpacked(systems.ssh(suite, f"tar -c -C {FOLDER} . | base64 -w0; rm -r {FOLDER}")) for suite in SUITES}
    return said, made


def unpacked(text):
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(text))) as archive:
        return {member.name[2:]: member_file.read() for member in archive if (member_file := archive.extractfile(member))}


@on_each
def test_files_are_worked_on_as_here(worked, suite, tmp_path):
    """`pcap_decap`, `pcap_split`, `pcap_index`: a mirror's frames, cut, and their packet keys are those that went in."""
    decap, split, keys = worked[0][suite]
    made = worked[1][suite]
    assert [result["complete"] for result in (decap, split, keys)] == [True] * 3
    assert (decap["frames"], decap["packets"], keys["packets"]) == (30, 31, 30)
    assert made["frames.pcap"] == wrapped.pcap(FRAMES)
    pieces = [made[path.removeprefix(f"{FOLDER}/")] for path in PIECES]
    assert [row["packets"] for row in split["files"]] == [10, 10, 10]
    assert made["frames.pcap"] == pieces[0] + pieces[1][HEADER:] + pieces[2][HEADER:]
    (tmp_path / "frames.pcap").write_bytes(wrapped.pcap(FRAMES))
    index(Wish([str(tmp_path / "frames.pcap")], str(tmp_path / "frames.keys"), "here"))
    (tmp_path / "theirs.keys").write_bytes(made["frames.keys"])
    assert rows(tmp_path / "theirs.keys") == rows(tmp_path / "frames.keys")
