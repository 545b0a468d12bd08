"""Candles of the simulated market, asked through the API over a real database."""

import json
from urllib.parse import quote

import httpx2
import pytest

from marketdata.api.app import create_app
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import Interval
from marketdata.simulator.truth import truth
from tests.api.conftest import MARKET_NOW_MS, Market, client_of, problem

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("fresh")]

HOUR_MS = 3_600_000
BTC = {"binance_futures": "BTC-USDT-PERP", "hyperliquid": "BTC-USDC-PERP", "coinbase": "BTC-USD"}
CLOSED = "/v1/candles/binance_futures/BTC-USDT-PERP/1h?start=2025-01-01T00:00:00Z&end=2025-01-01T05:00:00Z"


async def test_the_envelope(market: Market) -> None:
    answer = await market.get(CLOSED.replace("05:00", "01:00"))
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert list(body) == ["data", "page", "meta", "warnings"]
    (row,) = body["data"]
    assert list(row) == [
        "open_time",
        "close_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "quote_volume",
        "trades",
        "taker_buy_volume",
        "taker_buy_quote_volume",
        "is_closed",
    ]
    assert row["open_time"] == 1735689600000
    assert row["close_time"] == row["open_time"] + HOUR_MS
    assert isinstance(row["open"], str)
    assert row["is_closed"] is True
    assert body["page"] == {"count": 1, "limit": 500, "order": "asc", "complete": True, "next": None}
    assert body["meta"] == {
        "exchange": "binance_futures",
        "symbol": "BTC-USDT-PERP",
        "exchange_symbol": "BTCUSDT",
        "interval": "1h",
        "volume_unit": "BTC",
        "gaps": [],
        "source": {"kind": "simulated", "endpoint": "GET /fapi/v1/klines"},
    }
    assert body["warnings"] == []


@pytest.mark.parametrize("exchange", BTC)
async def test_rows_are_those_of_the_exchange(market: Market, exchange: str) -> None:
    start_ms = MARKET_NOW_MS // HOUR_MS * HOUR_MS - 100 * HOUR_MS
    end_ms = start_ms + 50 * HOUR_MS
    symbol = market.services.catalogue.symbol(exchange, BTC[exchange])
    body = await market.candles(f"/v1/candles/{exchange}/{BTC[exchange]}/1h?start={start_ms}&end={end_ms}")
    expected = truth(market.sources, exchange, symbol.exchange_symbol, Interval.HOUR_1, start_ms, end_ms, MARKET_NOW_MS)
    assert body["data"] == [
        {
            "open_time": row.open_time,
            "close_time": row.close_time,
            "open": row.open,
            "high": row.high,
            "low": row.low,
            "close": row.close,
            "volume": row.volume,
            "quote_volume": row.quote_volume,
            "trades": row.trades,
            "taker_buy_volume": row.taker_buy_volume,
            "taker_buy_quote_volume": row.taker_buy_quote_volume,
            "is_closed": True,
        }
        for row in expected
    ]


async def test_equal_data_gives_equal_bytes(market: Market) -> None:
    first = await market.get(CLOSED)
    market.clock.advance(3_600_000)
    second = await market.get(CLOSED.replace("BTC-USDT-PERP", "btcusdt".upper()))
    assert first.content == second.content


async def test_numbers_and_times_in_other_forms(market: Market) -> None:
    plain = (await market.get(CLOSED)).json()["data"]
    answer = await market.get(f"{CLOSED}&numbers=number&time_format=iso")
    exact = json.loads(answer.content, parse_float=str, parse_int=str)["data"]
    for row, other in zip(plain, exact, strict=True):
        assert {name: row[name] for name in ("open", "high", "low", "close", "volume", "quote_volume")} == {
            name: other[name] for name in ("open", "high", "low", "close", "volume", "quote_volume")
        }
    assert exact[0]["open_time"] == "2025-01-01T00:00:00Z"
    assert exact[0]["close_time"] == "2025-01-01T01:00:00Z"


async def test_the_table_of_limits(market: Market) -> None:
    path = "/v1/candles/binance_futures/BTC-USDT-PERP/1h"
    newest_ms = MARKET_NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS

    async def opens(query: str) -> list[int]:
        body = (await market.get(f"{path}?{query}")).json()
        return [row["open_time"] for row in body["data"]]

    assert len(await opens("")) == 500
    assert await opens("limit=2") == [newest_ms - HOUR_MS, newest_ms]
    assert await opens("limit=2&order=desc") == [newest_ms, newest_ms - HOUR_MS]
    assert await opens("limit=1&include_partial=true") == [newest_ms + HOUR_MS]
    start_ms, end_ms = 1735689600000, 1735689600000 + 10 * HOUR_MS
    assert await opens(f"start={start_ms}&limit=2") == [start_ms, start_ms + HOUR_MS]
    assert await opens(f"start={start_ms}&end={end_ms}&limit=2") == [start_ms, start_ms + HOUR_MS]
    assert await opens(f"start={start_ms}&end={end_ms}&limit=2&order=desc") == [end_ms - HOUR_MS, end_ms - 2 * HOUR_MS]
    assert await opens(f"end={end_ms}&limit=2") == [end_ms - 2 * HOUR_MS, end_ms - HOUR_MS]
    assert await opens(f"start={start_ms + 1}&end={start_ms + HOUR_MS}") == []
    assert await opens("start=2030-01-01T00:00:00Z") == []


async def test_latest(market: Market) -> None:
    path = "/v1/candles/binance_futures/BTC-USDT-PERP/1h/latest"
    newest_ms = MARKET_NOW_MS // HOUR_MS * HOUR_MS - HOUR_MS
    body = (await market.get(path)).json()
    assert [row["open_time"] for row in body["data"]] == [newest_ms]
    assert body["page"] == {"count": 1, "limit": 1, "order": "asc", "complete": True, "next": None}
    forming = (await market.get(f"{path}?include_partial=true")).json()["data"]
    assert [(row["open_time"], row["is_closed"]) for row in forming] == [(newest_ms + HOUR_MS, False)]
    assert problem(await market.get(f"{path}?limit=1"))["code"] == "unknown-parameter"


@pytest.mark.parametrize("exchange", BTC)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_twenty_pages_hold_every_candle_once(market: Market, exchange: str, order: str) -> None:
    start_ms = MARKET_NOW_MS // HOUR_MS * HOUR_MS - 500 * HOUR_MS
    end_ms = start_ms + 400 * HOUR_MS
    path = f"/v1/candles/{exchange}/{BTC[exchange]}/1h"
    whole = (await market.get(f"{path}?start={start_ms}&end={end_ms}&limit=5000&order={order}")).json()
    following: str | None = f"{path}?start={start_ms}&end={end_ms}&limit=20&order={order}"
    rows: list[dict[str, object]] = []
    gaps: list[dict[str, object]] = []
    while following is not None:
        answer = await market.get(following)
        body = answer.json()
        rows += body["data"]
        gaps += body["meta"]["gaps"]
        following = body["page"]["next"]
        assert answer.headers.get("link") == (following and f'<{following}>; rel="next"')
        market.clock.advance(10)
    assert rows == whole["data"]
    assert sorted(gaps, key=json.dumps) == sorted(whole["meta"]["gaps"], key=json.dumps)


async def test_a_cursor_is_frozen_bound_and_sealed(market: Market) -> None:
    first = await market.get(f"{CLOSED}&limit=2&time_format=iso")
    following = first.json()["page"]["next"]
    second = (await market.get(following)).json()
    assert [row["open_time"] for row in second["data"]] == ["2025-01-01T02:00:00Z", "2025-01-01T03:00:00Z"]
    cursor = following.partition("?cursor=")[2]
    assert problem(await market.get(f"{following}&limit=2")) == {
        "status": 400,
        "code": "bad-cursor",
        "detail": "A cursor stands alone: it holds all the other parameters of its first page.",
        "parameter": "cursor",
    }
    for other in ("binance_futures/ETH-USDT-PERP/1h", "binance_futures/BTC-USDT-PERP/1m", "coinbase/BTC-USD/1h"):
        assert problem(await market.get(f"/v1/candles/{other}?cursor={cursor}"))["code"] == "bad-cursor"
    for place in range(0, len(cursor), 7):
        changed = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        assert problem(await market.get(following.replace(cursor, changed)))["code"] == "bad-cursor"


async def test_a_cursor_survives_a_restart(market: Market) -> None:
    following = (await market.get(f"{CLOSED}&limit=2")).json()["page"]["next"]
    app = create_app(market.services.database, market.services.fetchers, market.clock, market.services.settings)
    await app.state.services.refresh()
    async with client_of(app) as http:
        answer = await http.get(following, headers={"Authorization": f"Bearer {market.token()}"})
    assert answer.status_code == 200


@pytest.mark.parametrize("symbol", ["PURR/USDC", "@107", "xyz:TSLA", "kPEPE"])
async def test_symbols_that_a_path_cannot_hold(market: Market, symbol: str) -> None:
    path = f"/v1/candles/hyperliquid/{quote(symbol, safe='')}/1h"
    body = (await market.get(f"{path}?limit=2&order=desc")).json()
    assert body["meta"]["exchange_symbol"] == symbol
    following = body["page"]["next"]
    assert following.startswith(f"/v1/candles/hyperliquid/{quote(body['meta']['symbol'], safe='')}/1h?cursor=")
    assert (await market.get(following)).json()["data"]
    assert len((await market.get(f"{path}/latest")).json()["data"]) == 1


async def test_the_unit_of_volume_has_the_factor(market: Market) -> None:
    body = (await market.get("/v1/candles/hyperliquid/kPEPE/1h?limit=1")).json()
    assert body["meta"]["volume_unit"] == "1000PEPE"


@pytest.mark.parametrize(
    "path,expected",
    [
        (
            "binance_futures/NOTHING-USDT-PERP/1h",
            {
                "status": 404,
                "code": "unknown-symbol",
                "detail": "No instrument of binance_futures has this symbol; `/v1/resolve` finds any spelling.",
                "parameter": "symbol",
            },
        ),
        (
            "kraken/BTC-USD/1h",
            {
                "status": 404,
                "code": "unknown-exchange",
                "detail": "Exchanges served here are binance_futures, hyperliquid, coinbase.",
                "parameter": "exchange",
                "supported": ["binance_futures", "hyperliquid", "coinbase"],
            },
        ),
        (
            "coinbase/BTC-USD/7m",
            {
                "status": 400,
                "code": "unsupported-interval",
                "detail": "coinbase does not offer this interval; it offers 1m, 5m, 15m, 1h, 6h, 1d",
                "parameter": "interval",
                "supported": ["1m", "5m", "15m", "1h", "6h", "1d"],
            },
        ),
        (
            "coinbase/BTC-USD/1h?start=2026-01-01T00:00:00",
            {
                "status": 400,
                "code": "naive-timestamp",
                "detail": "`start` has no time zone: append `Z`, or an offset such as `%2B02:00`"
                " (a bare `+` in a URL is a space).",
                "parameter": "start",
            },
        ),
        (
            "coinbase/BTC-USD/1h?startTime=1",
            {
                "status": 400,
                "code": "unknown-parameter",
                "detail": "Nothing was done: there is no such query parameter here.",
                "parameter": "startTime",
                "did_you_mean": ["start"],
                "supported": [
                    "start",
                    "end",
                    "limit",
                    "order",
                    "include_partial",
                    "include_prelisting",
                    "numbers",
                    "time_format",
                    "format",
                    "cursor",
                ],
            },
        ),
        (
            "coinbase/BTC-USD/1h?start=2000&end=1000",
            {
                "status": 400,
                "code": "invalid-range",
                "detail": "`start` is inclusive, `end` exclusive: `start` must be earlier.",
                "parameter": "start",
            },
        ),
        (
            "coinbase/BTC-USD/1h?limit=5001",
            {
                "status": 400,
                "code": "limit-too-large",
                "detail": "`limit` is at most 5000.",
                "parameter": "limit",
                "max": 5000,
            },
        ),
        (
            "coinbase/BTC-USD/1h?order=up",
            {
                "status": 400,
                "code": "invalid-parameter",
                "detail": "`order` is one of asc, desc.",
                "parameter": "order",
                "supported": ["asc", "desc"],
            },
        ),
        (
            "coinbase/BTC-USD/1h?format=xml",
            {
                "status": 406,
                "code": "unsupported-format",
                "detail": "Candles come as json, csv, ndjson, ccxt; by `Accept` as application/json (json),"
                " text/csv (csv), application/x-ndjson (ndjson).",
                "parameter": "format",
                "supported": ["json", "csv", "ndjson", "ccxt"],
            },
        ),
    ],
)
async def test_refusals_help_to_mend_the_request(market: Market, path: str, expected: dict[str, object]) -> None:
    assert problem(await market.get(f"/v1/candles/{path}")) == expected


@pytest.mark.parametrize(
    "query,code",
    [
        ("start=1000&end=1000", "invalid-range"),
        ("start=-1", "invalid-parameter"),
        ("start=", "invalid-parameter"),
        ("start=soon", "invalid-parameter"),
        ("start=1&start=2", "invalid-parameter"),
        ("end=9999999999999999", "invalid-parameter"),
        ("end=2026-01-01", "naive-timestamp"),
        ("limit=0", "invalid-parameter"),
        ("limit=1.0", "invalid-parameter"),
        ("limit=\u0661", "invalid-parameter"),
        ("limit=99999999999999999999", "limit-too-large"),
        ("include_partial=yes", "invalid-parameter"),
        ("numbers=float", "invalid-parameter"),
        ("time_format=unix", "invalid-parameter"),
        ("include_prelisting=1", "invalid-parameter"),
        ("&".join(f"a{number}=1" for number in range(200)), "invalid-request"),
    ],
)
async def test_other_refusals(market: Market, query: str, code: str) -> None:
    assert problem(await market.get(f"/v1/candles/coinbase/BTC-USD/1h?{query}"))["code"] == code


async def test_accept_in_several_lines(market: Market) -> None:
    token = ("Authorization", f"Bearer {market.token()}")
    for lines, expected in (
        (("text/html", "text/csv"), "text/csv; charset=utf-8; header=present"),
        (("text/csv;q=0", "*/*"), "application/json"),
        (("text/html", "image/*"), "application/problem+json"),
    ):
        headers = [token, *(("Accept", line) for line in lines)]
        answer = await market.http.get("/v1/candles/coinbase/BTC-USD/1h?limit=1", headers=headers)
        assert answer.headers["content-type"] == expected


async def test_made_up_candles_are_left_out_unless_asked_for(market: Market) -> None:
    path = "/v1/candles/hyperliquid/BTC-USDC-PERP/1d?start=2019-01-01T00:00:00Z&limit=5000"
    real = (await market.get(path)).json()
    (warning,) = real["warnings"]
    assert warning["code"] == "prelisting-omitted"
    assert real["page"]["complete"] is True
    assert real["data"][0]["open_time"] == warning["end"]
    assert real["data"][0]["trades"] > 0
    whole = (await market.get(f"{path}&include_prelisting=true")).json()
    assert whole["warnings"] == []
    assert whole["data"][warning["count"] :] == real["data"]
    made_up = whole["data"][: warning["count"]]
    assert (made_up[0]["open_time"], made_up[-1]["close_time"]) == (warning["start"], warning["end"])
    assert {row["trades"] for row in made_up} == {0}
    table = await market.get(f"{path}&format=csv")
    assert table.headers["marketdata-complete"] == "true"
    assert table.headers["marketdata-warnings"].startswith(f"prelisting-omitted;start={warning['start']};")


async def test_a_cursor_keeps_that_made_up_candles_were_asked_for(market: Market) -> None:
    path = "/v1/candles/hyperliquid/BTC-USDC-PERP/1d?start=2019-01-01T00:00:00Z&limit=3&include_prelisting=true"
    following = (await market.get(path)).json()["page"]["next"]
    assert {row["trades"] for row in (await market.get(following)).json()["data"]} == {0}


async def test_flags_in_the_spelling_of_python(market: Market) -> None:
    answer = await market.get("/v1/candles/coinbase/BTC-USD/1h/latest?include_partial=True")
    assert answer.status_code == 200


async def test_status_says_that_the_data_is_simulated(market: Market) -> None:
    body = (await market.get("/v1/status")).json()
    assert (body["database"], body["version"]) == ("ok", market.app.version)
    assert [(one["source"], one["condition"], one["generation"]) for one in body["exchanges"]] == [
        ("simulated", "ok", 1)
    ] * 3
    market.clock.advance(901_000)
    body = (await market.get("/v1/status")).json()
    assert {(one["condition"], one["age_s"] > 900) for one in body["exchanges"]} == {("stale", True)}


async def test_exchanges_that_are_not_those_of_the_database(market: Market) -> None:
    async with open_http() as upstream:
        live = {
            exchange: Fetcher(fetcher.adapter, upstream, market.clock)
            for exchange, fetcher in market.services.fetchers.items()
        }
        app = create_app(market.services.database, live, market.clock, market.services.settings)
        await app.state.services.refresh()
        async with client_of(app) as http:
            headers = {"Authorization": f"Bearer {market.token()}"}
            body = (await http.get("/v1/status", headers=headers)).json()
            assert [(one["source"], one["condition"]) for one in body["exchanges"]] == [("live", "degraded")] * 3
            refused = await http.get("/v1/candles/coinbase/BTC-USD/1h", headers=headers)
            assert problem(refused)["code"] == "metadata-not-ready"


async def test_an_exchange_that_cannot_be_reached(market: Market) -> None:
    async with open_http() as upstream:
        fetchers = {
            exchange: Fetcher(fetcher.adapter, upstream, market.clock, "http://127.0.0.1:9")
            for exchange, fetcher in market.services.fetchers.items()
        }
        app = create_app(market.services.database, fetchers, market.clock, market.services.settings)
        await app.state.services.refresh()
        async with client_of(app) as http:
            headers = {"Authorization": f"Bearer {market.token()}"}
            answer: httpx2.Response = await http.get("/v1/candles/coinbase/BTC-USD/1h", headers=headers)
            assert problem(answer) == {
                "status": 503,
                "code": "upstream-unavailable",
                "detail": "coinbase: cannot be reached: nothing listens there",
                "retry_after": 5,
            }
            assert (await http.get("/v1/symbols", headers=headers)).status_code == 200
            assert (await http.get("/v1/status", headers=headers)).status_code == 200
