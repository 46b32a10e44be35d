# Copyright: (c) 2026, the wirefleet.capture authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes packets from a switch or host that serves them by RPCAP, as a process of its own, and writes them to a pcap file.

RPCAP knows neither encryption nor, here, authentication. The server listens for a second TCP connection, on a port of its
choice, over which the packets come.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import sys
import time
import typing as t

from ..host import CommandMissing, Host
from . import rpcap_messages as messages
from .rpcap_messages import Broken

if t.TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECT_S = 10.0
#: The server's kernel may keep packets back for so long; a capture that ends waits a little longer for them.
HOLD_MS = 100
LINGER_S = 0.3
#: For all that is left to be said at the end; after it what came is kept.
FAREWELL_S = 5.0
#: How soon a server that fell silent without a word is noticed.
SILENCE_MS = 15_000
TICK_S = 0.2
CHUNK = 1 << 18


class Wish(t.NamedTuple):
    """*interface* "" takes the only one that there is; *snaplen* 0 keeps whole packets, as far as RPCAP has them."""

    path: str
    server: str
    port: int
    interface: str
    snaplen: int
    filter: str


class Unwritable(Exception):
    """The file cannot take what came; the message is the system's reason."""


class Client:
    """One conversation with a server. Raises Broken and OSError."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.snaplen = min(wish.snaplen or messages.MAX_CAPLEN, messages.MAX_CAPLEN)
        self.control = _connect(wish.server, wish.port)
        self.data: socket.socket | None = None
        self.link = 0
        self.interface = wish.interface

    def start(self) -> None:
        """Have packets sent; up to here nothing is captured."""
        messages.parse_versions(self._ask(messages.AUTH, messages.authenticate())[1])
        self.interface = self.interface or self._only_interface()
        self.link = messages.parse_opened(self._ask(messages.OPEN, messages.open_interface(self.interface))[1])
        program = compile_filter(self._filter(), self.link, self.snaplen)
        port = messages.parse_started(self._ask(messages.STARTCAP, messages.start(self.snaplen, HOLD_MS, program))[1])
        self.data = _connect(self.control.getpeername()[0], port)

    def _filter(self) -> str:
        """The packets of this very connection, seen by the interface that they leave by, would breed more of them."""
        mine, theirs = (end[0].partition("%")[0] for end in (self.control.getsockname(), self.control.getpeername()))
        own = f"not (tcp and host {mine} and host {theirs})"
        if self.link not in messages.LINK_NAMES:
            return self.wish.filter
        return f"({self.wish.filter}) and {own}" if self.wish.filter else own

    def _only_interface(self) -> str:
        header, payload = self._ask(messages.FINDALLIF, messages.request(messages.FINDALLIF))
        names = messages.parse_interfaces(header.value, payload)
        if len(names) != 1:
            offered = ", ".join(messages.printable(name.encode()) for name in names[:20])
            raise Broken(f"has {len(names)} interfaces, so say which: {offered}")
        return names[0]

    def _ask(self, kind: int, message: bytes) -> tuple[messages.Header, bytes]:
        self.control.sendall(message)
        header = messages.parse_header(self._read(messages.HEADER.size))
        payload = self._read(header.length)
        messages.check_reply(kind, header, payload)
        return header, payload

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self.control.recv(size - len(data))
            if not piece:
                raise Broken("closed the connection without an answer")
            data += piece
        return bytes(data)


class Receiver:
    """Moves packets from the data connection to *write* until it is told to end, then asks for the server's numbers."""

    def __init__(self, client: Client, write: Callable[[bytes], t.Any]) -> None:
        self.client, self.write = client, write
        self.asked = False
        self.packets = self.last = self.missing = 0
        self.counts: messages.Counts | None = None
        self._held, self._said = bytearray(), bytearray()
        self._open: set[str] = set()
        self._waits_for = 0

    def run(self) -> None:
        """Raises Broken and OSError where the server ends it; all that came until then was written."""
        data = t.cast("socket.socket", self.client.data)
        with selectors.DefaultSelector() as selector:
            for name, end in (("data", data), ("control", self.client.control)):
                end.setblocking(False)
                selector.register(end, selectors.EVENT_READ, name)
                self._open.add(name)
            for limit_s in self._steps():
                self._until(selector, limit_s)

    def _steps(self) -> Iterator[float | None]:
        """Yield how long to go on receiving before the next thing is to be said to the server."""
        yield None
        self._waits_for = -1
        yield LINGER_S
        for kind in (messages.STATS, messages.ENDCAP):
            if "control" in self._open:
                self._waits_for = kind
                self.client.control.sendall(messages.request(kind))
                yield FAREWELL_S
        self._waits_for = messages.CLOSE
        yield FAREWELL_S if "data" in self._open else 0

    def _until(self, selector: selectors.BaseSelector, limit_s: float | None) -> None:
        """Receive for *limit_s*, or until what is waited for has come; without a limit until the end is asked for."""
        waits_for, until = self._waits_for, None if limit_s is None else time.monotonic() + limit_s
        while self._waits_for == waits_for and (not self.asked if until is None else time.monotonic() < until):
            for key, _events in selector.select(TICK_S):
                end = t.cast("socket.socket", key.fileobj)
                piece = self._receive(end)
                if not piece:
                    selector.unregister(end)
                    self._closed(key.data)
                elif key.data == "data":
                    self._take(piece)
                else:
                    self._listen(piece)

    def _receive(self, end: socket.socket) -> bytes:
        try:
            return end.recv(CHUNK)
        except OSError as error:
            if not self.asked:
                raise Broken(f"lost the connection in mid-capture: {error.strerror}") from None
            return b""

    def _closed(self, name: str) -> None:
        self._open.discard(name)
        if not self.asked:
            rest = f", with {len(self._held)} bytes of a packet that has no end" if self._held else ""
            raise Broken(f"closed the connection in mid-capture{rest}")
        if name == ("data" if self._waits_for == messages.CLOSE else "control"):
            self._waits_for = 0

    def _take(self, piece: bytes) -> None:
        self._held += piece
        taken = messages.take(self._held, self.client.snaplen, self.last)
        del self._held[: taken.used]
        self.packets, self.last, self.missing = self.packets + taken.packets, taken.last, self.missing + taken.missing
        if taken.records:
            self.write(b"".join(taken.records))

    def _listen(self, piece: bytes) -> None:
        self._said += piece
        while len(self._said) >= messages.HEADER.size:
            header = messages.parse_header(bytes(self._said[: messages.HEADER.size]))
            end = messages.HEADER.size + header.length
            if len(self._said) < end:
                return
            payload = bytes(self._said[messages.HEADER.size : end])
            del self._said[:end]
            self._heard(header, payload)

    def _heard(self, header: messages.Header, payload: bytes) -> None:
        """At the end a server that refuses its numbers has still sent all packets."""
        if not self.asked:
            messages.check_reply(messages.PACKET, header, payload)
        if messages.is_reply(messages.STATS, header):
            self.counts = messages.parse_stats(payload)
        if messages.is_reply(self._waits_for, header) or header.type == messages.ERROR:
            self._waits_for = 0


def compile_filter(words: str, link: int, snaplen: int) -> list[messages.Instruction]:
    """Return *words* as BPF for *link*; raises Broken where that cannot be."""
    if not words:
        return messages.everything(snaplen)
    if link not in messages.LINK_NAMES:
        raise Broken(f"has packets of link type {link}, for which no filter can be made: leave the filter out")
    done = Host().run(["tcpdump", "-y", messages.LINK_NAMES[link], "-s", str(snaplen), "-ddd", "--", words])
    if done.rc:
        raise Broken(f"cannot be told the filter {words!r}: {done.message}")
    return messages.parse_program(done.out)


def _connect(server: str, port: int) -> socket.socket:
    found = socket.create_connection((server, port), CONNECT_S)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 2), (socket.TCP_USER_TIMEOUT, SILENCE_MS)):
        found.setsockopt(socket.IPPROTO_TCP, option, value)
    return found


def numbers(receiver: Receiver) -> str:
    """Return what was counted in one line, which the engine reads."""
    line = f"{receiver.packets} packets captured, {receiver.missing} missing"
    counts = receiver.counts
    if counts is None:
        return line + "; the server said no numbers"
    return f"{line}; the server received {counts.received}, dropped {counts.dropped_kernel} by kernel, " + (
        f"{counts.dropped_interface} by interface, sent {counts.sent}"
    )


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def capture(wish: Wish) -> int:
    """Capture until SIGINT or SIGTERM; return the exit code. What ended it otherwise is said on stderr."""
    where = f"{wish.server} port {wish.port}"
    try:
        client = Client(wish)
        client.start()
    except KeyboardInterrupt:
        say("rpcap: stopped before it listened")
        return 0
    except (Broken, OSError, CommandMissing) as error:
        say(f"rpcap: {where} {_reason(error)}")
        return 1
    handle = sys.stdout.fileno() if wish.path == "-" else os.open(wish.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    return _receive(client, handle, where)


def _receive(client: Client, handle: int, where: str) -> int:
    receiver = Receiver(client, lambda data: write_all(handle, data))
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda _number, _frame: setattr(receiver, "asked", True))
    signal.signal(signal.SIGUSR1, lambda _number, _frame: say(numbers(receiver)))
    say(f"rpcap: listening on {messages.printable(client.interface.encode())} of {where}, link type {client.link}")
    ended = ""
    try:
        write_all(handle, messages.file_header(client.link, client.snaplen))
        receiver.run()
    except (Broken, OSError) as error:
        ended = f"{where} {_reason(error)}"
    except Unwritable as error:
        ended = f"the file could not be written: {error}"
    if ended:
        say(f"rpcap: {ended}")
    say(numbers(receiver))
    return int(bool(ended))


def _reason(error: Exception) -> str:
    return f"cannot be reached: {error.strerror or error}" if isinstance(error, OSError) else str(error)


def write_all(handle: int, data: bytes) -> None:
    """Write without a buffer: limits and progress go by what is in the file."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(handle, rest) :]
        except OSError as error:
            raise Unwritable(error.strerror) from error


def main(words: list[str]) -> int:
    """Carry out `FILE SERVER PORT INTERFACE SNAPLEN FILTER`, where FILE may be - and the last but SNAPLEN may be empty."""
    path, server, port, interface, snaplen, filter_text = words
    return capture(Wish(path, server, int(port), interface, int(snaplen), filter_text))
