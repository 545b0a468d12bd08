"""Three exchanges on raw sockets that fail as their URL says: `/{fault}/{cell}/{exchange}`, as `/drip/latest/coinbase`.

The call that the cell is about fails, all others are answered well. Each cell has a URL of its own, so that
none is in the way of another.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.fake_exchange import read_request
from tests.faults.good import EXCHANGES, Good, asked
from tests.faults.kinds import FAULTS, Scene, whole

CALLS = {"listing": "listing", "candles": "candles", "latest": "candles"}
"""The cells of an exchange, and the call to it that fails there."""

CLOCK = "clock"
"""One cell more, in which candles are asked for and the exchange's time fails."""

NO_FAULT = "nothing"


class FaultyExchange:
    """What was asked of it."""

    def __init__(self) -> None:
        self.url = ""
        self.played: Counter[str] = Counter()
        """How often a fault was played, by fault, cell and exchange as in the URL."""
        self.astray = 0
        """Connections where there must be none."""
        self._inside = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head, body = await read_request(reader)
            await self._answer(head, body, writer)
            await writer.drain()
        writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        path = head.split(b" ", 2)[1].decode()
        if path == "/_control/about":  # it is asked of a simulator, which this is
            await whole(status="404 Not Found")(writer, Scene("", Good("time", b"{}"), "", ""))
            return
        fault, cell, exchange = path.split("/")[1:4]
        place = f"/{fault}/{cell}/{exchange}"
        good = EXCHANGES[exchange](asked(head, body, place))
        scene = Scene(exchange, good, self.url + path, self._inside)
        if fault == NO_FAULT or good.call != CALLS.get(cell, "time"):
            await whole()(writer, scene)
            return
        self.played[place] += 1
        await FAULTS[fault].play(writer, scene)

    async def go_astray(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.astray += 1
        writer.close()


@asynccontextmanager
async def faulty_exchange() -> AsyncIterator[FaultyExchange]:
    """One on a free loopback port."""
    exchange = FaultyExchange()
    server = await asyncio.start_server(exchange.serve, "127.0.0.1", 0)
    inside = await asyncio.start_server(exchange.go_astray, "127.0.0.1", 0)
    exchange.url, exchange._inside = (f"http://127.0.0.1:{one.sockets[0].getsockname()[1]}" for one in (server, inside))
    try:
        yield exchange
    finally:
        server.close()
        inside.close()
