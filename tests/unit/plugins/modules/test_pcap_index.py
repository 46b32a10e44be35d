# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: shipped to a host that is this one, with nothing of the collection but what it imports."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.unit.plugins.module_utils.packets import keyed as k
from tests.unit.plugins.module_utils.packets import wrapped as w
from tests.unit.plugins.module_utils.packets.test_index_files import rows_of
from tests.unit.plugins.modules.test_pcap_decap import Host

FRAMES = list(k.KNOWN.values())


@pytest.fixture
def host(tmp_path):
    for name, frames in (("a.pcap", FRAMES), ("b.pcap", FRAMES[:4])):
        (tmp_path / name).write_bytes(w.pcap(frames))
    return Host(tmp_path, "pcap_index")


def test_check_do_check_again_and_do_again(host):
    wishes = {"src": [host.path("a.pcap"), host.path("b.pcap")], "dest": host.path("out.keys"), "vantage": "node1__eth1", "jobs": 2}
    rehearsed = host.module("--check", **wishes)
    assert rehearsed["changed"] and sorted(os.listdir(host.folder)) == ["a.pcap", "b.pcap", "tmp"]
    done = host.module(**wishes)
    assert done["changed"] and done["complete"] and done["packets"] == len(FRAMES) + 4 == len(rows_of(host.folder / "out.keys"))
    assert (done["vantage"], done["side"], done["side_left_out"], done["reasons"]) == ("node1__eth1", 1, 0, [])
    assert done["loop"] == ("c" if shutil.which("cc") else "python")
    assert {name: rehearsed[name] for name in rehearsed} == {name: done[name] for name in rehearsed}
    before = os.stat(wishes["dest"])
    assert not host.module("--check", **wishes)["changed"]
    assert not host.module(**wishes)["changed"] and os.stat(wishes["dest"]) == before


def test_what_is_not_whole_fails_unless_allowed(host):
    (host.folder / "cut.pcap").write_bytes(w.pcap(FRAMES)[:-1])
    wishes = {"src": [host.path("cut.pcap")], "dest": host.path("out.keys")}
    failed = host.module(**wishes)
    assert failed["failed"] and f"{len(FRAMES) - 1} packets were read: at byte" in failed["msg"]
    assert len(rows_of(host.folder / "out.keys")) == len(FRAMES) - 1
    assert host.module(**wishes, allow_incomplete=True)["complete"] is False


@pytest.mark.parametrize(
    "wishes, said",
    [({"src": ["none"]}, "there is no file"), ({"dest": "a.pcap"}, "is another file"), ({"jobs": 0}, "at least one job"), ({"dest": "-"}, "name files")],
)
def test_refused_in_one_sentence(host, wishes, said):
    named = {"src": ["a.pcap"], "dest": "out.keys", **wishes}
    failed = host.module(
        src=[host.path(path) for path in named.pop("src")],
        dest="-" if named["dest"] == "-" else host.path(str(named["dest"])),
        **{name: value for name, value in named.items() if name != "dest"},
    )
    assert failed["failed"] and said in failed["msg"] and "out.keys" not in os.listdir(host.folder)
