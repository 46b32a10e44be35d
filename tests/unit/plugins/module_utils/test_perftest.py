# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What perftest says: outputs of its 4.5+0.17 (6.06) between two hosts with Soft-RoCE, and its complaints."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.wirefleet.capture.plugins.module_utils import perftest
from ansible_collections.wirefleet.capture.plugins.module_utils.host import Host, Result
from ansible_collections.wirefleet.capture.plugins.module_utils.perftest import Report, Side, Wish
from ansible_collections.wirefleet.capture.plugins.module_utils.settings.model import Refused

OUTPUTS = pathlib.Path(__file__).with_name("perftest_outputs")
CLIENT, SERVER = "00000000000000000000ffff0a4e0002", "00000000000000000000ffff0a4e0003"
WISH = Wish("rxe0", "10.78.0.3", ["send", "read"], [8, 65536], 100, 104, 18515, 0.0, 5.0)
REJECTED = "Unexpected CM event bl blka 8\n Unable to perform rdma_client function\n Unable to init the socket connection\n"
NOT_READY = "RDMA CM event error:\nEvent: RDMA_CM_EVENT_REJECTED; error: 8.\n"
REFUSED = "Couldn't connect to 10.78.0.3:18515\nUnable to open file descriptor for socket connection Unable to init the socket connection\n"


def recorded(name: str) -> str:
    return (OUTPUTS / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "report"),
    [
        ("cli-send", Report(20000, 20, 4096, 104, Side(CLIENT, 0x12), Side(SERVER, 0x12), "2.68 MB/sec")),
        ("srv-send", Report(20000, 20, 4096, 104, Side(SERVER, 0x12), Side(CLIENT, 0x12), "3.93 MB/sec")),
        ("cli-read", Report(20000, 20, 4096, 104, Side(CLIENT, 0x16), Side(SERVER, 0x16), "10.36 MB/sec")),
        ("cli-tcp", Report(20000, 20, 4096, None, Side(CLIENT, 0x17), Side(SERVER, 0x17), "11.79 MB/sec")),
    ],
)
def test_reports(name, report):
    assert perftest.parse_report(recorded(name)) == report


@pytest.mark.parametrize("text", ["", REJECTED, recorded("cli-send").partition(" #bytes")[0], recorded("cli-send").replace("remote", "other")])
def test_output_without_a_result(text):
    with pytest.raises(ValueError, match="no result"):
        perftest.parse_report(text)


@pytest.mark.parametrize("text", ["1:2", "256" + ":00" * 15, ""])
def test_what_is_no_gid(text):
    with pytest.raises(ValueError):
        perftest.gid_of(text)


def test_each_test_has_a_port_of_its_own():
    assert [" ".join(perftest.argv(WISH, *test)) for test in WISH.tests()] == [
        f"{program} -d rxe0 -s {size} -n 100 -p {port} -F -R --tos 104 10.78.0.3"
        for program, size, port in (
            ("ib_send_bw", 8, 18515), ("ib_send_bw", 65536, 18516), ("ib_read_bw", 8, 18517), ("ib_read_bw", 65536, 18518),
        )
    ]  # fmt: skip


def test_without_tos_the_connection_manager_is_left_out():
    assert perftest.argv(WISH._replace(tos=None, peer=None), "write", 8, 7)[-3:] == ["-p", "7", "-F"]


class Saying(Host):
    """Answers every command with the next of *answers*: (exit code, stdout, stderr)."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)

    def run(self, argv, timeout=30.0, stdin=""):
        return Result(list(argv), *self.answers.pop(0))

    def first(self, argvs, timeout):
        return self.run(argvs[0])


@pytest.mark.parametrize("excuse", [REJECTED, REFUSED])
def test_client_tries_until_the_server_listens(excuse):
    wish = WISH._replace(verbs=["send"], sizes=[20000], connect_s=30.0)
    runs = perftest.run(Saying((1, "", excuse), (1, "", excuse), (0, recorded("cli-send"), "")), wish)
    assert [(run["verb"], run["size"], run["local"], run["tos"]) for run in runs] == [("send", 20000, {"gid": CLIENT, "qp": 0x12}, 104)]
    assert runs[0]["began_ns"] <= runs[0]["ended_ns"]


def test_client_that_came_too_early_goes_on_to_a_spare_server():
    wish = WISH._replace(verbs=["send", "read"], sizes=[20000])
    answers = (1, "", NOT_READY), (0, recorded("cli-send"), ""), (0, recorded("cli-read"), "")
    assert [run["command"].split()[8] for run in perftest.run(Saying(*answers), wish)] == ["18517", "18516"]
    with pytest.raises(Refused, match=r"-p 18519 .*perftest does not wait for, 3 times; run it again"):
        perftest.run(Saying(*[(1, "", NOT_READY)] * 3), wish)


def test_server_is_whichever_the_client_came_to(tmp_path):
    """The client was too early for the first of them, which waits for it for ever."""
    (tmp_path / "ib_send_bw").write_text(f"#!/bin/sh\ncase $* in *18516*|*7701*) cat {OUTPUTS}/srv-send.txt;; *7700*) exit 1;; *) exec sleep 60;; esac\n")
    (tmp_path / "ib_send_bw").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=":")
        (found,) = perftest.run(Host(), WISH._replace(peer=None, verbs=["send"], sizes=[20000]))
        (other,) = perftest.run(Host(), WISH._replace(peer=None, verbs=["send"], sizes=[20000], port=7700))
        with pytest.raises(Refused, match=r"-p 7 -F -R --tos 104 did not end within 0\.2 s, so no client came or the test hung"):
            perftest.run(Host(), WISH._replace(peer=None, verbs=["send"], sizes=[20000], port=7, test_s=0.2))
    assert "-p 18516 " in found["command"] and found["remote"]["qp"] == 0x12
    assert "-p 7701 " in other["command"], "the first of them ended with an error"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((1, "", REJECTED), "no server answered within 0 s; is the test running there, and may its port pass?"),
        ((1, "", REFUSED), "no server answered within 0 s"),
        ((124, "", ""), "ib_send_bw -d rxe0 -s 8 -n 100 -p 18515 -F -R --tos 104 10.78.0.3 did not end within 5 s"),
        ((1, "", "Received 10 times ADDR_ERROR\n Unable to perform rdma_client function\n"), "failed: Received 10 times ADDR_ERROR"),
        ((1, " TOS only valid for rdma_cm based QP and RawEth QP \n", ""), "failed: TOS only valid for rdma_cm based QP and RawEth QP"),
        ((1, "", "RDMA CM event error:\nEvent: RDMA_CM_EVENT_UNREACHABLE; error: -110.\n"), "error: Event: RDMA_CM_EVENT_UNREACHABLE; error: -110."),
        ((1, "---\n", ""), "failed: it said nothing"),
        ((0, "all went well", ""), "perftest printed no result"),
    ],
)
def test_failures_are_sentences(answer, sentence):
    with pytest.raises(Refused) as refused:
        perftest.run(Saying(answer), WISH)
    assert sentence in str(refused.value)
