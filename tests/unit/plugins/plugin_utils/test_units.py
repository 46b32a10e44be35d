# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.plugin_utils import units

NOW = 1_795_428_900_000_000_000


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("60s", 60.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("250ms", 0.25),
        ("7d", 604800.0),
        (5, 5.0),
        ("12.5", 12.5),
        ("1.5 s", 1.5),
    ],
)
def test_duration(text, seconds):
    assert units.duration(text, "it") == seconds


@pytest.mark.parametrize("text", ["soon", "", "10 parsecs", "5x", True, "--1s"])
def test_no_duration(text):
    with pytest.raises(units.Unusable, match="it is .*no duration; write for example 60s"):
        units.duration(text, "it")


@pytest.mark.parametrize(
    "text, count", [("2G", 2 << 30), ("512MiB", 512 << 20), ("10k", 10240), (4096, 4096), ("1.5G", 3 << 29), ("7b", 7)]
)
def test_size(text, count):
    assert units.size(text, "it") == count


@pytest.mark.parametrize("text", ["much", "2X", "-1G", "", "10%"])
def test_no_size(text):
    with pytest.raises(units.Unusable, match="no size"):
        units.size(text, "it")


def test_size_or_percent():
    assert units.size_or_percent("10%", "it") == (None, 10.0)
    assert units.size_or_percent("5G", "it") == (5 << 30, None)
    with pytest.raises(units.Unusable, match="leaves nothing"):
        units.size_or_percent("100%", "it")


@pytest.mark.parametrize(
    "text, ns",
    [
        ("+90s", NOW + 90_000_000_000),
        ("2026-11-23T10:15:00Z", 1_795_428_900_000_000_000),
        ("2026-11-23T10:15:00", 1_795_428_900_000_000_000),
        ("2026-11-23T11:15:00.25+01:00", 1_795_428_900_250_000_000),
    ],
)
def test_moment(text, ns):
    assert units.moment(text, NOW, "it") == ns


def test_no_moment():
    with pytest.raises(units.Unusable, match="no time; write"):
        units.moment("noon", NOW, "it")


@pytest.mark.parametrize("name", ["pfc-storm", "a", "A.b_c-9", "20261123T101500Z-pfc-storm-3fa9c1"])
def test_name(name):
    assert units.check_name(name) == name


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a..b", "-x", ".x", "a b", "a\n", "x" * 101, None, "ä"])
def test_no_name(name):
    with pytest.raises(units.Unusable, match="the campaign is called"):
        units.check_name(name)


def test_run_id_holds_its_name():
    run = units.run_id("pfc-storm", NOW, "3fa9c1")
    assert run == "20261123T101500Z-pfc-storm-3fa9c1"
    assert units.name_of(run) == "pfc-storm"
    assert units.name_of("pfc-storm") is None


@pytest.mark.parametrize(
    "count, text", [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")]
)
def test_human(count, text):
    assert units.human(count) == text
