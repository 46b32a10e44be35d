# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings and refusals in words."""

from __future__ import annotations

import errno
import os

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import could_not
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Change, Key, show

SESSION = {"sources": [{"interface": "swp1", "direction": "rx"}, {"interface": "swp2"}], "destination": {"erspan": {"erspan_id": 7, "vrf": None}}}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "absent"),
        ({}, "absent"),
        ([], "none"),
        (True, "on"),
        ([1, "a"], "1, a"),
        (SESSION, "sources=(interface=swp1 direction=rx), (interface=swp2) destination=(erspan=(erspan_id=7))"),
    ],
)
def test_values_as_people_say_them(value, words):
    assert show(value) == words


def test_a_change():
    assert str(Change(Key("ethtool_ring", "eth1", "rx"), 256, 8192)) == "eth1 ring rx: 256 -> 8192"


def test_what_cannot_be_written_names_its_folder():
    read_only = OSError(errno.EROFS, os.strerror(errno.EROFS), "/etc/sysctl.d/90-x.conf.new")
    assert could_not(read_only) == "/etc/sysctl.d is on a file system that is mounted read-only: make it writable and run this again"
    assert could_not(OSError(errno.ENOSPC, "No space left on device")) == "the host could not do it: [Errno 28] No space left on device"
