# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What telemetry says of a DPDK process (recorded from 22.11), which core is spare, and headers that promise too much."""

from __future__ import annotations

import pathlib
import struct

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils.session import dpdk, stamps
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

HELLO = '{"version":"DPDK 22.11.11","pid":3011,"max_output_len":16384}'
INFO = ['{"/ethdev/info":{"name":"net_af_packet0","state":1}}', '{"/ethdev/info":{"name":"0000:03:00.0","state":1}}']
PARAMS = '{"/eal/params":["dpdk-testpmd","-l","0,1","--file-prefix=t4"]}'
ZONES = ["rte_eth_dev_data", "rte_pdump_stats", "RG_dumpcap-29974", "MP_capture_29974", "RG_dumpcap-x"]
PORTS = {0: "net_af_packet0", 2: "0000:03:00.0"}


class Machine:
    """A host that has the processes *running* (name by number) and two cores."""

    def __init__(self, running: dict[int, str] | None = None) -> None:
        self.running = running or {}

    def read(self, path: str) -> str | None:
        if path == "/sys/devices/system/cpu/online":
            return "0-3\n"
        return self.running.get(int(path.split("/")[2]))

    def names(self, path: str) -> list[str]:
        return []


def test_a_process_is_what_its_telemetry_says() -> None:
    found = dpdk.parse_primary(HELLO, [0, 2], INFO, PARAMS, ZONES)
    assert found == dpdk.Primary(3011, PORTS, frozenset({0, 1}), ZONES)


@pytest.mark.parametrize(("hello", "zones"), [("{}", ZONES), ("{", ZONES), (HELLO, None)])
def test_a_process_that_says_too_little_is_none(hello: str, zones: list[str] | None) -> None:
    with pytest.raises((KeyError, ValueError)):
        dpdk.parse_primary(hello, [0, 2], INFO, PARAMS, zones)


@pytest.mark.parametrize(("device", "number"), [("0", 0), ("net_af_packet0", 0), ("2", 2), ("0000:03:00.0", 2)])
def test_a_port_has_a_number_and_a_name(device: str, number: int) -> None:
    assert dpdk.port_number(PORTS, device, "t4") == number


def test_an_unknown_port_names_the_known() -> None:
    with pytest.raises(Refused, match=r"has no port '1': it has 0 \(net_af_packet0\), 2 \(0000:03:00.0\)"):
        dpdk.port_number(PORTS, "1", "t4")


def test_a_living_capture_is_in_the_way_and_a_dead_one_is_not() -> None:
    assert "process 29974" in str(dpdk.occupied(Machine({29974: "dpdk-dumpcap\n"}), ZONES, "DPVS"))
    assert dpdk.occupied(Machine({29974: "bash\n"}), ZONES, "DPVS") is None
    assert "or one was killed" in str(dpdk.occupied(Machine(), ["RG_rx_ring_0"], "DPVS"))
    assert "only a restart of DPVS helps" in str(dpdk.choice_of("dpdk_dumpcap", "dpdk0", 1, "DPVS", ZONES).warning)


@pytest.mark.parametrize(
    ("lcores", "wanted", "engine", "core"),
    [
        ({0, 1}, None, "dpdk_pdump", 3), ({0, 1}, 2, "dpdk_pdump", 2), ({0, 1, 2, 3}, None, "dpdk_dumpcap", None),
        (None, None, "dpdk_dumpcap", None), (None, 1, "dpdk_pdump", 1),
    ],
)  # fmt: skip
def test_the_core_that_is_spare(lcores: set[int] | None, wanted: int | None, engine: str, core: int | None) -> None:
    assert dpdk.spare_core(Machine(), None if lcores is None else frozenset(lcores), wanted, engine) == core


@pytest.mark.parametrize(
    ("lcores", "wanted", "sentence"),
    [({0}, 0, "core 0 is used by"), ({0}, 9, "core 9 is not online"), ({0, 1, 2, 3}, None, "uses every core"), (None, None, "name one")],
)
def test_no_core_is_spare(lcores: set[int] | None, wanted: int | None, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        dpdk.spare_core(Machine(), None if lcores is None else frozenset(lcores), wanted, "dpdk_pdump")


def capture(magic: int, fractions: list[int], cut: int = 0) -> bytes:
    head = struct.pack("=IHHiIII", magic, 2, 4, 0, 0, 64, 1)
    data = head + b"".join(struct.pack("=IIII", 7, fraction, 3, 3) + b"abc" for fraction in fractions)
    return data[: len(data) - cut]


@pytest.mark.parametrize(
    ("before", "mended"),
    [
        (capture(0xA1B23C4D, [145_000, 999_999]), True),
        (capture(0xA1B23C4D, [145_000, 1_000_000]), False),
        (capture(0xA1B23C4D, []), False),
        (capture(0xA1B2C3D4, [145_000]), False),
        (capture(0xA1B23C4D, [145_000, 7], cut=12), True),
        (b"", False),
    ],
)
def test_microseconds_are_called_so(tmp_path: pathlib.Path, before: bytes, mended: bool) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(before)
    assert stamps.mend(str(path)) is mended
    after = path.read_bytes()
    assert after[4:] == before[4:]
    assert after[:4] == (struct.pack("=I", 0xA1B2C3D4) if mended else before[:4])
