# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds on every platform: what is rendered is read back, twice changes nothing, and nobody else's session is touched."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.switches import platform as platforms
from ansible_collections.wirefleet.capture.plugins.module_utils.switches import registry
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.platform import (
    LIMITS,
    Platform,
    arm,
    disarm,
    plan,
    removal,
    timers,
)
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.session import (
    OPTIONS,
    Session,
    Source,
    as_options,
    differing,
    from_options,
    normal,
    said,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from switch_models import DEVICES, MODELS, shown, typed

from tests.switches.models import ovs, tc

#: Interfaces as each platform writes them, in its configuration.
PORTS = {
    "ios": [*(f"GigabitEthernet1/0/{port}" for port in range(1, 10)), "TenGigabitEthernet1/1/1", "Port-channel3"],
    "iosxe": [*(f"TwentyFiveGigE1/0/{port}" for port in range(1, 10)), "FortyGigabitEthernet1/1/1", "Port-channel3"],
    "nxos": [*(f"Ethernet1/{port}" for port in range(1, 10)), "Ethernet101/1/7", "port-channel20"],
    "junos": [*(f"ge-0/0/{port}.0" for port in range(1, 10)), "xe-0/1/0.0", "ae3.0"],
    "comware": [*(f"Ten-GigabitEthernet1/0/{port}" for port in range(1, 10)), "FortyGigE1/0/49", "HundredGigE2/0/1"],
    "vrp": [*(f"GigabitEthernet0/0/{port}" for port in range(1, 10)), "XGigabitEthernet0/1/1", "Eth-Trunk4"],
    "cloudengine": [*(f"10GE1/0/{port}" for port in range(1, 10)), "100GE1/0/1", "Eth-Trunk4"],
    "eos": [f"Ethernet{port}" for port in (*range(1, 12), "49/1")],
    "nvue": [*(f"swp{port}" for port in range(1, 11)), "swp11s1", "bond1"],
    "ovs": list(ovs.PORTS),
    "sonic": [*(f"Ethernet{port}" for port in range(0, 40, 4)), "PortChannel0001"],
    "tc": list(tc.PORTS),
}
#: What a switch has once for all sessions.
ORIGIN = {"nxos": "192.0.2.1"}
CLI = [platform for platform in registry.PLATFORMS.values() if platform.name in MODELS]
FEW = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])

#: Forms that reach further than one session, or change what others use.
FORBIDDEN = re.compile(
    r"no monitor session (all|local|type)\b|no monitor session *$|undo mirroring-group (all|local|remote-\w+)\b|undo mirroring-group *$"
    r"|clear bridge \S+ mirrors|(delete|deactivate) forwarding-options( analyzer)? *$|ip address \S+ force|nv unset system port-mirror *$"
    r"|nv unset system *$|no monitor *$|undo observe-port *$|undo port-mirroring *$|no monitor erspan origin|no monitor session default"
    r"|del-br|emer-reset|qdisc del dev \S+ (root|clsact|ingress) *$|copy .*startup|write|reload|\bforce\b"
    r"|no event manager|no (event-handler|feature|scheduler)|\n|\r|[;`|?\"']"
)


def bare(switch: Platform, command: str) -> str:
    """Return *command* as the switch gets it: the words of a program without what keeps them apart, and without a quoted text."""
    return re.sub(r'="[\w.:/@(),+= -]*"', "=", " ".join(shlex.split(command))) if switch.host else command


def ports(platform: Platform) -> list[str]:
    return PORTS[platform.name]


def values(platform: Platform, option: str, free: list[str]) -> st.SearchStrategy[t.Any]:
    low, high = platform.caps.limits.get(option) or LIMITS.get(option) or (0, 0)
    if high:
        return st.integers(low, high)
    address = st.ip_addresses(v=4).map(str)
    return {
        "interfaces": st.lists(st.sampled_from(free), min_size=1, max_size=min(3, platform.caps.destinations), unique=True).map(tuple),
        "vlans": st.lists(st.integers(1, 4094), min_size=1, max_size=5).map(tuple),
        "destination_ip": address,
        "source_ip": st.just(ORIGIN[platform.name]) if platform.name in ORIGIN else address,
        "bridge": st.sampled_from(ovs.BRIDGES),
        "reflector_port": st.sampled_from(free),
        "acl_type": st.sampled_from(["ip", "ipv6", "mac"]),
        "description": st.sampled_from(["0", "CAP-A", "for the storage team", "a.b:c/d@e,f"]),
    }.get(option, st.sampled_from(["A0", "BLUE", "ROCE", "Z9"]))


def names(platform: Platform) -> st.SearchStrategy[str]:
    if platform.caps.numbers:
        return st.integers(*platform.caps.numbers).map(str)
    return st.sampled_from(["A", "A0", "A-0", "CAP-A", "Cap", "Z9-storage"])


@st.composite
def wishes(draw: t.Any, platform: Platform, name: str | None = None, half: int | None = None) -> Session:
    """Draw a complete session that *platform* takes; sessions of different *half* share nothing."""
    caps = platform.caps
    kind = draw(st.sampled_from(sorted(caps.types)))
    free = ports(platform) if half is None else ports(platform)[half::2]
    needed = set(platforms.needs(platform, kind)) - {"sources"}
    chosen = needed | draw(st.sets(st.sampled_from(sorted(caps.types[kind])))) if caps.types[kind] else needed
    chosen |= {draw(st.sampled_from(caps.either[kind]))} if kind in caps.either else set()
    fields = {option: draw(values(platform, option, free)) for option in OPTIONS if option in chosen}
    if "acl" in fields or "acl_type" in fields:
        fields |= {option: draw(values(platform, option, free)) for option in ("acl", "acl_type") if option in caps.types[kind]}
    free = [port for port in free if port not in (*fields.get("interfaces", ()), fields.get("reflector_port"))]
    sources: tuple[Source, ...] = ()
    if kind.endswith("_destination"):
        free = []
    else:
        what = draw(st.sampled_from(sorted(caps.directions)))
        label = st.sampled_from(free) if what == "interface" else st.integers(1, 2046).map(lambda vlan: str(2 * vlan + (half or 0)))
        ways = sorted(caps.directions[what])
        ways = [draw(st.sampled_from(ways))] if caps.one_direction else ways
        source = st.builds(Source, st.just(what), label, st.sampled_from(ways))
        sources = tuple(draw(st.lists(source, min_size=1, max_size=4, unique_by=lambda one: one.name)))
    for one, other in caps.exclusive:
        if other in fields and (one in fields or one == f"{sources[0].kind} sources"):
            del fields[other]
    enabled = draw(st.booleans()) if caps.can_disable and kind not in caps.always_on else True
    wish = normal(Session(draw(names(platform)) if name is None else name, kind, enabled=enabled, sources=sources, **fields))
    try:
        plan(platform, wish, None)
    except Refused:
        assume(False)
    return wish


def read(switch: Platform, text: str) -> dict[str, Session]:
    """Return the sessions of running configuration *text*, of which the platform reads parts only."""
    return switch.parse(shown(switch.name, text) if switch.name in DEVICES else text)


on_each_typed = pytest.mark.parametrize("switch", [platform for platform in CLI if platform.name in DEVICES], ids=lambda platform: platform.name)
on_each = pytest.mark.parametrize("switch", CLI, ids=lambda platform: platform.name)


def test_every_platform_is_registered() -> None:
    folder = pathlib.Path(registry.__file__).parent
    defined = {path.stem for path in folder.glob("*.py") if "\nPLATFORM = " in path.read_text()}
    listed = {platform.parse.__module__.rpartition(".")[2] for platform in registry.PLATFORMS.values()}
    assert defined and defined == listed


def test_every_system_means_one_platform() -> None:
    systems = [system for platform in registry.PLATFORMS.values() for system in platform.systems]
    assert len(systems) == len(set(systems))


@on_each
@FEW
@given(data=st.data())
def test_what_is_rendered_is_read_back(switch: Platform, data: t.Any) -> None:
    wish = data.draw(wishes(switch))
    have = read(switch, MODELS[switch.name]("", plan(switch, wish, None).commands))
    assert list(have) == [wish.name]
    assert have[wish.name].unknown == ()
    assert {option: getattr(have[wish.name], option) for option in said(wish)} == said(wish)
    assert plan(switch, wish, have[wish.name]).how == "none"
    assert switch.render(have[wish.name], have[wish.name]) == []
    assert removal(switch, wish.name, None) == ("none", None, None, [])


@on_each
@FEW
@given(data=st.data())
def test_what_people_read_is_what_they_can_ask_for(switch: Platform, data: t.Any) -> None:
    wish = data.draw(wishes(switch))
    assert from_options(as_options(wish)) == wish


@on_each
@FEW
@given(data=st.data())
def test_any_session_becomes_any_other(switch: Platform, data: t.Any) -> None:
    first = data.draw(wishes(switch))
    second = data.draw(wishes(switch, first.name))
    text = MODELS[switch.name]("", plan(switch, first, None).commands)
    change = plan(switch, second, read(switch, text)[first.name])
    text = MODELS[switch.name](text, change.commands)
    have = read(switch, text)[second.name]
    assert not differing(second, have)
    assert (change.how == "none") == (not change.commands)


@on_each
@FEW
@given(data=st.data())
def test_a_change_cut_off_anywhere_heals_with_the_next(switch: Platform, data: t.Any) -> None:
    first = data.draw(wishes(switch))
    second = data.draw(wishes(switch, first.name))
    text = MODELS[switch.name]("", plan(switch, first, None).commands)
    commands = plan(switch, second, read(switch, text)[first.name]).commands
    text = MODELS[switch.name](text, commands[: data.draw(st.integers(0, len(commands)))])
    have = read(switch, text).get(second.name)
    text = MODELS[switch.name](text, plan(switch, second, have).commands)
    assert not differing(second, read(switch, text)[second.name])


@on_each
@FEW
@given(data=st.data())
def test_nothing_done_to_a_session_touches_another(switch: Platform, data: t.Any) -> None:
    mine = data.draw(wishes(switch, half=0))
    changed = data.draw(wishes(switch, mine.name, 0))
    other = data.draw(wishes(switch, data.draw(names(switch).filter(lambda name: name != mine.name)), 1))
    assume(other.remote_vlan is None or other.remote_vlan not in (mine.remote_vlan, changed.remote_vlan))
    model = MODELS[switch.name]
    text = model("", plan(switch, other, None).commands)
    alone = read(switch, text)
    for wish in (mine, changed, None):
        have = read(switch, text).get(mine.name)
        step = plan(switch, wish, have) if wish else removal(switch, mine.name, have)
        assert not [line for line in step.commands if re.search(rf"(monitor session|mirroring-group|analyzer|observe-port) {other.name}(?![\w-])", line)]
        text = model(text, step.commands)
        assert read(switch, text)[other.name] == alone[other.name]
    assert read(switch, text) == alone


@on_each_typed
@FEW
@given(data=st.data())
def test_what_was_made_and_removed_leaves_the_switch_as_it_was(switch: Platform, data: t.Any) -> None:
    device = DEVICES[switch.name]()
    stanza = "set interfaces {} description mine" if switch.name == "junos" else "interface {}"
    kept = [stanza.format(port) for port in ports(switch)] + [f"vlan {vlan}" for vlan in range(1, 4095) if switch.name in ("vrp", "cloudengine")]
    commit = [switch.commit] if switch.commit else []
    typed(device, [line for name in kept for line in (name, "description mine", "quit")] if switch.name != "junos" else kept)
    typed(device, commit)
    before = device.running()
    wish = data.draw(wishes(switch))
    assume(not wish.reflector_port)  # whose settings go for good
    typed(device, plan(switch, wish, None).commands + commit)
    assert device.running() != before
    typed(device, removal(switch, wish.name, wish).commands + commit)
    assert device.running() == before


@on_each
@FEW
@given(data=st.data())
def test_nothing_that_reaches_further_is_ever_rendered(switch: Platform, data: t.Any) -> None:
    first = data.draw(wishes(switch))
    second = data.draw(wishes(switch, first.name))
    commands = plan(switch, first, None).commands + plan(switch, second, first).commands + removal(switch, first.name, first).commands
    assert not [command for command in commands if FORBIDDEN.search(bare(switch, command))]


@on_each
@FEW
@given(data=st.data(), text=st.text(max_size=20))
def test_no_text_of_a_wish_reaches_the_switch_unchecked(switch: Platform, data: t.Any, text: str) -> None:
    """Whatever somebody writes into an option, it is refused or stays within one word or line."""
    wish = data.draw(wishes(switch))
    field = data.draw(st.sampled_from(["name", "description", "vrf", "acl", "interfaces", "sources", "bridge"]))
    value: t.Any = {"interfaces": (text,), "sources": (Source("interface", text, "rx"),)}.get(field, text)
    try:
        commands = plan(switch, dataclasses.replace(wish, **{field: value}), None).commands
    except Refused as refusal:
        assert str(refusal)
    else:
        assert not [command for command in commands if FORBIDDEN.search(bare(switch, command))]


WORDS = """monitor session 1 2 3 66 CAP-A type erspan-source erspan-destination local source destination interface vlan remote filter
ip access-group rx tx both Gi1/0/1 GigabitEthernet1/0/2 Gi1/0/1-9999999 Ethernet1/1 - , 4 99999999999999999999 shutdown no shut erspan-id
address origin 10.0.0.1 10.0.0.999 ::1 force ttl dscp mtu vrf header-type mirroring-group 5 local remote-source mirroring-port inbound outbound
monitor-port monitor-egress reflector-port remote-probe destination-ip source-ip mirroring-vlan to Ten-GigabitEthernet1/0/1 observe-port
port-mirroring mirroring ge-0/0/1.0 set deactivate forwarding-options analyzer A input ingress egress output ip-address tunnel mode gre
truncate size sample access-list event manager applet wirefleet-3 scheduler job schedule name time start exit end # ! \u0663 \u00b2 \x00 \x1b[16D
\x08\x08 --More-- not specified""".split()


@on_each_typed
@FEW
@given(words=st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from([" ", " ", " ", "\n", "\n ", "\r\n"])), max_size=120))
def test_nothing_that_a_switch_may_print_is_too_much(switch: Platform, words: list[tuple[str, str]]) -> None:
    text = "".join(word + space for word, space in words)
    for session in switch.parse(text).values():
        assert as_options(session)
    timers(switch, text)


@on_each_typed
@FEW
@given(data=st.data())
def test_pagers_and_line_ends_leave_nothing(switch: Platform, data: t.Any) -> None:
    text = shown(switch.name, MODELS[switch.name]("", plan(switch, data.draw(wishes(switch)), None).commands))
    residue = st.sampled_from(
        ["", "", "--More-- \x08\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08\x08\x08\x08\x08\x08", " --More-- \r         \r",
         "---- More ----\x1b[16D                \x1b[16D", "<--- More --->\r              \r", "\x1b[K"]
    )  # fmt: skip
    paged = "\r\n".join(data.draw(residue) + line for line in text.split("\n"))
    assert switch.parse(paged) == switch.parse(text)


@on_each_typed
def test_a_line_without_end_is_not_half_read(switch: Platform) -> None:
    names = " , ".join(f"Ethernet1/{port}" for port in range(1, 900))
    text = f"monitor session 1 source interface {names} rx\nmonitor session A source {names} rx\nmonitor session 2\n  source interface {names} rx"
    for session in switch.parse(text).values():
        assert session.sources == ()


@on_each
@FEW
@given(text=st.text(max_size=300))
def test_any_text_can_be_read(switch: Platform, text: str) -> None:
    try:
        switch.parse(text)
    except Refused as refusal:
        assert str(refusal)


@on_each
def test_what_a_platform_cannot_do_is_said_with_its_name(switch: Platform) -> None:
    for kind in set(platforms.TYPES) - set(switch.caps.types):
        with pytest.raises(Refused, match=f"{switch.name} cannot do {kind}"):
            plan(switch, Session(str((switch.caps.numbers or ("A",))[0]), kind), None)


TIMED = pytest.mark.parametrize("switch", [platform for platform in CLI if platform.timer and platform.name in DEVICES], ids=lambda platform: platform.name)


class Timed:
    """A switch with the sessions A, which has a timer, and B, which has none."""

    def __init__(self, switch: Platform, data: t.Any, minutes: int) -> None:
        self.switch, self.device = switch, DEVICES[switch.name]()
        mine = data.draw(wishes(switch, half=0))
        other = data.draw(wishes(switch, data.draw(names(switch).filter(lambda name: name != mine.name)), 1))
        self.name, self.other = mine.name, other.name
        self.type(self.arm(minutes) + plan(switch, mine, None).commands + plan(switch, other, None).commands)

    def type(self, commands: list[str]) -> None:
        typed(self.device, [*commands, *([self.switch.commit] if self.switch.commit else [])])

    def show(self, commands: t.Iterable[str]) -> str:
        return "\n".join(self.device.show(command) for command in commands)

    def jobs(self) -> str:
        return self.show(self.switch.timer.reads if self.switch.timer else ())

    def sessions(self) -> set[str]:
        return set(self.switch.parse(self.show(self.switch.reads)))

    def arm(self, minutes: int) -> list[str]:
        clock = self.switch.timer.clock if self.switch.timer else None
        return arm(self.switch, self.name, minutes, self.jobs(), self.device.show(clock) if clock else "")


@TIMED
@FEW
@given(data=st.data(), minutes=st.integers(2, 3000))
def test_a_timer_removes_its_session_in_time_and_no_other(switch: Platform, data: t.Any, minutes: int) -> None:
    there = Timed(switch, data, minutes)
    there.device.elapse(minutes - 1)
    assert there.sessions() == {there.name, there.other}
    assert set(timers(switch, there.jobs())) == {there.name}
    there.device.elapse(2)
    assert there.sessions() == {there.other}
    there.type(disarm(switch, there.name, there.jobs()))
    assert not timers(switch, there.jobs())


@TIMED
@FEW
@given(data=st.data(), minutes=st.integers(2, 3000))
def test_a_timer_that_is_taken_away_or_begun_anew_does_not_run_out(switch: Platform, data: t.Any, minutes: int) -> None:
    there = Timed(switch, data, minutes)
    again = data.draw(st.booleans())
    there.type(there.arm(minutes + 100) if again else disarm(switch, there.name, there.jobs()))
    there.device.elapse(minutes + 5)
    assert there.sessions() == {there.name, there.other}
    assert set(timers(switch, there.jobs())) == ({there.name} if again else set())


@TIMED
@FEW
@given(data=st.data())
def test_a_timer_that_was_cut_off_is_seen_and_replaced(switch: Platform, data: t.Any) -> None:
    there = Timed(switch, data, 30)
    commands = there.arm(60)
    there.type(commands[: data.draw(st.integers(0, len(commands)))])
    there.type(there.arm(90))
    there.device.elapse(80)
    assert there.sessions() == {there.name, there.other}
    there.device.elapse(12)
    assert there.sessions() == {there.other}


@TIMED
@FEW
@given(data=st.data(), minutes=st.integers(1, 5999))
def test_a_timer_types_what_removes_the_session_and_nothing_else(switch: Platform, data: t.Any, minutes: int) -> None:
    """The one quotation in a line is ours: the command that runs later."""
    name = data.draw(names(switch))
    clock = "12:00:00.000 UTC Sun Mar 01 2026" if switch.timer and switch.timer.clock else ""
    commands = arm(switch, name, minutes, "", clock)
    [removed] = switch.render(None, Session(name))
    assert any(removed in command for command in commands)
    for command in commands:
        assert not re.search(r"[\n\r`|?;]", command)
        assert not FORBIDDEN.search(re.sub(r"""(["'])[^"']*\1$""", "", command))
        assert all(part in (removed, "end", "enable") or "wirefleet-" in part or part.startswith("conf") for part in quoted(command))


def quoted(command: str) -> list[str]:
    match = re.search(r"""(["'])(.*)\1$""", command)
    return match[2].split(r"\n") if match else []


@pytest.mark.parametrize("switch", [platform for platform in CLI if not platform.timer and platform.name in DEVICES], ids=lambda platform: platform.name)
def test_a_switch_without_a_timer_says_why(switch: Platform) -> None:
    with pytest.raises(Refused, match=f"{switch.name} cannot do timer: {re.escape(switch.caps.reasons['timer'])}"):
        arm(switch, "1", 10, "")
    assert disarm(switch, "1", "") == []


@TIMED
@FEW
@given(text=st.text(max_size=300), name=st.text(max_size=12))
def test_timers_in_any_text(switch: Platform, text: str, name: str) -> None:
    assert timers(switch, text) == {} or "wirefleet-" in text
    with pytest.raises(Refused):
        arm(switch, name + "\n", 10, text)
