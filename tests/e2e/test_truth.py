"""Any candle request against the simulator's truth: the half-open slice, nothing twice, missing or too much."""

import asyncio
from typing import Literal, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketdata.core.clock import ManualClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.models import HOUR_MS, Candle, Interval
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.truth import truth
from tests.conftest import Postgres
from tests.e2e.platform import Platform, running_platform

T0 = 1780000000000  # 2026-05-28, in the middle of a minute
SYMBOLS = {
    "binance_futures": ["BTCUSDT", "ETHUSDT", "1000SHIBUSDT", "DOGEUSDT"],
    "hyperliquid": ["BTC", "kPEPE", "@107", "xyz:TSLA"],
    "coinbase": ["BTC-USD", "ETH-USD", "DOGE-USD"],
}
COLUMNS = [name for name in Candle.__struct_fields__ if name != "is_closed"]


class Asked(NamedTuple):
    """One request."""

    exchange: str
    symbol: str
    interval: Interval
    start: int | None
    end: int | None
    limit: int
    order: Literal["asc", "desc"]
    include_partial: bool


@st.composite
def requests(draw: st.DrawFn) -> Asked:
    exchange = draw(st.sampled_from(sorted(SYMBOLS)))
    symbol = draw(st.sampled_from(SYMBOLS[exchange]))
    interval = draw(st.sampled_from([spec.interval for spec in get_adapter(exchange).capabilities.intervals]))
    rows = draw(st.sampled_from([3, 310, 1510] if interval.min_duration_ms <= 2 * HOUR_MS else [3, 310]))
    step = interval.min_duration_ms
    back = draw(st.integers(-5, rows))
    start = draw(
        st.one_of(st.none(), st.just(T0 - back * step), st.integers(T0 - back * step - step, T0 - back * step))
    )
    after = draw(st.integers(1, rows))
    end = draw(st.one_of(st.none(), st.integers(T0 - back * step, T0 - back * step + after * step)))
    if start is not None and (end if end is not None else T0) <= start:
        end = start + step
    limit = draw(
        st.one_of(st.integers(1, 5000), st.sampled_from([1, 299, 300, 301, 500, 1000, 1499, 1500, 1501, 5000]))
    )
    order: Literal["asc", "desc"] = draw(st.sampled_from(["asc", "desc"]))
    return Asked(exchange, symbol, interval, start, end, limit, order, draw(st.booleans()))


async def check(platform: Platform, sources: Sources, clock: ManualClock, asked: Asked) -> None:
    exchange, symbol, interval, start, end, limit, order, partial = asked
    clock.advance(70_000)  # a fresh window of every exchange's budget
    began_ms = now_ms = clock.now_ms()
    if exchange == "hyperliquid":
        now_ms = now_ms // 1000 * 1000
    until = min(end if end is not None else now_ms, now_ms + 1)
    # where buckets without a trade are left out, the last `limit` rows reach further back
    spare = 2 * limit + 60 if get_adapter(exchange).capabilities.omits_empty else 2
    floor = start if start is not None else max(0, until - (limit + spare) * interval.max_duration_ms)
    rows = truth(sources, exchange, symbol, interval, floor, until, clock.now_ms(), prelisting=False)
    rows = [row for row in rows if partial or row.close_time <= now_ms]
    document = await platform.read(
        f"/v1/candles/{exchange}/{symbol.replace('/', '%2F')}/{interval}",
        start=start,
        end=end,
        limit=limit,
        order=order,
        include_partial="true" if partial else None,
    )
    if order == "asc" and start is None:
        expected = rows[-limit:]
        if any(warning["code"] == "search-bounded" for warning in document["warnings"]):
            expected = expected[len(expected) - len(document["data"]) :]
    elif order == "desc":
        expected = rows[::-1]
    else:
        expected = rows
    served = list(document["data"])
    assert all(row["is_closed"] is (row["close_time"] <= now_ms) for row in served)
    pages = 1
    while document["page"]["next"] is not None and pages < 4 and len(served) < len(expected):
        document = (await platform.get(document["page"]["next"])).json()
        served += document["data"]
        pages += 1
    if start is None and order == "desc":
        served = served[: len(expected)]  # it goes on to older pages than the truth was asked for
    if document["page"]["next"] is not None:
        expected = expected[: len(served)]
    got = [[row[name] for name in COLUMNS] for row in served]
    wanted = [[getattr(row, name) for name in COLUMNS] for row in expected]
    if clock.now_ms() != began_ms:  # it waited for the exchange's budget: what forms has moved on
        got = [row for row in got if row[1] <= now_ms]
        wanted = [row for row in wanted if row[1] <= now_ms]
    assert got == wanted


def test_any_request_equals_the_truth(postgres: Postgres) -> None:
    # without limits: this clock moves as soon as somebody waits for the budget, before what was sent has arrived
    sources = simulated(7, Scenario(limits=False))
    clock = ManualClock(T0)

    async def run() -> None:
        async with running_platform(sources, clock, postgres.make_database()) as platform:
            loop = asyncio.get_running_loop()

            @settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
            @given(requests())
            def compare(asked: Asked) -> None:
                clock.set(max(T0, clock.now_ms()))
                asyncio.run_coroutine_threadsafe(check(platform, sources, clock, asked), loop).result(60)

            await asyncio.to_thread(compare)

    asyncio.run(run())
