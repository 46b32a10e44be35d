# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The `serve` protocol: asking a host's supervisor for its state and its files over the host's own connection.

Two ways to carry it. A Stream is one long-lived process (ssh, or a child on the controller) with requests in
flight on its pipes. Pieces is for every other connection plugin: each request is a command, whose answer is left in a
file on the host and fetched with the plugin's own `fetch_file`.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import shlex
import subprocess
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence


SEGMENT = 64 << 20
MAX_LINE = 8 << 20
MAX_CHUNK = 16 << 20
READ = 1 << 20
LINE = 64 << 10
_DIGITS = 8


class ChannelError(Exception):
    """The host did not answer as agreed; the message says what it did instead."""


class Get(t.NamedTuple):
    """One request for data: a segment of a file below the session's folder."""

    path: str
    segment: int
    codec: str

    def request(self) -> dict[str, t.Any]:
        return {"op": "get", **self._asdict()}


class Source:
    """Bytes that arrive, cut into lines and blocks; *fill* puts some into a buffer, and says how many: 0 at the end."""

    def __init__(self, fill: Callable[[memoryview], int]) -> None:
        self._fill = fill
        self._have = bytearray()

    def line(self) -> bytes:
        while (end := self._have.find(b"\n")) < 0:
            if len(self._have) > MAX_LINE:
                raise ChannelError("the host sent a line without an end")
            self._have += self._more(bytearray(LINE))
        found = bytes(self._have[:end])
        del self._have[: end + 1]
        return found

    def exactly(self, count: int) -> memoryview:
        """Return the next *count* bytes in one piece, read to where they stay: each copy less is a fifth of the time."""
        block = bytearray(count)
        done = min(count, len(self._have))
        block[:done] = self._have[:done]
        del self._have[:done]
        view = memoryview(block)
        while done < count:
            done += len(self._more(view[done:]))
        return view

    def _more(self, buffer: bytearray | memoryview) -> memoryview:
        view = memoryview(buffer)
        count = self._fill(view)
        if not count:
            raise ChannelError("the connection ended in the middle of an answer")
        return view[:count]


class Answer:
    """The answer to a Get: iterate over the stored bytes, then read *trailer*."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.trailer: dict[str, t.Any] = {}
        self.header = parse(source.line())

    def __iter__(self) -> Iterator[memoryview]:
        length = self._source.exactly(_DIGITS)
        while count := chunk_length(length):
            block = self._source.exactly(count + _DIGITS)
            length = block[count:]
            yield block[:count]
        self.trailer = parse(self._source.line())


def chunk_length(digits: memoryview) -> int:
    """Return how many bytes the next chunk has, 0 after the last. Pure."""
    try:
        count = int(bytes(digits), 16)
    except ValueError:
        raise ChannelError(f"the host sent {bytes(digits)!r} where the length of a chunk belongs") from None
    if not 0 <= count <= MAX_CHUNK:
        raise ChannelError(f"the host announced a chunk of {count} bytes")
    return count


class Channel:
    """What both ways of carrying the protocol offer."""

    def ask(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        """Return the answer to *request*; raises ChannelError with the host's sentence where it refused."""
        raise NotImplementedError

    def get(self, wanted: Sequence[Get]) -> Iterator[Answer]:
        """Yield the Answers to *wanted* in order; each must be used up before the next is taken."""
        raise NotImplementedError

    def follow(self, request: dict[str, t.Any]) -> Iterator[dict[str, t.Any]]:
        """Yield the lines that answer *request* until one says `done`; what it holds is in no argument list on either side."""
        raise NotImplementedError

    def close(self) -> None:
        """End the conversation."""

    def __enter__(self) -> t.Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()


class Escalation(t.NamedTuple):
    """How to become root on a Stream: what to wait for, and the password where one is prompted for."""

    success: bytes
    prompt: bytes
    password: bytes


class Stream(Channel):
    """The protocol over the pipes of one process, with two requests for data in flight so that it never idles."""

    def __init__(
        self,
        argv: Sequence[bytes | str],
        timeout: float,
        escalation: Escalation | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._timeout = timeout
        self._words = bytearray()
        self._early = b""
        self._process = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=pass_fds,
        )
        # Only speed depends on it, and a user's pipes have a common limit.
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._stdout, fcntl.F_SETPIPE_SZ, READ)
        self._poll = selectors.DefaultSelector()
        self._poll.register(self._stdout, selectors.EVENT_READ)
        self._poll.register(self._stderr, selectors.EVENT_READ)
        self._source = Source(self._fill)
        if escalation is not None:
            try:
                self._escalate(escalation)
            except ChannelError:
                self.close()
                raise

    def ask(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        self._send(request)
        return parse(self._source.line())

    def get(self, wanted: Sequence[Get]) -> Iterator[Answer]:
        for sent in wanted[:2]:
            self._send(sent.request())
        for number in range(len(wanted)):
            yield Answer(self._source)
            if number + 2 < len(wanted):
                self._send(wanted[number + 2].request())

    def follow(self, request: dict[str, t.Any]) -> Iterator[dict[str, t.Any]]:
        self._send(request)
        yield from until_done(iter(self._source.line, None))

    def close(self) -> None:
        self._poll.close()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            try:
                pipe.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                pass
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def _stdout(self) -> int:
        return self._process.stdout.fileno()  # type: ignore[union-attr]

    @property
    def _stderr(self) -> int:
        return self._process.stderr.fileno()  # type: ignore[union-attr]

    def _send(self, request: dict[str, t.Any]) -> None:
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")  # type: ignore[union-attr]
        except BrokenPipeError:
            raise ChannelError(self._last_words()) from None

    def _fill(self, buffer: memoryview) -> int:
        if self._early:
            count = min(len(buffer), len(self._early))
            buffer[:count], self._early = self._early[:count], self._early[count:]
            return count
        while self._wait() != self._stdout:
            self._listen()
        count = os.readv(self._stdout, [buffer])
        if not count:
            raise ChannelError(self._last_words())
        return count

    def _wait(self) -> int:
        """Return the pipe that has something to say, stdout first."""
        ready = {key.fd for key, _events in self._poll.select(self._timeout)}
        if not ready:
            raise ChannelError(f"no answer within {self._timeout:g} s")
        return self._stdout if self._stdout in ready else ready.pop()

    def _listen(self) -> bytes:
        """Read from stderr and keep the last of it."""
        block = os.read(self._stderr, READ)
        if not block:
            self._poll.unregister(self._stderr)
        self._words += block
        del self._words[:-4096]
        return block

    def _escalate(self, escalation: Escalation) -> None:
        """Wait for the become plugin's success marker, answering one prompt; the password goes through stdin only."""
        seen = bytearray()
        asked = False
        while escalation.success not in seen:
            if self._wait() == self._stderr:
                seen += self._listen()
            elif block := os.read(self._stdout, READ):
                seen += block
            else:
                raise ChannelError(self._last_words() or "privilege escalation failed")
            if escalation.prompt and not asked and escalation.prompt in seen:
                asked = True
                self._process.stdin.write(escalation.password + b"\n")  # type: ignore[union-attr]
            elif asked and seen.count(escalation.prompt) > 1:
                raise ChannelError("the become password was not accepted")
        after = bytes(seen).partition(escalation.success)[2]
        self._early = after.partition(b"\n")[2]

    def _last_words(self) -> str:
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and self._poll.get_map():
            for key, _events in self._poll.select(0.2):
                block = os.read(key.fd, 4096)
                self._words += block if key.fd == self._stderr else b""
                if not block:
                    self._poll.unregister(key.fd)
        lines = bytes(self._words).decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"the connection ended (exit code {self._process.poll()})"


class Pieces(Channel):
    """The protocol by single commands and fetched files, for connections without a stream of bytes.

    *execute(command, as_root)* returns (rc, stdout, stderr); *fetch(remote, local)* copies a file here, *put(local, remote)* there.
    *remote_folder* belongs to the login user, so that what root leaves in a file of his there can be fetched by him.
    """

    def __init__(
        self,
        serve: Sequence[str],
        execute: Callable[[str, bool], tuple[int, str, str]],
        fetch: Callable[[str, str], None],
        remote_folder: str,
        local_folder: str,
        put: Callable[[str, str], None] | None = None,
    ) -> None:
        self._serve = shlex.join(serve)
        self._execute = execute
        self._fetch = fetch
        self._put = put
        self._remote = f"{remote_folder.rstrip('/')}/piece"
        self._local = os.path.join(local_folder, "piece")

    def ask(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        out = self._command(f"{self._say(request)} | {self._serve}", as_root=True)
        return parse(out.strip().rpartition("\n")[2].encode())

    def get(self, wanted: Sequence[Get]) -> Iterator[Answer]:
        for one in wanted:
            self._command(f"umask 77; : > {shlex.quote(self._remote)}", as_root=False)
            self._command(f"{self._say(one.request())} | {self._serve} > {shlex.quote(self._remote)}", as_root=True)
            self._fetch(self._remote, self._local)
            with open(self._local, "rb", buffering=0) as handle:
                yield Answer(Source(handle.readinto))

    def follow(self, request: dict[str, t.Any]) -> Iterator[dict[str, t.Any]]:
        if self._put is None:
            raise ChannelError("this channel carries no files")
        with open(self._local, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as handle:
            handle.write(json.dumps(request) + "\n")
        self._command(f"umask 77; : > {shlex.quote(self._remote)}", as_root=False)
        self._put(self._local, self._remote)
        out = self._command(f"{self._serve} < {shlex.quote(self._remote)}", as_root=True)
        yield from until_done(line.encode() for line in out.splitlines() if line.startswith("{"))

    def close(self) -> None:
        self._command(f"rm -f {shlex.quote(self._remote)}", as_root=False)
        if os.path.exists(self._local):
            os.unlink(self._local)

    @staticmethod
    def _say(request: dict[str, t.Any]) -> str:
        return f"printf '%s\\n' {shlex.quote(json.dumps(request))}"

    def _command(self, command: str, as_root: bool) -> str:
        rc, out, err = self._execute(command, as_root)
        if rc != 0:
            raise ChannelError((err.strip() or out.strip() or f"exit code {rc}").splitlines()[-1])
        return out


def until_done(lines: Iterable[bytes]) -> Iterator[dict[str, t.Any]]:
    """Yield the answers in *lines* up to the one that says `done`. Raises ChannelError."""
    for line in lines:
        answer = parse(line)
        yield answer
        if answer.get("done"):
            return
    raise ChannelError("the connection ended in the middle of an answer")


def parse(line: bytes) -> dict[str, t.Any]:
    """Return the JSON object in *line*; raises ChannelError with the sentence of an error answer."""
    try:
        answer = json.loads(line)
    except ValueError:
        raise ChannelError(f"the host answered {line[:200]!r}, which is no JSON") from None
    if not isinstance(answer, dict):
        raise ChannelError(f"the host answered {line[:200]!r}, which is no JSON object")
    if answer.get("error") and set(answer) <= {"error", "op"}:
        raise ChannelError(str(answer["error"]))
    return answer


def clock_offset(exchange: Callable[[], int], times: int = 3) -> dict[str, t.Any]:
    """Return {"offset_s", "error_s"} of a host's clock against ours: the best of some exchanges, error = RTT / 2.

    *exchange* returns the host's time in ns. A positive offset means that the host's clock is ahead.
    """
    best: tuple[float, float] | None = None
    for _attempt in range(times):
        before, started = time.time_ns(), time.monotonic_ns()
        there = exchange()
        trip = time.monotonic_ns() - started
        measured = (trip / 2e9, (there - (before + trip // 2)) / 1e9)
        best = measured if best is None else min(best, measured)
    return {"offset_s": best[1], "error_s": best[0]} if best else {"offset_s": None, "error_s": None}
