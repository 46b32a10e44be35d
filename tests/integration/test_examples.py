# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of every module and of every role's README, run as it is printed: foreseen, done, done again, put back."""

from __future__ import annotations

import base64
import re
import struct
import subprocess
import typing as t

import pytest
import yaml

from tests.integration.fleet import ROOT

COLLECTION = "wirefleet.capture."
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))
ROLES = sorted(path.parent.name for path in (ROOT / "roles").glob("*/README.md"))
#: The modules of a campaign's tasks tell one story in this order; each is nothing without those before.
STORY = [f"campaign_{part}" for part in ("plan", "preflight", "arm", "wait", "collect", "report")]
#: Tasks and roles that begin or end something, which can be done once.
ANEW = {"Plan the run", "Judge and publish the evidence", "campaign"}

NIC = "ethtool -k ens1f0np0; ethtool -g ens1f0np0; ethtool --show-priv-flags ens1f0np0"
FILES = "ls /etc/sysctl.d /etc/modprobe.d; sysctl -n net.core.rmem_max net.core.netdev_max_backlog"
INSTANCES = "cat /etc/dpvs*.conf; for n in '' 2; do DPVS_IPC_FILE=/var/run/dpvs$n.ipc dpip link show; done"
MONITOR = "ip -o link | cut -d: -f2; ls /sys/module; tc filter show dev ens1f0np0 ingress; ethtool -g ens1f0np0"
UNDERLAY = "10.9.0.2/24 dev ens1f0np0"
SEGMENTS = "mkdir /var/captures && for n in 1 2; do zstd -q /var/tmp/mirror -o /var/captures/eth1_0000$n.pcap.zst; done"
OTHER_PORT = "ip link add ens1f1np1 type veth peer name far1"
#: What modinfo and modprobe read of ConnectX-3's driver, which this kernel does not have: the parameter's name and type.
MLX4 = b"name=mlx4_core\0license=Dual BSD/GPL\0parmtype=log_num_mgm_entry_size:int\0"
EXTRA = "/lib/modules/$(uname -r)/extra/mlx4_core.ko"


class Place(t.NamedTuple):
    """A host on which examples run, what makes it such as they take for granted, and what of it they may change."""

    fleet: str = "pair"
    host: str = "node1"
    shown: str = "ethtool -k eth1"
    prepare: str = "true"
    undo: str = "true"


#: Where examples of a module or role run; those of all others run on a host as it comes, of the fleet `pair`.
PLACES = {
    "dpvs_capture": Place("dpvs", "lb1", INSTANCES),
    "dpvs_config": Place("dpvs", "lb1", INSTANCES),
    "dpvs_link": Place("dpvs", "lb1", INSTANCES),
    "erspan_collector": Place("span", "mon1", MONITOR, f"ip addr add {UNDERLAY}", f"ip addr del {UNDERLAY}"),
    "erspan_receiver": Place("span", "mon1", MONITOR),
    "erspan_tunnel": Place("span", "mon1", MONITOR, f"ip addr add {UNDERLAY}", f"ip addr del {UNDERLAY}"),
    "ethtool": Place("mixed", "rdma1", NIC, OTHER_PORT, "ip link del ens1f1np1"),
    "modprobe_options": Place("mixed", "rdma1", FILES, f"cp /var/tmp/mlx4_core {EXTRA} && depmod", f"rm {EXTRA} && depmod"),
    "nic_tuning": Place("mixed", "rdma1", NIC),
    "pcap_decap": Place(prepare="mkdir /var/captures && cp /var/tmp/mirror /var/captures/mirror.pcap", undo="rm -r /var/captures"),
    "pcap_index": Place(prepare=SEGMENTS, undo="rm -r /var/captures"),
    "pcap_split": Place(prepare="mkdir /var/captures && cp /var/tmp/mirror /var/captures/trace.pcap", undo="rm -r /var/captures"),
    "rdma_info": Place("mixed", "rdma1", NIC),
    "rdma_sniffer": Place("mixed", "rdma1", NIC),
    "sysctl_floor": Place("mixed", "rdma1", FILES),
}
#: What cannot run on any host here, and why. Nothing else is left out.
NOT_HERE: dict[str, str] = {
    "campaign_analyse": "it reads runs that are published: test_report.py and every whole campaign call it",
    "campaign_mirror": "no switch with such a command line runs here; test_switches.py runs a campaign over the double of one",
    "mirror_session": "no switch with these ports runs here; test_switches.py runs such tasks on doubles, test_mirrors.py on real ones",
    "switch_mirror": "no switch with these ports runs here; test_switches.py runs the role on a double, the demo on a real one",
    "perftest": "hosts without RDMA cannot send; tests/rdma runs it on guests that have it",
    "rdma_verify": "it reads a run with RDMA; tests/rdma runs it on what guests captured",
    "packet_capture_remote": "no switch with Comware runs here; test_switches.py runs the same tasks on the double of one",
}


def examples(module: str) -> list[dict[str, t.Any]]:
    text = (ROOT / "plugins/modules" / f"{module}.py").read_text()
    found = re.search(r'^EXAMPLES = r?"""(.*?)^"""', text, re.MULTILINE | re.DOTALL)
    return yaml.safe_load(found[1]) if found else []


def plays(role: str) -> list[dict[str, t.Any]]:
    """Return the plays that a role's README prints, fenced or indented."""
    text = (ROOT / "roles" / role / "README.md").read_text()
    fenced = re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = fenced or re.findall(r"((?:^    .*\n|^\n)+)", text, re.MULTILINE)
    return [play for block in blocks if "hosts:" in block for play in yaml.safe_load(block)]


def thrice(task: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Return *task* foreseen, done and done again, and what must hold of the three; a task of another collection as it is."""
    name = task.get("name")
    if not any(key.startswith(COLLECTION) for key in task):
        return [task]
    kept = task.get("register", "done")
    foreseen = {**task, "check_mode": True, "diff": True, "register": "foreseen", "name": f"{name}: foreseen"}
    if name in ANEW:
        return [foreseen, {**task, "register": kept}]
    again = {**task, "register": "again", "name": f"{name}: again"}
    alike = {"that": [f"foreseen is skipped or foreseen.changed == {kept}.changed", "not again.changed"]}
    return [foreseen, {**task, "register": kept}, again, {"name": "What was foreseen came, once", "ansible.builtin.assert": alike}]


def mirror() -> bytes:
    """Return a capture file with a packet in each of 150 seconds: ERSPAN II around a frame."""
    frame = bytes(12) + b"\x88\xb5" + bytes(50)
    head = bytes(12) + b"\x08\x00"
    file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    for number in range(150):
        gre = struct.pack(">HHI", 0x1000, 0x88BE, number) + struct.pack(">HHI", 0x1000, 0x0007, 0) + frame
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(gre), 0, 0, 64, 47, 0, b"\x0a\x4e\0\x02", b"\x0a\x4e\0\x03")
        file += struct.pack("<IIII", 1795428900 + number, 0, len(head + ip + gre), len(head + ip + gre)) + head + ip + gre
    return file


def driver(tmp_path) -> bytes:
    source = f'const char info[] __attribute__((section(".modinfo"), used)) = {{{",".join(map(str, MLX4))}}};'
    made = tmp_path / "mlx4_core.o"
    subprocess.run(["cc", "-c", "-x", "c", "-o", made, "-"], input=source, text=True, check=True)
    return made.read_bytes()


def put(fleet, host: str, path: str, content: bytes) -> None:
    """Write a file of *host* through the standard input of a login."""
    fleet.ssh(host, f"base64 -d > {path}", text=base64.b64encode(content).decode())


@pytest.fixture
def run(request, tmp_path):
    """Return what runs plays on the place of a module or role; afterwards the host is as it was."""
    undo: list[t.Callable[[], None]] = []

    def start(name, made, *options):
        place = PLACES.get(name, Place())
        fleet = request.getfixturevalue(place.fleet)
        if not undo:
            prepare(fleet, place, tmp_path)
            if name == "campaign":
                describe(fleet, place, tmp_path)
            before = fleet.ssh(place.host, place.shown)
            undo.append(lambda: put_back(fleet, place, before))
        groups = {group: {"hosts": {place.host: None}} for group in {play["hosts"] for play in made} - {place.host}}
        (tmp_path / "groups.yml").write_text(yaml.safe_dump(groups))
        (tmp_path / "play.yml").write_text(yaml.safe_dump(made, sort_keys=False))
        # what is written for a campaign is looked for in the folder one stands in
        there = ["env", "-C", str(tmp_path), f"ANSIBLE_CONFIG={ROOT}/ansible.cfg"]
        done = fleet.inside(*there, "ansible-playbook", "-i", fleet.inventory, "-i", "groups.yml", "play.yml", *options)
        hint = f"\nDo the examples of {name} need another host than {place.host} of the fleet {place.fleet}? Give {name} a row in PLACES."
        assert done.returncode == 0, done.stdout + done.stderr + hint
        return done.stdout

    yield start
    for one in undo:
        one()


def prepare(fleet, place: Place, tmp_path) -> None:
    if "/var/tmp/mirror" in place.prepare:
        put(fleet, place.host, "/var/tmp/mirror", mirror())
    if "/var/tmp/mlx4_core" in place.prepare:
        put(fleet, place.host, "/var/tmp/mlx4_core", driver(tmp_path))
    fleet.ssh(place.host, place.prepare)


def describe(fleet, place: Place, tmp_path) -> None:
    """Write the campaign that the examples run, with time to ask and arm the host more than once before its window."""
    campaign = (tmp_path / "campaigns") / "pfc-storm.yml"
    campaign.parent.mkdir()
    vantages = [{"hosts": place.host, "device": "eth1", "filter": "icmp"}]
    wanted = {"campaign_vantages": vantages, "campaign_start": fleet.soon(logins=20), "campaign_duration": "1s"}
    campaign.write_text(yaml.safe_dump(wanted))


def put_back(fleet, place: Place, before: str) -> None:
    """Undo through the module what the examples changed and left."""
    for campaign in fleet.ssh(place.host, "ls /var/lib/wirefleet 2>/dev/null", check=False).split():
        fleet.module(place.host, "capture_session", {"campaign": campaign, "state": "restored"})
    assert fleet.ssh(place.host, place.shown) == before
    fleet.ssh(place.host, f"{place.undo}; rm -rf /var/lib/wirefleet")


def on(module: str, tasks: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    return [{"hosts": PLACES.get(module, Place()).host, "gather_facts": False, "tasks": [step for task in tasks for step in thrice(task)]}]


def placed(names):
    """Name the fleet of those that share one that takes long to come up."""
    fleets = {name: PLACES[name].fleet for name in names if name in PLACES}
    return [pytest.param(name, id=f"{name}@{fleets[name]}" if name in fleets else name) for name in names]


@pytest.mark.parametrize("module", placed(sorted({*MODULES} - {*STORY} - {*NOT_HERE})))
def test_examples_of_a_module_run(run, module):
    tasks = examples(module)
    assert any(COLLECTION + module in task for task in tasks), f"{module} has no example of itself"
    run(module, on(module, tasks))


def test_examples_of_a_campaign_run(run):
    tasks = [task for module in STORY for task in examples(module)]
    assert {COLLECTION + module for module in STORY} <= {key for task in tasks for key in task}
    run("campaign", on("campaign", tasks))


@pytest.mark.parametrize("role", placed(sorted({*ROLES} - {*NOT_HERE})))
def test_examples_of_a_role_run(run, role):
    made = plays(role)
    assert made, f"the README of {role} shows no play"
    foreseen, first, second = (changes(run(role, made, *words)) for words in (["--check", "--diff"], [], []))
    assert foreseen == first or role in ANEW
    assert second == 0 or role in ANEW


def changes(said: str) -> int:
    return sum(map(int, re.findall(r"\bchanged=(\d+)", said.partition("PLAY RECAP")[2])))


def test_tables_name_what_there_is():
    assert {*PLACES, *NOT_HERE} <= {*MODULES, *ROLES}
