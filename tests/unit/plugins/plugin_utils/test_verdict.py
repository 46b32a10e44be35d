# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re

import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import schema, verdict

RESULT = {
    "engine": {"exit_code": 0, "signal": None},
    "late": False,
    "stop_reason": "time",
    "reasons": [],
    "stats": {"trustworthy": True, "dropped_kernel": 0, "dropped_interface": 0},
    "files": [{"path": "vantages/v/raw/0001.pcap"}],
}
QUIET = {"interfaces": {"eth1": {"operstate": "up", "carrier": "1", "statistics": {"rx_packets": 5}}}}
BUSY = {"interfaces": {"eth1": {"operstate": "up", "carrier": "1", "statistics": {"rx_packets": 5000}}}}
DOWN = {"interfaces": {"eth1": {"operstate": "down", "carrier": "0", "statistics": {"rx_packets": 5}}}}
RDMA = [{"rdma": {"mlx5_0:1": {"counters": {"port_rcv_packets": count}}}} for count in (1, 9000)]


def found(result=(), packets=7, status="ok", **changes):
    summary = {"packets": packets, "status": status}
    facts = {
        "host": {"armed": True, "collected": True, "missing": False, "opened": True},
        "plan": {"filter": "tcp port 80"},
        "result": {**RESULT, **dict(result)},
        "settings": {},
        "files": {"vantages/v/raw/0001.pcap": {"summary": summary}},
        "counters": (QUIET, QUIET),
        "clock": {"offset_s": 0.0, "error_s": 0.001},
        "max_clock_error_s": 0.1,
    }
    return verdict.Found(**{**facts, **changes})


TABLE = [
    (found(), "ok", []),
    (found(packets=0), "ok", ["no_match"]),
    (found(packets=0, counters=(QUIET, BUSY)), "degraded", ["filter_without_vlan"]),
    (found(packets=0, counters=(QUIET, BUSY), plan={"filter": "(tcp) or (vlan and tcp)"}), "ok", ["no_match"]),
    (found(packets=0, counters=(QUIET, BUSY), plan={"filter": ""}), "failed", ["blind"]),
    (found(packets=0, counters=tuple(RDMA), plan={"filter": "udp port 4791 or vlan"}), "failed", ["blind"]),
    (found(packets=0, counters=tuple(RDMA)), "ok", ["no_match"]),
    (found(packets=0, counters=(DOWN, DOWN)), "failed", ["blind", "interface_down"]),
    (found(counters=(QUIET, DOWN)), "degraded", ["interface_down"]),
    (found({"late": True}), "degraded", ["late"]),
    (found({"stats": {"trustworthy": True, "dropped_kernel": 3}}), "degraded", ["drops"]),
    (found({"stats": {"trustworthy": False}}), "degraded", ["drops_untrusted"]),
    (found({"stop_reason": "engine_exit"}), "failed", ["engine_died"]),
    (found({"engine": {"exit_code": 1}}), "failed", ["engine_failed"]),
    (found({"engine": {"exit_code": None, "signal": 9}}), "failed", ["engine_failed"]),
    (found({"stop_reason": "disk"}), "degraded", ["disk_full"]),
    (found({"stop_reason": "bytes"}), "degraded", ["limit_reached"]),
    (found({"stop_reason": "device_gone"}), "degraded", ["device_gone"]),
    (found({"stop_reason": "supervisor_lost"}), "degraded", ["supervisor_lost"]),
    (found({"stop_reason": "asked"}), "ok", ["stopped_early"]),
    (found(status="truncated"), "degraded", ["truncated"]),
    (found(status="unreadable"), "failed", ["unreadable"]),
    (found(files={}), "failed", ["file_missing"]),
    (found({"files": []}, files={}), "failed", ["no_capture"]),
    (found(clock={"offset_s": None, "error_s": None}), "degraded", ["clock_unknown"]),
    (found(clock={"offset_s": 0.0, "error_s": 0.5}), "degraded", ["clock_unknown"]),
    (found(clock={"offset_s": -0.4, "error_s": 0.01}), "degraded", ["clock_error"]),
    (found(settings={"restored": [{"outcome": "drift"}]}), "degraded", ["drift"]),
    (found(settings={"restored": [{"outcome": "failed"}]}), "failed", ["not_restored"]),
    (found(settings={"error": "the journal is newer"}), "failed", ["not_restored"]),
    (found()._replace(result=None), "failed", ["no_result"]),
    (found()._replace(result=None, host={"missing": True}), "failed", ["host_unreachable"]),
    (found()._replace(result=None, host={"armed": False}), "failed", ["not_armed"]),
    (found(host={"armed": True, "collected": False, "opened": True}), "failed", ["not_collected"]),
    (
        found({"stop_reason": "asked"}, packets=0, host={"armed": True, "collected": True, "opened": False}),
        "failed",
        ["not_opened", "stopped_early"],
    ),
]


@pytest.mark.parametrize("facts, status, reasons", TABLE)
def test_verdict(facts, status, reasons):
    assert verdict.judge(facts) == (status, reasons)


def test_every_reason_can_be_given():
    assert {reason for _facts, _status, reasons in TABLE for reason in reasons} == set(verdict.REASONS)


def test_the_manifest_schema_and_the_page_know_the_same_reasons():
    known = list(verdict.REASONS)
    assert schema.load(schema.MANIFEST)["$defs"]["reasons"]["items"]["enum"] == known
    with open(f"{schema.ROOT}/docs/evidence.md", encoding="utf-8") as handle:
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", handle.read(), re.MULTILINE)
    assert rows == [(name, reason.severity, reason.meaning) for name, reason in verdict.REASONS.items()]


def test_a_host_may_add_a_reason_of_the_list_only():
    assert verdict.judge(found({"reasons": ["late", "moon"]})) == ("degraded", ["late"])
