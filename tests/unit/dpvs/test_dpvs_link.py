# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module dpvs_link on doubles of DPVS: what it changes, refuses, survives and puts back."""

from __future__ import annotations

import os
import pathlib
import signal
import typing as t

import pytest

from tests.dpvs.place import Instance, run

if t.TYPE_CHECKING:
    from tests.unit.dpvs.conftest import Box, Make

pytestmark = pytest.mark.real

KNI_OFF = "global_defs {\nkni off\n}\nnetif_defs {\ndevice dpdk0 {\n}\n}\n"
BOND = "netif_defs {\ndevice dpdk0 {\n}\ndevice dpdk1 {\n}\nbonding bond0 {\nslave dpdk0\nslave dpdk1\nkni_name bk0\n}\n}\n"


def forwards(dpvs: Instance, port: str = "dpdk0") -> bool:
    return "ward2kni" in dpvs.dpip("link", "show", port).stdout


def is_up(dpvs: Instance, device: str = "dpdk0.kni") -> bool:
    return ",UP" in run("ip", "-o", "link", "show", device, netns=dpvs.netns).stdout


@pytest.mark.parametrize("spelling", ["foward2kni", "forward2kni"])
def test_on_again_and_off(make: Make, box: Box, spelling: str) -> None:
    dpvs = make(spelling=spelling, more="new-flag").start()
    wanted = {"ports": ["dpdk0"], "ipc_file": str(dpvs.ipc)}
    foreseen = box.module("dpvs_link", check=True, forward2kni=True, **wanted)
    assert (forwards(dpvs), is_up(dpvs), box.run("ls", "/var/lib")) == (False, False, "")
    done = box.module("dpvs_link", forward2kni=True, **wanted)
    assert {name: done[name] for name in foreseen if name != "invocation"} == {
        name: foreseen[name] for name in foreseen if name != "invocation"
    }
    assert (done["changed"], forwards(dpvs), is_up(dpvs)) == (True, True, True)
    assert done["capture_on"] == {"dpdk0": {"device": "dpdk0.kni", "netns": dpvs.netns}}
    assert done["before"] == {"forward2kni": {"dpdk0": False}, "kni_up": {"dpdk0.kni": False}}
    assert done["diff"]["prepared"].splitlines()[1].endswith("dpvs link dpdk0/forward2kni: off -> on")
    again = box.module("dpvs_link", forward2kni=True, **wanted)
    assert (again["changed"], again["commands"]) == (False, [])
    over = box.module("dpvs_link", forward2kni=False, **wanted)
    assert (over["changed"], forwards(dpvs), is_up(dpvs)) == (True, False, False)


def test_a_campaign_puts_back_flag_and_link(make: Make, box: Box) -> None:
    dpvs = make().start()
    run("ip", "link", "set", "mykni0", "up", netns=dpvs.netns)
    box.module("dpvs_link", ports=["dpdk0", "dpdk1"], forward2kni=True, ipc_file=str(dpvs.ipc), campaign="storm")
    assert (forwards(dpvs), forwards(dpvs, "dpdk1"), is_up(dpvs)) == (True, True, True)
    assert (
        "the open campaign storm relies on on" in box.module("dpvs_link", port=["dpdk0"], forward2kni=False, ipc_file=str(dpvs.ipc))["msg"]
    )
    outcomes = box.restored("storm")
    assert outcomes == {"dpdk0/forward2kni": "restored", "dpdk1/forward2kni": "restored", "dpdk0.kni": "restored"}
    assert (forwards(dpvs), forwards(dpvs, "dpdk1"), is_up(dpvs), is_up(dpvs, "mykni0")) == (False, False, False, True)


def test_two_instances_have_a_dpdk0_each(make: Make, box: Box) -> None:
    one, other = make("a").start(), make("b").start()
    done = box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(other.ipc))
    assert done["capture_on"]["dpdk0"]["netns"] == other.netns
    assert (forwards(one), is_up(one), forwards(other), is_up(other)) == (False, False, True, True)


def test_a_restart_of_dpvs_ends_the_change(make: Make, box: Box) -> None:
    dpvs = make().start()
    box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc), campaign="storm")
    dpvs.kill()
    dpvs.start()
    assert box.restored("storm") == {"dpdk0/forward2kni": "already", "dpdk0.kni": "already"}


def test_a_dpvs_that_is_gone_leaves_nothing_to_put_back(make: Make, box: Box) -> None:
    dpvs = make().start()
    box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc), campaign="storm")
    dpvs.kill()
    assert box.restored("storm") == {"dpdk0/forward2kni": "gone", "dpdk0.kni": "gone"}


@pytest.mark.parametrize(
    ("options", "arguments", "sentence"),
    [
        ({}, {"ports": ["dpdk9"]}, "DPVS has no port 'dpdk9': it has dpdk0, dpdk1"),
        (
            {"vlans": "dpdk0.102"},
            {"ports": ["dpdk0.102"]},
            "it is a VLAN or tunnel device: forward2kni would copy nothing there and take away",
        ),
        ({"conf": BOND}, {"ports": ["dpdk0"]}, "dpdk0 is a slave of bond0 and has no KNI device: capture bond0"),
        (
            {"conf": KNI_OFF},
            {"ports": ["dpdk0"]},
            "has kni off; set it on (module dpvs_config) and restart DPVS, or capture with dpdk-pdump",
        ),
        ({}, {"ports": ["dpdk0"], "kni": "nokni"}, "dpdk0 has no KNI device (nokni) in DPVS's network namespace: check its name"),
        ({}, {"ports": ["dpdk0", "dpdk1"], "kni": "mykni0"}, "kni names the device of one port"),
        (
            {},
            {"ports": ["dpdk0"], "ipc_file": "/var/run/none.ipc"},
            "/var/run/none.ipc: no DPVS runs with this IPC file: start it, or name",
        ),
        ({}, {"ports": ["dpdk0"], "ipc_file": "/" + "x" * 108}, "cannot be DPVS's IPC file"),
        ({"deaf": "1"}, {"ports": ["dpdk0"]}, "dpdk0/forward2kni was set to on, but reads off afterwards"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_stays_changed(
    make: Make, box: Box, options: dict[str, str], arguments: dict[str, t.Any], sentence: str
) -> None:
    dpvs = make(**options).start()
    failed = box.module("dpvs_link", **{"ipc_file": str(dpvs.ipc), "forward2kni": True, **arguments})
    assert failed["failed"] is True
    assert sentence in failed["msg"]
    assert (forwards(dpvs, ""), is_up(dpvs)) == (False, False)
    assert box.run("grep", "-rc", "do.:.lease", "/var/lib/wirefleet").count(":1") == 0


def test_a_bond_is_captured_on_its_own_device(make: Make, box: Box) -> None:
    dpvs = make(conf=BOND).start()
    assert box.module("dpvs_link", ports=["bond0"], forward2kni=True, ipc_file=str(dpvs.ipc))["capture_on"]["bond0"]["device"] == "bk0"
    assert (forwards(dpvs, "bond0"), is_up(dpvs, "bk0")) == (True, True)


def test_a_dead_dpvs_left_its_socket(make: Make, box: Box) -> None:
    dpvs = make().start()
    dpvs.kill()
    failed = box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc))
    assert failed["msg"] == f"{dpvs.ipc}: nobody serves this socket, a DPVS that died left it: start DPVS again"


def test_without_root(make: Make, box: Box, tmp_path: pathlib.Path) -> None:
    dpvs = make().start()
    for folder in (tmp_path, *tmp_path.parents[:-2], dpvs.programs, *dpvs.programs.parents[:-2]):
        os.chmod(folder, 0o755)
    failed = box.module("dpvs_link", uid=65534, ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc))
    assert failed["msg"] == f"{dpvs.ipc}: the socket is root's: use become"


@pytest.mark.parametrize("forward2kni", [True, False])
def test_a_hung_dpvs_is_not_waited_for(make: Make, box: Box, forward2kni: bool) -> None:
    dpvs = make().start()
    dpvs.signal(signal.SIGSTOP)
    failed = box.module("dpvs_link", ports=["dpdk0"], forward2kni=forward2kni, ipc_file=str(dpvs.ipc))
    assert f"DPVS did not answer on {dpvs.ipc} within 5 s: it is starting (up to 30 s for each port), stopped or hung" in failed["msg"]
    dpvs.signal(signal.SIGCONT)
    assert not forwards(dpvs)


def test_a_starting_dpvs_is_told_from_one_that_runs(make: Make, box: Box, tmp_path: pathlib.Path) -> None:
    gate = tmp_path / "gate"
    dpvs = make(start_gate=str(gate))
    dpvs.launch()
    dpvs.wait(dpvs.ipc.exists)
    assert "it is starting" in box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc))["msg"]
    gate.touch()
    dpvs.wait(dpvs.serves)
    assert box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc))["changed"] is True


def test_no_dpip(make: Make, box: Box) -> None:
    dpvs = make().start()
    box.environment["PATH"] = os.environ["PATH"]
    failed = box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc))
    assert failed["msg"] == "dpip is not installed on this host, or not in its PATH: link DPVS's bin/dpip into /usr/local/sbin"


def test_the_kni_name_of_dpvs_conf_is_used(make: Make, box: Box) -> None:
    dpvs = make().start()
    assert box.module("dpvs_link", ports=["dpdk1"], forward2kni=True, ipc_file=str(dpvs.ipc))["capture_on"]["dpdk1"]["device"] == "mykni0"


def test_a_set_that_got_no_answer_is_told_and_put_back_later(make: Make, box: Box) -> None:
    """DPVS hangs between the reading and the set, which it carries out when it comes back."""
    dpvs = make(hang_on_set="1").start()
    failed = box.module("dpvs_link", ports=["dpdk0"], forward2kni=True, ipc_file=str(dpvs.ipc), campaign="storm")
    assert "the request waits in its queue and may still be carried out: look again with dpip link show" in failed["msg"]
    assert "could not be put back" in failed["msg"]
    dpvs.signal(signal.SIGCONT)
    dpvs.wait(lambda: forwards(dpvs))
    assert box.restored("storm")["dpdk0/forward2kni"] == "restored"
    assert (forwards(dpvs), is_up(dpvs)) == (False, False)
