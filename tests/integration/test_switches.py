# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mirror_session as a user runs it: ansible-playbook and the vendors' own connection plugins, over SSH, to doubles of switches."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import typing as t

import pytest
import yaml
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.reading import TIMER
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import PLATFORMS

from tests.integration.fleet import SOON_WITH_SWITCHES
from tests.lab.rpcapd import rpcapd
from tests.switches.models import MODELS
from tests.switches.server import BUSY, PASSWORD, USER, FakeSwitch, Server

if t.TYPE_CHECKING:
    from tests.switches.models.base import Device

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
NETWORK = ROOT / ".cache" / "network"
DEVICES = sorted(path.parent.name for path in pathlib.Path("/sys/class/net").glob("*/operstate") if path.read_text().strip() == "up")


class Case(t.NamedTuple):
    """A switch of the story: what it is called, what runs on it before, and the sessions that are asked of it."""

    system: str
    before: str
    sessions: dict[str, t.Any]
    #: Words of a line that the switch refuses, and at which the connection breaks.
    busy: str
    breaks: str


def rx(*names: str) -> list[dict[str, str]]:
    return [{"interface": name, "direction": "rx"} for name in names]


def sessions(first: str, second: str, theirs: str, port: str, far: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return the sessions of the story: *port* makes a name of a number, *far* is where an ERSPAN session goes."""
    local = {number: {"interface": port.format(number)} for number in (20, 21, 24, 25)}
    return {
        "first": {"session": first, "sources": rx(port.format(3)), "destination": local[24]},
        "second": {"session": first, "sources": rx(port.format(3), port.format(4)), "destination": local[25]},
        "third": {"session": first, "sources": rx(port.format(3)), "destination": far},
        "busy": {"session": second, "sources": rx(port.format(5)), "destination": local[20]},
        "broken": {"session": second, "sources": rx(port.format(5)), "destination": local[21]},
        "theirs": theirs,
    }


COLLECTOR = {"destination_ip": "192.0.2.9", "source_ip": "192.0.2.1"}
CASES = {
    "ios": Case(
        "cisco.ios.ios",
        "monitor session 9 source interface Gi1/0/9 rx\nmonitor session 9 destination interface Gi1/0/10",
        sessions("1", "2", "9", "Gi1/0/{}", {"erspan": {**COLLECTOR, "erspan_id": 7}}),
        busy="GigabitEthernet1/0/20",
        breaks="GigabitEthernet1/0/21",
    ),
    "nxos": Case(
        "cisco.nxos.nxos",
        "monitor erspan origin ip-address 192.0.2.1 global\nmonitor session 9\nsource interface Ethernet1/9 rx\n"
        "destination interface Ethernet1/10\nno shut",
        sessions("1", "2", "9", "Eth1/{}", {"erspan": {**COLLECTOR, "erspan_id": 7, "vrf": "default"}}),
        busy="Ethernet1/20",
        breaks="Ethernet1/21",
    ),
    "eos": Case(
        "arista.eos.eos",
        "monitor session THEIRS source Ethernet9 rx\nmonitor session THEIRS destination Ethernet10",
        sessions("CAP", "TWO", "THEIRS", "Et{}", {"erspan": COLLECTOR}),
        busy="Ethernet20",
        breaks="Ethernet21",
    ),
    "comware": Case(
        "wirefleet.capture.comware",
        "mirroring-group 9 local\nmirroring-group 9 mirroring-port GigabitEthernet1/0/9 inbound\n"
        "mirroring-group 9 monitor-port GigabitEthernet1/0/10",
        sessions("1", "2", "9", "GE1/0/{}", {"interface": "GE1/0/24", "erspan": COLLECTOR}),
        busy="GigabitEthernet1/0/20",
        breaks="GigabitEthernet1/0/21",
    ),
}


@pytest.fixture(scope="module")
def collections() -> None:
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    subprocess.run([sys.executable, str(ROOT / "tests/tools/network_collections.py"), str(NETWORK)], check=True)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, collections: None) -> t.Iterator[dict[str, dict[str, t.Any]]]:
    """Run the story on all switches at once and return {platform: {task: result}}, and the switches as they are at the end."""
    folder = tmp_path_factory.mktemp("switches")
    switches = {
        name: FakeSwitch(name, f"sw-{name}", t.cast("Device", MODELS[name](case.before)), case.busy, case.breaks)
        for name, case in CASES.items()
    }
    with contextlib.ExitStack() as stack:
        ports = {name: stack.enter_context(Server(switch)).port for name, switch in switches.items()}
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory(folder, ports)))
        done = playbook(folder, "tests/switches/story.yml")
    (folder / "said").write_text(done.stdout + done.stderr)
    results = {name: json.loads((folder / f"{name}.json").read_text()) for name in CASES if (folder / f"{name}.json").exists()}
    assert set(results) == set(CASES), done.stdout + done.stderr
    for name, switch in switches.items():
        results[name]["switch"] = switch
    yield results


def inventory(folder: pathlib.Path, ports: dict[str, int]) -> dict[str, t.Any]:
    login = {
        "ansible_host": "127.0.0.1",
        "ansible_user": USER,
        "ansible_password": PASSWORD,
        "ansible_connection": "ansible.netcommon.network_cli",
        "ansible_host_key_checking": False,
        "ansible_python_interpreter": sys.executable,
        "folder": str(folder),
    }
    hosts = {
        name: {**login, "ansible_port": port, "ansible_network_os": CASES[name].system, **CASES[name].sessions}
        for name, port in ports.items()
    }
    return {"all": {"children": {"switches": {"hosts": hosts}}}}


def playbook(folder: pathlib.Path, name: str, *words: str, before: t.Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.cache/tree:{NETWORK}",
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_PERSISTENT_BUFFER_READ_TIMEOUT": "0.02",
        "ANSIBLE_PERSISTENT_COMMAND_TIMEOUT": "5",
    }
    argv = [*before, str(BIN / "ansible-playbook"), "-i", str(folder / "hosts.yml"), name, *words]
    return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(params=CASES)
def switch(request: pytest.FixtureRequest, story: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    """Return the results of one platform, with its name and case."""
    return {**story[request.param], "name": request.param, "case": CASES[request.param]}


def shown(name: str, device: Device) -> str:
    """Return what the switch prints of its mirrors and timers, without what says nothing of them.

    NX-OS keeps its scheduler enabled, and Comware's double prints an interface that was named once.
    """
    platform = PLATFORMS[name]
    reads = [*platform.reads, *(platform.timer.reads if platform.timer else ())]
    return re.sub(r"interface \S+\n#\n|feature scheduler\n", "", "".join(device.show(command) for command in reads))


def test_check_mode_says_what_will_be_and_types_nothing(switch):
    predicted, made = switch["predicted"], switch["made"]
    assert predicted["changed"] and predicted["commands"] == made["commands"]
    assert predicted["after"].items() <= made["after"].items()
    assert predicted["diff"]["after"] == predicted["after"]
    typed, lines = switch["switch"].typed, len(made["commands"])
    assert typed[:lines] == made["commands"] != typed[lines : 2 * lines]


def test_the_second_time_changes_nothing(switch):
    assert (switch["made"]["changed"], switch["made_again"]["changed"], switch["made_again"]["commands"]) == (True, False, [])
    assert switch["made_again"]["after"] == switch["made"]["after"] == switch["changed"]["before"]


def test_a_change_is_made_and_saved(switch):
    assert (switch["changed"]["changed"], switch["changed"]["saved"], switch["switch"].saves) == (True, True, 1)
    assert len(switch["changed"]["after"]["sources"]) == 2
    assert switch["made"]["saved"] is False


def test_another_type_is_made_anew(switch):
    assert switch["retyped"]["changed"] and switch["retyped"]["before"] == switch["changed"]["after"]
    assert switch["retyped"]["after"]["type"] != switch["retyped"]["before"]["type"]


def test_a_session_of_somebody_else_is_not_touched(switch):
    assert switch["refused_theirs"]["failed"] and "somebody else's" in switch["refused_theirs"]["msg"]
    assert switch["case"].sessions["theirs"] in switch["left"]["sessions"]


def test_a_refusal_that_nobody_notices_is_found_and_quoted_and_nothing_stays(switch):
    message = switch["refused_busy"]["msg"]
    assert switch["refused_busy"]["failed"] and BUSY in message and "nothing stays changed" in message


def test_what_a_broken_connection_left_by_half_is_made_whole(switch):
    assert "the connection to the switch broke" in switch["half"]["msg"] and "could not be put back" in switch["half"]["msg"]
    assert switch["healed"]["changed"] and switch["healed"]["before"], switch["healed"].get("msg")


def test_what_was_made_can_be_removed(switch):
    assert switch["removed"]["changed"] and switch["removed"]["after"] == {}
    assert set(switch["left"]["sessions"]) == {switch["case"].sessions["theirs"], switch["case"].sessions["broken"]["session"]}


def test_the_end_of_a_campaign_leaves_the_switch_as_it_was(switch):
    assert switch["restored"]["changed"] and [row["outcome"] for row in switch["restored"]["restored"]] == ["restored"]
    before = t.cast("Device", MODELS[switch["name"]](switch["case"].before))
    assert shown(switch["name"], switch["switch"].device) == shown(switch["name"], before)


def test_a_time_limit_sets_the_timer_of_the_switch_or_says_that_it_has_none(switch):
    """The end of the campaign takes the timer away again, as the test above has seen."""
    timer, job = PLATFORMS[switch["name"]].timer, f"{TIMER}{switch['case'].sessions['broken']['session']}"
    typed = any(job in line for line in switch["switch"].typed)
    warned = any("does not end the session by itself" in str(warning) for warning in switch["healed"].get("warnings", []))
    assert (typed, warned) == ((False, True) if timer is None else (True, False))


@pytest.fixture
def tor(tmp_path: pathlib.Path, collections: None) -> t.Iterator[FakeSwitch]:
    """A Comware switch with the inventory that the role switch_mirror wants."""
    switch = FakeSwitch("comware", "tor1", t.cast("Device", MODELS["comware"](CASES["comware"].before)))
    with Server(switch) as server:
        hosts = inventory(tmp_path, {"comware": server.port})
        remote = {"session": 2, "sources": rx("GE1/0/5"), "destination": {"remote_vlan": 1900, "reflector_port": "GE1/0/6"}}
        asked = {
            "switch_mirror_sessions": [CASES["comware"].sessions["first"], remote],
            "switch_mirror_allow_port_reset": True,
            "switch_mirror_journal": str(tmp_path / "journals"),
        }
        hosts["all"]["children"]["switches"]["hosts"]["comware"].update(asked)
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
        yield switch


def test_the_playbook_mirrors_and_restore_takes_it_back(tor, tmp_path):
    before = shown("comware", tor.device)
    made = playbook(tmp_path, "playbooks/switch_mirror.yml")
    assert made.returncode == 0, made.stdout + made.stderr
    assert "mirroring-group 1 local" in tor.device.running()
    assert "mirroring-group 2 reflector-port" in tor.device.running(), "the switch asked and was answered"
    typed = len(tor.typed)
    for name in ("status.yml", "restore.yml"):
        listed = playbook(tmp_path, f"playbooks/{name}")
        assert listed.returncode == 0, listed.stdout + listed.stderr
        assert re.search(r"^comware +standing-switch-mirror +changed \(journal\) .* 2$", listed.stdout, re.MULTILINE), listed.stdout
        assert "comware mirror session 2: absent -> session=2 type=rspan_source" in listed.stdout
    assert len(tor.typed) == typed, "what is listed was asked of the journal"
    done = playbook(tmp_path, "playbooks/restore.yml", "-e", "campaign=standing-switch-mirror")
    assert done.returncode == 0, done.stdout + done.stderr
    assert shown("comware", tor.device) == before


def test_a_wish_that_the_switch_cannot_fulfil_is_said_before_it_is_asked(tor, tmp_path):
    text = (
        (tmp_path / "hosts.yml").read_text().replace("ansible_network_os: wirefleet.capture.comware", "ansible_network_os: cisco.nxos.nxos")
    )
    (tmp_path / "hosts.yml").write_text(text.replace("session: '1'", "session: '99'"))
    done = playbook(tmp_path, "playbooks/switch_mirror.yml")
    assert done.returncode != 0 and "nxos numbers its sessions from 1 to 32, not '99'" in done.stdout
    assert tor.typed == []


def test_a_switch_captures_for_a_client_and_shows_no_more_than_that(tor, tmp_path):
    done = playbook(tmp_path, "tests/switches/capture.yml")
    assert (tmp_path / "capture.json").exists(), done.stdout + done.stderr
    said = json.loads((tmp_path / "capture.json").read_text())
    line = "packet-capture remote interface GigabitEthernet1/0/1 port 2014"
    capture = {"interface": "GigabitEthernet1/0/1", "direction": "rx", "port": 2014, "file": ""}
    assert (said["predicted"]["commands"], said["predicted"]["after"], said["predicted"]["changed"]) == ([line], capture, True)
    assert said["predicted"]["diff"] == {"before": {}, "after": capture}
    assert (said["started"]["commands"], said["started"]["after"], said["started"]["before"]) == ([line], capture, {})
    assert ["neither authenticated nor encrypted" in text and "port 2014" in text for text in said["started"]["warnings"]] == [True]
    assert (said["again"]["changed"], said["again"]["commands"], said["again"]["before"]) == (False, [], capture)
    assert said["another"]["failed"] and "captures on GigabitEthernet1/0/1 already, for us" in said["another"]["msg"]
    assert said["seen"]["capture"] == capture
    assert (said["stopped"]["changed"], said["stopped"]["after"], said["stopped_again"]["changed"]) == (True, {}, False)
    assert "restored" in said["restored"], said["restored"]
    assert said["both"]["changed"] and [row["outcome"] for row in said["restored"]["restored"]] == ["restored"]
    both = "packet-capture remote interface GigabitEthernet1/0/2 bidirection"
    assert tor.typed == [line, "packet-capture stop", both, "packet-capture stop"] and tor.device.capture is None


def test_a_switch_without_the_feature_image_says_so(tor, tmp_path):
    tor.device.has_image = False
    done = playbook(tmp_path, "tests/switches/capture.yml", "--tags", "predicted")
    assert "need the packet-capture feature image" in done.stdout, done.stdout + done.stderr
    assert tor.typed == []


def run_campaign(tmp_path: pathlib.Path, vantages: list[dict[str, t.Any]]) -> pathlib.Path:
    """Run a campaign whose collector is this machine, with a /var/lib of its own, and return its evidence."""
    hosts = yaml.safe_load((tmp_path / "hosts.yml").read_text())
    hosts["all"]["hosts"] = {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    wanted = {
        "campaign_vantages": vantages,
        "campaign_start": SOON_WITH_SWITCHES,
        "campaign_duration": "2s",
        "campaign_evidence_root": str(tmp_path / "evidence"),
    }
    (tmp_path / "campaign.json").write_text(json.dumps(wanted))
    script = 'mount -t tmpfs -o mode=755 tmpfs /var/lib && exec "$@"'
    own = ["unshare", "--mount", "sh", "-c", script, "sh"]
    done = playbook(tmp_path, "playbooks/capture_campaign.yml", "-e", "campaign=tor", "-e", f"@{tmp_path}/campaign.json", before=own)
    # A busy machine may arm itself too late, which the evidence says; it is published all the same.
    (folder,) = [path.parent for path in (tmp_path / "evidence").glob("*/campaign.json")] or pytest.fail(done.stdout + done.stderr)
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    events = [json.loads(line)["event"] for line in (folder / "events.ndjson").read_text().splitlines()]
    assert events.index("mirrored") < events.index("arming") < events.index("mirror_ended")
    return folder


@contextlib.contextmanager
def packets_served(port: int) -> t.Iterator[None]:
    """Serve this machine's packets by a real rpcapd in the place of a switch that cannot, and send some."""
    argv = [str(rpcapd()), "-4", "-n", "-b", "127.0.0.1", "-p", str(port)]
    ended = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not ended.wait(0.05):
                sender.sendto(b"for the switch", ("127.0.0.1", 9))

    # When it ends, it kills all of its process group.
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as server:
        sending = threading.Thread(target=send)
        sending.start()
        try:
            yield
        finally:
            ended.set()
            sending.join()
            server.terminate()


@pytest.mark.skipif(os.geteuid() != 0 or not DEVICES, reason="captures on a network device of this machine, as root")
def test_a_campaign_has_a_switch_mirror_and_capture_for_its_window_and_keeps_what_it_did(tor, tmp_path):
    """Mirrored packets come from no double: what is proven of them is who does what when. What it captures comes from a real rpcapd."""
    before, mirror = shown("comware", tor.device), CASES["comware"].sessions["third"]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    vantages = [
        {"hosts": "switches", "mirror": mirror, "collector": "here", "device": DEVICES[0]},
        {"hosts": "switches", "rpcap": {"interface": "GE1/0/1", "port": port, "name": "lo"}, "collector": "here", "filter": "udp port 9"},
    ]
    with packets_served(port):
        folder = run_campaign(tmp_path, vantages)
    assert {row["vantage_id"] for row in json.loads((folder / "campaign.json").read_text())["vantages"]} == {f"here__{DEVICES[0]}", "here__comware"}
    (file,) = folder.glob("vantages/here__comware/**/*.pcap")
    assert file.read_bytes().count(b"for the switch") > 1
    made, capture = json.loads((folder / "switches" / "comware" / "present.json").read_text())
    (ended,) = json.loads((folder / "switches" / "comware" / "restored.json").read_text())
    assert made["before"] == {} and made["after"]["destination"]["erspan"]["destination_ip"] == "192.0.2.9"
    line = f"packet-capture remote interface GigabitEthernet1/0/1 port {port}"
    assert capture["commands"] == [line] and "neither authenticated" in capture["warnings"][0]
    assert [row["outcome"] for row in ended["restored"]] == ["restored", "restored"]
    assert any("time once delay" in line for line in tor.typed), "the switch would have ended the session by itself"
    assert [line for line in tor.typed if line.startswith("packet-capture")] == [line, "packet-capture stop"] and tor.device.capture is None
    assert shown("comware", tor.device) == before
