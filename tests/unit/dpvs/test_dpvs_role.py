# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role dpvs_capture as ansible-playbook runs it, on a double of DPVS."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import typing as t

import pytest

from tests.dpvs.place import Instance

if t.TYPE_CHECKING:
    from tests.unit.dpvs.conftest import Box, Make

pytestmark = pytest.mark.real

ROOT = pathlib.Path(__file__).resolve().parents[3]


def play(box: Box, dpvs: Instance, folder: pathlib.Path, **variables: t.Any) -> tuple[int, int, str]:
    """Apply the role; return (exit code, how many tasks changed something, output)."""
    names = {"dpvs_capture_ipc_file": str(dpvs.ipc), "dpvs_capture_conf": str(dpvs.conf), **variables}
    tasks = [{"hosts": "localhost", "gather_facts": False, "name": "X", "roles": [{"role": "wirefleet.capture.dpvs_capture", **names}]}]
    (folder / "play.yml").write_text(json.dumps(tasks))
    program = str(pathlib.Path(sys.executable).parent / "ansible-playbook")
    argv = [*box.enter, "env", f"--chdir={ROOT}", program, "-i", "localhost,", "-c", "local", "-e"]
    argv += [f"ansible_python_interpreter={sys.executable}", str(folder / "play.yml")]
    environment = {**box.environment, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache/tree"), "ANSIBLE_LOCALHOST_WARNING": "false"}
    done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environment)
    changed = int((done.stdout.rpartition("changed=")[2].split() or ["-1"])[0])
    return done.returncode, changed, done.stdout


def test_shows_packets_once_and_puts_everything_back(make: Make, box: Box, tmp_path: pathlib.Path) -> None:
    dpvs = make().start()
    before = dpvs.conf.read_bytes()
    wanted = {"dpvs_capture_ports": ["dpdk0"], "dpvs_capture_global_defs": {"pdump": True}}
    code, changed, said = play(box, dpvs, tmp_path, **wanted)
    assert (code, changed) == (0, 2), said
    assert "DPVS runs with other values than" in said
    assert f"tcpdump -i dpdk0.kni in network namespace {dpvs.netns}" in said
    assert "ward2kni" in dpvs.dpip("link", "show", "dpdk0").stdout
    assert play(box, dpvs, tmp_path, **wanted)[:2] == (0, 0)
    code, changed, said = play(box, dpvs, tmp_path, dpvs_capture_state="absent")
    assert (code, changed) == (0, 1), said
    assert "ward2kni" not in dpvs.dpip("link", "show", "dpdk0").stdout
    assert dpvs.conf.read_bytes() == before


def test_an_unknown_port_is_one_sentence(make: Make, box: Box, tmp_path: pathlib.Path) -> None:
    code, _changed, said = play(box, make().start(), tmp_path, dpvs_capture_ports=["dpdk9"])
    assert code != 0
    assert "DPVS has no port 'dpdk9': it has dpdk0, dpdk1" in said
