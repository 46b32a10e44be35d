# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role rdma_sniffer on one host for each row of the decision: a lab host whose tools and /sys/class are recorded ones.

Ansible, the role, modules, journal and timer are real; ethtool, tcpdump and their like say what rdma_hosts.py has of hosts with
the hardware, whose interfaces are veths here.
"""

from __future__ import annotations

import json

import pytest

from tests.integration.fleet import ROOT
from tests.unit.plugins.modules.rdma_rows import ROWS

HOST = "node1"
PLACE = "/var/tmp/rdma-host"
STAND_INS = "/usr/local/sbin"
ONE_EACH = {row.name[0]: row for row in reversed(ROWS)}
#: /sys/class is the host's own but for what was recorded.
CLASSES = """set -e
mkdir -p /run/rdma-net && mount --bind /sys/class/net /run/rdma-net
mount -t tmpfs tmpfs /sys/class && mkdir /sys/class/net && mount --bind /run/rdma-net /sys/class/net"""
PUT_BACK = "umount /sys/class/net /sys/class /run/rdma-net"


@pytest.fixture
def become(pair):
    """Make the host one of the recorded ones; afterwards it is what it was."""
    done = []

    def make(host):
        programs = {command.split()[0] for command in host.said}
        said = {command.replace("/usr/bin/tcpdump", f"{STAND_INS}/tcpdump"): answer for command, answer in host.said.items()}
        names = [command.split()[2] for command in host.said if command.startswith("ethtool -i ") and not command.endswith(" eth1")]
        script = [CLASSES, *(f"ip link add {name} type veth peer name {name}p; ip link set {name} up" for name in names)]
        script += [f"mkdir -p $(dirname {path}) && printf '%s' '{text}' > {path}" for path, text in host.files.items() if path.startswith("/sys/")]
        script += [f"mkdir -p $(dirname {path}) && ln -s {target} {path}" for path, target in host.links.items()]
        script += [f"(echo '#!/usr/bin/python3'; cat {PLACE}/stand_in.py) > {STAND_INS}/{program}; chmod 755 {STAND_INS}/{program}" for program in programs]
        undo = [f"ip link del {name}" for name in names] + [f"rm {STAND_INS}/{program}" for program in programs]
        done.append("; ".join([PUT_BACK, *undo, f"rm -rf {PLACE} /var/lib/wirefleet"]))
        pair.put(HOST, ROOT / "tests/integration/stand_in.py", folder=PLACE)
        pair.ssh(HOST, f"cat > {PLACE}/said.json", text=json.dumps(said))
        pair.ssh(HOST, "sh -s", text="\n".join(script))

    yield make
    for undo in done:
        pair.ssh(HOST, undo)


def shown(fleet, name):
    return json.loads(fleet.ssh(HOST, f"cat {PLACE}/said.json"))[f"ethtool --show-priv-flags {name}"][1]


@pytest.mark.parametrize("row", ONE_EACH.values(), ids=[row.name for row in ONE_EACH.values()])
def test_the_role_on_a_host_of_each_row(pair, become, row):
    become(row.host.host)
    words = row.words.replace("/usr/bin", STAND_INS)
    on = pair.playbook("enable_rdma_sniffer.yml", "-e", f"rdma_sniffer_hosts={HOST}")
    if row.engine is None:
        assert on.returncode != 0 and "No RDMA traffic can be captured on this host." in on.stdout
        assert words in said(on.stdout)
        return
    assert on.returncode == 0, on.stdout
    assert f": {row.engine}, " in on.stdout and words in said(on.stdout)
    for name in row.flags:
        assert "sniffer            : on" in shown(pair, name)
    off = pair.playbook("disable_rdma_sniffer.yml", "-e", f"rdma_sniffer_hosts={HOST}")
    assert off.returncode == 0, off.stdout
    for name in row.flags:
        assert "sniffer            : off" in shown(pair, name)


def said(out):
    """Return what Ansible printed with its line breaks taken back."""
    return " ".join(out.replace("\\n", " ").replace('\\"', '"').split())


def test_the_rows_are_all_eight():
    assert sorted(ONE_EACH) == list("12345678")
