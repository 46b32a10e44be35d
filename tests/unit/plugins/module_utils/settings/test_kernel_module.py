# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in and out of the kernel: what is against it, as pure decisions and from a recorded host with irdma."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.kernel_module import KernelModule
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.module_unload import (
    Surroundings,
    connections,
    hindrances,
    needed,
    unload,
)

from tests.unit.plugins.module_utils.recorded import Recorded

#: As `rdma resource show qp` of iproute2 6.1 prints it: the kernel's own queue pairs, one of NFS, one of a program.
QPS = """link rocep1s0/1 lqpn 1 type GSI state RTS sq-psn 0 comm [ib_core]
link rocep1s0/1 lqpn 2 type UD state RTS sq-psn 0 comm [ib_core]
link rocep1s0/1 lqpn 5 rqpn 9 type RC state RTS rq-psn 1 sq-psn 2 path-mig-state MIGRATED pdn 3 comm [rpcrdma]
link rocep1s0/1 lqpn 6 rqpn 8 type RC state RTS rq-psn 1 sq-psn 2 path-mig-state MIGRATED pdn 4 pid 812 comm ib_write_bw
link rocep1s0/1 lqpn 7 rqpn 7 type RC state RTS rq-psn 1 sq-psn 2 path-mig-state MIGRATED pdn 4 pid 812 comm ib_write_bw
"""
DEPENDS = "".join(f"insmod /lib/modules/6.1.0/kernel/{name}.ko.xz \n" for name in ("ib_core", "ib_uverbs", "ice", "irdma"))
FILES = {"/sys/module/irdma/refcnt": "0\n", "/dev/infiniband/uverbs0": "", "/proc/1/comm": "systemd\n"}
SAID = {
    "modprobe --show-depends irdma": (0, DEPENDS, ""),
    "rdma resource show qp": (0, QPS.splitlines(keepends=True)[0], ""),
    "rmmod irdma": (0, "", ""),
}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"kernel": ["it is in use (its reference count is 2)"]}, "reference count is 2"),
        ({"tunnels": ["tor1"]}, "the tunnels tor1 would be gone with it"),
        ({"rdma": True, "configured": ["/sys/kernel/config/irdma/rocep1s0"]}, "remove these folders first (rmdir)"),
        ({"rdma": True, "rdma_users": ["ib_write_bw (812)"]}, "processes have /dev/infiniband open: ib_write_bw (812)"),
        ({"rdma": True, "rdma_connections": ["rocep1s0: rpcrdma"]}, "RDMA connections are open: rocep1s0: rpcrdma"),
        ({"rdma": True, "rdma_storage": ["nvme_rdma"]}, "storage over RDMA may be in use (nvme_rdma loaded)"),
        ({"rdma": True, "vendor_script": True}, "the drivers belong to MLNX_OFED"),
    ],
)
def test_each_reason_is_told(seen: dict[str, t.Any], words: str) -> None:
    (reason,) = hindrances(Surroundings("irdma", **seen))
    assert words in reason


def test_rdma_is_no_reason_for_a_module_that_has_nothing_to_do_with_it() -> None:
    assert hindrances(Surroundings("dummy", rdma_users=["ib_write_bw (812)"], rdma_storage=["nvme_rdma"], vendor_script=True)) == []


def test_connections_are_those_that_carry_data() -> None:
    assert connections(QPS) == ["rocep1s0: rpcrdma", "rocep1s0: ib_write_bw"]
    assert connections("") == []


def test_irdma_goes_where_nothing_uses_it() -> None:
    host = Recorded(FILES, SAID)
    unload(host, "irdma")
    assert host.ran[-1] == "rmmod irdma"


@pytest.mark.parametrize(
    ("files", "links", "said", "words"),
    [
        ({"/sys/kernel/config/irdma/rocep1s0/ports": ""}, {}, {}, "it is configured by /sys/kernel/config/irdma/rocep1s0: remove"),
        ({"/proc/812/comm": "ib_write_bw\n"}, {"/proc/812/fd/5": "/dev/infiniband/uverbs0"}, {}, "ib_write_bw (812)"),
        ({}, {}, {"rdma resource show qp": (0, QPS, "")}, "RDMA connections are open: rocep1s0: rpcrdma, rocep1s0: ib_write_bw"),
        ({"/sys/module/irdma/refcnt": "1\n"}, {}, {}, "its reference count is 1"),
    ],
)
def test_irdma_stays_where_something_uses_it(
    files: dict[str, str], links: dict[str, str], said: dict[str, tuple[int, str, str]], words: str
) -> None:
    host = Recorded({**FILES, **files}, {**SAID, **said}, links)
    with pytest.raises(Refused) as refused:
        unload(host, "irdma")
    assert str(refused.value).startswith("irdma stays loaded: ") and words in str(refused.value)
    assert "rmmod irdma" not in host.ran


def test_storage_modules_count_only_where_nothing_tells_of_connections() -> None:
    files = {**FILES, "/sys/module/ib_iser/refcnt": "0\n"}
    unload(Recorded(files, SAID), "irdma")
    with pytest.raises(Refused, match="ib_iser loaded"):
        unload(Recorded(files, {words: said for words, said in SAID.items() if not words.startswith("rdma ")}), "irdma")


def test_tunnels_keep_their_module_but_those_that_it_makes_itself_do_not() -> None:
    links = [
        {"ifname": name, "mtu": 1450, "flags": [], "linkinfo": {"info_kind": "erspan", "info_data": {}}} for name in ("erspan0", "tor1")
    ]
    said = {"ip -d -j link show": (0, json.dumps(links), ""), "modprobe --show-depends ip_gre": (0, "", ""), "rmmod ip_gre": (0, "", "")}
    with pytest.raises(Refused, match="the tunnels tor1 would be gone"):
        unload(Recorded({"/sys/module/ip_gre/refcnt": "0\n"}, said), "ip_gre")
    alone = {**said, "ip -d -j link show": (0, json.dumps(links[:1]), "")}
    unload(Recorded({"/sys/module/ip_gre/refcnt": "0\n"}, alone), "ip_gre")


def test_what_a_module_needs_comes_before_it() -> None:
    assert needed(Recorded(said=SAID), "irdma") == ["ib_core", "ib_uverbs", "ice", "irdma"]
    assert needed(Recorded(), "irdma") == ["irdma"]


@pytest.mark.parametrize(
    ("said", "wish", "words"),
    [
        ({"modinfo -F filename x": (1, "", "not found"), "uname -r": (0, "6.18.4\n", "")}, True, "kernel 6.18.4 has no module x"),
        ({}, True, "kmod is not installed"),
        ({"modinfo -F filename x": (0, "(builtin)\n", "")}, False, "x is built into this kernel and cannot be unloaded"),
        ({"modinfo -F filename x": (0, "(builtin)\n", "")}, "yes", "x is either loaded or not"),
    ],
)
def test_what_cannot_be_is_refused(said: dict[str, tuple[int, str, str]], wish: t.Any, words: str) -> None:
    reading = KernelModule().read(Recorded(said=said), "x", ["loaded"])
    with pytest.raises(Refused) as refused:
        KernelModule().resolve("x", {"loaded": wish}, reading)
    assert words in str(refused.value)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(Refused, match="not the name of a kernel module"):
        KernelModule().read(Recorded(), "../x", ["loaded"])
