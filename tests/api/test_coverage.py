"""The range that an exchange serves, asked through the API over a real database and simulated exchanges."""

import asyncio
import dataclasses
import logging

import pytest

from marketdata.api.app import create_app
from marketdata.api.instruments import Instruments
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import Candle, ExchangeId
from marketdata.store.engine import Database
from marketdata.store.symbols import StoredSymbol
from tests.api.conftest import MARKET_NOW_MS, Market, client_of, make_symbol, problem

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("fresh")]

COINBASE, HYPERLIQUID = ExchangeId("coinbase"), ExchangeId("hyperliquid")
HOUR_MS = 3_600_000


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[CandleQuery]:
    """What the exchanges are asked for from now on."""
    queries: list[CandleQuery] = []
    ask = Fetcher.candles

    async def candles(self: Fetcher, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        queries.append(query)
        return await ask(self, query, now_ms)

    monkeypatch.setattr(Fetcher, "candles", candles)
    return queries


async def test_first_and_last_with_how_and_when(market: Market) -> None:
    answer = await market.get("/v1/coverage/binance_futures/btc-usdt-perp/1h")
    assert answer.json() == {
        "exchange": "binance_futures",
        "symbol": "BTC-USDT-PERP",
        "exchange_symbol": "BTCUSDT",
        "interval": "1h",
        "first_open_time": 1567900800000,
        "last_open_time": MARKET_NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS,
        "method": "first-row",
        "exact": True,
        "calls": 2,
        "observed_at": MARKET_NOW_MS,
    }


async def test_each_way_of_finding_it(market: Market) -> None:
    bisected = await market.candles("/v1/coverage/coinbase/BTC-USD/1h")
    assert (bisected["method"], bisected["exact"], bisected["first_open_time"]) == ("bisection", False, 1567900800000)
    kept = await market.candles("/v1/coverage/hyperliquid/BTC-USDC-PERP/1m?time_format=iso")
    assert (kept["method"], kept["exact"], kept["calls"]) == ("kept-rows", True, 1)
    assert kept["last_open_time"] == "2026-01-01T00:00:00Z"
    assert kept["observed_at"] == "2026-01-01T00:01:30Z"


async def test_a_symbol_with_a_slash(market: Market) -> None:
    assert (await market.candles("/v1/coverage/hyperliquid/PURR%2FUSDC/1d"))["symbol"] == "PURR-USDC"


async def test_what_was_found_is_kept_for_as_long_as_it_is_wanted(market: Market, asked: list[CandleQuery]) -> None:
    path = "/v1/coverage/coinbase/ETH-USD/6h"
    first = await market.candles(path)
    assert len(asked) == first["calls"]
    asked.clear()
    market.clock.advance(3_599_999)
    assert await market.candles(path) == first
    other = create_app(market.services.database, market.services.fetchers, market.clock, market.services.settings)
    await other.state.services.refresh()
    async with client_of(other) as http:  # another process of the same installation
        assert (await http.get(path, headers={"Authorization": f"Bearer {market.token()}"})).json() == first
    assert asked == []
    market.clock.advance(1)
    second = await market.candles(path)
    assert second["observed_at"] == MARKET_NOW_MS + 3_600_000
    assert len(asked) == second["calls"]
    asked.clear()
    market.clock.advance(86_399_999)
    assert await market.candles(f"{path}?max_age=86400") == second
    assert asked == []
    assert (await market.candles(f"{path}?max_age=0"))["observed_at"] == market.clock.now_ms()


async def test_what_was_observed_in_the_future_is_not_believed(market: Market) -> None:
    path = "/v1/coverage/coinbase/ETH-EUR/1d"
    market.clock.advance(1000)
    await market.candles(path)
    market.clock.advance(-1000)  # somebody has set the clock
    assert (await market.candles(path))["observed_at"] == MARKET_NOW_MS


async def test_those_who_ask_at_once_share_one_search(market: Market, asked: list[CandleQuery]) -> None:
    path = "/v1/coverage/coinbase/LTC-USD/1m?max_age=0"
    answers = await asyncio.gather(*(market.candles(path) for _ in range(10)))
    assert all(answer == answers[0] for answer in answers)
    assert len(asked) == answers[0]["calls"]


async def test_an_instrument_that_the_exchange_refuses(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = make_symbol("coinbase", "GONE-USD", "GONE-USD", "GONE", "USD")
    _hold(market, monkeypatch, StoredSymbol(gone, "GONE", "1", listed=False, row_id=1))
    body = await market.candles("/v1/coverage/coinbase/GONE-USD/1h?max_age=0")
    assert (body["first_open_time"], body["last_open_time"], body["method"]) == (None, None, "refused")


async def test_a_replaced_instrument_is_not_its_successor(
    market: Market, monkeypatch: pytest.MonkeyPatch, asked: list[CandleQuery]
) -> None:
    old = make_symbol("coinbase", "BTC-USD~260101", "BTC-USD", "BTC", "USD")
    _hold(market, monkeypatch, StoredSymbol(old, "BTC", "1", listed=False, replaced_at=MARKET_NOW_MS, row_id=1))
    body = await market.candles("/v1/coverage/coinbase/BTC-USD~260101/1h")
    assert (body["first_open_time"], body["last_open_time"], body["method"]) == (None, None, "replaced")
    assert (body["exact"], body["calls"], body["observed_at"]) == (True, 0, MARKET_NOW_MS)
    assert asked == []


def _hold(market: Market, monkeypatch: pytest.MonkeyPatch, *stored: StoredSymbol) -> None:
    """These instruments of Coinbase, in place of those that it lists."""
    held = market.services.catalogue.snapshot
    instruments = {**held.instruments, COINBASE: Instruments(stored)}
    monkeypatch.setattr(market.services.catalogue, "snapshot", dataclasses.replace(held, instruments=instruments))


async def test_without_the_database_the_exchange_is_asked(
    market: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = "/v1/coverage/binance_futures/ETH-USDT-PERP/4h"
    usual = await market.candles(path)
    monkeypatch.setattr(market.services, "database", Database("postgresql://127.0.0.1:9/nothing"))
    market.clock.advance(1000)
    with caplog.at_level(logging.WARNING, logger="marketdata.api.routes.coverage"):
        away = await market.candles(path)
    assert away == {**usual, "observed_at": MARKET_NOW_MS + 1000}
    told = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert told == ["the coverage kept of binance_futures", "the coverage of binance_futures"]


@pytest.mark.parametrize(
    "path,code,parameter",
    [
        ("nowhere/BTC-USD/1h", "unknown-exchange", "exchange"),
        ("coinbase/NEVER-USD/1h", "unknown-symbol", "symbol"),
        ("coinbase/BTC-USD/1w", "unsupported-interval", "interval"),
        ("coinbase/BTC-USD/1H", "unsupported-interval", "interval"),
        ("coinbase/BTC-USD/1h?max_age=-1", "invalid-parameter", "max_age"),
        ("coinbase/BTC-USD/1h?max_age=86401", "invalid-parameter", "max_age"),
        ("coinbase/BTC-USD/1h?max_age=soon", "invalid-parameter", "max_age"),
        ("coinbase/BTC-USD/1h?time_format=unix", "invalid-parameter", "time_format"),
        ("coinbase/BTC-USD/1h?maxage=1", "unknown-parameter", "maxage"),
    ],
)
async def test_what_cannot_be_asked(market: Market, path: str, code: str, parameter: str) -> None:
    refused = problem(await market.get(f"/v1/coverage/{path}"))
    assert (refused["code"], refused["parameter"]) == (code, parameter)


async def test_a_token_for_candles_alone_is_not_enough(market: Market) -> None:
    refused = await market.get("/v1/coverage/coinbase/BTC-USD/1h", token=market.token("candles:read"))
    assert problem(refused)["code"] == "insufficient-scope"
    assert problem(await market.http.get("/v1/coverage/coinbase/BTC-USD/1h"))["code"] == "missing-token"


@pytest.mark.parametrize("url,code", [(None, "metadata-not-ready"), ("http://127.0.0.1:9", "upstream-unavailable")])
async def test_an_exchange_that_is_another_or_away(market: Market, url: str | None, code: str) -> None:
    kept = await market.candles("/v1/coverage/coinbase/XRP-USD/1h")
    async with open_http() as upstream:
        fetchers = {
            exchange: Fetcher(fetcher.adapter, upstream, market.clock, url)
            for exchange, fetcher in market.services.fetchers.items()
        }
        app = create_app(market.services.database, fetchers, market.clock, market.services.settings)
        await app.state.services.refresh()
        async with client_of(app) as http:
            headers = {"Authorization": f"Bearer {market.token()}"}
            refused = await http.get("/v1/coverage/coinbase/XRP-USD/1h?max_age=0", headers=headers)
            assert problem(refused)["code"] == code
            # what is kept is of the database's own source
            assert (await http.get("/v1/coverage/coinbase/XRP-USD/1h", headers=headers)).json() == kept
