"""What an exchange may do or not, each of it once through adapter and platform: a switch of `Scenario` a test."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from math import inf, nextafter
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.models import DAY_MS, MINUTE_MS, Candle, ExchangeId, Interval
from marketdata.simulator.presets import PRESETS
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.truth import truth
from marketdata.syncer.sync import sync_exchange
from tests.conftest import Postgres
from tests.e2e.markets import market
from tests.e2e.platform import PREFIXES, running_platform
from tests.e2e.scenarios.conftest import SEED, T0, Stage
from tests.e2e.scenarios.problems import assert_problem
from tests.e2e.scenarios.rows import columns, values

in_one_loop = pytest.mark.asyncio(loop_scope="session")

MINUTE = T0 - T0 % MINUTE_MS
DAY = T0 - T0 % DAY_MS
SYMBOLS = {
    "binance_futures": ("BTCUSDT", "BTC-USDT-PERP"),
    "hyperliquid": ("BTC", "BTC-USDC-PERP"),
    "coinbase": ("BTC-USD", "BTC-USD"),
}


async def raw(stage: Stage, exchange: str, start_ms: int, end_ms: int) -> Any:
    """One-minute candles of BTC in the exchange's own words, both ends included."""
    symbol, _ = SYMBOLS[exchange]
    async with httpx2.AsyncClient(base_url=f"{stage.platform.simulator}/{PREFIXES[exchange]}", trust_env=False) as http:
        if exchange == "coinbase":
            given = {"granularity": 60, "start": start_ms // 1000, "end": end_ms // 1000}
            return (await http.get(f"/products/{symbol}/candles", params=given)).json()
        wanted = {"coin": symbol, "interval": "1m", "startTime": start_ms, "endTime": end_ms}
        return (await http.post("/info", json={"type": "candleSnapshot", "req": wanted})).json()


def longer(days: Sequence[Candle], start_ms: int, step_ms: int) -> list[dict[str, Any]]:
    """The candles of `step_ms` from `start_ms` on that whole days make, as far as they go."""
    opens = range(start_ms, days[-1].close_time - step_ms + 1, step_ms)
    made = []
    for open_ms in opens:
        parts = [day for day in days if open_ms <= day.open_time < open_ms + step_ms]
        made.append(
            {
                "open_time": open_ms,
                "close_time": open_ms + step_ms,
                "open": Decimal(parts[0].open),
                "high": max(Decimal(day.high) for day in parts),
                "low": min(Decimal(day.low) for day in parts),
                "close": Decimal(parts[-1].close),
                "volume": sum(Decimal(day.volume) for day in parts),
                "trades": sum(day.trades or 0 for day in parts),
            }
        )
    return made


@in_one_loop
@pytest.mark.parametrize(
    "scenario,exchange,interval,step_ms,offset_ms",
    [
        (Scenario(calendar_months=False, limits=False), "hyperliquid", "1M", 30 * DAY_MS, 0),
        (Scenario(three_days_offset_ms=DAY_MS, limits=False), "binance_futures", "3d", 3 * DAY_MS, DAY_MS),
        (Scenario(limits=False), "binance_futures", "3d", 3 * DAY_MS, 0),
    ],
    ids=["months-of-30-days", "three-days-from-day-1", "three-days-from-day-0"],
)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_what_is_unverified_opens_and_closes_as_the_exchange_says(
    stage: Stage, scenario: Scenario, exchange: str, interval: str, step_ms: int, offset_ms: int, order: str
) -> None:
    stage.play(scenario)
    symbol, name = SYMBOLS[exchange]
    start = DAY - 2000 * DAY_MS
    start += (offset_ms - start) % step_ms
    days = stage.truth(exchange, symbol, Interval.DAY_1, start, DAY)
    due = longer(days, start, step_ms)
    rows: list[dict[str, Any]] = []
    following: str | None = (
        f"/v1/candles/{exchange}/{name}/{interval}?start={start}&end={due[-1]['close_time']}&limit=300&order={order}"
    )
    while following:
        document = await stage.platform.read(following)
        assert (document["page"]["complete"], document["warnings"], document["meta"]["gaps"]) == (True, [], [])
        rows += document["data"]
        following = document["page"]["next"]
    if order == "desc":
        rows.reverse()
    assert len(rows) > 60
    assert [
        {key: row[key] if isinstance(value, int) else Decimal(row[key]) for key, value in one.items()}
        for row, one in zip(rows, due, strict=True)
    ] == due
    newest = (await stage.read(f"{exchange}/{name}/{interval}", limit=2, include_partial="true"))["data"]
    assert [row["open_time"] for row in newest] == [due[-1]["open_time"], due[-1]["close_time"]]


@in_one_loop
async def test_what_hyperliquid_keeps_beyond_5000_is_not_left_out(stage: Stage) -> None:
    """`kept_rows`: 5000 to 5060 were seen."""
    kept = 5060
    stage.play(Scenario(kept_rows=kept, limits=False))
    rows, pages = [], []
    following: str | None = f"/v1/candles/hyperliquid/BTC-USDC-PERP/1m?start={MINUTE - 6000 * MINUTE_MS}&limit=2000"
    while following:
        pages.append(await stage.platform.read(following))
        rows += pages[-1]["data"]
        following = pages[-1]["page"]["next"]
    oldest = MINUTE - (kept - 1) * MINUTE_MS
    assert [row["open_time"] for row in rows] == list(range(oldest, MINUTE, MINUTE_MS))
    middle = MINUTE - 3000 * MINUTE_MS
    earlier = truth(stage.sources, "hyperliquid", "BTC", Interval.MIN_1, oldest, middle, middle)
    assert values(rows) == columns([*earlier, *stage.truth("hyperliquid", "BTC", Interval.MIN_1, middle, MINUTE)])
    (lost,) = pages[0]["warnings"]
    assert (lost["code"], lost["end"]) == ("no-longer-served", oldest)
    assert [page["page"]["complete"] for page in pages] == [False, *[True] * (len(pages) - 1)]


@in_one_loop
async def test_keys_in_the_order_of_2023_are_read_as_todays(stage: Stage) -> None:
    """`old_keys`."""
    stage.play(Scenario(old_keys=True, limits=False))
    start = MINUTE - 100 * MINUTE_MS
    assert list((await raw(stage, "hyperliquid", start, start))[0]) == list("Tchilnostv")
    document = await stage.read("hyperliquid/BTC-USDC-PERP/1m", start=start, end=MINUTE)
    assert values(document["data"]) == columns(stage.truth("hyperliquid", "BTC", Interval.MIN_1, start, MINUTE))
    assert len(document["data"]) == 100


@in_one_loop
async def test_the_noise_of_binary_floats_is_passed_on_digit_by_digit(stage: Stage) -> None:
    """`float_noise`: `4.727521520000001` is what the exchange says."""
    stage.play(Scenario(float_noise=True, limits=False))
    start = MINUTE - 100 * MINUTE_MS
    document = await stage.read("coinbase/BTC-USD/1m", start=start, end=MINUTE)
    clean = stage.truth("coinbase", "BTC-USD", Interval.MIN_1, start, MINUTE)
    for candle in clean:
        assert isinstance(candle.volume, str)
        if "." in candle.volume:
            candle.volume = f"{Decimal(repr(nextafter(float(candle.volume), inf))):f}"
    assert values(document["data"]) == columns(clean)
    assert max(len(row["volume"].partition(".")[2]) for row in document["data"]) > 12


@in_one_loop
@pytest.mark.parametrize("rows", [1, 5])
async def test_candles_before_the_start_are_not_passed_on(stage: Stage, rows: int) -> None:
    """`preceding_rows`: "some candles may precede the declared start"."""
    stage.play(Scenario(preceding_rows=rows, limits=False))
    start = MINUTE - 700 * MINUTE_MS
    sent = [row[0] * 1000 for row in await raw(stage, "coinbase", start, start)]
    assert min(sent) == start - rows * MINUTE_MS
    pages = []
    following: str | None = f"/v1/candles/coinbase/BTC-USD/1m?start={start}&end={MINUTE}&limit=400"
    while following:
        pages.append(await stage.platform.read(following))
        following = pages[-1]["page"]["next"]
    due = columns(stage.truth("coinbase", "BTC-USD", Interval.MIN_1, start, MINUTE))
    assert [row for page in pages for row in values(page["data"])] == due
    assert len(due) > 600


@in_one_loop
async def test_weights_as_documented_are_learnt_from_the_answers(stage: Stage) -> None:
    """`documented_weights`: 500 candles cost 5 and not 2, which the header tells; so nothing is refused by Binance."""
    limit = 240
    stage.play(Scenario(documented_weights=True, weight_limit=limit), now_ms=MINUTE + 7_300)
    stage.allow("binance_futures", limit)
    path, rounds = "binance_futures/BTC-USDT-PERP/1m", 80
    for number in range(1, rounds + 1):
        start = MINUTE - number * 500 * MINUTE_MS
        asked: dict[str, object] = {"start": start, "end": start + 500 * MINUTE_MS, "limit": 500}
        answer = await stage.ask(path, **asked)
        if answer.status_code != 200:
            stage.clock.advance(assert_problem(answer, "upstream-rate-limited") * 1000)
            answer = await stage.ask(path, **asked)
        assert answer.json()["page"]["count"] == 500
    entries = stage.calls("binance_futures")
    assert {entry.status for entry in entries} == {200}
    spent: dict[int, int] = {}
    for entry in entries:
        spent[entry.time_ms // MINUTE_MS] = spent.get(entry.time_ms // MINUTE_MS, 0) + entry.weight
    assert sum(spent.values()) >= 5 * rounds
    assert limit * 0.8 - 5 <= max(spent.values()) <= limit * 0.8 + 3, "at most the surplus of one call is not foreseen"


async def test_without_their_collateral_tokens_dexes_are_refused_by_name(postgres: Postgres) -> None:
    """The preset `old`, above all `collateral_tokens`: no quote asset is guessed; the main dex's is known."""
    clock, sources = ManualClock(T0), market(SEED, PRESETS["old"])
    url = postgres.make_database()
    async with running_platform(sources, clock, url) as platform:
        runs, hyperliquid = platform.runs, ExchangeId("hyperliquid")
        assert {run.exchange: run.outcome for run in runs.values() if run.outcome != "succeeded"} == {
            "hyperliquid": "quarantined"
        }, "so many rows that cannot be read are not believed until somebody says so"
        runs["hyperliquid"] = await sync_exchange(
            platform.database, platform.fetchers[hyperliquid], clock, accepted=runs["hyperliquid"]
        )
        await platform.services.refresh()
        refused = runs["hyperliquid"].report.refused
        assert len(refused) > 50
        assert all(":" in str(one.exchange_symbol) for one in refused)
        assert {one.reason for one in refused} == {
            "its dex names no collateral token that is listed, so its quote asset is not known"
        }
        listed = sources.counts(T0)
        assert runs["hyperliquid"].listed == listed["hyperliquid"] - len(refused)
        missing = await platform.get(f"/v1/resolve?name={refused[0].exchange_symbol}&exchange=hyperliquid")
        assert missing.json()["data"] == []
        for exchange, (_, name) in SYMBOLS.items():
            document = await platform.read(f"/v1/candles/{exchange}/{name}/1h", limit=20)
            assert (document["page"]["count"], document["page"]["complete"]) == (20, True)
    postgres.drop_database(url)


async def test_a_listing_most_of_which_is_settling_is_a_listing(postgres: Postgres) -> None:
    """The preset `closing`: delisted perpetuals stay listed as SETTLING, and their candles are served."""
    clock, sources = ManualClock(T0), market(SEED, PRESETS["closing"])
    url = postgres.make_database()
    binance = ExchangeId("binance_futures")
    async with running_platform(sources, clock, url) as platform:
        run = platform.runs[binance]
        assert run.outcome == "succeeded"
        assert run.listed == sources.counts(T0)[binance] - len(run.report.refused)
        settling: list[dict[str, Any]] = []
        following: str | None = f"/v1/symbols?exchange={binance}&status=settling&limit=500"
        while following:
            document = await platform.read(following)
            settling += document["data"]
            following = document["page"]["next"]
        assert len(settling) > run.listed / 2
        for symbol in settling[::60]:
            document = await platform.read(f"/v1/candles/{binance}/{symbol['symbol']}/1d", limit=5)
            rows = document["data"]
            assert len(rows) == 5
            assert rows[-1]["close_time"] < T0
            span = rows[0]["open_time"], rows[-1]["close_time"]
            due = truth(sources, binance, symbol["exchange_symbol"], Interval.DAY_1, *span, T0)
            assert values(rows) == columns(due)
            assert all(one["close_time"] == two["open_time"] for one, two in pairwise(rows))
        again = await sync_exchange(platform.database, platform.fetchers[binance], clock)
        assert (again.outcome, again.generation) == ("succeeded", run.generation)
    postgres.drop_database(url)
