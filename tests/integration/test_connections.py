# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A campaign by other ways into a host than root's ssh key: a sudo that asks for a password, paramiko, the machine itself."""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import threading

import pytest
import yaml

PASSWORD = "kn0ck-Kn0ck-0pen"
CAREFUL = f"""
id careful >/dev/null 2>&1 || useradd --create-home --shell /bin/bash careful
echo careful:{PASSWORD} | chpasswd
echo 'careful ALL=(ALL) ALL' > /etc/sudoers.d/careful
"""


class Argvs:
    """Looks at the arguments of everything that runs on this machine, its lab's hosts included, for a word."""

    def __init__(self, word):
        self.word, self.found, self.looks = word.encode(), set(), 0
        self._end = threading.Event()

    def __enter__(self):
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_what):
        self._end.set()
        self._thread.join()

    def _look(self):
        while not self._end.wait(0.05):
            self.looks += 1
            for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    text = path.read_bytes()
                    if self.word in text:
                        self.found.add(text)


@pytest.fixture
def campaign(tmp_path, pair):
    """Return the words that run a campaign on one host, with variables out of a file and its evidence in tmp_path."""

    def write(name, hosts="node1", device="eth1", **variables):
        text = {
            "campaign_vantages": [{"hosts": hosts, "device": device, "filter": "icmp"}],
            "campaign_start": pair.soon(),
            "campaign_duration": "3s",
            "campaign_settings": {"ethtool": {"features": {"gro": True}}},
            "campaign_limits": {"bytes": "20M", "min_free": "1%"},
        }
        file = pathlib.Path(pair.inventory).parent / "campaigns" / f"{name}.yml"
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml.safe_dump(text))
        (tmp_path / "variables.yml").write_text(yaml.safe_dump({**variables, "campaign_evidence_root": str(tmp_path / "evidence")}))
        return ["-e", f"campaign={name}", "-e", f"@{tmp_path}/variables.yml"]

    return write


@pytest.fixture(autouse=True)
def traffic(pair):
    """Ten echoes and ten replies a second between the hosts."""
    pair.ssh("node1", "ping -q -i 0.1 10.78.0.3 > /dev/null 2>&1 &")
    yield
    pair.ssh("node1", "pkill ping")


def run(fleet, words):
    """Run the campaign and return what it printed."""
    done = fleet.playbook("capture_campaign.yml", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def published(tmp_path):
    (folder,) = [path for path in (tmp_path / "evidence").iterdir() if path.suffix != ".partial"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    return json.loads((folder / "campaign.json").read_text())["vantages"]


def assert_seen(tmp_path, name):
    (row,) = published(tmp_path)
    assert (row["vantage_id"], row["status"]) == (name, "ok")
    assert 10 <= row["counts"]["in_window"] <= 70, "at most ten echoes and ten replies a second, for three seconds"


def test_a_sudo_password_is_used_and_seen_nowhere(pair, campaign, tmp_path):
    pair.ssh("node1", "sh -s", text=CAREFUL)
    words = campaign("careful", ansible_user="careful", ansible_become_password=PASSWORD)
    with Argvs(PASSWORD) as argvs:
        said = run(pair, [*words, "-vvv"])
    assert (argvs.looks > 5, argvs.found) == (True, set())
    assert PASSWORD not in said
    assert_seen(tmp_path, "node1__eth1")
    kept = [path for path in (tmp_path / "evidence").rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]
    assert kept == []
    assert pair.ssh("node1", f"grep -rl {PASSWORD} /var/lib/wirefleet /var/log ~careful", check=False) == ""


def test_a_missing_sudo_password_is_said_before_anything_is_touched(pair, campaign, tmp_path):
    pair.ssh("node1", "sh -s", text=CAREFUL)
    before = pair.ssh("node1", "find /var/lib/wirefleet | sort", check=False)
    done = pair.playbook("capture_campaign.yml", *campaign("careless", ansible_user="careful"))
    assert done.returncode != 0
    assert "sudo password" in done.stdout + done.stderr
    assert pair.ssh("node1", "find /var/lib/wirefleet | sort", check=False) == before


@pytest.mark.parametrize("user", ["root", "engineer"])
def test_paramiko_brings_files_home_in_pieces(pair, campaign, tmp_path, user):
    pytest.importorskip("paramiko")
    options = {"ansible_connection": "ansible.builtin.paramiko_ssh", "ansible_host_key_checking": False}
    run(pair, campaign(f"paramiko-{user}", ansible_user=user, **options))
    assert_seen(tmp_path, "node1__eth1")


def test_the_machine_itself(pair, campaign, tmp_path):
    """The controller captures too: its end of a wire of the lab, with a /var/lib of its own for the supervisor's folder."""
    inventory = pathlib.Path(pair.inventory).with_name("here.yml")
    inventory.write_text(yaml.safe_dump({"all": {"hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": "/usr/bin/python3"}}}}))
    words = campaign("here", hosts="here", device="d-node1")
    script = 'mount -t tmpfs -o mode=755 tmpfs /var/lib && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", "ansible-playbook", "-i", str(inventory), "playbooks/capture_campaign.yml"]
    done = pair.inside(*argv, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_seen(tmp_path, "here__d-node1")
