# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The doubles answer as a real DPVS 1.10 was seen to: each sentence here was recorded from one."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.dpvs.conf import Aborted, Reader
from tests.dpvs.daemon import Settings
from tests.dpvs.pdump import Wrong, matches, parse
from tests.dpvs.place import Instance, inside, run
from tests.unit.dpvs.frames import ARP, ICMP, TCP, UDP, send

pytestmark = pytest.mark.real

REFUSED = "[dpvs_setsockopt] scoket msg connection error: {}\n"


def effective(text: str, tmp_path: pathlib.Path, starting: bool = True) -> tuple[Settings, list[str]]:
    """Return what a daemon runs with after it read *text*, and what it logged."""
    log: list[str] = []
    settings = Settings(log.append)
    path = tmp_path / "dpvs.conf"
    path.write_bytes(text.encode())
    Reader(starting, settings.found, log.append).read(str(path))
    return settings, log


def pdump_of(text: str, tmp_path: pathlib.Path) -> bool:
    return effective(text, tmp_path)[0].switches["pdump"]


@pytest.mark.parametrize(
    ("text", "pdump"),
    [
        ("global_defs {\npdump on\n}\n", True),
        ("global_defs {\n    <init> pdump   On   <off, on|off>\n}\n", True),
        ('global_defs {\npdump "on"\n}\n', True),
        ("global_defs {\npdump on extra\n}\n", True),
        ("global_defs {\r\n<init> pdump on\r\n}\r\n", True),
        ("global_defs {\npdump on\npdump off\n}\n", False),
        ("global_defs {\npdump off\n}\nglobal_defs {\npdump on\n}\n", True),
        ("global_defs {\npdump on\n", True),  # the last } is missing
        ("global_defs\n{\npdump on\n}\n", True),
        ("global_defs { pdump on }\n", False),  # its content is ignored
        ("global_defs { x }\npdump on\n}\n", True),  # and it stays open
        ("global_defs{\npdump on\n}\n", False),
        ("global_defs {\nlog_level INFO }\npdump on\n}\n", True),
        ("global_defs {\nlog_level INFO }}\n}\npdump on\n", False),
        ("global_defs {\n! <init> pdump on\n}\n", False),
        ("global_defs {\n# pdump on\n}\n", False),
        ("global_defs {\npdump = on\n}\n", False),
        ("global_defs {\nPdump on\n}\n", False),
        ("global_defs {\nfoo {\n}\npdump on\n}\n", False),  # the unknown block's } closes its parent
        ("global_defs {\n!" + "x" * 1024 + "\npdump on\n}\n", True),
        ("global_defs {\n!" + "x" * 1024 + "pdump on\n}\n", True),  # the tail of a long comment is read
        ("global_defs {\n}\ninclude none.conf\n", False),
    ],
)
def test_grammar(text: str, pdump: bool, tmp_path: pathlib.Path) -> None:
    assert pdump_of(text, tmp_path) is pdump


def test_an_include_is_read_at_the_level_of_its_block(tmp_path: pathlib.Path) -> None:
    (tmp_path / "more.conf").write_text("pdump on\n")
    assert pdump_of("global_defs {\ninclude mor*.conf\n}\n", tmp_path) is True
    assert pdump_of("include more.conf\nglobal_defs {\n}\n", tmp_path) is False


def test_values_that_are_none_keep_the_old_one(tmp_path: pathlib.Path) -> None:
    settings, log = effective("global_defs {\npdump maybe\nlog_level info\nlog_level INFOX\nfoo\n}\n", tmp_path)
    assert (settings.switches["pdump"], settings.log_level) == (False, "INFO")
    assert log[:4] == [
        "CFG_FILE: invalid pdump switch: maybe",
        "CFG_FILE: pdump = off",
        "CFG_FILE: log_level = info",
        "CFG_FILE: set_log_level: illegal log level: info",
    ]
    assert log[-1] == "not supported keyword -- foo"


@pytest.mark.parametrize(("line", "starting", "dies"), [("log_level", False, True), ("pdump", True, True), ("pdump", False, False)])
def test_a_key_without_its_value_kills_where_it_is_read(line: str, starting: bool, dies: bool, tmp_path: pathlib.Path) -> None:
    if not dies:
        effective(f"global_defs {{\n{line}\n}}\n", tmp_path, starting)
        return
    with pytest.raises(Aborted, match="set_value: Assertion"):
        effective(f"global_defs {{\n{line}\n}}\n", tmp_path, starting)


def test_link_show_to_the_byte(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    assert dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on").stdout == ""
    shown = dpvs.dpip("link", "show", "dpdk0").stdout.splitlines()
    assert shown[0] == "1: dpdk0: socket 0 mtu 1500 rx-queue 1 tx-queue 1"
    assert shown[1] == "    UP 10000 Mbps full-duplex fixed-nego promisc foward2kni "
    assert shown[2].startswith("    addr ")
    assert shown[2].endswith(" OF_TX_FAST_FREE ")
    assert "NETIF: [set_port] forward2kni mode for dpdk0 enabled" in dpvs.said()


def test_set_exits_with_0_whatever_happened(make: t.Callable[..., Instance]) -> None:
    dpvs = make()
    absent = dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on")
    assert (absent.returncode, absent.stderr) == (0, REFUSED.format("No such file or directory"))
    dpvs.start()
    unknown = dpvs.dpip("link", "set", "dpdk9", "forward2kni", "on")
    assert (unknown.returncode, unknown.stderr.endswith("header: invalid parameter(-1)\n")) == (0, True)
    wrong = dpvs.dpip("link", "set", "dpdk0", "forward2kni", "ON")
    assert (wrong.returncode, wrong.stderr) == (0, "invalid arguement value for 'forward2kni'\n")
    dpvs.kill()
    stale = dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on")
    assert (stale.returncode, stale.stderr) == (0, REFUSED.format("Connection refused"))
    assert (dpvs.pid_file.exists(), dpvs.ipc.exists()) == (True, True)


def test_set_says_1_for_what_it_cannot_read(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    missing = dpvs.dpip("link", "set", "dpdk0", "forward2kni")
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (1, "missing argument for `forward2kni'")
    unknown = dpvs.dpip("link", "set", "dpdk0", "forward2knii", "on")
    assert (unknown.returncode, unknown.stderr.splitlines()[0]) == (1, "invalid parameter name 'forward2knii'")
    assert dpvs.dpip("link", "set", "cpu0", "forward2kni", "on").stderr == ""


def test_show_of_nothing(make: t.Callable[..., Instance]) -> None:
    dpvs = make()
    words = "[dpvs_getsockopt] scoket msg connection error: No such file or directory\n"
    one, every = dpvs.dpip("link", "show", "dpdk0"), dpvs.dpip("link", "show")
    assert (one.returncode, one.stderr) == (1, f"{words}{_name(dpvs)}: <unknow>\n")
    assert every.stderr == f"{words}Fail to get configured NIC list: <unknow>.\n{_name(dpvs)}: invalid parameter\n"
    dpvs.start()
    gone = dpvs.dpip("link", "show", "dpdk9")
    assert (gone.returncode, gone.stderr.splitlines()[1]) == (1, f"{_name(dpvs)}: not exist")


def _name(dpvs: Instance) -> str:
    """argv[0] loses its first character."""
    return str(dpvs.programs / "dpip").lstrip("/")


def test_without_permission(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    for folder in (dpvs.folder, *dpvs.folder.parents):
        if str(folder).startswith("/tmp/") and folder.stat().st_uid == 0:
            folder.chmod(0o755)
    script = f"import os; os.setuid(65534); os.environ['DPVS_IPC_FILE'] = {str(dpvs.ipc)!r}\n"
    script += "from tests.dpvs.dpip import main; raise SystemExit(main(['dpip', 'link', 'set', 'dpdk0', 'forward2kni', 'on']))"
    root = str(pathlib.Path(__file__).resolve().parents[3])
    done = run(sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r}); from tests.dpvs import dpip\n{script}")
    assert (done.returncode, done.stderr) == (0, REFUSED.format("Permission denied"))


def test_a_set_that_was_given_up_is_applied_later(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    dpvs.signal(signal.SIGSTOP)
    with pytest.raises(subprocess.TimeoutExpired):
        run(str(dpvs.programs / "dpip"), "link", "set", "dpdk0", "forward2kni", "on", DPVS_IPC_FILE=str(dpvs.ipc), timeout=5)
    dpvs.signal(signal.SIGCONT)
    dpvs.wait(lambda: "foward2kni" in dpvs.dpip("link", "show", "dpdk0").stdout)


def test_a_starting_daemon_lets_everybody_wait(make: t.Callable[..., Instance], tmp_path: pathlib.Path) -> None:
    gate = tmp_path / "gate"
    dpvs = make(start_gate=str(gate))
    dpvs.launch()
    dpvs.wait(dpvs.ipc.exists)
    argv, environment = [str(dpvs.programs / "dpip"), "link", "show"], {**os.environ, "DPVS_IPC_FILE": str(dpvs.ipc)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL) as asking:
        with pytest.raises(subprocess.TimeoutExpired):
            asking.wait(0.5)
        assert not dpvs.pid_file.exists()
        gate.touch()
        assert asking.wait(60) == 0
    assert dpvs.pid_file.exists()


def test_restart_clears_the_flag_and_sighup_does_not(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on")
    dpvs.conf.write_text(dpvs.conf.read_text().replace("INFO", "DEBUG").replace("    \n", "    pdump on\n", 1))
    dpvs.signal(signal.SIGHUP)
    dpvs.wait(lambda: "log_level = DEBUG" in dpvs.said())
    assert "pdump" not in dpvs.said()
    assert "foward2kni" in dpvs.dpip("link", "show", "dpdk0").stdout
    dpvs.kill()
    dpvs.start()
    assert "foward2kni" not in dpvs.dpip("link", "show", "dpdk0").stdout
    assert "CFG_FILE: pdump = on" in dpvs.said()


def test_sighup_with_a_key_without_its_value_aborts(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    dpvs.conf.write_text("global_defs {\nlog_level\n}\n")
    dpvs.signal(signal.SIGHUP)
    assert dpvs.process is not None
    assert dpvs.process.wait(60) == -signal.SIGABRT
    assert "set_value: Assertion" in (dpvs.folder / "stderr").read_text()


def test_a_second_start_is_refused(make: t.Callable[..., Instance]) -> None:
    dpvs = make().start()
    again = run(*inside(dpvs.netns, *dpvs.argv()), timeout=60)
    assert (again.returncode, again.stdout) == (1, "dpvs is already running\n")
    dpvs.pid_file.unlink()
    assert run(*inside(dpvs.netns, *dpvs.argv()), timeout=60).stderr == "EAL: Cannot init config\nInvalid EAL parameters\n"


def test_two_instances_have_flags_of_their_own(make: t.Callable[..., Instance]) -> None:
    one, other = make("a").start(), make("b").start()
    one.dpip("link", "set", "dpdk0", "forward2kni", "on")
    assert "foward2kni" in one.dpip("link", "show", "dpdk0").stdout
    assert "foward2kni" not in other.dpip("link", "show", "dpdk0").stdout


def test_real_tcpdump_sees_both_directions_on_the_kni_device(make: t.Callable[..., Instance], tmp_path: pathlib.Path) -> None:
    dpvs = make().start()
    down = run("tcpdump", "-i", "dpdk0.kni", "-c", "1", netns=dpvs.netns)
    assert "dpdk0.kni: That device is not up" in down.stderr
    run("ip", "link", "set", "dpdk0.kni", "up", netns=dpvs.netns)
    dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on")
    path = tmp_path / "seen.pcap"
    argv = inside(dpvs.netns, "tcpdump", "-i", "dpdk0.kni", "--immediate-mode", "-U", "-w", str(path), "udp port 4789")
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tcpdump:
        assert tcpdump.stderr is not None
        assert "listening" in tcpdump.stderr.readline()
        send(dpvs.netns, "w0", [UDP])
        send(dpvs.netns, "w1", [UDP])
        dpvs.wait(lambda: path.stat().st_size > 24 + len(UDP) + 16)
        tcpdump.send_signal(signal.SIGINT)
    assert path.read_bytes().count(UDP) == 2


def test_without_kni_the_flag_is_set_and_there_is_no_device(make: t.Callable[..., Instance]) -> None:
    dpvs = make(conf="global_defs {\nkni off\n}\nnetif_defs {\ndevice dpdk0 {\n}\n}\n").start()
    assert dpvs.dpip("link", "set", "dpdk0", "forward2kni", "on").stderr == ""
    assert "foward2kni" in dpvs.dpip("link", "show", "dpdk0").stdout
    assert "kni" not in run("ip", "link", netns=dpvs.netns).stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("port=0,rx-dev=/tmp/a", "must have queue argument"),
        ("port=0,queue=*", "must have either rx-dev or tx-dev argument"),
        ("port=0,queue=*,rx-dev=/tmp/a,frob=1", "invalid argument passed"),
        ("port=0,queue=*,rx-dev=/tmp/a,proto=ICMP", 'invalid value:"ICMP" for key:"proto", value must be tcp/udp/icmp/icmp6'),
        ("port=0,queue=*,rx-dev=/tmp/a,proto-port=0", 'invalid value:"0" for key:"proto-port", value must be >= 1 and <= 65535'),
        ("port=0,queue=*,rx-dev=/tmp/a,ring-size=1000", 'invalid value:"1000" for key:"ring-size", value must be power of 2'),
        ("port=0,queue=*,rx-dev=/tmp/a,host=localhost", "IP address invaled"),
        ("port=0,queue=*,rx-dev=/tmp/a,src-host=192.0.2.1,dst-host=2001:db8::1", "IPv4 and IPv6 conflict"),
    ],
)
def test_pdump_refuses(text: str, words: str) -> None:
    with pytest.raises(Wrong) as problem:
        parse(text, stock=False)
    assert words in str(problem.value)


def test_stock_pdump_does_not_know_the_filters_of_dpvs() -> None:
    with pytest.raises(Wrong, match="invalid argument passed"):
        parse("port=0,queue=*,rx-dev=/tmp/a,proto=tcp", stock=True)


@pytest.mark.parametrize(
    ("filters", "seen"),
    [
        ("proto=udp", [UDP]),
        ("proto=tcp", [TCP]),
        ("proto=icmp", [ICMP]),
        ("host=192.0.2.1", [UDP, TCP, ICMP, ARP]),
        ("src-host=192.0.2.2", []),
        ("proto-port=4789", [UDP]),
        ("proto=tcp,proto=udp", [UDP, TCP, ICMP, ARP]),  # repeated: no filter at all
    ],
)
def test_pdump_filters(filters: str, seen: list[bytes]) -> None:
    given = parse(f"port=0,queue=*,rx-dev=/tmp/a,{filters}", stock=False)
    assert [frame for frame in (UDP, TCP, ICMP, ARP) if matches(frame, given)] == seen


@pytest.fixture
def dumping(make: t.Callable[..., Instance], tmp_path: pathlib.Path) -> t.Callable[..., subprocess.Popen[str]]:
    """Returns what starts a dpdk-pdump on a running instance with pdump on."""
    dpvs = make(conf="global_defs {\npdump on\n}\nnetif_defs {\ndevice dpdk0 {\n}\ndevice dpdk1 {\n}\n}\n").start()

    def start(path: str, filters: str = "", target: Instance = dpvs) -> subprocess.Popen[str]:
        text = f"port=0,queue=*,rx-dev={path},tx-dev={path}{filters}"
        argv = [str(target.programs / "dpdk-pdump"), f"--file-prefix={target.prefix}", "-l", "1", "--", "--pdump", text]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    start.dpvs = dpvs  # type: ignore[attr-defined]
    return start


def test_pdump_writes_when_it_ends_cleanly(dumping: t.Any) -> None:
    path = f"/tmp/{dumping.dpvs.prefix}.pcap"
    with dumping(path) as tool:
        dumping.dpvs.wait(lambda: os.path.exists(path))
        send(dumping.dpvs.netns, "w0", [UDP, TCP])
        send(dumping.dpvs.netns, "w1", [UDP])
        assert os.path.getsize(path) == 0
        tool.send_signal(signal.SIGINT)
        said = tool.communicate(timeout=60)[0]
    data = pathlib.Path(path).read_bytes()
    os.unlink(path)
    assert (tool.returncode, "PDUMP DEBUG STATS" in said) == (0, True)
    assert (data.count(UDP), data.count(TCP)) == (2, 1)
    assert _run_to_end(dumping(path), path) == (0, "")
    os.unlink(path)


def test_a_second_pdump_dies_and_poisons(dumping: t.Any) -> None:
    path = f"/tmp/{dumping.dpvs.prefix}.pcap"
    first = dumping(path)
    dumping.dpvs.wait(lambda: os.path.exists(path))
    assert dumping(path + "2").wait(60) == -signal.SIGSEGV
    first.send_signal(signal.SIGINT)
    assert first.wait(60) == 0
    os.unlink(path)
    code, said = _run_to_end(dumping(path), path)
    assert (code, said.splitlines()[0]) == (1, "Mempool creation failed: File exists")
    dumping.dpvs.kill()
    dumping.dpvs.start()
    assert _run_to_end(dumping(path), path) == (0, "")
    os.unlink(path)


def test_sigkill_poisons_too(dumping: t.Any) -> None:
    path = f"/tmp/{dumping.dpvs.prefix}.pcap"
    first = dumping(path)
    dumping.dpvs.wait(lambda: os.path.exists(path))
    first.kill()
    first.wait(60)
    assert os.path.getsize(path) == 0
    os.unlink(path)
    time.sleep(0.2)
    assert _run_to_end(dumping(path), path)[0] == 1


def test_a_path_over_55_characters_is_cut(dumping: t.Any) -> None:
    path = f"/tmp/{dumping.dpvs.prefix}".ljust(56, "x")
    with dumping(path) as tool:
        dumping.dpvs.wait(lambda: os.path.exists(path))
        send(dumping.dpvs.netns, "w0", [UDP])
        tool.send_signal(signal.SIGINT)
    assert pathlib.Path(path[:55]).read_bytes().count(UDP) == 1
    assert os.path.getsize(path) == 24
    os.unlink(path)
    os.unlink(path[:55])


def test_pdump_off_times_out(make: t.Callable[..., Instance], dumping: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPVS_DOUBLE_MP_WAIT", "0.1")
    code, said = _run_to_end(dumping("/tmp/x.pcap", target=make("off").start()))
    assert (code, "Connection timed out" in said) == (1, True)


def test_without_a_primary_it_aborts(make: t.Callable[..., Instance], dumping: t.Any) -> None:
    code, said = _run_to_end(dumping("/tmp/x.pcap", target=make("never")))
    assert (code, said) == (-signal.SIGABRT, "EAL: Cannot init EAL\n")


def _run_to_end(tool: subprocess.Popen[str], path: str = "") -> tuple[int, str]:
    """Return (exit code, stderr) of a run that ends by itself, or is told to as soon as it captures to *path*."""
    until = time.monotonic() + 30
    while tool.poll() is None and not (path and os.path.exists(path)):
        assert time.monotonic() < until
        time.sleep(0.02)
    if tool.poll() is None:
        tool.send_signal(signal.SIGINT)
    _out, error = tool.communicate(timeout=30)
    return tool.returncode, error
