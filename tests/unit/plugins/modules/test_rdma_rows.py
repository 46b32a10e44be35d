# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of docs/rdma.md, row by row, as `rdma_info` answers on hosts made of recorded words.

The role runs on one host for each row in tests/integration/test_rdma_rows.py. Two rows run for real as well: Soft-RoCE in
tests/rdma/test_settings.py, the flag in tests/integration/test_ethtool.py, on a NIC of the lab that has it.
"""

from __future__ import annotations

import pytest
from ansible_collections.wirefleet.capture.plugins.modules import rdma_info

from tests.unit.plugins.modules import rdma_hosts as hosts
from tests.unit.plugins.modules.rdma_rows import FLOW, ROWS, Row


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_row(row: Row) -> None:
    found = rdma_info.info(row.host.host, ["auto_rdma"])
    (capture,) = found["captures"]
    assert (capture["engine"], capture["capture_on"]) == (row.engine, row.capture_on), capture["reason"]
    assert row.words in capture["reason"]
    assert found["flags"] == list(row.flags)
    assert (row.warning or "") in (capture["warning"] or "")
    assert (row.warning is None) == (capture["warning"] is None)


def test_two_ports_of_a_card_are_two_devices() -> None:
    source = hosts.mlx4(hosts.works("mlx4_0"), hosts.fails("mlx4_0:2", FLOW.format("mlx4_0:2")))
    first, second = rdma_info.info(source.host, ["auto_rdma"])["captures"]
    assert (first["engine"], first["capture_on"]) == ("tcpdump_rdma", "mlx4_0")
    assert (second["engine"], second["device"]) == (None, "mlx4_0:2")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name[0] in "128" and "bnxt" not in row.name], ids=lambda row: row.name)
def test_no_capture_is_tried_where_an_earlier_row_decides(row: Row) -> None:
    rdma_info.info(row.host.host, ["auto_rdma"])
    assert "tcpdump -D" in row.host.host.ran
    assert not [command for command in row.host.host.ran if command.startswith("tcpdump -i")]


def test_every_row_of_the_table_is_here() -> None:
    assert {row.name[0] for row in ROWS} == set("12345678")
