# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module dpvs_config beside doubles of DPVS: file, running process, reload and what it refuses."""

from __future__ import annotations

import typing as t

import pytest

from tests.dpvs.place import Instance

if t.TYPE_CHECKING:
    from tests.unit.dpvs.conftest import Box, Make

pytestmark = pytest.mark.real


def test_pdump_needs_a_restart_and_says_so_until_it_happened(make: Make, box: Box) -> None:
    dpvs = make().start()
    before = dpvs.conf.read_bytes()
    wanted: dict[str, t.Any] = {"global_defs": {"pdump": True}, "path": str(dpvs.conf)}
    foreseen = box.module("dpvs_config", check=True, **wanted)
    assert (dpvs.conf.read_bytes(), box.run("ls", "/var/lib")) == (before, "")
    done = box.module("dpvs_config", **wanted)
    assert {name: done[name] for name in foreseen if name != "invocation"} == {
        name: foreseen[name] for name in foreseen if name != "invocation"
    }
    assert (done["changed"], done["before"], done["after"]) == (True, {"pdump": None}, {"pdump": "on"})
    assert (done["running"], done["restart_required"], done["notes"]) == ({"pdump": False}, True, [])
    again = box.module("dpvs_config", **wanted)
    assert (again["changed"], again["restart_required"]) == (False, True)
    dpvs.kill()
    dpvs.start()
    over = box.module("dpvs_config", **wanted)
    assert (over["changed"], over["running"], over["restart_required"]) == (False, {"pdump": True}, False)
    assert box.restored("standing") == {"global_defs/pdump": "restored"}
    assert dpvs.conf.read_bytes() == before


def test_kni_is_compared_with_the_running_process(make: Make, box: Box) -> None:
    dpvs = make().start()
    assert box.module("dpvs_config", global_defs={"kni": True}, path=str(dpvs.conf))["restart_required"] is False
    off = box.module("dpvs_config", global_defs={"kni": False}, path=str(dpvs.conf))
    assert (off["running"], off["restart_required"]) == ({"kni": True}, True)


def test_without_telemetry_a_change_needs_a_restart_and_the_rest_is_not_known(make: Make, box: Box) -> None:
    dpvs = make().start("--no-telemetry")
    wanted: dict[str, t.Any] = {"global_defs": {"pdump": "on"}, "path": str(dpvs.conf)}
    done = box.module("dpvs_config", **wanted)
    assert (done["running"], done["restart_required"]) == ({"pdump": None}, True)
    assert "is not known: it runs with --no-telemetry" in done["notes"][0]


def test_a_reload_reaches_the_log_level(make: Make, box: Box) -> None:
    dpvs = make().start()
    done = box.module("dpvs_config", global_defs={"log_level": "DEBUG"}, path=str(dpvs.conf), reload=True)
    assert done["commands"] == [f"write {dpvs.conf}: global_defs log_level DEBUG", f"kill -HUP {_pid(dpvs)}"]
    dpvs.wait(lambda: "CFG_FILE: log_level = DEBUG" in dpvs.said())
    again = box.module("dpvs_config", global_defs={"log_level": "DEBUG"}, path=str(dpvs.conf), reload=True)
    assert (again["changed"], again["commands"]) == (False, [])


def test_keys_that_a_reload_does_not_reach_cause_none(make: Make, box: Box) -> None:
    dpvs = make().start()
    done = box.module("dpvs_config", global_defs={"pdump": True}, path=str(dpvs.conf), reload=True)
    assert (len(done["commands"]), "SIGHUP" in dpvs.said()) == (1, False)


def test_a_file_that_dpvs_would_die_of_is_neither_written_nor_loaded(make: Make, box: Box) -> None:
    dpvs = make().start()
    dpvs.conf.write_text(dpvs.conf.read_text() + "neigh_defs {\ntimeout\n}\n")
    before = dpvs.conf.read_bytes()
    for check in (True, False):
        failed = box.module("dpvs_config", check=check, global_defs={"log_level": "DEBUG"}, path=str(dpvs.conf), reload=True)
        assert f"DPVS would abort at its reload, so it is not asked to: timeout in {dpvs.conf} has no value" in failed["msg"]
    assert dpvs.process is not None
    assert (dpvs.conf.read_bytes(), dpvs.process.poll()) == (before, None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"global_defs": {"pdump": "maybe"}}, "pdump is on or off, not 'maybe'"),
        ({"global_defs": {"pdump": None}}, "pdump is on or off, not 'None'"),
        ({"global_defs": {"frob": True}}, "is no key of global_defs that DPVS knows"),
        ({"global_defs": {"pdump": True}, "path": "/etc/none/dpvs.conf"}, "there is no /etc/none/dpvs.conf on this host"),
        ({"global_defs": {"pdump": True}, "restart": "no-such-dpvs"}, "no s"),  # no systemd, or no service
    ],
)
def test_bad_input_is_one_sentence_and_the_file_stays(make: Make, box: Box, arguments: dict[str, t.Any], sentence: str) -> None:
    dpvs = make().start()
    before = dpvs.conf.read_bytes()
    failed = box.module("dpvs_config", **{"path": str(dpvs.conf), **arguments})
    assert failed["failed"] is True
    assert sentence in failed["msg"]
    assert dpvs.conf.read_bytes() == before


def test_without_a_running_dpvs(make: Make, box: Box) -> None:
    dpvs = make()
    done = box.module("dpvs_config", global_defs={"pdump": True}, path=str(dpvs.conf), reload=True)
    assert (done["restart_required"], done["notes"]) == (False, ["no running DPVS uses this file: it takes effect when one starts"])
    dpvs.start()
    assert "CFG_FILE: pdump = on" in (dpvs.folder / "stderr").read_text()  # it knows its log_file a line later


def _pid(dpvs: Instance) -> int:
    assert dpvs.process is not None
    return dpvs.process.pid
