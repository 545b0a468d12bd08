"""The whole product in one loop: simulator and API on real sockets, a synced database, one clock for all of them."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from marketdata.api.app import create_app
from marketdata.api.services import Services
from marketdata.core import candles
from marketdata.core.clock import Clock
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.simulator.app import create_app as create_simulator
from marketdata.simulator.controls import Controls
from marketdata.simulator.server import server_config
from marketdata.simulator.sources import Sources
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.syncs import SyncRun
from marketdata.syncer.sync import sync_exchange
from tests.built_in import ADAPTERS
from tests.unlimited import unlimited

PATIENCE_S = 60.0
"""No deadline of a call or page is shorter here: a machine that is slow is no exchange that is."""

PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}


class _Server(uvicorn.Server):
    """A server inside a test, whose signals are the test runner's business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Place:
    """An address where now this, now that application stands."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@dataclass
class Platform:
    """A running platform, and a client who may read."""

    services: Services
    http: httpx2.AsyncClient
    upstream: httpx2.AsyncClient
    """The connections to the exchanges."""
    fetchers: dict[ExchangeId, Fetcher]
    """The API's and the syncer's, so that both spend from one budget."""
    runs: dict[str, SyncRun]
    database: Database
    clock: Clock
    client_id: str
    simulator: str
    """The simulator's base URL."""
    exchanges: Place
    """What stands there."""
    api: Place
    controls: Controls
    """The simulator's faults and journal."""

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

    async def sync(self) -> dict[str, SyncRun]:
        """Sync all exchanges and let the API see it."""
        self.runs = {
            exchange: await sync_exchange(self.database, fetcher, self.clock)
            for exchange, fetcher in self.fetchers.items()
        }
        await self.services.refresh()
        return self.runs

    def stage(self, sources: Sources, controls: Controls) -> None:
        """Let other exchanges stand where the simulator stood, and the API know nothing of those before."""
        self.controls = controls
        self.exchanges.app = create_simulator(sources, self.clock, controls)
        self.fetchers.update(make_fetchers(self.upstream, self.clock, self.simulator))

    async def restart(self) -> None:
        """A new API in the place of the old one, which has only the database to know things from."""
        self.fetchers = make_fetchers(self.upstream, self.clock, self.simulator)
        self.api.app = create_app(self.database, self.fetchers, self.clock, unlimited())
        self.services = self.api.app.state.services
        await self.services.refresh()


def make_fetchers(http: httpx2.AsyncClient, clock: Clock, simulator: str) -> dict[ExchangeId, Fetcher]:
    """With budgets of their own: those that are shared through the database go by its time and not by `clock`."""
    return {
        exchange: Fetcher(adapter, http, clock, f"{simulator}/{PREFIXES[exchange]}", deadline_s=PATIENCE_S)
        for exchange, adapter in ADAPTERS.items()
    }


@asynccontextmanager
async def running_platform(
    sources: Sources, clock: Clock, database_url: str, controls: Controls | None = None
) -> AsyncIterator[Platform]:
    """All of it, synced, while the block runs."""
    controls = controls or Controls()
    async with AsyncExitStack() as opened:
        opened.enter_context(pytest.MonkeyPatch.context()).setattr(candles, "DEADLINE_S", PATIENCE_S)
        config = server_config(sources, clock, controls)
        config.app = exchanges = Place(config.app)
        simulator = await opened.enter_async_context(serving(config))
        upstream = await opened.enter_async_context(open_http())
        database = Database(database_url)
        opened.push_async_callback(database.dispose)
        fetchers = make_fetchers(upstream, clock, simulator)
        api = Place(create_app(database, fetchers, clock, unlimited()))
        async with database.transaction() as connection:
            client, _ = await create_client(connection, "tests", ("candles:read", "metadata:read"), clock.now_ms())
        url = await opened.enter_async_context(serving(api))
        http = await opened.enter_async_context(httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False))
        platform = Platform(
            services=api.app.state.services,
            http=http,
            upstream=upstream,
            fetchers=fetchers,
            runs={},
            database=database,
            clock=clock,
            client_id=client.client_id,
            simulator=simulator,
            exchanges=exchanges,
            api=api,
            controls=controls,
        )
        await platform.sync()
        yield platform


@asynccontextmanager
async def serving(app: ASGIApp | uvicorn.Config) -> AsyncIterator[str]:
    """A server on this machine while the block runs; gives its base URL."""
    # without its lifespan: the tests refresh the catalogue themselves, on their own clock
    config = (
        app
        if isinstance(app, uvicorn.Config)
        else uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    )
    # named as TCP, else asyncio leaves Nagle's algorithm on and each answer waits 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        host, port = listening.getsockname()
        server = _Server(config)
        serving = asyncio.create_task(server.serve([listening]))
        try:
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)
            yield f"http://{host}:{port}"
        finally:
            server.should_exit = True
            await serving
