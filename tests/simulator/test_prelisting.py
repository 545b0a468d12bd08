"""Hyperliquid's made-up rows before a coin's first trade (shape: captures of 2026-07)."""

import itertools
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from marketdata.core.models import Interval
from marketdata.simulator.catalogue import GENESIS_MS
from marketdata.simulator.grids import DAY_MS, HOUR_MS, MINUTE_MS
from marketdata.simulator.hyperliquid_meta import SimulatedHyperliquid
from marketdata.simulator.outages import Outage
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import first_traded_day_ms, truth
from tests.simulator.conftest import NOW_MS
from tests.simulator.test_hyperliquid import candles, info, opens

INTERVALS = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"]


def hyperliquid(sources: Sources) -> SimulatedHyperliquid:
    assert isinstance(sources.hyperliquid, SimulatedHyperliquid)
    return sources.hyperliquid


async def young(client: httpx2.AsyncClient, clock: ManualClock) -> tuple[str, int]:
    """A coin of the main dex that is listed in the middle of a day and has made-up rows, and when it is listed."""
    source = hyperliquid(simulated())
    names = [asset["name"] for asset in (await info(client, "meta"))["universe"]]
    for name in reversed(names):
        prelisted = source.prelisted(name, clock.now_ms())
        listed_ms = prelisted.instrument.life.listed_ms
        if listed_ms % DAY_MS and prelisted.longer is not prelisted.instrument and listed_ms < NOW_MS:
            return name, listed_ms
    raise AssertionError("no coin is listed in the middle of a day")


async def test_bitcoin_has_921_days_of_them(simulator: httpx2.AsyncClient) -> None:
    rows = await candles(simulator, 0, GENESIS_MS, interval="1d")
    assert len(rows) == 922
    assert rows[0]["t"] == GENESIS_MS - 921 * DAY_MS
    assert {(row["v"], row["n"]) for row in rows[:-1]} == {("0.0", 0)}
    assert rows[-1]["n"] > 0
    flat = [row for row in rows if row["o"] == row["c"] == row["h"] == row["l"]]
    assert flat == []
    for row in rows:
        assert Decimal(row["l"]) <= min(Decimal(row["o"]), Decimal(row["c"]))
        assert Decimal(row["h"]) >= max(Decimal(row["o"]), Decimal(row["c"]))


@pytest.mark.parametrize("coin, days", [("SOL", 901), ("AVAX", 893), ("DOGE", 957), ("LINK", 999), ("XRP", 999)])
async def test_each_coin_has_its_own_number(
    simulator: httpx2.AsyncClient, sources: Sources, coin: str, days: int
) -> None:
    rows = await candles(simulator, 0, coin=coin, interval="1d")
    traded = next(place for place, row in enumerate(rows) if row["n"])
    assert traded == days
    assert rows[traded]["t"] == first_traded_day_ms(sources, "hyperliquid", coin, NOW_MS)


@pytest.mark.parametrize("coin", ["@107", "PURR/USDC", "xyz:TSLA"])
async def test_spot_pairs_and_builder_dexes_have_none(simulator: httpx2.AsyncClient, coin: str) -> None:
    assert (await candles(simulator, 0, coin=coin, interval="1d"))[0]["n"] > 0


async def test_some_coins_have_none_and_some_have_some(simulator: httpx2.AsyncClient) -> None:
    names = [asset["name"] for asset in (await info(simulator, "meta"))["universe"]][:60]
    first = [(await candles(simulator, 0, coin=name, interval="1d"))[0]["n"] for name in names]
    assert 5 < sum(trades > 0 for trades in first) < 40


def checked(rows: list[dict[str, Any]], step_ms: int, listed_ms: int) -> None:
    assert len(rows) > 10
    assert [row["t"] for row in rows] == list(range(rows[0]["t"], rows[-1]["t"] + 1, step_ms))
    for row in rows:
        assert (row["v"] == "0.0") == (row["n"] == 0)
        if row["T"] < listed_ms:
            assert row["n"] == 0
    for before, after in itertools.pairwise(rows):
        assert before["c"] == after["o"]


async def test_all_intervals_agree_before_and_after_the_first_trade(clock: ManualClock) -> None:
    scenario = Scenario(limits=False)
    async with (
        running_simulator(simulated(scenario=scenario), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        coin, listed_ms = await young(client, clock)
        clock.set(listed_ms + 30 * HOUR_MS)
        hours = await candles(client, listed_ms - 40 * HOUR_MS, coin=coin)
        minutes = await candles(client, listed_ms - 3 * HOUR_MS, coin=coin, interval="1m")
        checked(hours, HOUR_MS, listed_ms)
        checked(minutes, MINUTE_MS, listed_ms)
        assert hours[0]["t"] == listed_ms - 40 * HOUR_MS
        for step_ms, interval, parts in ((DAY_MS, "1d", hours), (HOUR_MS, "1h", minutes)):
            for row in await candles(client, parts[0]["t"] + step_ms, clock.now_ms(), coin=coin, interval=interval):
                inside = [part for part in parts if row["t"] <= part["t"] <= row["T"]]
                if row["t"] < parts[0]["t"]:
                    continue
                assert row["n"] == sum(part["n"] for part in inside)
                assert Decimal(row["v"]) == sum(Decimal(part["v"]) for part in inside)
                assert Decimal(row["h"]) == max(Decimal(part["h"]) for part in inside)
                assert Decimal(row["l"]) == min(Decimal(part["l"]) for part in inside)
                assert (row["o"], row["c"]) == (inside[0]["o"], inside[-1]["c"])
        # The day of the listing has trades although most of it was before.
        (day,) = await candles(client, listed_ms, listed_ms, coin=coin, interval="1d")
        assert day["t"] < listed_ms
        assert day["n"] > 0


async def test_an_announced_coin_has_none_yet(clock: ManualClock) -> None:
    scenario = Scenario(limits=False)
    async with (
        running_simulator(simulated(scenario=scenario), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        coin, listed_ms = await young(client, clock)
        clock.set(listed_ms - 1)
        assert await opens(client, 0, coin=coin, interval="1d") == []
        clock.advance(1)
        assert len(await opens(client, 0, coin=coin, interval="1d")) > 1


async def test_a_scenario_says_which_coins_have_them(clock: ManualClock) -> None:
    scenario = Scenario(prelisted_days={"ETH": 3, "@107": 2})
    async with (
        running_simulator(simulated(scenario=scenario), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        counts = {}
        for coin in ("BTC", "ETH", "@107"):
            rows = await candles(client, 0, coin=coin, interval="1d")
            counts[coin] = next(place for place, row in enumerate(rows) if row["n"])
        assert counts == {"BTC": 0, "ETH": 3, "@107": 2}


QUIET = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


async def compare(
    client: httpx2.AsyncClient, sources: Sources, coin: str, interval: str, start_ms: int, now_ms: int
) -> None:
    """Forty candles of the exchange with the truth of the same moment, with and without the made-up ones."""
    end_ms = start_ms + 40 * Interval(interval).min_duration_ms
    rows = [row for row in await candles(client, max(start_ms, 0), end_ms, coin, interval) if start_ms <= row["t"]]
    told = truth(sources, "hyperliquid", coin, Interval(interval), start_ms, end_ms, now_ms)
    assert [(row["t"], row["o"], row["h"], row["l"], row["c"], row["v"], row["n"]) for row in rows] == [
        (row.open_time, row.open, row.high, row.low, row.close, row.volume, row.trades)
        for row in told + truth(sources, "hyperliquid", coin, Interval(interval), end_ms, end_ms + 1, now_ms)
    ]
    real = truth(sources, "hyperliquid", coin, Interval(interval), start_ms, end_ms, now_ms, prelisting=False)
    day_ms = first_traded_day_ms(sources, "hyperliquid", coin, now_ms)
    assert real == [row for row in told if day_ms is not None and row.close_time > day_ms]


@QUIET
@given(
    st.sampled_from(["BTC", "SOL", "kPEPE", "MATIC"]),
    st.sampled_from(INTERVALS),
    st.integers(-80, 80),
    st.integers(0, 3 * DAY_MS),
)
async def test_the_truth_knows_them(
    simulator: httpx2.AsyncClient, clock: ManualClock, sources: Sources, coin: str, interval: str, at: int, later: int
) -> None:
    listed_ms = hyperliquid(sources).instrument(coin, NOW_MS).life.listed_ms
    clock.set(listed_ms + later)
    start_ms = listed_ms + at * Interval(interval).min_duration_ms
    await compare(simulator, sources, coin, interval, start_ms, clock.now_ms())


@pytest.fixture(scope="session")
def interrupted_sources() -> Sources:
    """An exchange that was off around the first trade of BTC, and corrects what it told."""
    outages = [(-5 * HOUR_MS, -2 * HOUR_MS), (-10 * MINUTE_MS, 25 * MINUTE_MS), (30 * HOUR_MS, 31 * HOUR_MS)]
    spans = tuple(
        Outage(exchange="hyperliquid", from_ms=GENESIS_MS + start, until_ms=GENESIS_MS + end) for start, end in outages
    )
    return simulated(scenario=Scenario(limits=False, outages=spans, corrected_ms=90_000))


@pytest.fixture
async def interrupted(interrupted_sources: Sources, clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        running_simulator(interrupted_sources, clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        yield client


@QUIET
@given(st.sampled_from(INTERVALS), st.integers(-45, 5), st.integers(0, 2 * HOUR_MS) | st.integers(0, 9 * DAY_MS))
async def test_outages_around_the_first_trade_are_told_alike(
    interrupted: httpx2.AsyncClient,
    clock: ManualClock,
    interrupted_sources: Sources,
    interval: str,
    at: int,
    later: int,
) -> None:
    clock.set(GENESIS_MS + later)
    start_ms = GENESIS_MS + at * Interval(interval).min_duration_ms
    await compare(interrupted, interrupted_sources, "BTC", interval, start_ms, clock.now_ms())


async def test_old_candles_have_their_keys_in_the_order_of_the_alphabet(clock: ManualClock) -> None:
    request = {"type": "candleSnapshot", "req": {"coin": "kPEPE", "interval": "1h", "startTime": NOW_MS - HOUR_MS}}
    answers = []
    for old in (False, True):
        async with (
            running_simulator(simulated(scenario=Scenario(old_keys=old)), clock) as url,
            httpx2.AsyncClient(base_url=url) as client,
        ):
            answers.append(await client.post("/hyperliquid/info", json=request))
    assert answers[0].json() == answers[1].json()
    assert answers[1].content.startswith(b'[{"T":1773575999999,"c":"')
    assert [list(row) for row in answers[1].json()] == [list("Tchilnostv")] * 2
