"""Recordings of the real exchanges, through simulator, syncer and API: what was recorded is what is answered."""

import asyncio
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.recorded import recorded
from tests.conftest import Postgres
from tests.e2e.names import check_names
from tests.e2e.platform import Platform, running_platform

pytestmark = pytest.mark.recorded

NOW = 1790000000000  # after all that is recorded
COINBASE_INTERVALS = {"60": "1m", "3600": "1h"}


def rows_of(recordings: Path) -> Iterator[tuple[str, str, str, list[list[Any]]]]:
    """Exchange, exchange symbol, interval and canonical columns of every recorded candle file, as text."""
    manifest = json.loads((recordings / "manifest.json").read_text())
    for file, about in manifest.items():
        if about["kind"] != "candles" or "at_candles" in file:
            continue
        body = json.loads((recordings / file).read_text(), parse_float=str)
        if file.startswith("binance_futures/klines_1d_all"):
            for symbol, rows in body.items():
                yield "binance_futures", symbol, "1d", [binance(row) for row in rows]
        elif file.startswith("binance_futures/"):
            asked = dict(part.split("=") for part in about["params"].split(",")[0].split("&"))
            yield "binance_futures", asked["symbol"], asked["interval"], [binance(row) for row in body]
        elif file.startswith("hyperliquid/"):
            yield "hyperliquid", body[0]["s"], body[0]["i"], [hyperliquid(row) for row in body]
        else:
            granularity = next(one for one in COINBASE_INTERVALS if f"granularity={one}" in about["params"])
            step = int(granularity) * 1000
            yield "coinbase", "BTC-USD", COINBASE_INTERVALS[granularity], [coinbase(row, step) for row in body]


def binance(row: list[Any]) -> list[Any]:
    time, opened, high, low, close, volume, close_time, quote_volume, trades, taker, taker_quote, _ = row
    return [time, close_time + 1, opened, high, low, close, volume, quote_volume, trades, taker, taker_quote]


def hyperliquid(row: dict[str, Any]) -> list[Any]:
    return [row["t"], row["T"] + 1, row["o"], row["h"], row["l"], row["c"], row["v"], None, row["n"], None, None]


def coinbase(row: list[Any], step_ms: int) -> list[Any]:
    seconds, low, high, opened, close, volume = row
    prices = [str(value) for value in (opened, high, low, close, volume)]
    return [seconds * 1000, seconds * 1000 + step_ms, *prices, None, None, None, None]


async def candles(platform: Platform, exchange: str, symbol: str, interval: str, first: int, last: int) -> list[Any]:
    answer = await platform.get(
        f"/v1/candles/{exchange}/{quote(symbol, safe='')}/{interval}", start=first, end=last + 1, limit=5000
    )
    if answer.status_code == 404:
        return [answer.json()["code"]]
    document = answer.json()
    found = document["data"]
    while document["page"]["next"]:
        document = (await platform.get(document["page"]["next"])).json()
        found += document["data"]
    assert document["meta"]["source"]["kind"] == "recorded"
    return [list(row.values())[:-1] for row in found]


def test_everything_recorded_is_answered_digit_for_digit(recordings: Path, postgres: Postgres) -> None:
    async def run() -> None:
        clock = ManualClock(NOW)
        async with running_platform(recorded(recordings), clock, postgres.make_database()) as platform:
            check_listings(platform)
            await check_candles(platform, clock, recordings)
            assert await check_names(platform) == 410 + 402 + 573

    asyncio.run(run())


def check_listings(platform: Platform) -> None:
    runs = platform.runs
    assert {exchange: run.outcome for exchange, run in runs.items()} == dict.fromkeys(runs, "succeeded")
    assert runs["binance_futures"].listed == 410
    assert runs["coinbase"].listed == 573
    assert runs["hyperliquid"].listed == 203 + 199
    assert runs["binance_futures"].report.refused == ()
    assert runs["coinbase"].report.refused == ()
    # five builder-dex assets are recorded without their dex's collateral token, so nobody knows their quote
    assert {refusal.exchange_symbol for refusal in runs["hyperliquid"].report.refused} == {
        "xyz:XYZ100",
        "xyz:TSLA",
        "xyz:NVDA",
        "xyz:GOLD",
        "xyz:HOOD",
    }
    assert all("collateral" in refusal.reason for refusal in runs["hyperliquid"].report.refused)
    assert runs["coinbase"].report.base_mismatches == ("BTCAUCTION-USD",)
    assert runs["binance_futures"].report.unknown_words == {"contractType=": 1}
    for run in runs.values():
        assert run.report.clashes == ()
        assert run.report.unclassified == ()


async def check_candles(platform: Platform, clock: ManualClock, recordings: Path) -> None:
    served: dict[tuple[str, str, str], dict[int, list[Any]]] = {}
    for exchange, symbol, interval, rows in rows_of(recordings):
        of_series = served.setdefault((exchange, symbol, interval), {})
        for row in rows:
            # where two recordings differ on a candle that was forming, the later one holds the larger volume
            if row[0] not in of_series or Decimal(of_series[row[0]][6]) < Decimal(row[6]):
                of_series[row[0]] = row
    answered = dict.fromkeys(("binance_futures", "hyperliquid", "coinbase"), 0)
    daily = 0
    for (exchange, symbol, interval), expected in sorted(served.items()):
        clock.advance(5_000)  # within every exchange's budget
        first, last = min(expected), max(expected)
        got = await candles(platform, exchange, symbol, interval, first, last)
        if got == ["unknown-symbol"]:
            assert exchange == "binance_futures"
            continue
        assert got == [expected[time] for time in sorted(expected)], (exchange, symbol, interval)
        answered[exchange] += 1
        daily += exchange == "binance_futures" and interval == "1d"
    assert daily == 399
    assert answered == {"binance_futures": 399 + 3, "hyperliquid": 2, "coinbase": 2}
