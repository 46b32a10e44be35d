# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to commands and files of the managed host.

Everything above this file is a function of text and values, so a unit test hands in
recorded output by giving another object with the same methods.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import shlex
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandMissing(Exception):
    """The program is not installed on this host."""

    def __init__(self, program: str) -> None:
        super().__init__(f"{program} is not installed on this host: install it first")
        self.program = program


class Result(t.NamedTuple):
    """What a finished command left behind; rc 124 means that it ran into its time limit."""

    argv: list[str]
    rc: int
    out: str
    err: str

    @property
    def command(self) -> str:
        return shlex.join(self.argv)

    @property
    def message(self) -> str:
        """The last line that the tool said, which is where they put the reason."""
        lines = (self.err.strip() or self.out.strip()).splitlines()
        return lines[-1].strip() if lines else f"exit code {self.rc} without a word"


def could_not(error: OSError) -> str:
    """Return in words what the operating system refused: what cannot be written names its folder. Pure."""
    if error.errno == errno.EROFS and error.filename:
        return f"{os.path.dirname(error.filename)} is on a file system that is mounted read-only: make it writable and run this again"
    return f"the host could not do it: {error}"


class Host:
    """Commands and files of the machine this runs on. No shell is ever involved."""

    def run(self, argv: Sequence[str], timeout: float = 30.0, stdin: str = "") -> Result:
        """Run *argv* with a C locale and return its Result whatever the exit code.

        Raises CommandMissing when the program does not exist.
        """
        program = self.which(argv[0])
        if program is None:
            raise CommandMissing(argv[0])
        try:
            # Not run_command: this also runs on the host without Ansible.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                [program, *argv[1:]],
                input=stdin.encode(),
                capture_output=True,
                timeout=timeout,
                env=_environment(),
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            return Result(list(argv), 124, _text(expired.stdout), _text(expired.stderr) or f"no answer within {timeout:g} s")
        return Result(list(argv), done.returncode, _text(done.stdout), _text(done.stderr))

    def first(self, argvs: Sequence[Sequence[str]], timeout: float) -> Result:
        """Run all of *argvs* at once, as `run` does, and return the Result of the first that succeeds; the others are killed.

        Where none does, it is that of the first command: with exit code 124 if *timeout* seconds were not enough for it.
        """
        with contextlib.ExitStack() as opened:
            started = []
            for argv in argvs:
                said = [opened.enter_context(tempfile.TemporaryFile()) for _stream in range(2)]
                started.append(_Started(argv, self.which(argv[0]), *said))
                opened.callback(started[-1].kill)
            deadline = time.monotonic() + timeout
            while time.monotonic() < deadline and any(one.rc() is None for one in started) and all(one.rc() != 0 for one in started):
                time.sleep(0.05)
            return next((one for one in started if one.rc() == 0), started[0]).result(timeout)

    def between(self, argv: Sequence[str], source: t.Any, sink: t.Any) -> subprocess.Popen[bytes]:
        """Start *argv* reading from *source* and writing to *sink*, files or subprocess.PIPE; raises CommandMissing."""
        program = self.which(argv[0])
        if program is None:
            raise CommandMissing(argv[0])
        return subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program, *argv[1:]], stdin=source, stdout=sink, stderr=subprocess.DEVNULL, env=_environment()
        )

    def which(self, program: str) -> str | None:
        """Return the path of *program*; sbin is searched too, whatever the caller's PATH says."""
        return shutil.which(program, path=os.environ.get("PATH", "") + ":" + SEARCH_PATH)

    def read(self, path: str) -> str | None:
        """Return the text of *path*, or None where it is absent or the kernel refuses to answer."""
        try:
            with open(path, encoding="utf-8", errors="replace") as handle:
                return handle.read()
        except OSError:
            return None

    def read_bytes(self, path: str) -> bytes | None:
        """Return what *path* holds, to the byte, or None where it is absent or cannot be read."""
        try:
            with open(path, "rb") as handle:
                return handle.read()
        except OSError:
            return None

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that the shell would make of *pattern*, sorted."""
        return sorted(glob.glob(pattern))

    def converse(self, path: str, lines: Sequence[str], timeout: float = 3.0) -> list[str]:
        """Say *lines* one by one to the SOCK_SEQPACKET socket *path*; return its greeting and its answers. Raises OSError."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.settimeout(timeout)
            connection.connect(path)
            said = [_text(connection.recv(1 << 20))]
            for line in lines:
                connection.send(line.encode())
                said.append(_text(connection.recv(1 << 20)))
            return said

    def exists(self, path: str) -> bool:
        return os.path.exists(path)

    def read_only(self, path: str) -> bool:
        """Whether the mode of *path* lets nobody write it, as the kernel says of parameters that it only shows."""
        try:
            return not os.stat(path).st_mode & stat.S_IWUSR
        except OSError:
            return False

    def names(self, path: str) -> list[str]:
        """Return the sorted names in the folder *path*; empty where there is no such folder."""
        try:
            return sorted(os.listdir(path))
        except OSError:
            return []

    def target(self, path: str) -> str | None:
        """Return where the symbolic link *path* leads, fully resolved, or None where it does not exist."""
        try:
            return os.path.realpath(path) if os.path.lexists(path) else None
        except OSError:  # a process that ended still has its links in /proc, and they lead nowhere
            return None

    def make_private(self, folder: str) -> None:
        """Create *folder* (0700) with its parents; refuse one that is a link or not ours."""
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"{folder} must be a folder of uid {os.geteuid()}, not a link or another's")
        os.chmod(folder, 0o700)

    def write(self, path: str, text: str | bytes, mode: int = 0o600) -> None:
        """Replace *path* by *text* in one step: whoever reads sees the old or the new text, also after a crash."""
        replace_file(path, text if isinstance(text, bytes) else text.encode(), mode)

    def rewrite(self, path: str, data: bytes) -> None:
        """Replace what the existing file *path* holds in one step; it keeps its owner and mode, and a link to it stays one."""
        real = os.path.realpath(path)
        found = os.stat(real)
        replace_file(real, data, stat.S_IMODE(found.st_mode), owner=(found.st_uid, found.st_gid))

    def append(self, path: str, text: str) -> None:
        """Add *text* to *path* (0600, never through a link) and return once it is on disk."""
        fresh = not os.path.lexists(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            data = text.encode()
            while data:  # a disk that fills up takes a part first and says so at the next write only
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            sync_folder(os.path.dirname(path))

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold the file *path* locked against every other process of this host; waits for its turn."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def remove(self, path: str) -> bool:
        """Delete the file *path*; return whether there was one."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        sync_folder(os.path.dirname(path))
        return True


class _Started:
    """A command that runs, and what it said so far."""

    def __init__(self, argv: Sequence[str], program: str | None, out: t.IO[bytes], err: t.IO[bytes]) -> None:
        if program is None:
            raise CommandMissing(argv[0])
        self._argv, self._said = list(argv), (out, err)
        self._process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            [program, *argv[1:]], stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_environment()
        )

    def rc(self) -> int | None:
        return self._process.poll()

    def result(self, timeout: float) -> Result:
        out, err = (_text(_whole(stream)) for stream in self._said)
        rc = self.rc()
        return Result(self._argv, 124, out, err or f"no answer within {timeout:g} s") if rc is None else Result(self._argv, rc, out, err)

    def kill(self) -> None:
        if self.rc() is None:
            self._process.kill()
            self._process.wait()


def _whole(stream: t.IO[bytes]) -> bytes:
    stream.seek(0)
    return stream.read()


def replace_file(path: str, data: bytes, mode: int = 0o600, synced: bool = True, owner: tuple[int, int] | None = None) -> None:
    """Replace *path* by *data* in one step; *synced* makes it survive a power cut, at the disk's pace."""
    temporary = path + ".new"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as handle:
            if owner:
                os.fchown(handle.fileno(), *owner)
            os.fchmod(handle.fileno(), mode)
            handle.write(data)
            handle.flush()
            if synced:
                os.fsync(handle.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if synced:
        sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """Make a rename or deletion in *folder* survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "") + ":" + SEARCH_PATH, "LC_ALL": "C", "LANG": "C"}


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")
