# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a monitor host is told about receiving mirrors, from recorded files of the kernel."""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session.receiver import (
    Cpus,
    choose_way,
    cpus_of,
    largest_frames,
    missing_module,
    mtu_of,
    place,
    reverse_path_warning,
)
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Gone

from tests.unit.plugins.module_utils.recorded import Recorded

DEVICE = "/sys/class/net/ens1/device"
FILES = {
    "/sys/class/net/ens1/mtu": "9000\n",
    f"{DEVICE}/local_cpulist": "0-3,8\n",
    f"{DEVICE}/msi_irqs/41": "msix\n",
    f"{DEVICE}/msi_irqs/42": "msix\n",
    "/proc/irq/41/effective_affinity_list": "0\n",
    "/proc/irq/42/effective_affinity_list": "2\n",
}


def test_capture_runs_near_the_device_but_not_on_its_interrupts() -> None:
    assert cpus_of(Recorded(FILES), "ens1") == Cpus([0, 1, 2, 3, 8], [0, 2], [1, 3, 8])
    assert place(frozenset({0, 1}), frozenset({0, 1})) == Cpus([0, 1], [0, 1], [0, 1]), "better busy than far"
    assert cpus_of(Recorded(), "veth0") == Cpus(None, None, None), "nothing is known, so nothing is said"


@pytest.mark.parametrize(
    ("asked", "missing", "mode", "words"),
    [
        ("auto", None, "kernel", "its ERSPAN devices show the mirrored frames"),
        ("auto", "kernel 6.18 has no module ip_gre", "raw", "kernel 6.18 has no module ip_gre: capture the outer packets"),
        ("raw", None, "raw", "asked for"),
    ],
)
def test_the_kernel_does_it_where_it_can(asked: str, missing: str | None, mode: str, words: str) -> None:
    way = choose_way(asked, missing)
    assert way.mode == mode and words in way.reason


def test_the_module_counts_as_there_when_it_is_loaded() -> None:
    assert missing_module(Recorded({"/sys/module/ip_gre/refcnt": "0"})) is None
    assert "kmod is not installed" in (missing_module(Recorded()) or "")


def test_largest_frames_of_a_device() -> None:
    assert largest_frames(1500) == {"I": 1476, "II": 1464, "III": 1460, "III+": 1452}
    assert mtu_of(Recorded(FILES), "ens1") == 9000
    with pytest.raises(Gone, match="no network device 'ens9'"):
        mtu_of(Recorded(FILES), "ens9")


@pytest.mark.parametrize(("everywhere", "here", "strict"), [("0", "0", False), ("1", "0", True), ("0", "1", True), ("1", "2", False)])
def test_strict_reverse_path_filtering_is_told(everywhere: str, here: str, strict: bool) -> None:
    """The larger of both values counts, as in the kernel's ip-sysctl.rst."""
    folder = "/proc/sys/net/ipv4/conf"
    host = Recorded({f"{folder}/all/rp_filter": everywhere, f"{folder}/ens1/rp_filter": here})
    assert bool(reverse_path_warning(host, "ens1")) is strict
