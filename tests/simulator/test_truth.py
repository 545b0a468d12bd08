"""The truth is what the exchanges answer, found by another way."""

from decimal import Decimal
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from marketdata.core.models import Candle, Interval
from marketdata.simulator.outages import Outage
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import truth
from tests.simulator.conftest import NOW_MS

QUIET = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
MARCH_2019_MS = 1_551_398_400_000
MINUTE_MS = 60_000


def troubles() -> Scenario:
    """Outages of all lengths, at all distances from now, and one now; and candles that are late or corrected."""
    this_minute = NOW_MS - NOW_MS % MINUTE_MS
    outages = [
        Outage(exchange="binance_futures", from_ms=this_minute - MINUTE_MS, until_ms=this_minute + 5 * MINUTE_MS)
    ]
    for exchange in ("binance_futures", "hyperliquid", "coinbase"):
        for power in range(3, 22):
            from_ms = this_minute - 2**power * MINUTE_MS
            outages.append(
                Outage(exchange=exchange, from_ms=from_ms, until_ms=from_ms + (2**power // 5 + 2) * MINUTE_MS)
            )
    return Scenario(limits=False, outages=tuple(outages), late_flat_ms=150_000, corrected_ms=200_000)


@pytest.fixture(scope="module", params=[Scenario(limits=False), troubles()], ids=["well", "troubled"])
def sources(request: pytest.FixtureRequest) -> Sources:
    """The market of the default seed, on a usual day and on a bad one."""
    return simulated(scenario=request.param)


@st.composite
def ranges(draw: st.DrawFn, intervals: list[str]) -> tuple[Interval, int, int]:
    """An interval, and a range of at most some 250 candles of it, often near now or the beginning."""
    interval = Interval(draw(st.sampled_from(intervals)))
    width = draw(st.integers(0, 250 * interval.min_duration_ms))
    start = draw(st.integers(MARCH_2019_MS, NOW_MS) | st.integers(NOW_MS - 2 * width, NOW_MS))
    return interval, start, start + width


def plain(candle: Candle) -> dict[str, Any]:
    return {
        name: Decimal(value) if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(candle).items()
        if value is not None and name != "is_closed"
    }


@QUIET
@given(
    st.sampled_from(["BTCUSDT", "IDOL", "ETHBTC", "XAUUSDT", "BTCUSDT_260327", "1000SHIBUSDT"]),
    ranges(["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"]),
)
async def test_binance(
    simulator: httpx2.AsyncClient, sources: Sources, symbol: str, asked: tuple[Interval, int, int]
) -> None:
    interval, start, end = asked
    params = {"symbol": symbol, "interval": interval.value, "startTime": start, "endTime": end - 1, "limit": 1500}
    answer = (await simulator.get("/binance/fapi/v1/klines", params=params)).json() if end > start else []
    columns = [
        "open_time",
        "open",
        "high",
        "low",
        "close",
        "volume",
        "close_time",
        "quote_volume",
        "trades",
        "taker_buy_volume",
    ]
    columns += ["taker_buy_quote_volume"]
    rows = [dict(zip(columns, row, strict=False)) for row in answer]
    expected = truth(sources, "binance_futures", symbol, interval, start, end, NOW_MS)
    assert [{**row, "close_time": row["close_time"] + 1} for row in rows] == [
        {name: value for name, value in msgspec.structs.asdict(candle).items() if name != "is_closed"}
        for candle in expected
    ]


@QUIET
@given(
    st.sampled_from(["BTC", "MATIC", "kPEPE", "@107", "PURR/USDC", "xyz:TSLA", "hyna:BTC"]),
    ranges(["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "8h", "12h", "1d", "3d", "1w", "1M"]),
)
@example("kPEPE", (Interval.MIN_1, NOW_MS - 20 * MINUTE_MS, NOW_MS))
@example("BTC", (Interval.MIN_1, NOW_MS - 20 * MINUTE_MS, NOW_MS))
@example("BTC", (Interval.MIN_3, NOW_MS - 60 * MINUTE_MS, NOW_MS))
async def test_hyperliquid(
    simulator: httpx2.AsyncClient, sources: Sources, coin: str, asked: tuple[Interval, int, int]
) -> None:
    interval, start, end = asked
    wanted = {"coin": coin, "interval": interval.value, "startTime": start, "endTime": end}
    answer = (await simulator.post("/hyperliquid/info", json={"type": "candleSnapshot", "req": wanted})).json()
    columns = {"t": "open_time", "o": "open", "h": "high", "l": "low", "c": "close", "v": "volume", "n": "trades"}
    rows = [
        {**{column: row[key] for key, column in columns.items()}, "close_time": row["T"] + 1}
        for row in answer
        if start <= row["t"] < end
    ]
    expected = truth(sources, "hyperliquid", coin, interval, start, end, NOW_MS)
    assert rows == [
        {
            name: value
            for name, value in msgspec.structs.asdict(candle).items()
            if value is not None and name != "is_closed"
        }
        for candle in expected
    ]


@QUIET
@given(
    st.sampled_from(["BTC-USD", "SHIB-USD", "CRV-EUR", "BTC-USDC", "CBETH-ETH"]),
    ranges(["1m", "5m", "15m", "1h", "6h", "1d"]),
)
@example("BTC-USD", (Interval.MIN_1, NOW_MS - 20 * MINUTE_MS, NOW_MS))
async def test_coinbase(
    simulator: httpx2.AsyncClient, sources: Sources, product: str, asked: tuple[Interval, int, int]
) -> None:
    interval, start, end = asked
    step = interval.min_duration_ms // 1000
    first, last = -(-start // 1000), (end - 1) // 1000
    path = f"/coinbase/products/{product}/candles?granularity={step}&start={first}&end={last}"
    body = (await simulator.get(path)).content if last >= first else b"[]"
    rows = [
        {
            "open_time": int(second) * 1000,
            "close_time": (int(second) + step) * 1000,
            "open": Decimal(opened),
            "high": Decimal(high),
            "low": Decimal(low),
            "close": Decimal(closed),
            "volume": Decimal(volume),
        }
        for second, low, high, opened, closed, volume in msgspec.json.Decoder(list[list[Any]], float_hook=str).decode(
            body
        )
    ]
    expected = truth(sources, "coinbase", product, interval, start, end, NOW_MS)
    assert rows[::-1] == [plain(candle) for candle in expected]


def test_only_what_is_over_is_closed(sources: Sources) -> None:
    candles = truth(
        sources, "binance_futures", "BTCUSDT", Interval.HOUR_1, NOW_MS - 7_200_000, NOW_MS + 7_200_000, NOW_MS
    )
    assert [candle.is_closed for candle in candles] == [True, True, False][-len(candles) :]
    assert len(candles) == 2


@pytest.mark.parametrize(
    "exchange, symbol", [("binance_futures", "NOPE"), ("binance_futures", "BTCSTUSDT"), ("coinbase", "NO-PE")]
)
def test_of_what_is_not_served_there_is_no_truth(sources: Sources, exchange: str, symbol: str) -> None:
    with pytest.raises(LookupError):
        truth(sources, exchange, symbol, Interval.HOUR_1, 0, NOW_MS, NOW_MS)
