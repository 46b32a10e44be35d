# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dpvs.conf by the rules of DPVS's own parser: each row was tried on a real one."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.dpvs_conf_text import (
    Device,
    Parsed,
    deadly,
    devices,
    lines_of,
    parse,
    switched_on,
    tokens,
)


def parsed(text: str, **files: str) -> Parsed:
    """Return what /dpvs.conf means where *files* are beside it."""
    known = {"/dpvs.conf": text, **{f"/{name}.conf": inner for name, inner in files.items()}}

    def load(folder: str, pattern: str) -> list[tuple[str, str]]:
        path = pattern if pattern.startswith("/") else f"{folder.rstrip('/')}/{pattern}"
        return [(path, known[path])] if path in known else []

    return parse("/dpvs.conf", load)


@pytest.mark.parametrize(
    ("text", "pdump"),
    [
        ("global_defs {\npdump on\n}\n", True),
        ("global_defs {\n    <init> pdump   On   <off, on|off>\n}\n", True),
        ("global_defs {\n<default: no> pdump on\n}\n", True),
        ('global_defs {\npdump "on"\n}\n', True),
        ("global_defs {\npdump on extra\n}\n", True),
        ("global_defs {\r\n<init> pdump on\r\n}\r\n", True),
        ("global_defs {\rpdump on\r}\r", True),
        ("global_defs {\npdump on\npdump off\n}\n", False),
        ("global_defs {\npdump on\npdump maybe\n}\n", True),
        ("global_defs {\npdump off\n}\nglobal_defs {\npdump on\n}\n", True),
        ("global_defs {\npdump on\n", True),
        ("global_defs {\npdump on", False),
        ("global_defs\n{\npdump on\n}\n", True),
        ("global_defs { pdump on }\n", False),
        ("global_defs { x }\npdump on\n}\n", True),
        ("global_defs{\npdump on\n}\n", False),
        ("global_defs {\nlog_level INFO }\npdump on\n}\n", True),
        ("global_defs {\n}}\npdump on\n}\n", True),
        ("global_defs {\n! <init> pdump on\n}\n", False),
        ("global_defs {\n  # pdump on\n}\n", False),
        ("global_defs {\npdump = on\n}\n", False),
        ("global_defs {\nPdump on\n}\n", False),
        ("global_defs {\npdump on#x\n}\n", False),
        ("global_defs {\npdump on #x\n}\n", True),
        ("global_defs {\nfoo {\n}\npdump on\n}\n", False),
        ("pdump on\n}\nglobal_defs {\npdump on\n}\n", True),
        ("netif_defs {\ndevice dpdk0 {\nrx {\n}\n}\n}\nglobal_defs {\npdump on\n}\n", True),
        ("global_defs {\n!" + "x" * 1024 + "pdump on\n}\n", True),
        ("global_defs {\n!" + "x" * 1023 + "pdump on\n}\n", False),
    ],
)
def test_grammar(text: str, pdump: bool) -> None:
    assert switched_on(parsed(text).entries, "pdump", False) is pdump


def test_an_include_is_read_at_the_level_of_its_block() -> None:
    assert switched_on(parsed("global_defs {\ninclude more.conf\n}\n", more="pdump on\n").entries, "pdump", False)
    assert not switched_on(parsed("include more.conf\nglobal_defs {\n}\n", more="pdump on\n").entries, "pdump", False)
    assert not switched_on(parsed("global_defs {\ninclude more.conf extra\n}\n", more="pdump on\n").entries, "pdump", False)
    assert switched_on(parsed("global_defs {\ninclude more.conf\npdump on\n}\n", more="}\npdump off\n").entries, "pdump", False)


def test_files_that_include_each_other_end() -> None:
    assert len(parsed("include dpvs.conf\nglobal_defs {\n}\n").texts) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('log_file "/var/log/a b"', ["log_file", '"', "/var/log/a", "b", '"']),
        ("log_level INFO!x", ["log_level", "INFO!x"]),
        ("<init> kni on <on, on|off> # why", ["kni", "on"]),
        ("   ", []),
        ("a <never closed b", ["a"]),
        ("log_file /v\xc3\xa0r", ["log_file", "/v\xc3\xa0r"]),  # UTF-8, a byte of which Python takes for a space
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert list(tokens(line)) == words


def test_a_long_line_spills_and_loses_a_byte() -> None:
    text = "a" * 1025 + "pdump on\n"
    assert [text[start:end] for start, end in lines_of(text)] == ["a" * 1024, "pdump on"]
    assert [end - start for start, end in lines_of("b" * 1024 + "\n")] == [1024]


@pytest.mark.parametrize(
    ("line", "at_start", "at_reload"),
    [
        ("log_level", True, True),
        ('log_level "', True, True),
        ("pdump", True, False),
        ("pdump <off, on|off>", True, False),
        ("log_level INFO", False, False),
    ],
)
def test_what_dpvs_dies_of(line: str, at_start: bool, at_reload: bool) -> None:
    entries = parsed(f"global_defs {{\n{line}\n}}\n").entries
    assert (bool(deadly(entries, True)), bool(deadly(entries, False))) == (at_start, at_reload)


def test_flags_need_no_value() -> None:
    text = "netif_defs {\ndevice dpdk0 {\npromisc_mode\n}\n}\nipvs_defs {\nudp {\ndefence_udp_drop\n}\n}\n"
    assert deadly(parsed(text).entries, True) == []


def test_devices_and_bonds() -> None:
    text = (
        "netif_defs {\n<init> device dpdk0 {\nrx {\nqueue_number 1\n}\nkni_name k0\n}\n<init> device dpdk1 {\n}\n"
        "<init> bonding bond0 {\nslave dpdk1\nslave dpdk2\nkni_name bond0.kni\n}\n}\n"
    )
    assert devices(parsed(text).entries) == {
        "dpdk0": Device(False, "k0", ()),
        "dpdk1": Device(False, None, ()),
        "bond0": Device(True, "bond0.kni", ("dpdk1", "dpdk2")),
    }
