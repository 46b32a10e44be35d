# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a kernel module may be unloaded: every reason against it, from recorded files of the kernel."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.module_reload import (
    default_route_devices,
    refuse_reload,
    reload_module,
    ssh_addresses,
)

from tests.unit.plugins.module_utils.recorded import Recorded

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
ROUTES = HEAD + "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\neth1\t00004E0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
NONE = "0" * 32
ROUTES6 = (
    f"fe80{'0' * 28} 40 {NONE} 00 {NONE} 00000100 00000001 00000000 00000001     eth1\n"
    f"{NONE} 00 {NONE} 00 fe80{'0' * 27}1 00000400 00000001 00000000 00450003     eth2\n"
    f"{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo\n"
)
SOCKETS = (  # ss of iproute2 6.1
    '0      0                10.77.0.2:22     10.77.255.254:52472 users:(("sshd",pid=771,fd=4))\n'
    '0      0      [::ffff:10.77.0.3]:2222   [::ffff:10.0.0.9]:41000 users:(("sshd-session",pid=9,fd=4))\n'
    "0      0   [fe80::1%eth3]:22   [fe80::2]:41000\n"
    '0      0                10.77.0.4:443          10.0.0.9:41000 users:(("nginx",pid=7,fd=4))\n'
)
NET, MODULE = "/sys/class/net/ens1", "/sys/module/mlx4_core"
FILES = {f"{MODULE}/refcnt": "0\n", f"{NET}/operstate": "up\n", "/proc/net/route": HEAD, "/proc/net/ipv6_route": ""}
LINKS = {f"{NET}/device/driver/module": MODULE}
SAID = {
    "ip -o address show dev ens1": (0, "4: ens1    inet 10.78.0.2/16 scope global ens1\\       valid_lft forever\n", ""),
    "ss -Htnp state established": (0, SOCKETS, ""),
    "modprobe -r mlx4_core": (0, "", ""),
    "modprobe mlx4_core": (0, "", ""),
}


def test_a_module_that_nothing_needs_may_go() -> None:
    refuse_reload(Recorded(FILES, SAID, LINKS), "mlx4_core")


IN_USE = {"/sys/module/ib_iser/refcnt": "0\n", "/dev/infiniband/uverbs0": "", "/proc/812/comm": "ib_write_bw\n"}
OPEN = {"/proc/812/fd/5": "/dev/infiniband/uverbs0"}
DRIVER = dict.fromkeys((f"{MODULE}/drivers/pci:mlx4_core/{name}" for name in ("bind", "module", "new_id", "remove_id", "uevent", "unbind")), "")


def test_users_of_rdma_do_not_matter_to_a_driver_without_a_device() -> None:
    refuse_reload(Recorded({**FILES, **IN_USE, **DRIVER}, SAID, {**LINKS, **OPEN}), "mlx4_core")
    for files in ({**FILES, **IN_USE}, {**FILES, **IN_USE, **DRIVER, f"{MODULE}/drivers/pci:mlx4_core/0000:04:00.0": ""}):
        with pytest.raises(Refused, match=r"storage over RDMA may be in use \(ib_iser loaded\); processes have /dev/infiniband open"):
            refuse_reload(Recorded(files, SAID, {**LINKS, **OPEN}), "mlx4_core")


@pytest.mark.parametrize(
    ("files", "links", "said", "words"),
    [
        ({}, {f"{MODULE}/holders/mlx4_en": "x"}, {}, "mlx4_en use it: unload them first"),
        ({f"{MODULE}/refcnt": "2\n"}, {}, {}, "its reference count is 2"),
        ({}, {f"{NET}/upper_bond0": "x"}, {}, "bond0 stands on ens1"),
        ({f"{NET}/device/sriov_numvfs": "4\n"}, {}, {}, "ens1 has virtual functions"),
        ({"/proc/net/route": ROUTES.replace("eth0", "ens1")}, {}, {}, "ens1 carries the default route"),
        ({"/proc/net/ipv6_route": ROUTES6.replace("eth2", "ens1")}, {}, {}, "ens1 carries the default route"),
        ({}, {}, {"ip -o address show dev ens1": (0, "4: ens1    inet 10.77.0.2/16 scope global", "")}, "carries an ssh connection"),
        ({}, {}, {"ss -Htnp state established": (255, "", "Cannot open netlink socket")}, "carries an ssh connection"),
        ({"/sys/module/nvme_rdma/refcnt": "0\n"}, {}, {}, "storage over RDMA may be in use (nvme_rdma loaded)"),
        ({"/etc/init.d/openibd": ""}, {}, {}, "belong to MLNX_OFED: use /etc/init.d/openibd restart"),
        (
            {"/dev/infiniband/uverbs0": "", "/proc/812/comm": "ib_write_bw\n"},
            {"/proc/812/fd/5": "/dev/infiniband/uverbs0"},
            {},
            "processes have /dev/infiniband open: ib_write_bw (812)",
        ),
    ],
)
def test_a_module_that_something_needs_stays(
    files: dict[str, str], links: dict[str, str], said: dict[str, tuple[int, str, str]], words: str
) -> None:
    with pytest.raises(Refused) as refused:
        refuse_reload(Recorded({**FILES, **files}, {**SAID, **said}, {**LINKS, **links}), "mlx4_core")
    assert words in str(refused.value)


def test_a_reload_unloads_and_loads() -> None:
    host = Recorded(FILES, SAID, LINKS)
    reload_module(host, "mlx4_core")
    assert host.ran == ["modprobe -r mlx4_core", "modprobe mlx4_core"]


def test_a_reload_that_fails_says_modprobes_words() -> None:
    said = {**SAID, "modprobe -r mlx4_core": (1, "", "modprobe: FATAL: Module mlx4_core is in use.")}
    with pytest.raises(Refused, match="modprobe -r mlx4_core: modprobe: FATAL: Module mlx4_core is in use"):
        reload_module(Recorded(FILES, said, LINKS), "mlx4_core")


def test_default_routes_of_both_families_are_found() -> None:
    assert default_route_devices(ROUTES, ROUTES6) == {"eth0", "eth2"}


def test_ssh_is_found_by_port_and_by_program() -> None:
    assert ssh_addresses(SOCKETS) == {"10.77.0.2", "10.77.0.3", "fe80::1"}
