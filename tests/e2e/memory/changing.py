"""Exchanges that list something else at each sync, an API that follows, and a client who may read."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn

from marketdata.api.app import create_app
from marketdata.api.services import Services
from marketdata.core.clock import Clock, SystemClock
from marketdata.core.exchanges.coinbase import Coinbase
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.syncs import SyncRun
from marketdata.syncer.sync import sync_exchange
from tests.e2e.platform import serving
from tests.fake_exchange import FakeExchange, fake_exchange
from tests.syncer.products import product, products
from tests.unlimited import unlimited

EXCHANGES = ("coinbase", "hyperliquid", "binance_futures")


def adapter_of(exchange: str) -> Coinbase:
    """One that reads Coinbase's listing under another exchange's name, so that several are synced at once."""

    class Other(Coinbase):
        pass

    Other.exchange = ExchangeId(exchange)
    return Other()


@dataclass
class Changing:
    """An exchange that is synced generation by generation."""

    fetcher: Fetcher
    exchange: FakeExchange
    database: Database
    clock: Clock
    constant: int
    """How many instruments are always listed; each generation has another tick for all of them and one more new one."""
    generation: int = 0

    async def next(self) -> SyncRun:
        """List the next generation and sync it."""
        self.generation += 1
        self.exchange.answers = [products(product(name, quote_increment=self.tick()) for name in self.names())]
        return await sync_exchange(self.database, self.fetcher, self.clock)

    def names(self, generation: int | None = None) -> Iterator[str]:
        """The bases that a generation lists."""
        last = self.generation if generation is None else generation
        return itertools.chain(
            (f"A{number}" for number in range(self.constant)), (f"N{number}" for number in range(1, last + 1))
        )

    def tick(self, generation: int | None = None) -> str:
        """The tick of all of them."""
        return f"0.{self.generation if generation is None else generation:05}1"


@dataclass
class World:
    """All of it."""

    exchanges: list[Changing]
    services: Services
    http: httpx2.AsyncClient
    token: str

    async def get(self, path: str, **params: Any) -> httpx2.Response:
        """GET with a good token."""
        return await self.http.get(path, params=params or None, headers={"Authorization": f"Bearer {self.token}"})


@asynccontextmanager
async def changing_world(url: str, exchanges: int, constant: int) -> AsyncIterator[World]:
    """So many exchanges of `constant` instruments, each synced once, and an API that follows by itself."""
    clock = SystemClock()
    async with AsyncExitStack() as opened:
        upstream = await opened.enter_async_context(open_http())
        database = Database(url)
        opened.push_async_callback(database.dispose)
        made = []
        for name in EXCHANGES[:exchanges]:
            exchange = await opened.enter_async_context(fake_exchange(products([])))
            fetcher = Fetcher(adapter_of(name), upstream, clock, exchange.url)
            made.append(Changing(fetcher, exchange, database, clock, constant))
            assert (await made[-1].next()).outcome == "succeeded"
        app = create_app(database, {one.fetcher.adapter.exchange: one.fetcher for one in made}, clock, unlimited())
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "tests", ("metadata:read",), clock.now_ms())
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on")
        address = await opened.enter_async_context(serving(config))
        limits = httpx2.Limits(max_connections=100)
        http = await opened.enter_async_context(
            httpx2.AsyncClient(base_url=address, timeout=60, trust_env=False, limits=limits)
        )
        services: Services = app.state.services
        yield World(made, services, http, services.tokens.issue(client.client_id, ("metadata:read",)))
