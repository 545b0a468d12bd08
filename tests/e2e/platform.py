"""The whole product in one loop: simulator and API on real sockets, a synced database, one clock for all of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn

from marketdata.api.app import create_app
from marketdata.api.services import Services
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import Clock
from marketdata.core.exchanges import registry
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.syncs import NewSyncRun
from marketdata.syncer.sync import sync_exchange

PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}


class _Server(uvicorn.Server):
    """A server inside a test, whose signals are the test runner's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass
class Platform:
    """A running platform, and a client who may read."""

    services: Services
    http: httpx2.AsyncClient
    fetchers: dict[ExchangeId, Fetcher]
    runs: dict[str, NewSyncRun]
    database: Database
    clock: Clock
    client_id: str
    simulator: str
    """The simulator's base URL."""

    async def get(self, path: str, **params: object) -> httpx2.Response:
        """GET with a good token."""
        token = self.services.tokens.issue(self.client_id, ("candles:read", "metadata:read"))
        given = {name: str(value) for name, value in params.items() if value is not None}
        return await self.http.get(path, params=given or None, headers={"Authorization": f"Bearer {token}"})

    async def read(self, path: str, **params: object) -> Any:
        """The document of a good answer."""
        response = await self.get(path, **params)
        assert response.status_code == 200, response.text
        return response.json()

    async def sync(self) -> dict[str, NewSyncRun]:
        """Sync all exchanges and let the API see it."""
        self.runs = {
            exchange: await sync_exchange(self.database, fetcher, self.clock)
            for exchange, fetcher in self.fetchers.items()
        }
        await self.services.refresh()
        return self.runs


@asynccontextmanager
async def running_platform(sources: Sources, clock: Clock, database_url: str) -> AsyncIterator[Platform]:
    """All of it, synced, while the block runs."""
    async with AsyncExitStack() as opened:
        simulator = await opened.enter_async_context(running_simulator(sources, clock))
        exchanges = await opened.enter_async_context(open_http())
        database = Database(database_url)
        opened.push_async_callback(database.dispose)
        fetchers = {
            exchange: Fetcher(adapter, exchanges, clock, f"{simulator}/{PREFIXES[exchange]}")
            for exchange, adapter in registry().items()
        }
        app = create_app(database, fetchers, clock, ApiSettings())
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "tests", ("candles:read", "metadata:read"), clock.now_ms())
        url = await opened.enter_async_context(serving(app))
        http = await opened.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False))
        platform = Platform(app.state.services, http, fetchers, {}, database, clock, client.client_id, simulator)
        await platform.sync()
        yield platform


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        host, port = listening.getsockname()
        # without its lifespan: the tests refresh the catalogue themselves, on their own clock
        server = _Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            await serving
