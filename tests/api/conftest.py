"""An API over a real database that holds a few instruments, and a client who may read."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from marketdata.api.app import create_app
from marketdata.api.services import Services
from marketdata.api.settings import ApiSettings
from marketdata.core.budget import ExchangeBudget
from marketdata.core.clock import ManualClock
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId, Kind, Status, Symbol
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.exchanges import record_sync, upsert_exchange
from marketdata.store.symbols import StoredSymbol, upsert_symbols
from marketdata.store.syncs import NewSyncRun, record_run
from marketdata.syncer.sync import sync_exchange
from tests.built_in import ADAPTERS
from tests.conftest import Postgres

NOW_MS = 1767225600000
MARKET_NOW_MS = NOW_MS + 90_000  # 2026-01-01T00:01:30Z
PREFIXES = {"binance_futures": "binance", "hyperliquid": "hyperliquid", "coinbase": "coinbase"}

REFUSING_URL = "http://127.0.0.1:9"
"""Where no exchange is."""


def make_symbol(exchange: str, symbol: str, exchange_symbol: str, base: str, quote: str, **more: object) -> Symbol:
    kind = Kind.PERPETUAL if symbol.endswith("-PERP") else Kind.SPOT
    fields: dict[str, object] = {
        "kind": kind,
        "dex": None,
        "base_asset": base,
        "base_multiplier": 1,
        "quote_asset": quote,
        "settle_asset": quote if kind is Kind.PERPETUAL else None,
        "ccxt_symbol": None,
        "status": Status.TRADING,
        "exchange_status": "TRADING",
        "tick_size": "0.10",
        "step_size": "0.001",
        "price_significant_digits": None,
        "price_max_decimals": None,
        "min_quantity": None,
        "min_notional": None,
        "contract_size": None,
        "listed_at": None,
        "expires_at": None,
        "aliases": (),
        "delisted_at": None,
        "delisted_at_source": None,
        "first_seen_at": NOW_MS - 1000,
        "last_seen_at": NOW_MS,
        **more,
    }
    identity = {
        "id": f"{exchange}:{symbol}",
        "exchange": exchange,
        "symbol": symbol,
        "exchange_symbol": exchange_symbol,
    }
    return Symbol.model_validate({**identity, **fields})


SYMBOLS: Mapping[str, tuple[Symbol, ...]] = {
    "binance_futures": (
        make_symbol(
            "binance_futures",
            "BTC-USDT-PERP",
            "BTCUSDT",
            "BTC",
            "USDT",
            ccxt_symbol="BTC/USDT:USDT",
            aliases=("XBT-USDT-PERP",),
        ),
        make_symbol("binance_futures", "1000SHIB-USDT-PERP", "1000SHIBUSDT", "SHIB", "USDT", base_multiplier=1000),
        make_symbol("binance_futures", "币安人生-USDT-PERP", "币安人生USDT", "币安人生", "USDT"),
        make_symbol("binance_futures", "OLD-USDT-PERP", "OLDUSDT", "OLD", "USDT", status=Status.DELISTED),
    ),
    "hyperliquid": (
        make_symbol("hyperliquid", "BTC-USDC-PERP", "BTC", "BTC", "USDC", ccxt_symbol="BTC/USDC:USDC"),
        make_symbol("hyperliquid", "1000PEPE-USDC-PERP", "kPEPE", "PEPE", "USDC", base_multiplier=1000),
        make_symbol("hyperliquid", "PURR-USDC", "PURR/USDC", "PURR", "USDC"),
        make_symbol("hyperliquid", "HYPE-USDC", "@107", "HYPE", "USDC"),
        make_symbol("hyperliquid", "XYZ.TSLA-USDC-PERP", "xyz:TSLA", "TSLA", "USDC", dex="xyz"),
    ),
    "coinbase": (make_symbol("coinbase", "BTC-USD", "BTC-USD", "BTC", "USD", ccxt_symbol="BTC/USD"),),
}


def made_run(exchange: ExchangeId, read_at: int, generation: int) -> NewSyncRun:
    return NewSyncRun(
        exchange=exchange,
        started_at=read_at - 1000,
        finished_at=read_at + 500,
        read_at=read_at,
        outcome="succeeded",
        generation=generation,
    )


async def store_symbols(database: Database, symbols: Mapping[str, tuple[Symbol, ...]], now_ms: int) -> None:
    """What a first sync would write."""
    for name, listed in symbols.items():
        exchange = ExchangeId(name)
        async with database.transaction() as connection:
            await upsert_exchange(connection, exchange, REFUSING_URL)
            stored = [
                StoredSymbol(symbol, symbol.symbol.partition("-")[0], "identity", listed=True) for symbol in listed
            ]
            await record_sync(connection, exchange, now_ms, changed=True)
            await upsert_symbols(connection, exchange, stored, now_ms, 1)
            await record_run(connection, made_run(exchange, now_ms, 1))


@dataclass
class Api:
    """The application, and what a test needs to drive it."""

    app: FastAPI
    services: Services
    http: httpx2.AsyncClient
    clock: ManualClock
    client_id: str
    client_secret: str

    @property
    def secret_id(self) -> str:
        """The id of the client's secret."""
        return self.client_secret.split("_")[1]

    def token(self, *scopes: str) -> str:
        """A good token."""
        return self.services.tokens.issue(self.client_id, scopes or ("candles:read", "metadata:read"))

    async def get(self, url: str, *, token: str | None = None, **headers: str) -> httpx2.Response:
        """GET with a good token, or with `token`."""
        return await self.http.get(url, headers={"Authorization": f"Bearer {token or self.token()}", **headers})


@dataclass
class Market(Api):
    """An API whose exchanges are simulated."""

    sources: Sources

    async def candles(self, url: str) -> dict[str, object]:
        """The answer's JSON."""
        answer = await self.get(url)
        assert answer.status_code == 200, answer.text
        body: dict[str, object] = answer.json()
        return body


def client_of(app: FastAPI) -> httpx2.AsyncClient:
    """An HTTP client of the application, without a socket between."""
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://api")


@pytest.fixture
async def fetchers(clock: ManualClock) -> AsyncIterator[dict[ExchangeId, Fetcher]]:
    async with open_http() as http:
        yield {exchange: Fetcher(adapter, http, clock, REFUSING_URL) for exchange, adapter in ADAPTERS.items()}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_MS)


@pytest.fixture
async def empty_api(database: Database, fetchers: dict[ExchangeId, Fetcher], clock: ManualClock) -> AsyncIterator[Api]:
    """An API before the first sync."""
    app = create_app(database, fetchers, clock, ApiSettings())
    services: Services = app.state.services
    await services.refresh()
    async with database.transaction() as connection:
        client, secret = await create_client(connection, "test", ("metadata:read", "candles:read"), clock.now_ms())
    await services.refresh()
    async with client_of(app) as http:
        yield Api(app, services, http, clock, client.client_id, secret)


@pytest.fixture
async def api(empty_api: Api) -> Api:
    """An API that holds the metadata above."""
    await store_symbols(empty_api.services.database, SYMBOLS, NOW_MS)
    await empty_api.services.refresh()
    return empty_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(postgres: Postgres) -> AsyncIterator[Market]:
    """An API over a simulated market whose listings are synced."""
    clock = ManualClock(MARKET_NOW_MS)
    sources = simulated(scenario=Scenario(limits=False))  # the clock stands still, so no budget would come back
    database = Database(postgres.make_database())
    async with open_http() as upstream, running_simulator(sources, clock) as url:
        fetchers = {
            exchange: Fetcher(adapter, upstream, clock, f"{url}/{PREFIXES[exchange]}")
            for exchange, adapter in ADAPTERS.items()
        }
        for fetcher in fetchers.values():
            run = await sync_exchange(database, fetcher, clock)
            assert run.outcome == "succeeded", run
        async with database.transaction() as connection:
            scopes = ("metadata:read", "candles:read")
            client, secret = await create_client(connection, "test", scopes, MARKET_NOW_MS)
        app = create_app(database, fetchers, clock, ApiSettings())
        services: Services = app.state.services
        await services.refresh()
        async with client_of(app) as http:
            yield Market(app, services, http, clock, client.client_id, secret, sources)
    await database.dispose()


@pytest.fixture
def fresh(market: Market) -> None:
    """Each test begins at the same moment, with the whole budget."""
    market.clock.set(MARKET_NOW_MS)
    for exchange, fetcher in market.services.fetchers.items():
        fetcher.budget = ExchangeBudget(exchange, fetcher.adapter.capabilities.budget, market.clock)


def problem(response: httpx2.Response) -> dict[str, object]:
    """The problem document, after a look at what all of them have in common."""
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = response.json()
    identity = response.headers["x-request-id"]
    assert document.pop("request_id") == identity
    assert document.pop("instance") == f"urn:uuid:{identity}"
    assert document["status"] == response.status_code
    assert document.pop("type") == f"/docs/errors#{document['code']}"
    assert document.pop("title")
    return document
