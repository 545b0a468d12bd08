"""The connection beneath HTTP: for answers that no HTTP server gives.

ASGI speaks in whole answers. What it lets a server add are extensions of the scope; this one hands the application
the connection itself.
"""

import asyncio
import socket
import struct
from collections.abc import Iterable
from http import HTTPStatus

from starlette.types import Receive, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_EXTENSION = "marketdata.connection"
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which an application may take over."""

    taken = False

    def on_message_begin(self) -> None:
        """A request begins: offer the connection with it."""
        super().on_message_begin()
        self.scope["extensions"] = {_EXTENSION: {"connection": self}}

    def shutdown(self) -> None:
        """The server ends: what was taken over may have no end of its own."""
        if self.taken:
            self.transport.abort()
        else:
            super().shutdown()


class Wire:
    """A connection, taken over for one answer; its end is the connection's end.

    Methods that write or wait raise ConnectionAbortedError when the other side has gone.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        """Take over the connection of a request, whose body has been read."""
        connection: Connection = scope["extensions"][_EXTENSION]["connection"]
        connection.taken = True
        self._flow = connection.flow
        self._transport = connection.transport
        self._receive = receive
        self.status: int | None = None
        """What was sent as such."""
        self.body_bytes = 0
        # Whatever is written is to be gone before the next step, also when that is a reset.
        self._transport.set_write_buffer_limits(high=0)

    async def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if self._transport.is_closing():
            raise ConnectionAbortedError
        self._transport.write(data)
        await self._flow.drain()
        await asyncio.sleep(0)

    async def head(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send a status line and headers."""
        self.status = status
        await self.write(head(status, headers))

    async def body(self, data: bytes) -> None:
        """Send bytes that count as the body's."""
        await self.write(data)
        self.body_bytes += len(data)

    async def wait(self, seconds: float | None = None) -> None:
        """Be silent for so long, or until the other side goes.

        In real time, whatever the simulator's clock shows: it is the other side's patience that is tried.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._gone()
        except TimeoutError:
            return
        raise ConnectionAbortedError

    def reset(self) -> None:
        """Break the connection off: the other side's system sees RST."""
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._transport.abort()

    async def close(self) -> None:
        """Close the connection if it is not, and wait until that is done."""
        self._transport.close()
        await self._gone()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A status line and headers as they are sent."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
