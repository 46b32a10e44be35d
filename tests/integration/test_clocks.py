# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose clocks are their own, and wrong: one is a second and a half ahead, the other three seconds behind."""

from __future__ import annotations

import json
import pathlib

import pytest
import yaml

OFFSETS = {"rdma1": 1.5, "rdma2": -3.0}


@pytest.fixture
def campaign(clocks, tmp_path):
    def words(**changes):
        file = pathlib.Path(clocks.inventory).parent / "campaigns" / "clocks.yml"
        file.parent.mkdir(exist_ok=True)
        vantages = [{"hosts": "rdma_hosts", "device": "auto_rdma", "filter": "roce"}]
        timing = {"campaign_start": clocks.soon(), "campaign_lead": "5s", "campaign_duration": "4s", "campaign_limits": {"bytes": "20M", "min_free": "1%"}}
        file.write_text(yaml.safe_dump({"campaign_vantages": vantages, **timing, **changes}))
        return ["-e", "campaign=clocks", "-e", f"campaign_evidence_root={tmp_path / 'evidence'}"]

    return words


def test_a_clock_that_is_too_wrong_is_refused(clocks, campaign):
    done = clocks.playbook("capture_campaign.yml", *campaign())
    assert done.returncode != 0
    assert "rdma2" in done.stdout and "clock" in done.stdout
    assert not clocks.ssh("rdma2", "ls /var/lib/wirefleet 2>/dev/null", check=False)


def test_offsets_are_measured_where_they_are_allowed(clocks, campaign, tmp_path):
    clocks.set_clocks()
    done = clocks.playbook("capture_campaign.yml", *campaign(campaign_max_clock_error="10s"))
    assert done.returncode == 0, done.stdout
    folder = next(path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial")
    for vantage in json.loads((folder / "campaign.json").read_text())["vantages"]:
        clock = vantage["clock"]
        assert abs(clock["offset_s"] - OFFSETS[vantage["host"]]) < 0.7 + clock["error_s"], vantage["host"]
