# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for many hosts: until each is where it is awaited, whatever single ones do."""

from __future__ import annotations

import time

import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import watch

FOREVER = 1 << 62


class Channel:
    """A host that goes through *states*, one each time it is asked, and stays in the last."""

    def __init__(self, *states):
        self.states = list(states)
        self.asked = []

    def ask(self, request):
        if request["op"] == "time":
            return {"t_ns": time.time_ns()}
        self.asked.append(self.states[0])
        return {"state": self.states.pop(0) if len(self.states) > 1 else self.states[0], "vantages": []}

    def close(self):
        pass


def follow(channels, until, due_ns=FOREVER):
    watches = [watch.Watch(f"host{number}", lambda it=it: it, True, watch.AWAITED[until]) for number, it in enumerate(channels)]
    watch.follow(watches, due_ns, 20.0, lambda rows: None)
    return watches


@pytest.mark.parametrize(("until", "asked"), [("open", ["armed", "capturing"]), ("closed", ["armed", "capturing", "done"])])
def test_each_is_asked_until_it_is_there(until, asked):
    slow, failed = Channel("armed", "capturing", "done"), Channel("failed")
    watches = follow([slow, failed], until)
    assert (slow.asked, failed.asked) == (asked, ["failed"])
    assert all(one.there for one in watches)


def test_nobody_is_waited_for_long_after_it_was_due():
    (one,) = follow([Channel("armed")], "open", due_ns=time.time_ns() - round(watch.GRACE_S * 1e9) + 100_000_000)
    assert one.there is False


def test_host_that_cannot_be_asked_is_known_by_its_problem():
    def refuse():
        raise OSError("no route to host")

    one = watch.Watch("host", refuse, True, watch.AWAITED["open"])
    one.sample()
    assert (one.there, one.problem) == (False, "no route to host")
