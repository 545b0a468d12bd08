"""One exchange of three is dead for a while (U6): the others do not feel it, and it is left alone until it is back.

Four platforms at once, each with an exchange that is dead in another way; in `make test-long` for ten minutes.
"""

import asyncio
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest

from marketdata.core.clock import SystemClock
from marketdata.core.exchanges import BUILT_IN
from marketdata.core.fetch import Fetcher
from tests.conftest import Postgres
from tests.fake_exchange import http, read_request
from tests.faults.api import FaultyApi, faulty_api
from tests.faults.good import EXCHANGES, HOUR_MS, asked, date

type Way = Literal["refuses", "hangs", "says 503", "swallows"]

SYMBOLS = {"binance_futures": "BTC-USDT-PERP", "hyperliquid": "BTC-USDC-PERP", "coinbase": "BTC-USD"}
EVERY_S = {"binance_futures": 0.2, "hyperliquid": 2.0, "coinbase": 0.4}
"""How often each is asked for a candle, each time for another one; well within its budget."""

START_MS = 1767225600000
LEFT_ALONE = "is left alone"
_PATIENCE_S = 60


class MortalExchange:
    """One exchange on a socket of its own."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self.calls = 0
        self.way: Way | None = None
        self._port = 0
        self._server: asyncio.Server | None = None
        self._full: list[socket.socket] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._port}"

    async def open(self) -> None:
        """Listen, where it listened before."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    async def die(self, way: Way) -> None:
        self.way = way
        if way in {"refuses", "swallows"}:
            self.close()
        if way == "swallows":
            self._fill()

    async def come_back(self) -> None:
        if self.way in {"refuses", "swallows"}:
            for connection in self._full:
                connection.close()
            await self.open()
        self.way = None

    def _fill(self) -> None:
        """As many connections as may wait for one who takes none: Linux does not answer those who come after."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self._port))
        listening.listen(0)
        self._full = [listening]
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)  # noqa: FBT003 - the name of the call says it
            waiting.connect_ex(("127.0.0.1", self._port))
            self._full.append(waiting)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head, body = await read_request(reader)
            self.calls += b"/_control" not in head
            if b"/_control" in head:  # which is asked of simulators alone
                await http(b"{}", "404 Not Found")(writer)
            elif self.way == "hangs":
                await reader.read()  # until the caller has gone
            elif self.way == "says 503":
                await http(b"{}", "503 Service Unavailable")(writer)
            else:
                good = EXCHANGES[self.exchange](asked(head, body, ""))
                await http(good.body, headers=f"Content-Type: application/json\r\n{date()}")(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@dataclass
class Told:
    """One answer of the API."""

    at_s: float
    took_s: float
    code: str | None
    is_left_alone: bool


@dataclass
class Market:
    """A platform and its exchanges, and what its callers were told."""

    api: FaultyApi
    exchanges: dict[str, MortalExchange]
    told: dict[str, list[Told]] = field(default_factory=lambda: {name: [] for name in SYMBOLS})
    _asked: int = 0

    async def keep_asking(self, exchange: str) -> None:
        """At its own pace, whether answers come or not."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._ask(exchange))
                await asyncio.sleep(EVERY_S[exchange])

    async def _ask(self, exchange: str) -> None:
        self._asked += 1
        end_ms = START_MS - self._asked % 1000 * HOUR_MS
        path = f"/v1/candles/{exchange}/{SYMBOLS[exchange]}/1h?limit=1&end={end_ms}"
        began_s = time.monotonic()
        document = (await self.api.http.get(path)).json()
        took_s = time.monotonic() - began_s
        is_left_alone = LEFT_ALONE in document.get("detail", "")
        self.told[exchange].append(Told(began_s, took_s, document.get("code"), is_left_alone))

    async def until_told(self, exchange: str, *, good: bool) -> float:
        """When the next good answer, or the next one without a call to the exchange, is given; the clock's reading."""
        began = len(self.told[exchange])
        async with asyncio.timeout(_PATIENCE_S):
            while not any(one.code is None if good else one.is_left_alone for one in self.told[exchange][began:]):
                await asyncio.sleep(0.02)
        return time.monotonic()


@asynccontextmanager
async def market(database_url: str) -> AsyncIterator[Market]:
    """One that is asked all the time."""
    async with AsyncExitStack() as opened:
        api = await opened.enter_async_context(faulty_api(database_url, SystemClock()))
        exchanges = {name: MortalExchange(name) for name in SYMBOLS}
        for exchange in exchanges.values():
            await exchange.open()
            opened.callback(exchange.close)
        for adapter in BUILT_IN:
            url = exchanges[adapter.exchange].url
            api.fetchers[adapter.exchange] = Fetcher(adapter(), api.upstream, SystemClock(), url)
        platform = Market(api, exchanges)
        asking = [asyncio.create_task(platform.keep_asking(name)) for name in SYMBOLS]
        try:
            yield platform
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)


def percentile(answers: Sequence[Told], part: float) -> float:
    """Milliseconds within which this part of the answers came."""
    times = sorted(one.took_s for one in answers)
    return 1000 * times[min(len(times) - 1, int(part * len(times)))] if times else 0.0


async def outage(database_url: str, dead: str, way: Way, lasts_s: float, *, is_strict: bool) -> None:
    """Let `dead` be dead, come back, and see what was told."""
    async with market(database_url) as platform:
        exchange = platform.exchanges[dead]
        for name in SYMBOLS:
            await platform.until_told(name, good=True)
        await asyncio.sleep(lasts_s / 4)
        died_s, calls = time.monotonic(), exchange.calls
        await exchange.die(way)
        opened_s = await platform.until_told(dead, good=False)
        await asyncio.sleep(max(0.0, died_s + lasts_s - time.monotonic()))
        calls = exchange.calls - calls
        back_s = time.monotonic()
        await exchange.come_back()
        recovered_s = await platform.until_told(dead, good=True)
        await asyncio.sleep(1)

    for name, told in platform.told.items():
        if name != dead:
            assert Counter(one.code for one in told) == {None: len(told)}, name
            before = [one for one in told if one.at_s < died_s]
            during = [one for one in told if died_s <= one.at_s < back_s]
            print(f"{way} {name}: p99 {percentile(before, 0.99):.1f} -> {percentile(during, 0.99):.1f} ms", end="; ")
    told = platform.told[dead]
    alone = [one for one in told if one.is_left_alone]
    failed = [one for one in told if one.code is not None and not one.is_left_alone]
    print(
        f"{dead}: open after {opened_s - died_s:.1f} s, then {len(alone)} answers p50 {percentile(alone, 0.5):.1f},"
        f" p99 {percentile(alone, 0.99):.1f} ms; {calls} calls for {len(failed)} failures; back in"
        f" {recovered_s - back_s:.1f} s"
    )
    codes = {one.code for one in told} - {None}
    assert codes <= {"upstream-unavailable", "upstream-timeout"}
    assert all(one.code is None for one in told if one.at_s > recovered_s)
    assert percentile(alone, 0.5) < (50 if is_strict else 1000)
    assert recovered_s - back_s < (30 if is_strict else 60)
    assert calls <= len(failed) * 1.1 + 6  # a tenth, and what was saved before


WAYS: list[tuple[str, Way]] = [
    ("binance_futures", "refuses"),
    ("coinbase", "hangs"),
    ("hyperliquid", "says 503"),
    ("binance_futures", "swallows"),
]


@pytest.mark.parametrize(
    "lasts_s,is_strict", [(4.0, False), pytest.param(600.0, True, marks=pytest.mark.long)], ids=["short", "long"]
)
async def test_one_that_is_dead_is_its_own_loss_alone(
    postgres: Postgres,
    lasts_s: float,
    is_strict: bool,  # noqa: FBT001 - as parametrized
) -> None:
    async with asyncio.TaskGroup() as tasks:
        for dead, way in WAYS:
            if way == "swallows" and sys.platform != "linux":
                continue  # other systems treat those who have to wait otherwise
            tasks.create_task(outage(postgres.make_database(), dead, way, lasts_s, is_strict=is_strict))
