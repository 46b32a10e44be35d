# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file systems that hosts share, one for a suite of Debian: packages and a few lines of configuration, built once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import subprocess
import typing as t

from .problem import Problem
from .user import as_root, ordinary

if t.TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SUITE = "bookworm"
PACKAGES = (
    "systemd systemd-sysv openssh-server python3-minimal python3 sudo iproute2 iputils-ping netbase procps kmod "
    "ethtool tcpdump wireshark-common zstd rsync openvswitch-switch"
).split()
#: Hosts of another suite are neither switches nor peers of a benchmark.
ONLY_AT_HOME = ("wireshark-common", "rsync", "openvswitch-switch")
#: And their kernel, for hosts that have one, comes from their suite.
ONLY_ELSEWHERE = ("user-mode-linux",)
#: What never had a release is signed for a week only, and the index that this machine gets may be older.
UNRELEASED = ("sid", "forky")

#: Units that wait for hardware, fail in a namespace (Open vSwitch's want its kernel module) or cost a test host seconds.
MASKED = (
    "systemd-resolved systemd-networkd systemd-timesyncd systemd-udevd systemd-udev-trigger systemd-modules-load "
    "systemd-logind systemd-binfmt systemd-pstore systemd-random-seed systemd-hwdb-update systemd-journal-catalog-update "
    "systemd-machine-id-commit systemd-firstboot systemd-update-utmp console-getty e2scrub_reap modprobe@configfs "
    "modprobe@drm modprobe@fuse modprobe@efi_pstore modprobe@dm_mod modprobe@loop "
    "openvswitch-switch ovsdb-server ovs-vswitchd ovs-record-hostname "
    "systemd-udevd-control.socket systemd-udevd-kernel.socket sys-kernel-debug.mount sys-kernel-tracing.mount "
    "sys-kernel-config.mount sys-fs-fuse-connections.mount dev-hugepages.mount dev-mqueue.mount getty.target "
    "proc-sys-fs-binfmt_misc.automount systemd-ask-password-console.path systemd-ask-password-wall.path "
    "apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer"
).split()

CONFIGURATION = {
    "etc/ssh/sshd_config.d/lab.conf": "UseDNS no\nPasswordAuthentication no\nMaxStartups 200:30:400\n"
    "AuthorizedKeysFile /etc/ssh/lab_authorized_keys\n",
    "etc/systemd/journald.conf.d/lab.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=4M\nRuntimeMaxFileSize=512K\n",
    "etc/sudoers.d/engineer": "engineer ALL=(ALL) NOPASSWD: ALL\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}


def cache() -> pathlib.Path:
    """Return the folder for what takes long to build; it outlives every checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = pathlib.Path(base) / "wirefleet-lab"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(name: str, recipe: str, build: Callable[[pathlib.Path], None]) -> pathlib.Path:
    """Return the cached thing *name* made by *recipe*, built now if need be; half-built things are never seen."""
    path = cache() / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with open(cache() / f"{name}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_suffix(".partial")
            discard(partial)
            build(partial)
            partial.rename(path)
    return path


def discard(path: pathlib.Path) -> None:
    if path.is_dir():
        run([*as_root(), "rm", "-rf", "--", str(path)])
    else:
        path.unlink(missing_ok=True)


def rootfs(suite: str = SUITE) -> pathlib.Path:
    """Return the shared root of a *suite*, read-only for everybody who uses it."""
    packages = PACKAGES if suite == SUITE else [*(name for name in PACKAGES if name not in ONLY_AT_HOME), *ONLY_ELSEWHERE]
    return cached(f"root-{suite}", recipe(packages, MASKED, suite), lambda folder: build(folder, packages, MASKED, suite))


def recipe(packages: Sequence[str], masked: Sequence[str], suite: str = SUITE) -> str:
    return "\n".join((suite, *packages, *masked, *(f"{path}={text}" for path, text in CONFIGURATION.items())))


def build(folder: pathlib.Path, packages: Sequence[str], masked: Sequence[str], suite: str = SUITE) -> None:
    """Make a root with *packages* in *folder*, whose systemd does not start the units *masked*."""
    print(f"building the hosts' root from Debian {suite} packages, a minute or more (once): {' '.join(packages)}", flush=True)
    install(folder, packages, suite)
    run([*as_root(), "chroot", str(folder), "useradd", "--create-home", "--shell", "/bin/bash", "engineer"])
    for path, text in CONFIGURATION.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text)
    (folder / "etc/sudoers.d/engineer").chmod(0o440)
    for unit in masked:
        link = folder / "etc/systemd/system" / (unit if "." in unit else f"{unit}.service")
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    default = folder / "etc/systemd/system/default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")


def install(folder: pathlib.Path, packages: Sequence[str], suite: str) -> None:
    """Unpack the packages. An ordinary user's copy belongs to the ids of the namespace that will use it."""
    age = ['--aptopt=Acquire::Check-Valid-Until "false"'] if suite in UNRELEASED else []
    command = ["mmdebstrap", "--quiet", "--variant=minbase", *age, f"--include={','.join(packages)}", suite]
    if not ordinary():
        run([*command, str(folder)])
        return
    archive = folder.with_suffix(".tar")
    run([*command, "--mode=unshare", str(archive)])
    folder.mkdir()
    run([*as_root(), "tar", "-C", str(folder), "--exclude=./dev/*", "-xpf", str(archive)])
    archive.unlink()


def run(argv: list[str], **options: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a tool; raise Problem with its last words when it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise Problem(f"{' '.join(argv[:6])} failed: {' / '.join(words)}")
    return done
