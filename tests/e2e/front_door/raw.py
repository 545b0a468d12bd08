"""HTTP by the byte: what no HTTP client would send."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from tests.e2e.front_door.operations import Request

_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    """By name in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawClient:
    """One connection at a time, kept as long as the server keeps it."""

    def __init__(self, base_url: str) -> None:
        place = urlsplit(base_url)
        self._host, self._port = place.hostname, place.port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def ask(
        self, path: str, headers: Iterable[tuple[bytes, bytes]] = (), *, method: str = "GET", body: bytes | None = None
    ) -> Answer:
        """The answer to a request; a body is sent with its length."""
        length = () if body is None else ((b"Content-Length", b"%d" % len(body)),)
        lines = b"".join(b"%b: %b\r\n" % header for header in (*headers, *length))
        return await self.send(b"%b %b HTTP/1.1\r\nHost: api\r\n%b\r\n" % (method.encode(), path.encode(), lines), body)

    async def request(self, request: Request, headers: Iterable[tuple[bytes, bytes]]) -> Answer:
        """The answer to one of the operations."""
        kind, body = request.body or (None, None)
        sent = [*headers, (b"Content-Type", kind)] if kind is not None else headers
        return await self.ask(request.path, sent, method=request.method, body=body)

    async def send(self, head: bytes, body: bytes | None = None) -> Answer:
        """The answer to these bytes."""
        async with asyncio.timeout(_PATIENCE_S):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            writer.write(head + (body or b""))
            answer = await _read(reader)
            if answer.headers.get("connection") == "close" or reader.at_eof():
                await self.close()
            return answer


async def _read(reader: asyncio.StreamReader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif headers.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
    else:
        body = await reader.read()
    return Answer(int(first.split()[1]), headers, body)
