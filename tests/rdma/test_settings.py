# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drivers of real kernels: mlx4_core and mlx5_core with live parameters, rings and features of emulated cards."""

from __future__ import annotations

import json

import pytest

from tests.integration.fleet import RESTORED, wait_until
from tests.rdma.journey import there_and_back

HOST = "guest1"
E1000E, VMXNET3, VIRTIO = "eth2", "eth3", "eth1"
LABNIC = "ens1f0np0"
#: Seconds in which what is waited for has happened also on a machine that has much else to do.
LONG = 300
MLX4, MLX5 = ({"name": name} for name in ("mlx4_core", "mlx5_core"))
STEERING = {**MLX4, "options": {"log_num_mgm_entry_size": -1}}
LIVE = "/sys/module/mlx4_core/parameters/log_num_mgm_entry_size"


@pytest.fixture(scope="module", autouse=True)
def host(guest1):
    """The guest with both drivers loaded and its cards up; afterwards it is as it was."""
    guests = guest1
    guests.ssh(HOST, f"ip link set {E1000E} up; ip link set {VMXNET3} up; modprobe -r mlx4_core mlx5_core; modprobe -a mlx4_core mlx5_core")
    before = state(guests)
    yield guests
    result = guests.module(HOST, *RESTORED)
    assert {row["outcome"] for row in result["restored"]} <= {"restored", "already"}, result
    assert state(guests) == before
    guests.ssh(HOST, f"modprobe -r mlx4_core mlx5_core; ip link set {E1000E} down; ip link set {VMXNET3} down; rm -rf /var/lib/wirefleet")


def state(guests):
    shown = "; ".join(f"ethtool {word} {card}" for card in (E1000E, VMXNET3, VIRTIO) for word in ("-g", "-k"))
    return guests.ssh(HOST, f"{shown}; ethtool --show-priv-flags {E1000E}; ls /etc/modprobe.d")


def options(guests, check=False, **arguments):
    return guests.module(HOST, "modprobe_options", arguments, check=check)


def test_mlx4_is_stored_and_reloaded_where_nothing_holds_it(guests):
    guests.ssh(HOST, "modprobe mlx4_en")
    done = options(guests, **STEERING)
    assert done["commands"] == ["write /etc/modprobe.d/wirefleet-mlx4_core.conf: options mlx4_core log_num_mgm_entry_size=-1"]
    assert (done["running"], done["reload_required"]) == ({"log_num_mgm_entry_size": "10"}, True)
    assert done["initramfs_update_required"] is False
    held = options(guests, **STEERING, reload=True)
    assert held["msg"] == "mlx4_core is not reloaded: mlx4_en use it: unload them first"
    unknown = options(guests, **MLX4, options={"prof_sel": 1})
    assert unknown["msg"].startswith("mlx4_core has no parameter 'prof_sel'")
    guests.ssh(HOST, "rmmod mlx4_en")
    assert guests.ssh(HOST, f"cat {LIVE}") == "10"
    reloaded = options(guests, **STEERING, reload=True)
    assert (reloaded["running"], reloaded["reload_required"]) == ({"log_num_mgm_entry_size": "-1"}, False)
    assert guests.ssh(HOST, f"cat {LIVE}; ls -d /sys/module/ib_iser") == "-1\n/sys/module/ib_iser", "rdma-core loads it on RDMA hosts"


def test_mlx5_has_parameters_of_its_own(guests):
    refused = options(guests, **MLX5, options={"log_num_mgm_entry_size": -1})
    assert refused["msg"].startswith("mlx5_core has no parameter 'log_num_mgm_entry_size', and would ignore it with a warning: it has debug_mask")
    guests.ssh(HOST, "modprobe mlx5_ib")
    held = options(guests, **MLX5, options={"prof_sel": 3}, reload=True)
    assert held["msg"] == "mlx5_core is not reloaded: mlx5_ib use it: unload them first"
    stored = options(guests, **MLX5, options={"prof_sel": 3})
    assert (stored["reload_required"], stored["initramfs_update_required"]) == (True, False)
    guests.ssh(HOST, "rmmod mlx5_ib")
    done = options(guests, **MLX5, options={"prof_sel": 3}, reload=True)
    assert (done["running"], done["commands"]) == ({"prof_sel": "3"}, ["modprobe -r mlx5_core", "modprobe mlx5_core"])
    assert guests.ssh(HOST, "cat /sys/module/mlx5_core/parameters/prof_sel") == "3"


def test_module_in_the_initramfs_is_said_with_debians_command(guests):
    foreseen = options(guests, check=True, name="virtio_blk", options={"queue_depth": 64})
    assert foreseen["initramfs_update_required"] is True
    assert "virtio_blk is in the initramfs: run update-initramfs -u, or the old options come back at boot" in foreseen["notes"]


@pytest.mark.parametrize(
    ("name", "wanted", "sentence"),
    [
        ("mlx4_core", {"log_num_mgm_entry_size": "ten"}, "'ten' is no value for mlx4_core log_num_mgm_entry_size (int), the module would not load"),
        ("tcp_cubic", {"beta": 700}, "tcp_cubic is built into this kernel, where modprobe options do not reach: use its command line"),
        ("mlx9_core", {"a": 1}, "has no module mlx9_core: check its name, or install the driver for this kernel"),
    ],
)
def test_what_no_module_takes(guests, name, wanted, sentence):
    assert sentence in options(guests, name=name, options=wanted)["msg"]


def test_etc_that_cannot_be_written(guests):
    guests.ssh(HOST, "mount --bind /etc /etc && mount -o remount,bind,ro /etc")
    try:
        calls = {"modprobe_options": {**MLX4, "options": {"debug_level": 1}}, "sysctl_floor": {"values": {"vm.nr_hugepages": 2}, "persistent": True}}
        option, floor = guests.sequence(HOST, *calls.items())
    finally:
        guests.ssh(HOST, "umount /etc")
    assert "wirefleet-mlx4_core.conf could not be written: Read-only file system; is /etc read-only?" in option["msg"]
    assert "/etc/sysctl.d is on a file system that is mounted read-only: make it writable and run this again" in floor["msg"]
    assert guests.ssh(HOST, "sysctl -n vm.nr_hugepages") == "0"


def test_rings_and_features_of_real_drivers(guests):
    before = state(guests)
    wanted = {"devices": [E1000E, VMXNET3], "features": {"tso": False}, "ring": {"rx": "max"}}
    done = guests.module(HOST, "ethtool", wanted)
    assert done["commands"] and {card: values["ring"] for card, values in done["after"].items()} == {E1000E: {"rx": 4096}, VMXNET3: {"rx": 4096}}
    assert guests.module(HOST, "ethtool", {"device": VMXNET3, "features": {"lro": False}})["changed"] is True
    shown = guests.ssh(HOST, f"ethtool -g {E1000E}; ethtool -k {E1000E}; ethtool -k {VMXNET3}")
    assert "RX:\t\t4096\n" in shown.partition("Current")[2] and "large-receive-offload: off\n" in shown
    assert shown.count("tcp-segmentation-offload: off") == 2
    assert guests.module(HOST, "ethtool", wanted)["changed"] is False
    restored = guests.module(HOST, *RESTORED)
    assert {row["outcome"] for row in restored["restored"] if row["key"][0].startswith("ethtool")} == {"restored"}
    cards = [line for line in state(guests).splitlines() if "wirefleet" not in line]
    assert cards == [line for line in before.splitlines() if "wirefleet" not in line]


def test_features_of_virtio(guests):
    done = guests.module(HOST, "ethtool", {"device": VIRTIO, "features": {"rx-gro-hw": False, "gro": False}})
    assert done["after"] == {VIRTIO: {"features": {"rx-gro": False, "rx-gro-hw": False}}}
    shown = guests.ssh(HOST, f"ethtool -k {VIRTIO}")
    assert "rx-gro-hw: off" in shown and "generic-receive-offload: off" in shown
    ring = guests.module(HOST, "ethtool", {"device": VIRTIO, "ring": {"rx": 128}})
    assert ring["after"] == {VIRTIO: {"ring": {"rx": 128}}} and "RX:\t\t128\n" in guests.ssh(HOST, f"ethtool -g {VIRTIO}").partition("Current")[2]


@pytest.fixture
def labnic(guests):
    """The project's NIC module, on Debian's kernel, where udev takes it for what it says it is and loads mlx5_ib too."""
    guests.ssh(HOST, f"modprobe labnic name={LABNIC}; ip link set {LABNIC} up; ip link set labwire0 up; udevadm settle")
    yield LABNIC
    guests.ssh(HOST, "rmmod labnic; ! grep -q ^mlx5_ib /proc/modules || rmmod mlx5_ib")


def test_private_flags_go_there_and_back(guests, labnic):
    flags = {"sniffer": True, "rx_cqe_compress": True, "dropless_rq": True}
    done, changed = there_and_back(guests, HOST, labnic, {"private_flags": flags, "ring": {"rx": 4096}})
    assert done["after"] == {labnic: {"private_flags": flags, "ring": {"rx": 4096}}}
    assert all(f"{flag:<18} : on" in changed for flag in flags), "sniffer, which a change of rings clears, was set after them"


def test_flag_that_is_listed_but_never_accepted(guests):
    refused = guests.module(HOST, "ethtool", {"device": E1000E, "private_flags": {"s0ix-enabled": True}})
    assert refused["msg"] == (
        f"ethtool_private_flag {E1000E} s0ix-enabled was set to on, but reads off afterwards "
        f"(ethtool --set-priv-flags {E1000E} s0ix-enabled on: netlink error: Invalid argument); nothing stays changed"
    )


@pytest.fixture
def rocex(guests):
    """The device as rdma-core's rules call it when they are told to name a software device too, which Debian's do not."""
    rules = "udev/rules.d/60-rdma-persistent-naming.rules"
    guests.ssh(
        HOST,
        f"sed s/NAME_FALLBACK/NAME_GUID/ /usr/lib/{rules} > /etc/{rules} && udevadm control --reload && "
        "udevadm trigger -c add -s infiniband && udevadm settle",
    )
    yield "rocex505400fffe780001"
    guests.ssh(HOST, f"rm /etc/{rules}; udevadm control --reload; rdma link delete rocex505400fffe780001; rdma link add rxe0 type rxe netdev eth1")


def test_rxe_is_captured_on_its_interface_and_rdma_info_says_why(guests, rocex):
    found = guests.module(HOST, "rdma_info", {"devices": ["auto_rdma"]})["rdma"]
    (port,), (capture,) = found["ports"], found["captures"]
    assert [port["device"]] == guests.ssh(HOST, "ls /sys/class/infiniband").split() == [rocex]
    assert (port["driver"], port["link_layer"], port["state"], port["netdev"]) == ("rxe", "Ethernet", "ACTIVE", VIRTIO)
    assert port["addresses"] == ["10.78.0.2"]
    assert (capture["engine"], capture["capture_on"]) == ("tcpdump", VIRTIO)
    assert capture["reason"] == f"rxe is a software device: all of its packets pass through the kernel on {VIRTIO}"
    assert found["tools"]["libpcap_rdma"] is False and json.dumps(found["flags"]) == "[]"
    said = enabled(guests)
    assert said.returncode == 0 and f"{rocex}: tcpdump, {capture['reason']}" in " ".join(said.stdout.split()), said.stdout


def enabled(guests):
    """Have the role do what makes RDMA visible, which is nothing here, and say how it is captured."""
    return guests.playbook("enable_rdma_sniffer.yml", "-e", f"rdma_sniffer_hosts={HOST}")


def test_host_without_rdma(guests):
    guests.ssh(HOST, "rdma link delete rxe0")
    # In rounds, since udev and what it starts may hold one of them for a moment.
    unload = "modprobe -r rdma_rxe rpcrdma ib_iser rdma_ucm ib_umad ib_ipoib ib_cm iw_cm ib_uverbs 2> /dev/null; ls -d /sys/class/infiniband"
    try:
        wait_until(lambda: not guests.ssh(HOST, unload, check=False), LONG, "nothing of RDMA is loaded")
        said = enabled(guests)
        failed = guests.module(HOST, "perftest", {"role": "server", "test_timeout": 1})
    finally:
        guests.ssh(HOST, "modprobe -a rdma_rxe ib_uverbs rdma_ucm rpcrdma ib_iser && rdma link add rxe0 type rxe netdev eth1")
    reason = "auto_rdma found no RDMA device that is up and no driver with a sniffer flag; name a network device"
    assert said.returncode != 0
    assert f"No RDMA traffic can be captured on this host. {reason}" in " ".join(said.stdout.split()), said.stdout
    assert failed["msg"] == "this host has no RDMA device (/sys/class/infiniband is empty or missing): is its driver loaded?"
