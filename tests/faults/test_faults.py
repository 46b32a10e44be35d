# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong on a host during a capture, done to real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.capture import start_time

if t.TYPE_CHECKING:
    from conftest import Case, Place

Make = t.Callable[..., "Case"]
#: Cut packets tcpdump writes itself, whole ones go through the writer.
CUT_AND_WHOLE = [128, 0]


def test_window_without_traffic_ends_by_time_and_opens_on_time(case: Make) -> None:
    """A busy machine may be late for both, so what is looked for is a window that lies elsewhere."""
    both = [{}, {"vantage_id": "host__v1", "device": "v1", "capture_on": "v1", "engine": "dumpcap"}]
    one = case(duration_s=3.0, lead_s=1.0, vantages=both)
    one.start()
    result = one.result()
    assert (result["state"], result["stop_reason"], result["error"]) == ("done", "time", None)
    assert 0 <= result["opened_ns"] - one.t0_ns < 3_000_000_000
    assert 2_990_000_000 < result["closed_ns"] - one.t0_ns < 6_000_000_000
    for vantage in result["vantages"]:
        assert vantage["late"] == is_late(vantage, one)
        assert vantage["stats"]["captured"] == 0 and vantage["stats"]["trustworthy"]
        assert [os.path.basename(file["path"]).split(".")[0] for file in vantage["files"]] == ["0001"]


def test_told_to_begin_now_it_sets_the_window_when_it_runs(case: Make) -> None:
    """However long the host took until then: by the time that was planned, this window is over."""
    one = case(duration_s=0.5, lead_s=1.0)
    one.lay_out()
    one.folder.write_json("session.json", one.session)
    asked_ns = time.time_ns()
    assert one.verb("run", "now") == 0
    result = one.result()
    assert (result["state"], result["stop_reason"]) == ("done", "time")
    assert result["vantages"][0]["late"] == is_late(result["vantages"][0], one)
    assert asked_ns + 2_000_000_000 <= one.t0_ns <= result["opened_ns"], "the lead and a second away"


def test_an_engine_that_listens_after_the_opening_is_late(case: Make) -> None:
    """Without a lead no engine can be listening when the window opens."""
    one = case(lead_s=0.0)
    one.start()
    one.listening()
    vantage = one.stopped()["vantages"][0]
    assert vantage["ready_ns"] > one.t0_ns and vantage["late"]


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_nothing_is_lost_at_the_end_of_the_window(case: Make, place: Place, snaplen: int) -> None:
    both = [{"snaplen": snaplen}, {"vantage_id": "host__v1", "device": "v1", "capture_on": "v1", "engine": "dumpcap"}]
    one = case(duration_s=6.0, vantages=both)
    one.start()
    one.listening()
    sent = place.send_until(one.t0_ns + 6_000_000_000)
    assert sent > 0 and one.result()["stop_reason"] == "time"
    for number in range(2):
        assert sent <= one.packets(number) <= sent + 1, "the one that went after the window may be there"


def test_files_are_private(case: Make) -> None:
    one = case(duration_s=0.5)
    one.start()
    one.result()
    for base, folders, files in os.walk(one.folder.path):
        modes = {os.stat(os.path.join(base, name)).st_mode & 0o777 for name in files}
        assert modes <= {0o600}, base
        assert {os.stat(os.path.join(base, name)).st_mode & 0o777 for name in folders} <= {0o700}, base


@pytest.mark.parametrize(("engine", "snaplen"), [("tcpdump", 128), ("tcpdump", 0), ("dumpcap", 128)])
def test_killed_engine_fails_its_vantage_only(case: Make, place: Place, engine: str, snaplen: int) -> None:
    other = {"vantage_id": "host__v1", "device": "v1", "capture_on": "v1"}
    one = case(vantages=[{"engine": engine, "snaplen": snaplen}, other])
    one.start()
    one.listening()
    os.kill(one.engine_pids()[0], signal.SIGKILL)
    place.send(50)
    one.until(lambda: one.heartbeat()["vantages"][0]["state"] == "failed", "notice of the dead engine")
    result = one.stopped()
    assert (result["state"], result["stop_reason"]) == ("done", "asked")
    killed, lived = result["vantages"]
    assert (killed["stop_reason"], killed["engine"]["signal"]) == ("engine_exit", 9)
    assert (lived["stop_reason"], lived["stats"]["captured"]) == ("asked", 50)


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_deleted_interface_is_told_from_a_dead_engine(case: Make, place: Place, snaplen: int) -> None:
    one = case(vantages=[{"snaplen": snaplen}])
    one.start()
    one.listening()
    place.ip("link", "del", "v0")
    result = one.result()
    assert result["stop_reason"] == "device_gone"
    assert result["vantages"][0]["stop_reason"] == "device_gone"
    assert "v0 disappeared" in result["vantages"][0]["error"]


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_engine_that_cannot_start_says_why(case: Make, snaplen: int) -> None:
    one = case(vantages=[{"filter": "ether protoo 5", "snaplen": snaplen}])
    one.start()
    result = one.result()
    assert result["state"] == "failed"
    assert "can't parse filter expression" in result["vantages"][0]["error"]


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_byte_limit_holds_on_the_host(case: Make, place: Place, snaplen: int) -> None:
    one = case(vantages=[{"snaplen": snaplen, "limits": {"bytes": 200_000}}])
    one.start()
    one.listening()
    for _again in range(8):
        place.send(500, 118)
        time.sleep(0.3)
    assert one.result()["stop_reason"] == "bytes"


def test_packet_limit_of_the_host_counts_all_vantages(case: Make, place: Place) -> None:
    one = case(
        limits={"packets": 600},
        vantages=[{}, {"vantage_id": "host__v1", "device": "v1", "capture_on": "v1", "engine": "dumpcap"}],
    )
    one.start()
    one.listening()
    place.send(400)
    result = one.result()
    assert result["stop_reason"] == "packets"
    assert sum(one.packets(number) for number in range(2)) >= 600


def test_ring_keeps_the_newest_packets_in_bounded_space(case: Make, place: Place) -> None:
    one = case(
        vantages=[
            {"snaplen": 0, "ring": {"files": 3, "file_bytes": 1_000_000}},
            {"vantage_id": "host__v1", "device": "v1", "capture_on": "v1", "engine": "dumpcap", "snaplen": 0,
             "ring": {"files": 3, "file_bytes": 1_000_000}},
        ],
    )  # fmt: skip
    one.start()
    one.listening()
    place.send(6000, 1018)
    one.has(6000)
    for vantage in one.stopped()["vantages"]:
        names = [os.path.basename(file["path"]).split(".")[0] for file in vantage["files"]]
        assert names == ["0001", "0002", "0003"]
        assert sum(file["bytes"] for file in vantage["files"]) < 3_300_000
        last = subprocess.run(
            ["tcpdump", "-r", one.folder.file(vantage["files"][-1]["path"]), "-xx"], check=True, capture_output=True, text=True
        ).stdout
        assert f"88b5 0000\n\t0x0010:  {5999:04x}" in last


def test_split_by_seconds_keeps_everything(case: Make, place: Place) -> None:
    one = case(vantages=[{"split": {"bytes": None, "seconds": 1.0}}])
    one.start()
    one.listening()
    for _again in range(5):
        place.send(20)
        time.sleep(0.5)
    one.stopped()
    assert one.packets() == 100
    assert len(one.result()["vantages"][0]["files"]) > 2


def test_stop_request_ends_the_window_now(case: Make, place: Place) -> None:
    one = case()
    one.start()
    one.listening()
    place.send(30)
    result = one.stopped()
    assert (result["state"], result["stop_reason"]) == ("done", "asked")
    assert one.packets() == 30


def test_hang_up_and_lost_terminal_change_nothing(case: Make) -> None:
    one = case()
    one.start()
    one.listening()
    os.killpg(t.cast("subprocess.Popen[bytes]", one.process).pid, signal.SIGHUP)
    hung_up_ns = time.time_ns()
    one.until(lambda: one.heartbeat()["t_ns"] > hung_up_ns, "a later heartbeat")
    one.listening()
    assert (one.stopped()["state"], one.result()["stop_reason"]) == ("done", "asked")


def test_settings_are_put_back_at_the_end(case: Make, place: Place, gro_on: t.Callable[[Case], None]) -> None:
    one = case(duration_s=0.5)
    gro_on(one)
    one.start()
    restored = one.result()["settings"]["restored"]
    assert [(row["key"], row["outcome"]) for row in restored] == [(["ethtool_feature", "v0", "rx-gro"], "restored")]
    assert not place.gro()


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_killed_supervisor_is_cleaned_up_by_its_guard(case: Make, place: Place, gro_on: t.Callable[[Case], None], snaplen: int) -> None:
    one = case(vantages=[{"snaplen": snaplen}])
    gro_on(one)
    one.start(guarded=True)
    one.listening()
    place.send(40)
    one.has(40)
    engines = one.engine_pids()
    t.cast("subprocess.Popen[bytes]", one.process).kill()
    result = one.result()
    assert (result["state"], result["stop_reason"]) == ("failed", "supervisor_lost")
    assert result["opened_ns"] is not None
    assert not place.gro()
    assert {start_time(pid) for pid in engines} == {None}
    assert one.packets() == 40


def test_killed_guard_is_replaced(case: Make) -> None:
    one = case()
    one.start(guarded=True)
    one.listening()
    first = one.until(lambda: _guards(one), "a guard")
    os.kill(first[0], signal.SIGKILL)
    second = one.until(lambda: [pid for pid in _guards(one) if pid not in first], "another guard")
    assert one.stopped()["state"] == "done"
    one.until(lambda: not os.path.exists(f"/proc/{second[0]}"), "the guard's end")


def test_supervisor_and_guard_killed_leave_no_engine_and_the_next_contact_restores(
    case: Make, place: Place, gro_on: t.Callable[[Case], None]
) -> None:
    one = case()
    gro_on(one)
    one.start(guarded=True)
    one.listening()
    engines, guards = one.engine_pids(), one.until(lambda: _guards(one), "a guard")
    supervisor = t.cast("subprocess.Popen[bytes]", one.process)
    os.kill(supervisor.pid, signal.SIGSTOP)
    for pid in [*guards, supervisor.pid]:
        os.kill(pid, signal.SIGKILL)
    supervisor.wait()
    one.until(lambda: {start_time(pid) for pid in engines} == {None}, "end of the engines")
    assert place.gro(), "nobody is left to restore"
    assert one.verb("restore") == 0
    assert not place.gro()
    assert one.result()["stop_reason"] == "supervisor_lost"


def test_restore_verb_does_what_the_service_manager_asks_for(case: Make, place: Place, gro_on: t.Callable[[Case], None]) -> None:
    one = case()
    gro_on(one)
    one.start()
    one.listening()
    assert one.verb("restore") == 2, "a running session must not lose its settings"
    assert place.gro()
    t.cast("subprocess.Popen[bytes]", one.process).kill()
    t.cast("subprocess.Popen[bytes]", one.process).wait()
    assert one.verb("restore") == 0
    assert one.result()["stop_reason"] == "supervisor_lost"
    assert one.folder.read_json("heartbeat.json")["state"] == "failed", "who waits for the window need not wait for its end"
    assert not place.gro()
    assert one.verb("restore") == 0


@pytest.mark.parametrize("snaplen", CUT_AND_WHOLE)
def test_full_disk_stops_the_capture_and_prevents_neither_restore_nor_result(
    place: Place, gro_on: t.Callable[[Case], None], case: Make, root: str, snaplen: int
) -> None:
    os.makedirs(root, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", root], check=True)
    try:
        one = case(limits={"min_free_percent": 5}, vantages=[{"snaplen": snaplen}])
        gro_on(one)
        one.start()
        one.listening()
        _fill(os.path.join(root, "filler"))
        result = one.result()
        assert result["stop_reason"] == "disk"
        assert not place.gro()
        one.close()
    finally:
        subprocess.run(["umount", root], check=True)


def test_armed_too_late_refuses(case: Make) -> None:
    one = case()
    one.lay_out()
    one.session["t0_ns"] = time.time_ns() - 1
    one.folder.write_json("session.json", one.session)
    assert one.verb("run") == 1
    result = one.result()
    assert result["state"] == "failed" and "already begun" in result["error"]
    assert not result["vantages"][0]["files"]


def is_late(vantage: dict[str, t.Any], one: Case) -> bool:
    """Whether the engine was not heard of before the window opened: a busy machine may take so long."""
    return vantage["ready_ns"] is None or vantage["ready_ns"] > one.t0_ns


def _fill(path: str) -> None:
    with open(path, "wb", buffering=0) as handle:
        try:
            while True:
                handle.write(bytes(4096))
        except OSError:
            return


def _guards(one: Case) -> list[int]:
    wanted = f"guard\0{one.folder.path}\0".encode()
    return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if wanted in _command_line(pid)]


def _command_line(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as handle:
            return handle.read()
    except OSError:
        return b""
