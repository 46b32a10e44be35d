# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of dpvs.conf: what a change does to the text, to the byte, and that its way back is the same text again."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host
from ansible_collections.wirefleet.capture.plugins.module_utils.settings import dpvs_conf, dpvs_reload
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_conf import OWN_BLOCK, DpvsConf
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_instance import Instance, parse_command, parse_eal
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_running import kni_running, memzones, pdump_running
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Gone, Refused

from tests.unit.plugins.module_utils.recorded import Recorded

PDUMP = "global_defs/pdump"


@pytest.fixture
def path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(dpvs_conf, "BACKUPS", str(tmp_path / "backups"))
    return tmp_path / "dpvs.conf"


def change(path: pathlib.Path, value: t.Any, name: str = PDUMP) -> t.Any:
    """Set *name* as apply() does; return the value that the file had."""
    kind, host = DpvsConf(), Host()
    reading = kind.read(host, str(path), [name])
    target = kind.resolve(str(path), {name: value}, reading)
    if target[name] != reading.values[name]:
        kind.write(host, str(path), target, reading.values)
    assert kind.read(host, str(path), [name]).values == target
    return reading.values[name]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("global_defs {\n}\n", "global_defs {\n    <init> pdump on\n}\n"),
        ("# ours\r\nglobal_defs {\r\n\tkni on ! x\r\n}\r\n", "# ours\r\nglobal_defs {\r\n    <init> pdump on\r\n\tkni on ! x\r\n}\r\n"),
        ("global_defs\n{\n}\n", "global_defs\n{\n    <init> pdump on\n}\n"),
        ("global_defs {\n  <init> pdump  off  <off, on|off> # why\n}\n", "global_defs {\n  <init> pdump  on  <off, on|off> # why\n}\n"),
        ('global_defs {\npdump "off" x\n}\n', "global_defs {\npdump on x\n}\n"),
        ("global_defs {\n! <init> pdump off\n}\n", "global_defs {\n    <init> pdump on\n! <init> pdump off\n}\n"),
        ("global_defs {\npdump on\npdump off\n}\n", "global_defs {\npdump on\npdump on\n}\n"),
        ("global_defs {\npdump maybe\n}\n", "global_defs {\npdump on\n}\n"),
        ("global_defs {\npdump\n}\n", "global_defs {\npdump on\n}\n"),
        ("netif_defs {\n}\n! \xe9\n", f"{OWN_BLOCK}\n    <init> pdump on\n}}\nnetif_defs {{\n}}\n! \xe9\n"),
        ("", f"{OWN_BLOCK}\n    <init> pdump on\n}}\n"),
        ("global_defs {\nfoo {\n}\npdump off\n}\n", "global_defs {\n    <init> pdump on\nfoo {\n}\npdump off\n}\n"),
    ],
)
def test_a_change_and_its_way_back(path: pathlib.Path, before: str, after: str) -> None:
    path.write_bytes(before.encode("latin-1"))
    path.chmod(0o640)
    was = change(path, True)
    assert path.read_bytes() == after.encode("latin-1")
    assert (path.stat().st_mode & 0o777, (path.parent / "backups").stat().st_mode & 0o777) == (0o640, 0o700)
    assert next((path.parent / "backups").iterdir()).read_bytes() == before.encode("latin-1")
    DpvsConf().write(Host(), str(path), {PDUMP: was}, {})
    back = path.read_bytes().decode("latin-1")
    assert back == before


@pytest.mark.parametrize("text", ["pdump on", "pdump ON", 'pdump "on"', "<init> pdump On # x"])
def test_what_dpvs_takes_for_the_same_is_no_change(path: pathlib.Path, text: str) -> None:
    path.write_text(f"global_defs {{\n{text}\n}}\n")
    change(path, True)
    assert path.read_text() == f"global_defs {{\n{text}\n}}\n"


def test_the_line_of_an_included_file_is_changed_there_and_a_link_stays_one(path: pathlib.Path) -> None:
    folder = path.parent / "conf.d"
    folder.mkdir()
    (folder / "real.conf").write_text("pdump off\n")
    (folder / "a.conf").symlink_to("real.conf")
    path.write_text("global_defs {\ninclude conf.d/a.co*\n}\n")
    assert change(path, "on") == "off"
    assert ((folder / "real.conf").read_text(), (folder / "a.conf").is_symlink()) == ("pdump on\n", True)
    assert path.read_text() == "global_defs {\ninclude conf.d/a.co*\n}\n"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (PDUMP, "maybe", "pdump is on or off, not 'maybe'"),
        ("global_defs/log_level", "info", "log_level is one of EMERG, ALERT, CRIT, ERR, WARNING, NOTICE, INFO, DEBUG, not 'info'"),
        ("global_defs/log_file", "/var/log/a b", "log_file is an absolute path without spaces"),
        ("global_defs/log_file", "/v\nkni off", "log_file is an absolute path without spaces"),
        ("global_defs/log_async_pool_size", 5, "log_async_pool_size is a number of at least 1023"),
        ("global_defs/frob", "on", "'global_defs/frob' is no key of global_defs that DPVS knows: it has kni, lldp"),
        ("netif_defs/pktpool_size", "1", "is no key of global_defs"),
    ],
)
def test_values_that_dpvs_would_only_log_are_refused(path: pathlib.Path, name: str, value: t.Any, sentence: str) -> None:
    path.write_text("global_defs {\n}\n")
    with pytest.raises(Refused) as problem:
        change(path, value, name)
    assert sentence in str(problem.value)
    assert path.read_text() == "global_defs {\n}\n"


def test_a_block_on_one_line_is_refused(path: pathlib.Path) -> None:
    path.write_text("! first\nglobal_defs { pdump on }\n")
    with pytest.raises(Refused, match=r"dpvs.conf:2 has \{ pdump on \} on the line of global_defs, which DPVS does not read"):
        change(path, True)


def test_no_file(path: pathlib.Path) -> None:
    with pytest.raises(Gone, match="name the file that DPVS was started with"):
        change(path, True)
    with pytest.raises(Refused, match="write its absolute path"):
        DpvsConf().read(Host(), "dpvs.conf", [PDUMP])


@pytest.mark.parametrize(
    ("line", "own", "eal"),
    [
        ("dpvs", ("/etc/dpvs.conf", "/var/run/dpvs.ipc"), ("rte", True)),
        ("/usr/bin/dpvs -c /a.conf -x/b.ipc -- --file-prefix x --no-telemetry", ("/a.conf", "/b.ipc"), ("x", False)),
        ("python3 /x/dpvs --conf=/a.conf --ipc-file /b.ipc -- -l 0,1 --file-prefix=y", ("/a.conf", "/b.ipc"), ("y", True)),
    ],
)
def test_command_lines(line: str, own: tuple[str, str], eal: tuple[str, bool]) -> None:
    found, rest = parse_command(line.split())
    assert ((found["conf"], found["ipc-file"]), parse_eal(rest)) == (own, eal)


INSTANCE = Instance(7, "/etc/dpvs.conf", "/p", "/i", "rte", True, "net:[1]")


class Telemetry(Recorded):
    """A host whose DPDK has these memory zones; None where it is too old to list them."""

    def __init__(self, zones: list[str] | None, longest: int = 512) -> None:
        super().__init__()
        self.zones, self.longest = zones, longest

    def converse(self, path: str, lines: t.Sequence[str], timeout: float = 3.0) -> list[str]:
        return ["{}", *(self._answer(line) for line in lines)]

    def _answer(self, line: str) -> str:
        command, _comma, number = line.partition(",")
        if self.zones is None:
            return f'{{"{line}": null}}'
        if not number:
            return f'{{"{command}": {list(range(min(len(self.zones), self.longest)))}}}'
        known = int(number) < len(self.zones)
        return f'{{"{command}": {{"Name": "{self.zones[int(number)]}"}}}}' if known else f'{{"{command}": null}}'


def test_pdump_is_read_from_the_memory_zones_also_beyond_what_an_array_holds() -> None:
    assert pdump_running(Telemetry(["a", "rte_pdump_stats"]), INSTANCE).value is True
    assert pdump_running(Telemetry(["a"]), INSTANCE).value is False
    assert memzones(Telemetry(["a"] * 600 + ["rte_pdump_stats"]), "rte") == ["a"] * 600 + ["rte_pdump_stats"]
    assert pdump_running(Telemetry(["a"] * 600 + ["rte_pdump_stats"]), INSTANCE).value is True


def test_what_is_not_known_is_said() -> None:
    assert pdump_running(Telemetry(None), INSTANCE) == (None, "whether DPVS 7 runs with pdump is not known: its DPDK is older than 21.11")
    found = pdump_running(Host(), INSTANCE._replace(prefix="wirefleet-none", telemetry=False))
    assert found == (None, "whether DPVS 7 runs with pdump is not known: it runs with --no-telemetry")


def test_restart_needs_a_service_that_there_is() -> None:
    with pytest.raises(Refused, match="this host has no systemd"):
        dpvs_reload.refuse_restart(Recorded(), "dpvs")
    said = {"systemctl cat -- dpvs": (1, "", "No files found for dpvs.service."), "systemctl cat -- lb": (0, "[Unit]\n", "")}
    with pytest.raises(Refused, match="there is no service 'dpvs' on this host: DPVS ships none"):
        dpvs_reload.refuse_restart(Recorded(said=said), "dpvs")
    dpvs_reload.refuse_restart(Recorded(said=said), "lb")


def test_restart_waits_for_every_socket() -> None:
    shown = "env DPVS_IPC_FILE=/i dpip link show"
    host = Recorded(said={"systemctl restart -- lb": (0, "", ""), shown: (0, "1: dpdk0: socket 0\n", "")})
    dpvs_reload.restart(host, "lb", ["/i"])
    assert host.ran == ["systemctl restart -- lb", shown]
    failed = Recorded(said={"systemctl restart -- lb": (1, "", "Job for lb.service failed.")})
    with pytest.raises(Refused, match="systemctl restart -- lb: Job for lb.service failed"):
        dpvs_reload.restart(failed, "lb", ["/i"])


def test_kni_is_read_from_the_devices() -> None:
    links = "nsenter --net=/proc/7/ns/net ip -o -d link show"
    device = "9: k0: <BROADCAST> mtu 1500 qdisc noop \\    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff tun type tap"

    class One(Recorded):
        def glob(self, pattern: str) -> list[str]:
            return [pattern]

        def read_bytes(self, path: str) -> bytes:
            return b"netif_defs {\ndevice dpdk0 {\nkni_name k0\n}\n}\n"

    assert kni_running(One(said={links: (0, device, "")}), INSTANCE).value is True
    assert kni_running(One(said={links: (0, "", "")}), INSTANCE).value is False
