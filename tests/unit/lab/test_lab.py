# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's pure parts, and what a person is told who asks for something there is not."""

from __future__ import annotations

import ipaddress
import json
import lzma
import pathlib
import socket
import struct
import subprocess
import threading

import pytest
from ansible_collections.wirefleet.capture.tests.lab import __main__ as cli
from ansible_collections.wirefleet.capture.tests.lab import hub, packages, qemu, qemuroot, rootfs, umlkernel, user
from ansible_collections.wirefleet.capture.tests.lab.fleet import FLEETS, HUB_ADDRESS, SYSTEMS, Host, fleet
from ansible_collections.wirefleet.capture.tests.lab.inventory import inventory
from ansible_collections.wirefleet.capture.tests.lab.problem import Problem

NODE = Host("node1", 1)
GUEST = Host("guest1", 1, kind="qemu")
RDMA = Host("rdma1", 2, kind="uml", groups=("rdma_hosts",), data_device="ens1f0np0")


@pytest.mark.parametrize("name", FLEETS)
def test_no_two_hosts_of_a_fleet_share_anything(name: str) -> None:
    hosts = fleet(name)
    addresses = [HUB_ADDRESS, *(a for host in hosts for a in (host.address, host.data_address))]
    macs = [host.mac(network) for host in hosts for network in ("mgmt", "data")]
    ports = [host.port(network) for host in hosts for network in ("mgmt", "data")]
    for values in ([host.name for host in hosts], addresses, macs, ports):
        assert len(set(values)) == len(values)
    assert all(len(port) <= 15 for port in ports), "IFNAMSIZ of Linux"


@pytest.mark.parametrize("name", FLEETS)
def test_what_is_plugged_into_a_switch_says_the_same_as_the_switch(name: str) -> None:
    hosts = fleet(name)
    assert sorted((host.behind, host.name) for host in hosts if host.behind) == sorted((h.name, port) for h in hosts for port in h.ports)
    assert all(bool(host.ports) == bool(host.switch) for host in hosts)


@pytest.mark.parametrize("number", [1, 249, 250, 255])
def test_addresses_are_those_of_hosts(number: int) -> None:
    host = Host("n", number)
    for address, network in ((host.address, "10.77.0.0/16"), (host.data_address, "10.78.0.0/16")):
        assert ipaddress.ip_address(address) in ipaddress.ip_network(network)
        assert address.rpartition(".")[2] not in ("0", "255")
    assert all(len(part) == 2 for part in host.mac("data").split(":"))


def test_an_unknown_fleet_names_those_there_are() -> None:
    with pytest.raises(Problem, match="no fleet 'nix'.*demo.*pair"):
        fleet("nix")


def test_the_inventory_has_every_host_in_its_groups() -> None:
    children = json.loads(inventory([NODE, RDMA], "/key", "/cp"))["all"]["children"]
    assert {group: sorted(content["hosts"]) for group, content in children.items()} == {
        "fleet": ["node1", "rdma1"], "namespace_hosts": ["node1"], "uml_hosts": ["rdma1"], "rdma_hosts": ["rdma1"],
    }  # fmt: skip
    assert children["fleet"]["hosts"]["rdma1"] == {
        "ansible_host": "10.77.0.3", "data_device": "ens1f0np0", "data_address": "10.78.0.3",
    }  # fmt: skip
    assert children["fleet"]["vars"]["ansible_ssh_private_key_file"] == "/key"
    assert children["fleet"]["vars"]["ansible_control_path_dir"] == "/cp"
    assert children["fleet"]["vars"]["ansible_ssh_timeout"] == 60


@pytest.mark.parametrize(
    ("hosts", "uid", "there", "expected"),
    [
        ((NODE,), 0, {"mmdebstrap", "ssh", "ssh-keygen", "ip", "tc", "nsenter"}, []),
        ((NODE,), 0, {"mmdebstrap", "ip", "nsenter"}, ["openssh-client", "iproute2"]),
        ((NODE,), 1000, {"mmdebstrap", "ssh", "ssh-keygen", "ip", "tc", "nsenter"}, ["uidmap"]),
        ((RDMA,), 0, {"mmdebstrap", "ssh", "ssh-keygen", "ip", "tc", "nsenter", "gcc", "make", "mkfs.ext4", "depmod", "bison", "bc"},
         ["user-mode-linux", "flex", "xz-utils"]),
        ((GUEST,), 0, {"mmdebstrap", "ssh", "ssh-keygen", "ip", "tc", "nsenter", "qemu-img"}, ["qemu-system-x86", "e2fsprogs"]),
    ],
)  # fmt: skip
def test_each_missing_package_is_named_once(
    hosts: tuple[Host, ...], uid: int, there: set[str], expected: list[str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in there:
        (tmp_path / program).touch(0o755)
    monkeypatch.setattr(packages, "PATH", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: uid)
    assert packages.missing(hosts) == expected


@pytest.mark.parametrize("name", ["demo", "l11", "my-lab", "7"])
def test_a_lab_keeps_its_state_in_a_folder_of_its_name(name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hub.BASE, str(tmp_path))
    lab = hub.Hub(name)
    assert lab.state == tmp_path / name
    assert lab.inventory.parent == lab.key.parent == lab.state


@pytest.mark.parametrize("name", ["", "-", "..", "a/b", "a b", "a;b", "a_b", "x\n"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(Problem, match="cannot be the name of a lab"):
        hub.Hub(name)


def test_a_hub_whose_number_another_process_has_now_is_not_up(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(hub.BASE, str(tmp_path))
    lab = hub.Hub("x")
    lab.state.mkdir()
    (lab.state / "hub.json").write_text('[1, "not when PID 1 started"]')
    assert lab.pid() is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["up", "nix"], "there is no fleet 'nix': choose one of "),
        (["status"], "the lab test-cli is not up: python3 -m tests.lab up FLEET --lab test-cli"),
        (["inventory"], "the lab test-cli is not up: "),
        (["ssh", "node1"], "the lab test-cli is not up: "),
        (["exec", "true"], "the lab test-cli is not up: "),
        (["drop", "count", "node1"], "the lab test-cli is not up: "),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    words: list[str], sentence: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(hub.BASE, str(tmp_path))
    verb, *rest = words
    assert cli.main([verb, "--lab", "test-cli", *rest]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith(sentence) and said.err.count("\n") == 1


def test_a_bad_name_of_a_lab_is_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--lab", "../etc"]) == 2
    assert capsys.readouterr().err.startswith("'../etc' cannot be the name of a lab")


def test_root_needs_no_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert user.spaces() == user.as_root() == []


@pytest.mark.parametrize(
    ("stderr", "sentence"),
    [
        ('unshare: no line matching user "u" in /etc/subuid: Success\n', "u has no range of subordinate ids.*as root, usermod --add-subuids"),
        ("unshare: unshare failed: Operation not permitted\n", "gives users no namespaces.*Operation not permitted.*run the lab as root"),
    ],
)
def test_an_ordinary_user_is_told_what_is_missing(stderr: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("getpass.getuser", lambda: "u")
    monkeypatch.setattr(user.subprocess, "run", lambda argv, **_: subprocess.CompletedProcess(argv, 1, "", stderr))
    with pytest.raises(Problem, match=sentence):
        user.require(tun=False)


MADISON = """\
linux-source-6.1 |  6.1.192-2 | http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
linux-source-6.1 |  6.1.176-1 | http://deb.debian.org/debian bookworm/main amd64 Packages
"""


def test_the_module_is_built_from_the_source_of_the_kernel_that_runs() -> None:
    assert umlkernel.source_version(MADISON, "6.1.176") == "6.1.176-1"
    with pytest.raises(Problem, match=r"no kernel source of version 6\.1\.17"):
        umlkernel.source_version(MADISON, "6.1.17")


def bzimage(payload: bytes) -> bytes:
    """Return a kernel image of one set-up sector, and *payload* 16 bytes into what follows it."""
    header = bytearray(1024)
    header[0x1F1] = 1
    header[0x202:0x206] = b"HdrS"
    header[0x248:0x250] = struct.pack("<II", 16, len(payload))
    return bytes(header) + bytes(16) + payload + b"after"


def test_the_kernel_is_unpacked_from_where_its_header_says() -> None:
    assert qemuroot.vmlinux(bzimage(lzma.compress(b"\x7fELF kernel"))) == b"\x7fELF kernel"


@pytest.mark.parametrize(("image", "why"), [(bytes(1024), "no bzImage"), (bzimage(b"\x28\xb5\x2f\xfd"), "not packed with xz")])
def test_another_kernel_is_refused(image: bytes, why: str) -> None:
    with pytest.raises(Problem, match=why):
        qemuroot.vmlinux(image)


def test_only_a_guest_has_a_reset_button(tmp_path: pathlib.Path) -> None:
    with pytest.raises(Problem, match="node1 has no QEMU monitor .*only qemu guests"):
        qemu.power_cycle(tmp_path / "node1")


def test_a_monitor_that_says_nothing_is_not_waited_for(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "MONITOR_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.bind(str(tmp_path / "qmp"))
        monitor.listen()
        with pytest.raises(Problem, match=r"monitor said nothing for 0\.05 s: has its process stopped"):
            qemu.power_cycle(tmp_path)


def test_the_monitor_is_asked_for_a_reset_and_events_are_passed_over(tmp_path: pathlib.Path) -> None:
    said: list[dict[str, str]] = []

    def answer(monitor: socket.socket) -> None:
        peer, _address = monitor.accept()
        with peer, peer.makefile("rw", encoding="utf-8") as stream:
            stream.write('{"QMP": {}}\n')
            stream.flush()
            for line in stream:
                said.append(json.loads(line))
                stream.write('{"event": "RESET"}\n{"return": {}}\n')
                stream.flush()

    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.bind(str(tmp_path / "qmp"))
        monitor.listen()
        server = threading.Thread(target=answer, args=(monitor,))
        server.start()
        qemu.power_cycle(tmp_path)
        server.join()
    assert said == [{"execute": "qmp_capabilities"}, {"execute": "system_reset"}]


def test_a_suite_of_its_own_is_another_root_and_the_default_stays_what_it_was() -> None:
    packages = ("systemd", "tcpdump")
    assert rootfs.recipe(packages, ()) == rootfs.recipe(packages, (), "bookworm") != rootfs.recipe(packages, (), "sid")
    assert {host.suite for host in fleet("demo")} == {rootfs.SUITE}
    for name in ("systems", "kernels"):
        assert [(host.name, host.suite) for host in fleet(name)] == [(suite, suite) for suite in SYSTEMS]


@pytest.mark.parametrize(("suite", "old_index"), [("bullseye", False), ("trixie", False), ("sid", True)])
def test_the_index_of_an_unreleased_suite_may_be_old(suite: str, old_index: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(rootfs, "run", lambda argv, **options: ran.append(argv))
    monkeypatch.setattr(rootfs, "ordinary", lambda: False)
    rootfs.install(tmp_path, ["systemd"], suite)
    assert ran[0][-2:] == [suite, str(tmp_path)]
    assert ('--aptopt=Acquire::Check-Valid-Until "false"' in ran[0]) is old_index
