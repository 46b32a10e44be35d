# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the doubles live for a test: a folder of programs to put first in PATH, and instances with ports of their own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import typing as t
import uuid

PROGRAMS = {"dpvs": "daemon", "dpip": "dpip", "dpdk-pdump": "pdump"}
_LAUNCHER = """#!{python}
import sys
sys.path.insert(0, {root!r})
from tests.dpvs.{module} import main
sys.exit(main(sys.argv))
"""
CONF = """! A DPVS of the tests.
global_defs {{
    log_level   INFO
    log_file    {log}
    {more}
}}
netif_defs {{
    <init> device dpdk0 {{
        rx {{
            queue_number        1
        }}
    }}
    <init> device dpdk1 {{
        kni_name                mykni{number}
    }}
}}
"""
PATIENCE_S = 120.0


def install(folder: pathlib.Path) -> pathlib.Path:
    """Write the programs into *folder* and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    root = str(pathlib.Path(__file__).resolve().parents[2])
    for program, module in PROGRAMS.items():
        path = folder / program
        path.write_text(_LAUNCHER.format(python=sys.executable, root=root, module=module))
        path.chmod(0o755)
    return folder


def inside(netns: str | None, *argv: str) -> list[str]:
    """Return *argv* as it runs in the network namespace of that name."""
    return ["ip", "netns", "exec", netns, *argv] if netns else [*argv]


def run(*argv: str, netns: str | None = None, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        inside(netns, *argv), check=False, capture_output=True, text=True, timeout=timeout, env={**os.environ, **environment}
    )


class Instance:
    """One DPVS in *folder*, in a network namespace with two ports whose far ends are w0 and w1."""

    def __init__(self, folder: pathlib.Path, programs: pathlib.Path, number: int = 0, conf: str | None = None, **knobs: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.programs, self.knobs = folder, programs, knobs
        self.netns = self.prefix = f"dpvs-{uuid.uuid4().hex[:8]}"
        self.conf, self.ipc, self.pid_file, self.log = (folder / name for name in ("dpvs.conf", "dpvs.ipc", "dpvs.pid", "dpvs.log"))
        self.conf.write_text(conf if conf is not None else CONF.format(log=self.log, more="", number=number))
        self.process: subprocess.Popen[str] | None = None
        self._make_namespace()

    def _make_namespace(self) -> None:
        lines = ["netns add {n}", "-n {n} link set lo up"]
        for port in ("0", "1"):
            lines += [
                f"-n {{n}} link add v{port} type veth peer name w{port}",
                f"-n {{n}} link set v{port} up",
                f"-n {{n}} link set w{port} up",
            ]
        for line in lines:
            done = run("ip", *line.format(n=self.netns).split())
            assert done.returncode == 0, done.stderr

    def argv(self, *eal: str) -> list[str]:
        vdevs = [f"--vdev=net_af_packet{port},iface=v{port}" for port in (0, 1)]
        own = ["-c", str(self.conf), "-p", str(self.pid_file), "-x", str(self.ipc)]
        return [str(self.programs / "dpvs"), *own, "--", f"--file-prefix={self.prefix}", "-l", "0", *vdevs, *eal]

    def launch(self, *eal: str) -> None:
        """Start the daemon without waiting for it."""
        knobs = {f"DPVS_DOUBLE_{name.upper()}": text for name, text in self.knobs.items()}
        with open(self.folder / "stderr", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                inside(self.netns, *self.argv(*eal)), stderr=log, text=True, env={**os.environ, **knobs}, start_new_session=True
            )

    def start(self, *eal: str) -> Instance:
        self.launch(*eal)
        self.wait(self.serves)
        return self

    def serves(self) -> bool:
        """Whether the pid file, which is written last, is this process's and not one that an earlier one left."""
        try:
            return self.process is not None and self.pid_file.read_text() == f"{self.process.pid}\n"
        except FileNotFoundError:  # also between two looks: a start removes what the one before left
            return False

    def wait(self, settled: t.Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not settled():
            assert time.monotonic() < until, f"{self.said()}\n{(self.folder / 'stderr').read_text()}"
            time.sleep(0.02)

    def said(self) -> str:
        """Return the daemon's log."""
        return self.log.read_text() if self.log.exists() else ""

    def signal(self, which: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(which)

    def kill(self) -> None:
        """End it as SIGTERM does: at once, and its files stay."""
        if self.process is not None and self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            self.process.wait(PATIENCE_S)

    def dpip(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(str(self.programs / "dpip"), *words, DPVS_IPC_FILE=str(self.ipc))

    def close(self) -> None:
        self.kill()
        run("ip", "netns", "delete", self.netns)
        folder = pathlib.Path("/var/run/dpdk", self.prefix)
        for path in folder.glob("*"):
            path.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
