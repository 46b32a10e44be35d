# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module as Ansible runs it: shipped to a host that is this one, with nothing of the collection but what it imports."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import pytest

from tests.unit.plugins.module_utils.packets import wrapped as w

ROOT = pathlib.Path(__file__).resolve().parents[4]

FRAMES = [w.inner(0x20 + number, 90) for number in range(4)]
MIRRORED = [w.ethernet(w.ipv4(w.type2(frame, sequence=3 * number))) for number, frame in enumerate(FRAMES)]
OTHER = w.ethernet(w.ipv4(bytes(30), protocol=17))


class Host(t.NamedTuple):
    """A host with a folder, and the module for it."""

    folder: pathlib.Path
    name: str = "pcap_decap"

    def module(self, *words: str, **arguments: t.Any) -> dict[str, t.Any]:
        """Return the module's result, of a failure too."""
        program = pathlib.Path(sys.executable).parent / "ansible"
        argv = [program, "localhost", "-c", "local", "-m", f"wirefleet.capture.{self.name}", "-a", json.dumps(arguments), *words]
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "tree"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "XDG_CACHE_HOME": str(ROOT / ".cache" / "xdg"),
            "PATH": f"{program.parent}:{os.environ['PATH']}",
        }
        done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=self.folder, env=environment)
        assert "=>" in done.stdout, done.stderr
        outcome, _arrow, result = done.stdout.partition("=>")
        return {"failed": "FAILED" in outcome, **json.loads(result)}

    def path(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture
def host(tmp_path):
    (tmp_path / "mirror.pcap").write_bytes(w.pcap([*MIRRORED, OTHER]))
    return Host(tmp_path)


def test_check_do_check_again_and_do_again(host):
    wishes = {
        "src": host.path("mirror.pcap"),
        "dest": host.path("frames.pcap"),
        "rest": host.path("rest.gz"),
        "side": host.path("side.csv"),
    }
    rehearsed = host.module("--check", **wishes)
    assert rehearsed["changed"] and sorted(os.listdir(host.folder)) == ["mirror.pcap", "tmp"]
    done = host.module(**wishes)
    assert done["changed"] and (host.folder / "frames.pcap").read_bytes() == w.pcap(FRAMES)
    assert {name: done[name] for name in ("complete", "packets", "frames", "other")} == {
        "complete": True, "packets": 5, "frames": 4, "other": 1,
    }  # fmt: skip
    assert (done["streams"][0]["missing"], done["streams"][0]["gaps"]) == (6, 3)
    assert done["loop"] == ("c" if shutil.which("cc") else "python")
    assert {name: rehearsed[name] for name in rehearsed} == {name: done[name] for name in rehearsed}
    before = os.stat(wishes["dest"])
    assert not host.module("--check", **wishes)["changed"]
    assert not host.module(**wishes)["changed"] and os.stat(wishes["dest"]) == before
    (host.folder / "side.csv").write_text("something else")
    assert host.module("--check", **wishes)["changed"]


def test_what_is_not_whole_fails_unless_allowed(host):
    (host.folder / "cut.pcap").write_bytes(w.pcap(MIRRORED)[:-1])
    wishes = {"src": host.path("cut.pcap"), "dest": host.path("frames.pcap")}
    failed = host.module(**wishes)
    assert failed["failed"] and "3 frames could be written: at byte" in failed["msg"]
    assert (host.folder / "frames.pcap").read_bytes() == w.pcap(FRAMES[:3])
    assert host.module(**wishes, allow_incomplete=True)["complete"] is False


@pytest.mark.parametrize(
    "wishes, said",
    [
        ({"src": "none"}, "there is no file"),
        ({"dest": "mirror.pcap"}, "are different files"),
        ({"depth": 9}, "depth is a number from 1 to 8, not 9"),
        ({"dest": "-"}, "name files"),
    ],
)
def test_refused_in_one_sentence(host, wishes, said):
    named = {"src": "mirror.pcap", "dest": "frames.pcap", **wishes}
    failed = host.module(**{name: host.path(value) if isinstance(value, str) and value != "-" else value for name, value in named.items()})
    assert failed["failed"] and said in failed["msg"] and "frames.pcap" not in os.listdir(host.folder)
