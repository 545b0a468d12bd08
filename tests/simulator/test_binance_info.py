"""Binance's listing: the keys, the oddities and the lives of contracts (shape: mainnet of 2026-10)."""

import httpx2

from marketdata.core.clock import ManualClock
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS
from tests.simulator.test_binance_futures import GENESIS_MS, KLINES, opens, symbols


async def test_exchange_info_has_the_live_keys_in_their_order(simulator: httpx2.AsyncClient) -> None:
    answer = await simulator.get("/binance/fapi/v1/exchangeInfo")
    info = answer.json()
    assert answer.content.startswith(
        b'{"timezone":"UTC","serverTime":1773578096789,"futuresType":"U_MARGINED","rateLimits":[{"rateLimitType":'
        b'"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400},'
    )
    assert list(info) == ["timezone", "serverTime", "futuresType", "rateLimits", "exchangeFilters", "assets", "symbols"]
    assert {asset["autoAssetExchange"] for asset in info["assets"]} >= {None, "-10000"}
    keys = (
        "symbol pair contractType deliveryDate onboardDate status maintMarginPercent requiredMarginPercent baseAsset"
        " quoteAsset marginAsset pricePrecision quantityPrecision baseAssetPrecision quotePrecision underlyingType"
        " underlyingSubType triggerProtect liquidationFee marketTakeBound maxMoveOrderLimit filters orderTypes"
        " timeInForce permissionSets"
    )
    assert all(list(row) == keys.split() for row in info["symbols"])


async def test_filters_come_with_their_keys_in_any_order(simulator: httpx2.AsyncClient) -> None:
    listed = await symbols(simulator)
    filters = {name: {entry["filterType"]: entry for entry in row["filters"]} for name, row in listed.items()}
    bitcoin = filters["BTCUSDT"]
    assert bitcoin["PRICE_FILTER"]["tickSize"] == "0.10"
    assert listed["BTCUSDT"]["pricePrecision"] == 2
    assert filters["币安人生USDT"]["PRICE_FILTER"]["tickSize"] == "0.0001000"
    assert bitcoin["LOT_SIZE"]["stepSize"] == "0.001"
    assert bitcoin["PERCENT_PRICE"]["multiplierDecimal"] == "4"
    assert len({tuple(entry["PRICE_FILTER"]) for entry in filters.values()}) > 3
    assert not any("PRICE_COLLAR" in entry for entry in filters.values())
    assert {"MAX_NUM_ALGO_ORDERS" in entry for entry in filters.values()} == {True, False}


async def test_the_listing_holds_all_that_breaks_bots(simulator: httpx2.AsyncClient) -> None:
    listed = await symbols(simulator)
    assert len(listed) >= 600
    assert {row["contractType"] for row in listed.values()} == {
        "PERPETUAL",
        "TRADIFI_PERPETUAL",
        "CURRENT_QUARTER",
        "NEXT_QUARTER",
        "PERPETUAL DELIVERING",
        "",
        "EVERLASTING",
    }
    statuses = [row["status"] for row in listed.values()]
    assert {"TRADING", "SETTLING", "PENDING_TRADING", "CLOSE", "DELIVERING", "AUCTION_MATCH"} <= set(statuses)
    assert statuses.count("SETTLING") > 100
    assert {row["quoteAsset"] for row in listed.values()} == {"USDT", "USDC", "BUSD", "BTC"}
    kinds = {row["underlyingType"] for row in listed.values()}
    assert {"COIN", "INDEX", "PREMARKET", "EQUITY", "COMMODITY", "KR_EQUITY", "FX", "TOKENIZED_FUND"} <= kinds
    assert listed["CRVUSDT"]["baseAsset"] == "TRB"
    assert listed["IDOL"]["pair"] == listed["IDOLUSDT"]["pair"] == "IDOLUSDT"
    assert listed["1MBABYDOGEUSDT"]["baseAsset"] == "1MBABYDOGE"
    assert {"1000SHIBUSDT", "1000XUSDT", "4USDT", "1INCHUSDT", "ETHBTC", "BTCUSDT_260327"} <= set(listed)
    assert listed["BTCUSDT_260327"]["contractType"] == "CURRENT_QUARTER"
    assert listed["BTCUSDT_260626"]["contractType"] == "NEXT_QUARTER"
    assert listed["BTCUSDT_260327"]["deliveryDate"] == 1_774_598_400_000
    assert listed["BTCUSDT"]["onboardDate"] > GENESIS_MS


async def test_most_of_the_listing_may_be_settling(clock: ManualClock) -> None:
    async with (
        running_simulator(simulated(scenario=Scenario(ending_percent=100)), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        statuses = [row["status"] for row in (await symbols(client)).values()]
    assert statuses.count("SETTLING") > len(statuses) / 2


async def test_announced_contracts_have_no_candles_until_they_trade(
    simulator: httpx2.AsyncClient, clock: ManualClock
) -> None:
    listed = await symbols(simulator)
    name = next(n for n, row in listed.items() if row["status"] == "PENDING_TRADING" and row["contractType"])
    onboard_ms = listed[name]["onboardDate"]
    assert onboard_ms > NOW_MS
    assert await opens(simulator, "1m", symbol=name) == []
    clock.set(onboard_ms + 90_000)
    assert (await symbols(simulator))[name]["status"] == "TRADING"
    assert await opens(simulator, "1m", symbol=name) == [onboard_ms, onboard_ms + MINUTE_MS]


async def test_a_contract_ends_step_by_step(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    listed = await symbols(simulator)
    name, ended_ms = next(
        (n, row["deliveryDate"])
        for n, row in listed.items()
        if row["status"] == "SETTLING" and row["quoteAsset"] != "BUSD"
    )
    seen = []
    for moment_ms in (-8 * DAY_MS, -DAY_MS, 1, HOUR_MS, 2 * HOUR_MS):
        clock.set(ended_ms + moment_ms)
        row = (await symbols(simulator))[name]
        seen.append((row["status"], row["deliveryDate"] == ended_ms))
    assert seen == [
        ("TRADING", False),
        ("TRADING", True),  # the delisting is announced
        ("TRADING_HALT", True),
        ("TRADING_CANCEL_ONLY", True),
        ("SETTLING", True),
    ]
    assert (await opens(simulator, "1m", symbol=name))[-1] < ended_ms


async def test_a_quarterly_is_delivered_and_leaves(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    delivery_ms = 1_774_598_400_000
    clock.set(delivery_ms - 1)
    assert (await opens(simulator, "1m", symbol="BTCUSDT_260327"))[-1] == delivery_ms - MINUTE_MS
    clock.set(delivery_ms)
    listed = await symbols(simulator)
    assert listed["BTCUSDT_260327"]["status"] == "DELIVERING"
    assert listed["BTCUSDT_260327"]["contractType"] == "CURRENT_QUARTER DELIVERING"
    assert listed["BTCUSDT_260626"]["contractType"] == "CURRENT_QUARTER"
    assert listed["BTCUSDT_260925"]["contractType"] == "NEXT_QUARTER"
    clock.advance(HOUR_MS)
    assert (await symbols(simulator))["BTCUSDT_260327"]["status"] == "DELIVERED"
    refused = await simulator.get(KLINES, params={"symbol": "BTCUSDT_260327", "interval": "1d"})
    assert refused.json()["code"] == -1122
    clock.advance(DAY_MS)
    assert "BTCUSDT_260327" not in await symbols(simulator)


async def test_new_contracts_appear_as_the_clock_moves(simulator: httpx2.AsyncClient, clock: ManualClock) -> None:
    before = await symbols(simulator)
    clock.advance(30 * DAY_MS)
    after = await symbols(simulator)
    assert len(set(after) - set(before)) >= 5
