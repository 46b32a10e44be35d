# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way, with real ethtool on real devices. veth has no private flags and no rings: see tests/integration for those."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import signal
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host, Result
from ansible_collections.wirefleet.capture.plugins.module_utils.session import expiry
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import journal as journal_module
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.apply import Outcome, Restored, apply, preview, restore
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.journal import Owner, Store
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Key, Refused
from recordings_and_veth import Inside

pytestmark = pytest.mark.real

TSO = ["tx-tcp-segmentation", "tx-tcp-ecn-segmentation", "tx-tcp-mangleid-segmentation", "tx-tcp6-segmentation"]


def feature(name: str, device: str = "v0") -> Key:
    return Key("ethtool_feature", device, name)


def change(store: Store, campaign: str = "c1", device: str = "v0", **wishes: bool) -> Outcome:
    return apply(store.host, store, Owner(campaign), {feature(name, device): value for name, value in wishes.items()})


def outcomes(results: list[Restored]) -> dict[str, str]:
    return {result.key.name: result.outcome for result in results}


def test_changed_read_back_and_put_back(veth: Inside, store: Store) -> None:
    before = veth.features()
    outcome = change(store, gro=True, tso=False)
    assert outcome.before[feature("rx-gro")] is False
    assert outcome.after[feature("rx-gro")] is True
    assert not any(outcome.after[feature(name)] for name in TSO)
    assert outcome.commands[0].startswith("ethtool -K v0 rx-gro on tx-tcp-segmentation off")
    assert "generic-receive-offload: on" in veth.features()
    assert set(outcomes(restore(veth, store, "c1")).values()) == {"restored"}
    assert veth.features() == before
    assert restore(veth, store, "c1") == []


class Watched(Inside):
    """Notes whether the host's lock is held whenever something is changed."""

    def __init__(self, pid: int, root: str) -> None:
        super().__init__(pid)
        self.root = root
        self.held: list[bool] = []

    def run(self, argv: t.Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        if argv[1] == "-K":
            with open(f"{self.root}/lock") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self.held.append(False)
                except BlockingIOError:
                    self.held.append(True)
        return super().run(argv, timeout, stdin)


def test_one_process_at_a_time_changes_settings(veth: Inside, namespace: int, store: Store) -> None:
    host = Watched(namespace, store.root)
    watched = Store(host, store.root)
    change(watched, gro=True)
    restore(host, watched, "c1")
    assert host.held == [True, True]


def test_second_time_changes_nothing(veth: Inside, store: Store) -> None:
    change(store, "standing", gro=True)
    journal = pathlib.Path(store.root, "standing/journal.ndjson")
    known = journal.read_text()
    outcome = change(store, "standing", gro=True)
    assert (outcome.changes, outcome.commands, outcome.before, outcome.after) == (
        [],
        [],
        {feature("rx-gro"): True},
        {feature("rx-gro"): True},
    )
    assert journal.read_text() == known


def test_preview_predicts_and_touches_nothing(veth: Inside, store: Store) -> None:
    wishes = {feature("gro"): True, feature("sg"): False}
    before = veth.features()
    predicted = preview(veth, wishes)
    assert (veth.features(), os.path.exists(store.root)) == (before, False)
    done = apply(veth, store, Owner("c1"), wishes)
    assert (predicted.before, predicted.after, predicted.changes, predicted.commands) == (
        done.before,
        done.after,
        done.changes,
        done.commands,
    )


def test_side_effects_are_ours(veth: Inside, store: Store) -> None:
    before = veth.features()
    outcome = change(store, sg=False)
    assert {effect.key.name for effect in outcome.side_effects} == {*TSO, "tx-generic-segmentation"}
    assert set(outcomes(restore(veth, store, "c1")).values()) == {"restored"}
    assert veth.features() == before


def test_wish_that_does_not_take_leaves_nothing_behind(veth: Inside, store: Store) -> None:
    """tso needs sg. The kernel keeps such a wish as [requested on], to come true some day: that must go too."""
    veth.run(["ethtool", "-K", "v0", "tso", "off"])
    veth.run(["ethtool", "-K", "v0", "sg", "off"])
    before = veth.features()
    with pytest.raises(Refused) as refused:
        change(store, gro=True, tso=True)
    assert str(refused.value).startswith("ethtool_feature v0 tx-tcp-segmentation was set to on, but reads off afterwards (ethtool -K v0 ")
    assert str(refused.value).endswith(
        "depends on something that is not so now, such as another feature or a private flag); nothing stays changed"
    )
    assert veth.features() == before
    assert store.open_states() == {}


def test_features_that_need_each_other_are_reached_in_any_order(veth: Inside, store: Store) -> None:
    veth.run(["ethtool", "-K", "v0", "tso", "off", "sg", "off"])
    before = veth.features()
    change(store, tso=True, sg=True)
    assert "tx-tcp-segmentation: on" in veth.features()
    restore(veth, store, "c1")
    assert veth.features() == before


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (feature("gro", "v9"), True, "there is no network device 'v9' on this host: it has v[01], v[01]"),
        (feature("gro", "-h"), True, "there is no network device '-h' on this host"),
        (feature("lro"), True, r"the driver keeps lro off \(\[fixed\] in ethtool -k\)"),
        (feature("gor"), True, "v0 has no offload feature 'gor': did you mean"),
        (Key("ethtool_ring", "v0", "rx"), "max", "v0 has no rx ring: its driver has none that can be set"),
        (
            Key("ethtool_private_flag", "v0", "sniffer"),
            True,
            "its driver veth has no private flag 'sniffer' .* plain tcpdump on it already sees every packet",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_touched(veth: Inside, store: Store, key: Key, value: t.Any, sentence: str) -> None:
    before = veth.features()
    with pytest.raises(Refused, match=sentence):
        apply(veth, store, Owner("c1"), {feature("tso"): False, key: value})
    assert (veth.features(), store.open_states()) == (before, {})


def test_what_somebody_else_put_back_is_left_alone(veth: Inside, store: Store) -> None:
    change(store, gro=True, tso=False)
    veth.run(["ethtool", "-K", "v0", "gro", "off", "tso", "on", "rx-gro-list", "on"])
    assert set(outcomes(restore(veth, store, "c1")).values()) == {"already"}
    assert "rx-gro-list: on" in veth.features()


def test_device_that_went_away_is_said_to_be_gone(veth: Inside, store: Store) -> None:
    change(store, device="v1", gro=True)
    change(store, gro=True)
    veth.run(["ip", "link", "delete", "v0"])
    results = restore(veth, store, "c1")
    assert [(result.key.scope, result.outcome) for result in results] == [("v0", "gone"), ("v1", "gone")]
    assert "there is no network device" in str(results[0].reason)
    assert store.open_states() == {}


class WithoutEthtool(Inside):
    def which(self, program: str) -> str | None:
        return None if program == "nsenter" else super().which(program)


def test_what_cannot_be_asked_for_now_stays_in_the_journal(veth: Inside, namespace: int, store: Store) -> None:
    change(store, gro=True)
    blind = WithoutEthtool(namespace)
    results = restore(blind, Store(blind, store.root), "c1")
    assert outcomes(results) == {"rx-gro": "failed"}
    assert outcomes(restore(veth, store, "c1")) == {"rx-gro": "restored"}


# --- Two campaigns ---------------------------------------------------------------------------------------------------


def test_other_value_is_refused_with_the_owners_id(veth: Inside, store: Store) -> None:
    change(store, "first", gro=True)
    with pytest.raises(Refused, match="rx-gro is wanted as off, but the open campaign first relies on on: wait for its end"):
        change(store, "second", gro=False)
    restore(veth, store, "first")
    change(store, "second", gro=False)


@pytest.mark.parametrize("order", [["first", "second"], ["second", "first"]])
def test_same_value_is_shared_and_the_last_one_puts_it_back(veth: Inside, store: Store, order: list[str]) -> None:
    before = veth.features()
    change(store, "first", gro=True)
    assert change(store, "second", gro=True).changes == []
    ends = [outcomes(restore(veth, store, name)) for name in order]
    assert ends == ([{"rx-gro": "handed_over"}, {"rx-gro": "restored"}] if order[0] == "first" else [{}, {"rx-gro": "restored"}])
    assert veth.features() == before
    assert store.open_states() == {}


def test_change_that_would_break_another_campaign_is_taken_back(veth: Inside, store: Store) -> None:
    change(store, "first", tso=True)
    before = veth.features()
    with pytest.raises(Refused, match="tx-tcp-segmentation does not stay on with these changes, and an open campaign relies on it"):
        change(store, "second", sg=False)
    assert veth.features() == before


def test_restoring_does_not_wait_for_a_newer_version(veth: Inside, store: Store) -> None:
    change(store, gro=True)
    newer = pathlib.Path(store.root, "newer")
    newer.mkdir()
    (newer / "journal.ndjson").write_text('{"do":"open","schema":9,"campaign":"newer"}\n')
    with pytest.raises(Refused, match="has schema 9"):
        change(store, "c2", tso=False)
    with pytest.raises(Refused, match="has schema 9"):
        restore(veth, store, "newer")
    assert outcomes(restore(veth, store, "c1")) == {"rx-gro": "restored"}


# --- Crashes ---------------------------------------------------------------------------------------------------------


class Mortal(Inside):
    """A host on which this process is killed after so many steps that leave a trace."""

    steps = 0

    def _step(self) -> None:
        self.steps -= 1
        if self.steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def run(self, argv: t.Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        done = super().run(argv, timeout, stdin)
        if argv[1] == "-K":
            self._step()
        return done

    def append(self, path: str, text: str) -> None:
        super().append(path, text)
        self._step()

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        super().write(path, text, mode)
        self._step()


def die(namespace: int, root: str, steps: int, act: t.Callable[[Store], t.Any]) -> bool:
    """Run *act* in a process that is killed at step *steps*; return whether it came so far."""
    child = os.fork()
    if child == 0:
        host = Mortal(namespace)
        host.steps = steps
        act(Store(host, root))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def killed_everywhere(namespace: int, store: Store, act: t.Callable[[Store], t.Any], check: t.Callable[[], None]) -> int:
    """Kill *act* at its first step, its second and so on, and *check* each time; return how many steps it has."""
    for step in range(1, 100):
        killed = die(namespace, store.root, step, act)
        check()
        if not killed:
            return step - 1
    raise AssertionError("it never ends")


def test_killed_at_any_step_of_a_change_everything_goes_back(veth: Inside, namespace: int, store: Store) -> None:
    before = veth.features()

    def check() -> None:
        restore(veth, store, "c1")
        assert veth.features() == before
        assert store.open_states() == {}

    # open, intent, -K, done, lease
    assert killed_everywhere(namespace, store, lambda mortal: change(mortal, sg=False, gro=True), check) == 5


def test_killed_at_any_step_of_a_restore_everything_goes_back(veth: Inside, namespace: int, store: Store) -> None:
    before = veth.features()

    def act(mortal: Store) -> None:
        restore(mortal.host, mortal, "c1")

    def check() -> None:
        restore(veth, store, "c1")
        assert veth.features() == before
        change(store, sg=False, gro=True)

    change(store, sg=False, gro=True)
    assert killed_everywhere(namespace, store, act, check) > 8


def test_change_after_a_crash_remembers_what_the_crash_left_unsaid(veth: Inside, namespace: int, store: Store) -> None:
    before = veth.features()
    assert die(namespace, store.root, 3, lambda mortal: change(mortal, sg=False)), "killed right after -K"
    change(store, gro=True)
    assert set(outcomes(restore(veth, store, "c1"))) == {
        "tx-scatter-gather",
        "tx-scatter-gather-fraglist",
        *TSO,
        "tx-generic-segmentation",
        "rx-gro",
    }
    assert veth.features() == before


class Rebooted(Inside):
    def read(self, path: str) -> str | None:
        return "another boot\n" if path == journal_module.BOOT_ID else super().read(path)


def test_after_a_reboot_devices_are_left_as_they_came_up(veth: Inside, namespace: int, store: Store) -> None:
    change(store, gro=True)
    veth.run(["ethtool", "-K", "v0", "rx-gro-list", "on"])
    host = Rebooted(namespace)
    results = restore(host, Store(host, store.root), "c1")
    assert outcomes(results) == {"rx-gro": "already"}
    assert "the host was rebooted since" in str(results[0].reason)
    assert "generic-receive-offload: on" in veth.features()
    assert store.open_states() == {}


class FullDisk(Inside):
    """A disk that is full from the line on that holds *word*."""

    word = ""

    def append(self, path: str, text: str) -> None:
        if f'"do":"{self.word}"' in text:
            raise OSError(28, "No space left on device")
        super().append(path, text)


@pytest.mark.parametrize("word", ["intent", "done", "lease"])
def test_full_disk_changes_nothing_that_could_not_be_put_back(veth: Inside, namespace: int, store: Store, word: str) -> None:
    before = veth.features()
    host = FullDisk(namespace)
    host.word = word
    with pytest.raises(Refused, match=r"cannot be written \(No space left on device\): make room for it"):
        change(Store(host, store.root), gro=True)
    restore(veth, store, "c1")
    assert veth.features() == before


def test_full_disk_does_not_prevent_restoring(veth: Inside, namespace: int, store: Store) -> None:
    before = veth.features()
    change(store, gro=True)
    host = FullDisk(namespace)
    host.word = "restored"
    assert outcomes(restore(host, Store(host, store.root), "c1")) == {"rx-gro": "restored"}
    assert veth.features() == before
    assert outcomes(restore(veth, store, "c1")) == {"rx-gro": "already"}


def test_journal_is_as_the_design_says(veth: Inside, store: Store) -> None:
    change(store, gro=True)
    restore(veth, store, "c1")
    lines = [json.loads(line) for line in pathlib.Path(store.root, "c1/journal.ndjson").read_text().splitlines()]
    assert [line["do"] for line in lines] == ["open", "intent", "done", "lease", "restored", "close"]
    assert lines[0] == {
        "do": "open",
        "schema": 1,
        "campaign": "c1",
        "boot_id": Host().read(journal_module.BOOT_ID).strip(),
        "who": "",
        "deadline": None,
    }
    assert lines[1]["changes"] == [[["ethtool_feature", "v0", "rx-gro"], False, True]]
    assert lines[2] == {"do": "done", "n": 1, "values": [[["ethtool_feature", "v0", "rx-gro"], True]], "side_effects": []}
    assert lines[3] == {"do": "lease", "keys": [[["ethtool_feature", "v0", "rx-gro"], True]]}


class Late(Inside):
    """Its ethtool is found only when it was looked for in vain a few times, as on a host that is being upgraded."""

    missing = 3

    def which(self, program: str) -> str | None:
        if program == "ethtool" and self.missing:
            self.missing -= 1
            return None
        return super().which(program)


def test_a_waiter_puts_back_at_a_later_try(namespace: int, veth: Inside, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "RETRIES_S", (0.01,) * 10)
    before = veth.features()
    change(store, tso=False)
    store.journal("c1").extend(Owner("c1", 1.0, "test"))
    assert expiry.expire(Late(namespace), store.journal("c1").folder) == 0
    assert veth.features() == before
    assert not os.path.exists(f"{store.journal('c1').folder}/{expiry.RECORD}")
