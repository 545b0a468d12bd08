"""A server with our edge over an application that only remembers what reached it, and peers who write raw bytes."""

import asyncio
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from starlette.types import Receive, Scope, Send

from marketdata.api.edge import Edge, Limits
from marketdata.api.loop import Loop
from marketdata.api.server import Server, listen
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import Clock, SystemClock

PATIENCE_S = 20.0


class Still(SystemClock):
    """A clock whose monotonic time passes only when a test says so."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def monotonic(self) -> float:
        return self.passed_s


@dataclass
class Backend:
    """Answers what it is asked, and remembers it: `/large` with much, `/held` once it is let go, else with the path."""

    seen: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path and body of each request that came to its end."""
    scopes: list[Scope] = field(default_factory=list)
    gone: int = 0
    """Requests whose clients left before their end."""
    held: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        """Begin anew."""
        self.seen.clear()
        self.scopes.clear()
        self.gone = 0
        self.held.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["path"] != "/early":
            body = b""
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    self.gone += 1
                    return
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            self.seen.append((scope["method"], scope["path"], body))
        while scope["path"] == "/held" and not self.held.is_set():
            await asyncio.sleep(0.01)
        answer = b"x" * 30_000_000 if scope["path"] == "/large" else scope["path"].encode()
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


@dataclass(frozen=True)
class Front:
    """The running server."""

    server: Server
    backend: Backend
    edge: Edge
    port: int
    loop: asyncio.AbstractEventLoop

    @property
    def connections(self) -> int:
        """How many are open, as the server sees it."""
        return len(self.server.server_state.connections)

    def wait_until_read(self) -> None:
        """Return when something that was sent has been read on each connection."""
        wait_until(lambda: all(vars(connection)["_received"] for connection in self.server.server_state.connections))

    def wait_for_connections(self, count: int) -> None:
        """Return when so many are open."""
        wait_until(lambda: self.connections == count)

    def connect(self, received: int | None = None) -> socket.socket:
        """A connection; `received`: the most bytes that its peer's system keeps unread."""
        peer = socket.socket()
        if received is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received)
        peer.settimeout(PATIENCE_S)
        peer.connect(("127.0.0.1", self.port))
        return peer

    def say(self, *pieces: bytes) -> "Heard":
        """All that comes back when this is written, until the server closes."""
        with self.connect() as peer:
            for piece in pieces:
                peer.sendall(piece)
                if len(pieces) > 1:
                    time.sleep(0.05)
            return hear(peer)


@dataclass(frozen=True)
class Heard:
    """What a peer got."""

    data: bytes
    was_reset: bool

    @property
    def statuses(self) -> list[int]:
        """Of each answer in it; no body here looks like one."""
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.data)]

    @property
    def head(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[0].lower()

    @property
    def problem(self) -> dict[str, object]:
        """The document of the last answer."""
        document: dict[str, object] = msgspec.json.decode(self.data.rpartition(b"\r\n\r\n")[2])
        return document


def hear(peer: socket.socket, answers: int | None = None) -> Heard:
    """Read until the other side closes, or until there are so many answers."""
    data = bytearray()
    try:
        while answers is None or data.count(b"HTTP/1.1 ") < answers:
            piece = peer.recv(1 << 16)
            if not piece:
                break
            data += piece
    except ConnectionResetError:
        return Heard(bytes(data), was_reset=True)
    return Heard(bytes(data), was_reset=False)


def reset(peer: socket.socket) -> None:
    """Close a connection so that the other side hears of it at once, whatever is on its way."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def wait_until(condition: object, patience_s: float = PATIENCE_S) -> None:
    """Return when `condition()` is true."""
    assert callable(condition)
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def front(
    limits: Limits | None = None, settings: ApiSettings | None = None, clock: Clock | None = None
) -> Iterator[Front]:
    """A server in a thread of its own, on the event loop of the product."""
    edge = Edge(limits or Limits(), clock or SystemClock())
    backend = Backend()
    server = Server(backend, edge, settings or ApiSettings(_env_file=None))
    server.config.lifespan = "off"
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]

        loop = Loop()

        def run() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(server.serve_on(listening))

        thread = threading.Thread(target=run, name="front")
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield Front(server, backend, edge, port, loop)
        finally:
            backend.held.set()
            server.should_exit = True
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
