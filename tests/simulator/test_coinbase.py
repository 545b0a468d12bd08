"""Coinbase Exchange: its bytes, its selection and its errors (shapes: recorded answers of 2018 to 2025)."""

import json
import re
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS

HOUR_0_S = NOW_MS // HOUR_MS * 3600
MINUTE_0_S = NOW_MS // MINUTE_MS * 60


async def candles(client: httpx2.AsyncClient, product: str = "BTC-USD", **params: Any) -> list[list[Any]]:
    """Past the cache, which has its own tests."""
    fresh = {"Cache-Control": "no-cache"}
    answer = await client.get(f"/coinbase/products/{product}/candles", params=params, headers=fresh)
    assert answer.status_code == 200, answer.content
    rows: list[list[Any]] = answer.json()
    return rows


async def products(client: httpx2.AsyncClient) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in (await client.get("/coinbase/products")).json()}


async def test_a_row_is_second_low_high_open_close_volume(simulator: httpx2.AsyncClient) -> None:
    path = f"/coinbase/products/BTC-USD/candles?granularity=3600&start={HOUR_0_S - 7200}&end={HOUR_0_S - 3600}"
    answer = await simulator.get(path)
    number = rb"(0|[1-9]\d*)(\.\d*[1-9])?"
    row = rb"\[\d{10}" + rb"," + rb",".join([number] * 5) + rb"\]"
    assert re.fullmatch(rb"\[%b,%b\]" % (row, row), answer.content)
    for _, low, high, opened, closed, volume in answer.json():
        assert low <= min(opened, closed) <= max(opened, closed) <= high
        assert volume > 0
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


async def test_both_bounds_are_included_and_the_newest_comes_first(simulator: httpx2.AsyncClient) -> None:
    start, end = HOUR_0_S - 4 * 3600, HOUR_0_S - 2 * 3600
    times = [end, end - 3600, start]
    assert [row[0] for row in await candles(simulator, granularity=3600, start=start, end=end)] == times
    assert [row[0] for row in await candles(simulator, granularity=3600, start=start - 1, end=end + 1)] == times
    assert [row[0] for row in await candles(simulator, granularity=3600, start=start + 1, end=end - 1)] == times[1:-1]


async def test_times_are_iso_or_seconds(simulator: httpx2.AsyncClient) -> None:
    expected = await candles(simulator, granularity=3600, start=1773564000, end=1773568800)
    assert len(expected) == 2
    for start, end in (
        ("2026-03-15T08:40:00Z", "2026-03-15T10:00:00.000Z"),
        ("2026-03-15T08:40:00", "2026-03-15T12:00:00+02:00"),
        ("1773564000.0", "1773568800"),
    ):
        assert await candles(simulator, granularity=3600, start=start, end=end) == expected


async def test_one_bound_alone_is_ignored_and_350_rows_come(simulator: httpx2.AsyncClient) -> None:
    newest = await candles(simulator, granularity=60)
    assert len(newest) == 350
    assert newest[0][0] == MINUTE_0_S
    assert await candles(simulator, granularity=60, start=HOUR_0_S - 7200) == newest
    assert await candles(simulator, granularity=60, end=HOUR_0_S - 7200) == newest
    assert await candles(simulator) == newest


async def test_300_steps_are_301_rows_and_more_is_refused(simulator: httpx2.AsyncClient) -> None:
    start = MINUTE_0_S - 400 * 60
    assert len(await candles(simulator, granularity=60, start=start, end=start + 300 * 60)) == 301
    path = f"/coinbase/products/BTC-USD/candles?granularity=60&start={start}&end={start + 301 * 60}"
    answer = await simulator.get(path)
    assert answer.status_code == 400
    assert answer.content == (
        b'{"message":"granularity too small for the requested time range. Count of aggregations requested exceeds 300"}'
    )
    assert len(answer.content) == 109


@pytest.mark.parametrize(
    "path, status, body",
    [
        ("/products/NOPE-USD", 404, b'{"message":"NotFound"}'),
        ("/products/NOPE-USD/candles?granularity=60", 404, b'{"message":"NotFound"}'),
        ("/products/btc-usd", 404, b'{"message":"NotFound"}'),
        ("/Products", 404, b'{"message":"NotFound"}'),
        ("/products/BTC-USD/candles?granularity=1800", 400, b'{"message":"Unsupported granularity"}'),
        ("/products/BTC-USD/candles?granularity=1m", 400, b'{"message":"Unsupported granularity"}'),
        ("/products/BTC-USD/candles?granularity=60&start=2&end=1", 400, b'{"message":"start must be before end"}'),
        ("/products/BTC-USD/candles?granularity=60&start=x&end=1", 400, b'{"message":"invalid start"}'),
    ],
)
async def test_what_it_refuses(simulator: httpx2.AsyncClient, path: str, status: int, body: bytes) -> None:
    answer = await simulator.get("/coinbase" + path)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers["cache-control"] == "no-store"


async def test_buckets_without_trades_are_left_out(simulator: httpx2.AsyncClient) -> None:
    thin = [
        (name, rows)
        for name in ("1INCH-USD", "ALGO-GBP", "FIL-GBP", "XTZ-GBP", "SNX-EUR", "CRV-EUR")
        for rows in [await candles(simulator, name, granularity=60, start=HOUR_0_S - 5 * 3600, end=HOUR_0_S)]
    ]
    assert any(0 < len(rows) < 200 for _, rows in thin)
    assert all(row[5] > 0 for _, rows in thin for row in rows)
    name = min(thin, key=lambda pair: len(pair[1]))[0]
    newest = await candles(simulator, name, granularity=60)
    assert len(newest) == 350
    assert newest[0][0] - newest[-1][0] > 350 * 60


async def test_the_first_bucket_is_the_one_that_the_listing_falls_in(simulator: httpx2.AsyncClient) -> None:
    # VOR-USD begins to trade on 2020-01-06 at 23:00
    path = "/coinbase/products/VOR-USD/candles?granularity=86400&start=2020-01-01T00:00:00Z&end=2020-01-0"
    assert (await simulator.get(f"{path}5T23:59:59Z")).json() == []
    assert [row[0] for row in (await simulator.get(f"{path}6T00:00:00Z")).json()] == [1578268800]


async def test_the_forming_bucket_moves_with_the_clock(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    before = (await candles(simulator, granularity=86400))[0]
    clock.advance(MINUTE_MS)
    after = (await candles(simulator, granularity=86400))[0]
    assert before[0] == after[0] == NOW_MS // DAY_MS * 86400
    assert before[5] < after[5]


async def test_the_newest_bucket_may_lag(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(newest_lag_ms=57_000)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        assert (await candles(client, granularity=60))[0][0] == MINUTE_0_S - 60
        assert (await candles(client, granularity=60, start=MINUTE_0_S, end=MINUTE_0_S)) == []
        clock.advance(1_000)
        clock.advance(2_000)
        forming = (await candles(client, granularity=60))[0]
        clock.advance(30_000)
        assert (await candles(client, granularity=60))[1][5] > forming[5]


async def test_a_row_before_the_start_may_come_too(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(preceding_rows=1)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        rows = await candles(client, granularity=3600, start=HOUR_0_S - 7200, end=HOUR_0_S - 3600)
        assert [row[0] for row in rows] == [HOUR_0_S - 3600, HOUR_0_S - 7200, HOUR_0_S - 10800]


async def test_volumes_may_carry_the_noise_of_floats(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(float_noise=True)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        body = (await client.get("/coinbase/products/BTC-USD/candles?granularity=60")).content
        volumes = [row[5] for row in json.loads(body, parse_float=str)]
        assert max(len(str(volume)) for volume in volumes) > 15


async def test_products_have_18_keys_and_no_order(simulator: httpx2.AsyncClient) -> None:
    rows = (await simulator.get("/coinbase/products")).json()
    keys = (
        "id base_currency quote_currency quote_increment base_increment display_name min_market_funds margin_enabled"
        " post_only limit_only cancel_only status status_message trading_disabled fx_stablecoin max_slippage_percentage"
        " auction_mode high_bid_limit_percentage"
    )
    assert all(list(row) == keys.split() for row in rows)
    names = [row["id"] for row in rows]
    assert len(names) == len(set(names)) >= 500
    assert names != sorted(names)
    assert (await simulator.get(f"/coinbase/products/{names[7]}")).json() == rows[7]


async def test_the_products_hold_all_that_breaks_bots(simulator: httpx2.AsyncClient) -> None:
    listed = await products(simulator)
    for row in listed.values():
        assert row["trading_disabled"] == (row["status"] in {"delisted", "offline"})
    assert {row["status"] for row in listed.values()} >= {"online", "delisted"}
    assert {row["quote_currency"] for row in listed.values()} == {"USD", "EUR", "GBP", "USDT", "USDC", "BTC", "ETH"}
    assert listed["BTC-USDC"]["status"] == "delisted"
    assert listed["USDT-USDC"]["status"] == "online"
    assert listed["BTCAUCTION-USD"]["base_currency"] == "BTC"
    assert any("/" in row["display_name"] for row in listed.values())
    assert listed["USDT-EUR"]["fx_stablecoin"]
    assert not listed["USDT-USD"]["fx_stablecoin"]
    assert any(row["high_bid_limit_percentage"] for row in listed.values())
    assert {row["min_market_funds"] for row in listed.values()} == {"1", "0.84", "0.72", "0.000016", "0.00022"}
    assert await candles(simulator, "BTC-USDC", granularity=86400, start="2021-01-01", end="2021-02-01")


async def test_a_product_begins_step_by_step(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    flags = ("post_only", "auction_mode", "limit_only", "cancel_only")
    while not (coming := [name for name, row in (await products(simulator)).items() if row["post_only"]]):
        clock.advance(DAY_MS)
    assert await candles(simulator, coming[0]) == []
    seen = []
    for _ in range(10):
        row = (await products(simulator))[coming[0]]
        seen.append([flag for flag in flags if row[flag]])
        clock.advance(DAY_MS)
    steps = [step for place, step in enumerate(seen) if place == 0 or seen[place - 1] != step]
    assert steps == [["post_only"], ["auction_mode"], ["limit_only"], []]


async def test_a_product_ends_step_by_step(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    rows = await candles(simulator, "BTC-USDC", granularity=86400)
    day = await candles(simulator, "BTC-USDC", granularity=60, start=rows[0][0], end=rows[0][0] + 300 * 60)
    ended_ms = (rows[0][0] + (86400 if len(day) > 1 else 0)) * 1000
    seen = []
    for moment_ms in (-10 * DAY_MS, -DAY_MS, 0, HOUR_MS, DAY_MS):
        clock.set(ended_ms + moment_ms)
        row = (await products(simulator))["BTC-USDC"]
        seen.append((row["status"], row["limit_only"], row["cancel_only"], row["trading_disabled"]))
    assert seen == [
        ("online", False, False, False),
        ("online", True, False, False),
        ("offline", False, False, True),
        ("online", False, True, False),
        ("delisted", False, False, True),
    ]


async def test_new_products_appear_as_the_clock_moves(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    before = await products(simulator)
    clock.advance(30 * DAY_MS)
    assert len(await products(simulator)) >= len(before) + 5


async def test_the_currencies_are_those_of_the_products(simulator: httpx2.AsyncClient) -> None:
    rows = (await simulator.get("/coinbase/currencies")).json()
    currencies = {row["id"]: row for row in rows}
    listed = await products(simulator)
    assert len(currencies) == len(rows)
    assert set(currencies) == {row[side] for row in listed.values() for side in ("base_currency", "quote_currency")}
    assert all(len(row) == 10 and len(row["details"]) == 12 for row in rows)
    assert (currencies["USD"]["details"]["type"], currencies["BTC"]["details"]["type"]) == ("fiat", "crypto")
    for row in listed.values():
        if row["status"] == "online":
            assert {currencies[row[side]]["status"] for side in ("base_currency", "quote_currency")} == {"online"}
    assert "delisted" in {row["status"] for row in rows}
