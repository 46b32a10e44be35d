# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real S3-compatible server, OpenStack Swift with its S3 API, from PyPI: all of its servers on one machine, one copy of everything.

`python3 -m tests.lab.objectstore FOLDER ADDRESS PORT` serves in the foreground until it is ended; FOLDER needs a file system with
extended attributes.
"""

from __future__ import annotations

import itertools
import pathlib
import signal
import socket
import subprocess
import sys
import time

from .problem import Problem
from .rootfs import cached, run

REQUIREMENTS = ("swift==2.38.3",)
ACCESS_KEY, SECRET_KEY = "lab:keeper", "a-secret-of-the-lab"
#: The servers behind the proxy listen on the loopback interface, on the ports that follow the proxy's.
BEHIND = ("object", "container", "account")
STARTS_S = 600

_STORAGE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
log_level = WARNING
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""
_PROXY = """\
[DEFAULT]
bind_ip = {address}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{user_name} = {secret} .admin
[filter:slo]
use = egg:swift#slo
"""
_COMMON = """\
[swift-hash]
swift_hash_path_suffix = lab
[storage-policy:0]
name = one
default = yes
"""


def swift() -> pathlib.Path:
    """Return the folder of Swift and all that it imports, installed from PyPI where it is not cached."""
    return cached("swift", " ".join((sys.version, *REQUIREMENTS)), _install)


def _install(path: pathlib.Path) -> None:
    print("installing OpenStack Swift from PyPI, about half a minute (once)", flush=True)
    run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(path), *REQUIREMENTS])


def configure(folder: pathlib.Path, address: str, port: int) -> None:
    """Write the configuration of all servers, and the rings that say where what lies: all on one device."""
    (folder / "devices" / "d1").mkdir(parents=True)
    words = {"folder": folder, "user": "root", "address": address, "user_name": ACCESS_KEY.replace(":", "_"), "secret": SECRET_KEY}
    (folder / "swift.conf").write_text(_COMMON)
    (folder / "proxy.conf").write_text(_PROXY.format(port=port, **words))
    for name, ring_port in zip(BEHIND, itertools.count(port + 1)):
        (folder / f"{name}.conf").write_text(_STORAGE.format(name=name, port=ring_port, **words))
        builder = ("swift-ring-builder", f"{folder}/{name}.builder")
        _program(*builder, "create", "2", "1", "1")
        _program(*builder, "add", f"r1z1-127.0.0.1:{ring_port}/d1", "1")
        _program(*builder, "rebalance")


def _words(name: str, *words: str) -> list[str]:
    return ["env", f"PYTHONPATH={swift()}", "PYTHONDONTWRITEBYTECODE=1", sys.executable, str(swift() / "bin" / name), *words]


def _program(name: str, *words: str) -> None:
    """The builder of rings ends with 1 when it has something to warn of, such as a single device."""
    done = subprocess.run(_words(name, *words), capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise Problem(f"{name} {' '.join(words)}: {done.stdout or done.stderr}")


def serve(folder: pathlib.Path, address: str, port: int) -> int:
    """Run all servers until one of them ends or this is told to end."""
    configure(folder, address, port)
    signal.signal(signal.SIGTERM, lambda *_unused: sys.exit(0))
    servers = [subprocess.Popen(_words(f"swift-{name}-server", str(folder / f"{name}.conf"))) for name in (*BEHIND, "proxy")]
    try:
        wait_for([(address, port), *(("127.0.0.1", port + number) for number, _name in enumerate(BEHIND, 1))])
        print("serving", flush=True)
        while all(server.poll() is None for server in servers):
            time.sleep(0.2)
        return 1
    finally:
        for server in servers:
            server.kill()


def wait_for(places: list[tuple[str, int]]) -> None:
    deadline = time.monotonic() + STARTS_S
    for place in places:
        while True:
            try:
                socket.create_connection(place, timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise Problem(f"Swift does not listen on {place[0]} port {place[1]} within {STARTS_S} s") from None
                time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(serve(pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
