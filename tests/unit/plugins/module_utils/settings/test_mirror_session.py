# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirror sessions under the journal, on doubles of switches that are typed at without a network in between."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host, Result
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.mirror_session import Permits
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.cli import Switch
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.ovs import PURGE, tunnel
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import timers
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.present import Asked, key_of, lost, plain, put_back, reach, runs_of
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import PLATFORMS

from tests.switches.models import MODELS

if t.TYPE_CHECKING:
    from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import Outcome, Restored

THEIRS = {
    "eos": "monitor session THEIRS source Ethernet9 rx\nmonitor session THEIRS destination Ethernet10",
    "ios": "monitor session 9 source interface Gi1/0/9 rx\nmonitor session 9 destination interface Gi1/0/10",
    "nxos": "monitor session 9\nsource interface Ethernet1/9 rx\ndestination interface Ethernet1/10\nno shut",
    "junos": "set forwarding-options analyzer THEIRS input ingress interface ge-0/0/9.0\n"
    "set forwarding-options analyzer THEIRS output interface ge-0/0/10.0\ncommit",
    "comware": "mirroring-group 9 local\nmirroring-group 9 mirroring-port GigabitEthernet1/0/9 inbound\n"
    "mirroring-group 9 monitor-port GigabitEthernet1/0/10",
}
PORT = {
    "eos": "Ethernet{}",
    "ios": "GigabitEthernet1/0/{}",
    "nxos": "Ethernet1/{}",
    "junos": "ge-0/0/{}.0",
    "comware": "GigabitEthernet1/0/{}",
}
NAMES = {"eos": ("CAP", "THEIRS"), "junos": ("CAP", "THEIRS")}


class Bench:
    """A switch and the controller's journal of it. *refuse* is a pattern of lines that it refuses, *break_at* one that ends it."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.name, self.platform, self.device = name, PLATFORMS[name], MODELS[name](THEIRS[name])
        self.store = Store(Host(), str(folder))
        self.mine, self.theirs = NAMES.get(name, ("1", "9"))
        self.refuse = self.break_at = ""
        self.configuring = False
        self.typed: list[str] = []
        self.host = Switch(self.ask)

    def ask(self, line: str, question: str | None, answer: str | None) -> str:
        if self.break_at == "broken":
            raise Refused("the connection to the switch broke")
        if line in (*self.platform.reads, *(self.platform.timer.reads if self.platform.timer else ()), "show clock"):
            return self.device.show(line)
        if line in self.platform.typing.enter and not self.configuring:
            self.configuring = True
            return "Enter configuration commands, one per line."
        self.typed.append(line)
        if self.break_at and re.search(self.break_at, line):
            self.break_at = "broken"
            raise Refused("the connection to the switch broke")
        if self.refuse and re.search(self.refuse, line):
            return "% No hardware resource"
        if re.fullmatch(self.device.asks, line):
            assert answer == "y" and re.search(str(question), self.device.question)
            return f"{self.device.question}y\n{self.device.apply(line)}"
        if line in self.platform.typing.leave and not (line == "exit" and self.device.stack):
            self.configuring, self.device.stack = False, []
            return ""
        return self.device.apply(line)

    def port(self, number: int) -> str:
        return PORT[self.name].format(number)

    def options(self, *sources: int, to: int = 24, name: str = "") -> dict[str, t.Any]:
        return {
            "session": name or self.mine,
            "enabled": True,
            "sources": [{"interface": self.port(number), "direction": "rx"} for number in sources],
            "destination": {"interface": self.port(to)},
        }

    def reach(self, options: dict[str, t.Any] | None, campaign: str = "storm", name: str = "", **more: t.Any) -> Outcome:
        check, seconds = more.pop("check", False), more.pop("seconds", None)
        key = key_of(self.platform, name or (options or {}).get("session") or self.mine)
        return reach(self.host, self.store, self.platform, Asked(key, options, campaign, Permits(**more), seconds), check)

    def put_back(self, campaign: str = "storm") -> list[Restored]:
        return put_back(self.host, self.store, self.platform, campaign, False)

    def sessions(self) -> dict[str, t.Any]:
        return self.platform.parse("\n".join(self.device.show(command) for command in self.platform.reads))


@pytest.fixture(params=THEIRS)
def bench(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Bench:
    return Bench(request.param, tmp_path / "journal")


def test_a_session_is_made_changed_and_put_back(bench: Bench) -> None:
    before = bench.sessions()
    made = bench.reach(bench.options(3))
    assert [bool(made.changes), plain(made.before[key_of(bench.platform, bench.mine)])] == [True, {}]
    assert not bench.reach(bench.options(3)).changes
    changed = bench.reach(bench.options(3, 4, to=25))
    assert [source.name for source in bench.sessions()[bench.mine].sources] == [bench.port(3), bench.port(4)]
    assert changed.commands and set(bench.sessions()) == {bench.mine, bench.theirs}
    assert [result.outcome for result in bench.put_back()] == ["restored"]
    assert bench.sessions() == before


def test_check_mode_types_nothing_and_writes_no_journal(bench: Bench) -> None:
    outcome = bench.reach(bench.options(3), check=True)
    assert outcome.changes and outcome.commands and bench.typed == []
    assert bench.store.open_states() == {}


def test_what_is_refused_is_said_and_taken_back(bench: Bench) -> None:
    before, bench.refuse = bench.sessions(), bench.port(24)
    with pytest.raises(Refused, match=r"was set to .*No hardware resource.*nothing stays changed"):
        bench.reach(bench.options(3))
    assert bench.sessions() == before and bench.store.open_states() == {}


def test_a_change_that_is_refused_leaves_the_session_as_it_was(bench: Bench) -> None:
    bench.reach(bench.options(3))
    before, bench.refuse = bench.sessions(), bench.port(25)
    with pytest.raises(Refused, match="nothing stays changed"):
        bench.reach(bench.options(3, 4, to=25))
    assert bench.sessions() == before


def test_what_a_broken_connection_left_is_ours_and_heals(bench: Bench) -> None:
    bench.break_at = bench.port(24)
    with pytest.raises(Refused, match="could not be put back"):
        bench.reach(bench.options(3))
    bench.break_at = ""
    bench.configuring, bench.device.stack = False, []
    assert bench.reach(bench.options(3)).after
    assert bench.sessions()[bench.mine].interfaces == (bench.port(24),)
    bench.put_back()
    assert set(bench.sessions()) == {bench.theirs}


def test_a_session_of_somebody_else_is_left_alone(bench: Bench) -> None:
    for options in (bench.options(3, name=bench.theirs), None):
        with pytest.raises(Refused, match="somebody else's"):
            bench.reach(options, name=bench.theirs)
    assert bench.typed == []
    assert not bench.reach(bench.options(9, to=10, name=bench.theirs)).changes, "what is so already may be relied on"


def test_a_session_of_somebody_else_that_was_replaced_comes_back(bench: Bench) -> None:
    before = bench.sessions()
    bench.reach(bench.options(3, name=bench.theirs), replace_foreign=True)
    assert bench.sessions() != before
    bench.put_back()
    assert bench.sessions() == before
    bench.reach(None, name=bench.theirs, replace_foreign=True)
    assert bench.sessions() == {}
    bench.put_back()
    assert bench.sessions() == before


def test_ports_of_other_sessions_are_not_taken(bench: Bench) -> None:
    with pytest.raises(Refused, match=f"{bench.port(9)} is used by session {bench.theirs} already"):
        bench.reach(bench.options(9))
    with pytest.raises(Refused, match="is used by session"):
        bench.reach(bench.options(3, to=9))
    assert bench.typed == []


def test_another_campaign_may_share_a_session_but_not_change_it(bench: Bench) -> None:
    bench.reach(bench.options(3), "first")
    assert not bench.reach(bench.options(3), "second").changes
    with pytest.raises(Refused, match=r"sources .*but the open campaign first relies on sources"):
        bench.reach(bench.options(4), "second")
    assert [result.outcome for result in bench.put_back("first")] == ["handed_over"]
    assert [result.outcome for result in bench.put_back("second")] == ["restored"]
    assert set(bench.sessions()) == {bench.theirs}


def test_what_was_removed_need_not_be_put_back(bench: Bench) -> None:
    bench.reach(bench.options(3))
    assert bench.reach(None).changes
    assert not bench.reach(None).changes
    assert bench.store.open_states() == {} and bench.put_back() == []


def test_the_name_of_a_campaign_means_its_runs(bench: Bench) -> None:
    bench.reach(bench.options(3), "20261123T101500Z-storm-3fa9c1")
    assert runs_of(bench.store, "storm") == runs_of(bench.store, "20261123T101500Z-storm-3fa9c1") == ["20261123T101500Z-storm-3fa9c1"]
    assert runs_of(bench.store, "stor") == []


def test_what_somebody_changed_meanwhile_is_left_alone(bench: Bench) -> None:
    bench.reach(bench.options(3))
    bench.device.batch(by_hand(bench))
    assert [result.outcome for result in bench.put_back()] == ["drift"]
    assert bench.mine in bench.sessions()


def by_hand(bench: Bench) -> list[str]:
    """Return commands with which somebody adds a source to our session."""
    have = bench.sessions()[bench.mine]
    more = have.sources[0]._replace(name=bench.port(7))
    wish = dataclasses.replace(have, sources=(*have.sources, more))
    return [*bench.platform.render(wish, have), *([bench.platform.commit] if bench.platform.commit else [])]


def jobs(bench: Bench) -> dict[str, str]:
    assert bench.platform.timer
    return timers(bench.platform, "\n".join(bench.device.show(command) for command in bench.platform.timer.reads))


def test_the_switch_ends_a_session_in_time_and_the_end_takes_the_timer_away(bench: Bench) -> None:
    bench.reach(bench.options(3), seconds=3600)
    assert list(jobs(bench)) == [bench.mine]
    bench.put_back()
    assert jobs(bench) == {} and set(bench.sessions()) == {bench.theirs}
    bench.reach(bench.options(3), seconds=3600)
    bench.device.elapse(62)
    assert set(bench.sessions()) == {bench.theirs}


def test_a_timer_that_an_earlier_session_left_does_not_end_a_new_one(bench: Bench) -> None:
    bench.reach(bench.options(3), seconds=3600)
    bench.device.batch(
        [*bench.platform.render(None, bench.sessions()[bench.mine]), *([bench.platform.commit] if bench.platform.commit else [])]
    )
    bench.reach(bench.options(3))
    bench.device.elapse(62)
    assert bench.mine in bench.sessions()


def test_another_type_is_made_anew_where_that_is_allowed(tmp_path: pathlib.Path) -> None:
    bench = Bench("eos", tmp_path / "journal")
    bench.reach(bench.options(3))
    far = {**bench.options(3), "destination": {"erspan": {"destination_ip": "192.0.2.9", "source_ip": "192.0.2.1"}}}
    with pytest.raises(Refused, match="recreate: never forbids"):
        bench.reach(far, recreate=False)
    assert bench.reach(far).commands[0] == "no monitor session CAP"
    assert bench.sessions()["CAP"].type == "erspan_source"


REFLECTOR = "interface GigabitEthernet1/0/24\n port access vlan 10\n description uplink\n quit"


def remote(bench: Bench, **destination: str) -> dict[str, t.Any]:
    return {**bench.options(3), "destination": {"remote_vlan": 1900, **destination}}


@pytest.fixture
def comware(tmp_path: pathlib.Path) -> Bench:
    """A Comware switch on which port 24 has settings."""
    bench = Bench("comware", tmp_path / "journal")
    bench.device.batch(REFLECTOR.splitlines())
    return bench


def test_a_port_is_reset_only_when_that_is_said_and_what_it_loses_is_told(comware: Bench) -> None:
    wish = remote(comware, reflector_port="GE1/0/24")
    with pytest.raises(Refused, match=r"resets GigabitEthernet1/0/24 .*loses port access vlan 10; description uplink: say allow_port_reset: true"):
        comware.reach(wish)
    assert comware.typed == []
    made = comware.reach(wish, port_reset=True)
    assert lost(made) == ["port access vlan 10", "description uplink"]
    assert comware.device.interfaces["GigabitEthernet1/0/24"] == []
    assert '"lost":["port access vlan 10","description uplink"]' in (pathlib.Path(comware.store.root) / "storm" / "journal.ndjson").read_text()
    assert not comware.reach(wish).changes, "it is a reflector port now and loses nothing more"
    comware.put_back()
    assert set(comware.sessions()) == {comware.theirs}


def test_an_egress_port_becomes_a_reflector_port_and_back(comware: Bench) -> None:
    comware.reach(remote(comware, interface="GE1/0/23"))
    changed = comware.reach(remote(comware, reflector_port="GE1/0/22"), "storm", port_reset=True)
    assert changed.commands == ["undo mirroring-group 1 monitor-egress GigabitEthernet1/0/23", "mirroring-group 1 reflector-port GigabitEthernet1/0/22"]
    comware.reach(remote(comware, interface="GE1/0/23"))
    assert (comware.sessions()["1"].interfaces, comware.sessions()["1"].reflector_port) == (("GigabitEthernet1/0/23",), None)


def test_a_reflector_port_that_somebody_uses_meanwhile_is_not_put_back(comware: Bench) -> None:
    comware.reach(remote(comware, reflector_port="GE1/0/24"), "first", port_reset=True)
    comware.reach(remote(comware, interface="GE1/0/23"), "first")
    comware.store.journal("first").close()
    comware.device.batch(["mirroring-group 9 local", "undo mirroring-group 1", "mirroring-group 1 remote-source"])
    comware.device.batch(["mirroring-group 1 remote-probe vlan 1900", "mirroring-group 1 mirroring-port GigabitEthernet1/0/3 inbound"])
    comware.device.batch(["mirroring-group 1 reflector-port GigabitEthernet1/0/24"])
    comware.reach(remote(comware, interface="GE1/0/23"), replace_foreign=True)
    comware.device.batch(REFLECTOR.splitlines())
    with pytest.raises(Refused, match="loses port access vlan 10; description uplink, set since: put it back by hand"):
        comware.put_back()
    assert comware.device.interfaces["GigabitEthernet1/0/24"] == ["port access vlan 10", "description uplink"]


def test_a_remote_source_on_comware_needs_a_way_out(comware: Bench) -> None:
    with pytest.raises(Refused, match="session 1 of type rspan_source on comware needs interfaces or reflector_port"):
        comware.reach(remote(comware))
    with pytest.raises(Refused, match="comware cannot do interfaces and reflector_port in one session"):
        comware.reach(remote(comware, interface="GE1/0/23", reflector_port="GE1/0/24"), port_reset=True)


class Killed(BaseException):
    """The end of a process in the middle of its work."""


class OvsHost(Host):
    """A host with Open vSwitch, whose journal is real. *stale* is whether its running flows follow the mirrors of before.

    With *dies* the process ends where it would purge them.
    """

    def __init__(self) -> None:
        self.box = MODELS["ovs"]("")
        self.stale = self.dies = False

    def run(self, argv: t.Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        line = shlex.join(argv)
        if line in self.box.reads():
            return Result(list(argv), 0, self.box.show(line), "")
        if line == PURGE and self.dies:
            self.dies = False
            raise Killed
        error = self.box.apply(line)
        self.stale = line != PURGE
        return Result(list(argv), 1 if error else 0, "", error)


class Bridge:
    """Calls of the module on such a host."""

    platform = PLATFORMS["ovs"]

    def __init__(self, folder: pathlib.Path) -> None:
        self.host, self.store = OvsHost(), Store(Host(), str(folder))

    def reach(self, options: dict[str, t.Any] | None, name: str = "cap1", campaign: str = "standing", **permits: bool) -> Outcome:
        return reach(self.host, self.store, self.platform, Asked(key_of(self.platform, name), options, campaign, Permits(**permits)), False)

    def put_back(self, campaign: str = "standing") -> list[str]:
        return [result.outcome for result in put_back(self.host, self.store, self.platform, campaign, False)]

    def killed(self, work: t.Callable[..., t.Any], *what: t.Any, **how: t.Any) -> None:
        self.host.dies = True
        with pytest.raises(Killed):
            work(*what, **how)
        assert self.host.stale

    def sessions(self) -> dict[str, t.Any]:
        return self.platform.parse(self.host.box.running())

    def ports(self) -> list[str]:
        return [row["name"] for row in self.host.box.tables["Port"] if row["name"].startswith("er")]


FAR = {"destination_ip": "10.9.0.2", "erspan_id": 100, "header_type": 2}
NEAR = {"session": "cap1", "enabled": True, "bridge": "br0", "sources": [{"interface": "swp1"}], "destination": {"erspan": FAR}}
#: A mirror that somebody made by hand, with a tunnel port of a name of theirs.
BY_HAND = (
    "ovs-vsctl --timeout=10 -- add-port br0 er0 -- set Interface er0 type=erspan options={remote_ip=10.9.0.2,key=100,erspan_ver=1} "
    "-- --id=@s get Port swp1 -- --id=@o get Port er0 -- --id=@m create Mirror name=theirs select_src_port=@s output_port=@o "
    "-- add Bridge br0 mirrors @m"
)


@pytest.fixture
def bridge(tmp_path: pathlib.Path) -> Bridge:
    return Bridge(tmp_path / "journal")


def test_flows_that_a_crash_left_on_the_mirrors_of_before_follow_with_the_next_run(bridge: Bridge) -> None:
    bridge.killed(bridge.reach, NEAR)
    assert not bridge.reach(NEAR).changes and not bridge.host.stale
    assert not bridge.store.open_states()["standing"].unfinished
    bridge.killed(bridge.reach, None)
    assert not bridge.reach(None).changes and not bridge.host.stale
    assert bridge.store.open_states() == {} and bridge.sessions() == {}


def test_flows_that_a_crash_of_another_campaign_left_follow_too(bridge: Bridge) -> None:
    bridge.killed(bridge.reach, NEAR, campaign="storm")
    assert not bridge.reach(NEAR).changes and not bridge.host.stale


def test_a_restore_that_was_cut_off_is_finished_by_the_next(bridge: Bridge) -> None:
    bridge.reach(NEAR)
    bridge.killed(bridge.put_back)
    assert bridge.put_back() == ["already"] and not bridge.host.stale
    bridge.killed(bridge.reach, NEAR)
    bridge.killed(bridge.put_back)
    assert bridge.put_back() == ["already"] and not bridge.host.stale
    assert bridge.store.open_states() == {}


def test_a_tunnel_of_somebody_else_comes_back_under_its_own_name(bridge: Bridge) -> None:
    assert bridge.host.box.show("") and bridge.host.box.apply(BY_HAND) == ""
    before = bridge.sessions()
    assert (before["theirs"].interfaces, before["theirs"].mine) == (("er0",), False)
    bridge.reach(None, "theirs", replace_foreign=True)
    assert bridge.sessions() == {} and bridge.ports() == ["er0"]
    other = {**NEAR, "session": "theirs", "destination": {"erspan": {**FAR, "erspan_id": 7}}}
    bridge.reach(other, "theirs", replace_foreign=True)
    assert bridge.ports() == ["er0", tunnel("theirs")]
    assert bridge.put_back() == ["restored"]
    assert bridge.sessions() == before and bridge.ports() == ["er0"]


def test_a_mirror_of_somebody_else_comes_back_without_our_mark(bridge: Bridge) -> None:
    theirs = BY_HAND.replace("type=erspan options={remote_ip=10.9.0.2,key=100,erspan_ver=1}", "type=internal")
    assert bridge.host.box.show("") and bridge.host.box.apply(theirs) == ""
    before = bridge.sessions()
    wish = {"session": "theirs", "bridge": "br0", "sources": [{"interface": "swp2"}], "destination": {"interface": "swp3"}}
    bridge.reach(wish, "theirs", replace_foreign=True)
    assert bridge.sessions()["theirs"].mine is True
    assert bridge.put_back() == ["restored"]
    assert bridge.sessions() == before and before["theirs"].mine is False
