# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Comware shows of a capture, and what is typed for one; the switch behind it is the double of tests/switches."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import apply, preview, restore
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.remote_capture import key_of, ours, wish
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.cli import Switch
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.comware_capture import interface, parse, start
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.registry import capture_of
from ansible_collections.wirefleet.capture.plugins.module_utils.switches.remote_capture import Capture, Running
from hypothesis import given
from hypothesis import strategies as st

from tests.switches.models.comware import Comware

#: H3C S6800 command reference, "display packet-capture status".
DOCUMENTED = "Status     : Capturing\n\nFile Name  : flash:/a.pcap\n\nUser Name  : N/A\n\nPassword   : N/A\n"
KEY = key_of("comware")
WANT = Capture("GigabitEthernet1/0/1", "rx", 2014)


def test_what_is_shown() -> None:
    assert parse(DOCUMENTED) == Running("flash:/a.pcap")
    assert parse(DOCUMENTED.replace("flash:/a.pcap", "N/A")) == Running()
    assert parse("") is parse("There is no capture.\n") is None


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    found = parse(text)
    assert found is None or isinstance(found.file, str)


@pytest.mark.parametrize(
    ("direction", "port", "line"),
    [
        ("rx", None, "packet-capture remote interface GigabitEthernet1/0/1"),
        ("tx", 2014, "packet-capture remote interface GigabitEthernet1/0/1 outbound port 2014"),
        ("both", 2014, "packet-capture remote interface GigabitEthernet1/0/1 bidirection port 2014"),
    ],
)
def test_what_is_typed(direction: str, port: int | None, line: str) -> None:
    assert start(Capture(interface("ge1/0/1"), direction, port)) == [line]
    assert Comware().operate(line) == ""


@pytest.mark.parametrize("name", ["GE1/0/1 port 1", "GE1/0/1\nreboot", "?", "", "a|b"])
def test_a_name_that_is_more_than_one_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="has no interface"):
        interface(name)


def test_other_platforms_are_refused_by_name() -> None:
    with pytest.raises(Refused, match="ios serves no capture by RPCAP, as comware does"):
        capture_of("cisco.ios.ios")


@pytest.fixture
def device() -> Comware:
    return Comware()


@pytest.fixture
def switch(device: Comware) -> Switch:
    def ask(line: str, _question: str | None, _answer: str | None) -> str:
        return device.show(line) if line.startswith("display") else device.operate(line)

    return Switch(ask)


def test_a_capture_is_ours_as_long_as_the_journal_says_so(switch: Switch, device: Comware, tmp_path) -> None:
    store = Store(switch, str(tmp_path))
    made = apply(switch, store, Owner("a"), {KEY: wish(WANT, None)})
    assert (made.before, made.after, len(made.commands)) == ({KEY: None}, {KEY: {"file": ""}}, 1)
    mine = ours(store.open_states(), KEY)
    assert mine == WANT._asdict()
    assert preview(switch, {KEY: wish(WANT, mine)}).changes == []
    with pytest.raises(Refused, match="captures on GigabitEthernet1/0/1 already"):
        preview(switch, {KEY: wish(Capture("GigabitEthernet1/0/2"), mine)})
    assert [row.outcome for row in restore(switch, store, "a")] == ["restored"]
    assert device.capture is None and ours(store.open_states(), KEY) is None


def test_what_somebody_else_captures_is_not_touched(switch: Switch, device: Comware, tmp_path) -> None:
    for shown, words in (("N/A", "was not started by this collection"), ("flash:/a.pcap", "writes flash:/a.pcap")):
        device.capture = shown
        for want in (WANT, None):
            with pytest.raises(Refused, match=words):
                apply(switch, Store(switch, str(tmp_path)), Owner("a"), {KEY: wish(want, None)})
        assert device.capture == shown


def test_a_capture_that_another_replaced_is_left_alone(switch: Switch, device: Comware, tmp_path) -> None:
    store = Store(switch, str(tmp_path))
    apply(switch, store, Owner("a"), {KEY: wish(WANT, None)})
    device.capture = "flash:/theirs.pcap"
    assert [row.outcome for row in restore(switch, store, "a")] == ["drift"]
    assert device.capture == "flash:/theirs.pcap"


def test_a_switch_without_the_feature_says_what_it_lacks(tmp_path) -> None:
    def ask(line: str, _question: str | None, _answer: str | None) -> str:
        raise Refused(f"the switch answered {line!r} with '% Unrecognized command'")

    with pytest.raises(Refused, match="need the packet-capture feature image"):
        preview(Switch(ask), {KEY: wish(WANT, None)})


def test_a_start_that_did_not_happen_is_an_error_and_quotes_the_switch(switch: Switch, device: Comware, tmp_path) -> None:
    device.operate = lambda line: "Not supported on this port."  # type: ignore[method-assign]
    with pytest.raises(Refused, match="Not supported on this port"):
        apply(switch, Store(switch, str(tmp_path)), Owner("a"), {KEY: wish(WANT, None)})
    assert Store(switch, str(tmp_path)).open_states() == {}
