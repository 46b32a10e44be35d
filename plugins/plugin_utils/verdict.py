# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the evidence of a vantage is worth: `ok`, `degraded` or `failed`, and why. Pure."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.wirefleet.capture.plugins.module_utils.packets.bpf import lacks_vlan_branch

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAILED, DEGRADED, NOTE = "failed", "degraded", "note"


class Reason(t.NamedTuple):
    severity: str
    meaning: str


#: The closed list; docs/evidence.md has the same table and a unit test compares the two.
REASONS: dict[str, Reason] = {
    "host_unreachable": Reason(FAILED, "the host did not answer, so it was left out or could not be collected"),
    "not_armed": Reason(FAILED, "the host refused or failed to arm"),
    "no_result": Reason(FAILED, "the host's supervisor left no result"),
    "not_collected": Reason(FAILED, "the files did not come home whole; they are still on the host"),
    "not_opened": Reason(FAILED, "the capture ended before its window opened, so nothing could be seen"),
    "engine_died": Reason(FAILED, "the capture program ended by itself before the window did"),
    "engine_failed": Reason(FAILED, "the capture program ended with an error or by a signal it was not sent"),
    "no_capture": Reason(FAILED, "the host ended without a capture file; the vantage's error says why"),
    "file_missing": Reason(FAILED, "the host names a file in its result that it did not deliver"),
    "unreadable": Reason(FAILED, "a file is no capture file"),
    "blind": Reason(FAILED, "nothing was captured although the counters of the device moved, or its link was down"),
    "not_restored": Reason(FAILED, "a setting could not be put back: the host is not as it was"),
    "late": Reason(DEGRADED, "the engine was listening only after the window had opened"),
    "drops": Reason(DEGRADED, "the kernel, the device or the engine dropped packets"),
    "drops_untrusted": Reason(DEGRADED, "no trustworthy drop count exists for this engine and device"),
    "truncated": Reason(DEGRADED, "a file ends in the middle of a packet"),
    "clock_unknown": Reason(DEGRADED, "the host's clock could not be compared with the controller's"),
    "clock_error": Reason(DEGRADED, "the host's clock is further off than campaign_max_clock_error allows"),
    "disk_full": Reason(DEGRADED, "the capture ended early because too little disk was free"),
    "limit_reached": Reason(DEGRADED, "the capture ended early at its limit of bytes or packets"),
    "device_gone": Reason(DEGRADED, "the device disappeared during the capture"),
    "supervisor_lost": Reason(DEGRADED, "the supervisor died and another process ended the capture and restored"),
    "interface_down": Reason(DEGRADED, "the interface was down before or after the capture"),
    "filter_without_vlan": Reason(
        DEGRADED, "nothing matched, packets passed, and the filter cannot match VLAN-tagged ones"
    ),
    "drift": Reason(DEGRADED, "somebody else changed a setting meanwhile; it was left alone"),
    "stopped_early": Reason(NOTE, "the window was ended before its time because somebody asked for it"),
    "no_match": Reason(NOTE, "the capture worked and no packet matched"),
}
_BY_STOP = {
    "bytes": "limit_reached",
    "packets": "limit_reached",
    "disk": "disk_full",
    "asked": "stopped_early",
    "engine_exit": "engine_died",
    "device_gone": "device_gone",
    "supervisor_lost": "supervisor_lost",
}
_BY_PARSE = {"truncated": "truncated", "unreadable": "unreadable"}
_BY_RESTORE = {"failed": "not_restored", "drift": "drift"}
#: Counters of RDMA traffic that bypasses the kernel, as rdma-core's sysfs and mlx5's `ethtool -S` name them.
_RDMA_COUNTER = re.compile(r"(port_(rcv|xmit)_packets|[rt]x_vport_rdma_\w*packets)$")
_FRAME_COUNTER = re.compile(r"(^|[./])(rx_packets|tx_packets)$")
#: What pings, ARP and LLDP may add to a window without anybody calling the capture blind.
QUIET = 10


class Found(t.NamedTuple):
    """Everything that is known of one vantage when the campaign is over; None where nothing is."""

    host: Mapping[str, t.Any]
    plan: Mapping[str, t.Any]
    result: Mapping[str, t.Any] | None
    settings: Mapping[str, t.Any]
    files: Mapping[str, Mapping[str, t.Any]]
    counters: tuple[t.Any, t.Any]
    clock: Mapping[str, t.Any]
    max_clock_error_s: float


def judge(found: Found) -> tuple[str, list[str]]:
    """Return (status, reasons in the order of REASONS)."""
    given = set(_all(found))
    reasons = [name for name in REASONS if name in given]
    severities = {REASONS[name].severity for name in reasons}
    return next((level for level in (FAILED, DEGRADED) if level in severities), "ok"), reasons


def packets(files: Mapping[str, Mapping[str, t.Any]]) -> int | None:
    """Return the packets in the files of a vantage, None where no file was read."""
    counts = [file["summary"]["packets"] for file in files.values() if file.get("summary")]
    return sum(counts) if counts else None


def _all(found: Found) -> Iterator[str]:
    yield from _of_host(found.host)
    if found.result is None:
        yield from () if found.host.get("missing") or not found.host.get("armed") else ("no_result",)
    else:
        yield from _of_engine(found.result)
        yield from _of_drops(found.result.get("stats") or {}) if found.result.get("files") else ()
        yield from _of_files(found)
        yield from _of_silence(found) if found.host.get("opened") else ("not_opened",)
    if found.settings.get("error"):
        yield "not_restored"
    if is_down(found.counters):
        yield "interface_down"
    yield from (
        _BY_RESTORE[item["outcome"]] for item in found.settings.get("restored", []) if item["outcome"] in _BY_RESTORE
    )
    yield from _of_clock(found.clock, found.max_clock_error_s)


def _of_host(host: Mapping[str, t.Any]) -> Iterator[str]:
    if host.get("missing"):
        yield "host_unreachable"
    elif not host.get("armed"):
        yield "not_armed"
    elif not host.get("collected"):
        yield "not_collected"
        yield from ("host_unreachable",) if host.get("unreachable") else ()


def _of_engine(result: Mapping[str, t.Any]) -> Iterator[str]:
    yield from (reason for reason in result.get("reasons", []) if reason in REASONS)
    if result.get("stop_reason") in _BY_STOP:
        yield _BY_STOP[result["stop_reason"]]
    engine = result.get("engine") or {}
    if engine.get("exit_code") not in (0, None) or (engine.get("signal") or 2) not in (2, "SIGINT"):
        yield "engine_failed"
    if result.get("late"):
        yield "late"


def _of_drops(stats: Mapping[str, t.Any]) -> Iterator[str]:
    if not stats.get("trustworthy"):
        yield "drops_untrusted"
    if any((stats.get(name) or 0) > 0 for name in ("dropped_kernel", "dropped_interface")):
        yield "drops"


def _of_files(found: Found) -> Iterator[str]:
    for file in found.files.values():
        status = (file.get("summary") or {}).get("status")
        yield from (_BY_PARSE[status],) if status in _BY_PARSE else ()
    if not (found.result or {}).get("files"):
        yield "no_capture"
    named = {file["path"].rpartition("/")[2] for file in (found.result or {}).get("files", [])}
    here = {path.rpartition("/")[2] for path in found.files}
    if found.host.get("collected") and named - here:
        yield "file_missing"


def _of_silence(found: Found) -> Iterator[str]:
    """Tell why nothing was captured, when nothing was."""
    if packets(found.files) != 0:
        return
    moved = moved_counters(*found.counters)
    words = found.plan.get("filter") or ""
    about_rdma = not words or re.search(r"\b4791\b|0x8915", words) is not None
    if (
        is_down(found.counters)
        or (about_rdma and _most(moved, _RDMA_COUNTER) > QUIET)
        or (not words and _most(moved, _FRAME_COUNTER) > QUIET)
    ):
        yield "blind"
    elif lacks_vlan_branch(words) and _most(moved, _FRAME_COUNTER) > QUIET:
        yield "filter_without_vlan"
    else:
        yield "no_match"


def _most(moved: Mapping[str, float], pattern: re.Pattern[str]) -> float:
    return max((by for name, by in moved.items() if pattern.search(name)), default=0)


def is_down(counters: tuple[t.Any, t.Any]) -> bool:
    """Whether a link had no carrier before or after the window, as the kernel says it."""
    links = [link for snapshot in counters for link in ((snapshot or {}).get("interfaces") or {}).values() if link]
    return any(link.get("operstate") in ("down", "lowerlayerdown") or link.get("carrier") == "0" for link in links)


def moved_counters(before: t.Any, after: t.Any) -> dict[str, float]:
    """Return by how much each number grew that both snapshots have, by its path joined with dots."""
    first, last = dict(_flat(before, "")), dict(_flat(after, ""))
    return {name: last[name] - value for name, value in first.items() if last.get(name, value) > value}


def _flat(value: t.Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def _of_clock(clock: Mapping[str, t.Any], allowed_s: float) -> Iterator[str]:
    """An offset within the error of its own measurement accuses nobody; an error above the limit proves nothing."""
    offset, error = clock.get("offset_s"), clock.get("error_s")
    if offset is not None and error is not None and abs(offset) - error > allowed_s:
        yield "clock_error"
    elif offset is None or error is None or error > allowed_s:
        yield "clock_unknown"
