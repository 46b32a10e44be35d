# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it, on real veth devices, with a /var/lib of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import typing as t

import pytest

pytestmark = pytest.mark.real

MODULE = """
import json, os, sys
from ansible.module_utils.testing import patch_module_args
from ansible_collections.wirefleet.capture.plugins.modules import ethtool
os.setuid(int(sys.argv[2]))
with patch_module_args(json.loads(sys.argv[1])):
    ethtool.main()
"""
SETUP = "mount -t tmpfs none /var/lib && ip link add v0 type veth peer name v1 && ip link set v0 up && echo ready && exec sleep 600"


class Box:
    """Namespaces with v0, v1 and an empty /var/lib."""

    def __init__(self, pid: int) -> None:
        self.enter = ["nsenter", "-t", str(pid), "--net", "--mount"]

    def run(self, *argv: str) -> str:
        return subprocess.run([*self.enter, *argv], check=False, capture_output=True, text=True).stdout

    def module(self, check: bool = False, uid: int = 0, **arguments: t.Any) -> dict[str, t.Any]:
        """Return the module's result, of a failure too."""
        parameters = {**arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
        argv = [*self.enter, sys.executable, "-c", MODULE, json.dumps(parameters), str(uid)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, env=environment)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def box() -> t.Iterator[Box]:
    missing = [program for program in ("unshare", "nsenter", "ip", "ethtool") if not shutil.which(program)]
    if missing or os.geteuid():
        pytest.skip(f"needs root and {', '.join(missing)}" if missing else "needs root, to make namespaces")
    argv = ["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", SETUP]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n"
            yield Box(holder.pid)
        finally:
            holder.terminate()


def test_check_mode_predicts_what_the_run_does_and_writes_nothing(box: Box) -> None:
    before = box.run("ethtool", "-k", "v0")
    foreseen = box.module(check=True, device="v0", features={"gro": True, "tso": False})
    assert (box.run("ethtool", "-k", "v0"), box.run("ls", "/var/lib")) == (before, "")
    done = box.module(device="v0", features={"gro": True, "tso": False})
    assert {name: done[name] for name in foreseen if name != "invocation"} == {
        name: foreseen[name] for name in foreseen if name != "invocation"
    }
    assert done["changed"] is True
    assert done["before"]["v0"]["features"]["rx-gro"] is False
    assert done["after"]["v0"]["features"]["rx-gro"] is True
    assert "v0 rx-gro: off -> on\n" in done["diff"]["prepared"]
    assert len(done["diff"]["prepared"].splitlines()) == len(done["after"]["v0"]["features"])
    assert "generic-receive-offload: on" in box.run("ethtool", "-k", "v0")


def test_second_run_changes_nothing(box: Box) -> None:
    box.module(device="v0", features={"gro": True})
    for check in (True, False):
        again = box.module(check=check, device="v0", features={"gro": True})
        assert (again["changed"], again["commands"], again["diff"]) == (False, [], {"prepared": ""})
        assert again["before"] == again["after"] == {"v0": {"features": {"rx-gro": True}}}


def test_nothing_to_change_leaves_no_journal(box: Box) -> None:
    assert box.module(device="v0", features={"gro": False})["changed"] is False
    assert box.run("find", "/var/lib/wirefleet", "-name", "journal.ndjson") == ""


@pytest.mark.parametrize("name", ["device", "interface", "name"])
def test_device_by_any_of_its_names(box: Box, name: str) -> None:
    assert box.module(**{name: "v0"}, features={"generic_receive_offload": "on"})["after"] == {"v0": {"features": {"rx-gro": True}}}


def test_several_devices_in_one_call(box: Box) -> None:
    done = box.module(devices=["v0", "v1"], features={"gro": True})
    assert done["after"] == {device: {"features": {"rx-gro": True}} for device in ("v0", "v1")}
    assert done["commands"] == ["ethtool -K v0 rx-gro on", "ethtool -K v1 rx-gro on"]


def test_no_devices_are_nothing_to_do(box: Box) -> None:
    done = box.module(devices=[], features={"gro": True})
    assert (done["changed"], done["after"]) == (False, {})


def test_side_effects_are_told(box: Box) -> None:
    effects = box.module(device="v0", features={"sg": False})["side_effects"]
    assert {"setting": "ethtool_feature v0 tx-generic-segmentation", "before": True, "after": False} in effects


def test_journal_of_a_campaign(box: Box) -> None:
    box.module(device="v0", features={"gro": True}, campaign="storm")
    assert "journal.ndjson" in box.run("ls", "/var/lib/wirefleet/storm")
    assert (
        box.run("stat", "-c", "%a", "/var/lib/wirefleet/storm/journal.ndjson", "/var/lib/wirefleet/storm", "/var/lib/wirefleet")
        == "600\n700\n700\n"
    )
    assert "the open campaign storm relies on on" in box.module(device="v0", features={"gro": False})["msg"]
    assert "the open campaign storm relies on on" in box.module(check=True, device="v0", features={"gro": False})["msg"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"device": "v9", "features": {"gro": True}}, "there is no network device 'v9' on this host: it has v1, v0"),
        ({"device": "v0", "features": {"gro": "perhaps"}}, "gro is either true or false, not 'perhaps'"),
        ({"device": "v0", "features": {"lro": True}}, "v0: the driver keeps lro off ([fixed] in ethtool -k), so it cannot be turned on"),
        ({"device": "v0", "ring": {"rx": "max"}}, "v0 has no rx ring: its driver has none that can be set"),
        ({"device": "v0", "ring": {"rx": "many"}}, "ring rx is a number of descriptors or max, not 'many'"),
        ({"device": "v0", "features": {"gro": True}, "campaign": "../x"}, "'../x' cannot be a campaign id"),
        (
            {"device": "v0", "features": {"gro": True}, "expires": "soon"},
            "'soon' is no duration: write for example 30m, 2h or 1d, or forever",
        ),
        ({"device": "v0"}, "one of the following is required: features, private_flags, ring"),
        ({"features": {"gro": True}}, "one of the following is required: device, devices"),
    ],
)
def test_bad_input_is_one_sentence_before_anything_is_touched(box: Box, arguments: dict[str, t.Any], sentence: str) -> None:
    before = box.run("ethtool", "-k", "v0")
    for check in (True, False):
        failed = box.module(check=check, **arguments)
        assert failed["failed"] is True
        assert failed["msg"].startswith(sentence)
    assert box.run("ethtool", "-k", "v0") == before


def test_without_root_it_says_so(box: Box) -> None:
    assert box.module(device="v0", features={"gro": True}, uid=65534)["msg"] == "changing settings needs root on the host: use become"


def test_driver_without_the_sniffer_flag_says_what_to_do_instead(box: Box) -> None:
    failed = box.module(device="v0", private_flags={"sniffer": True})
    assert failed["msg"] == (
        "v0: its driver veth has no private flag 'sniffer' (only MLNX_OFED up to 4.9 and 5.0 has it): "
        "there is no RDMA hardware behind it, so plain tcpdump on it already sees every packet"
    )
