"""Scenarios 2, 4, 13 and 15: candles that change, weeks that differ, and walks that go on."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from marketdata.core.models import DAY_MS, MINUTE_MS, Interval
from marketdata.simulator.scenario import Scenario
from tests.e2e.scenarios.conftest import T0, Stage
from tests.e2e.scenarios.rows import columns, values
from tests.e2e.truth.world import Ticking

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNLIMITED = Scenario(limits=False)
MINUTE = T0 - T0 % MINUTE_MS + MINUTE_MS
"""A border of minutes."""
SERIES = [
    ("binance_futures", "BTCUSDT", "BTC-USDT-PERP"),
    ("hyperliquid", "BTC", "BTC-USDC-PERP"),
    ("coinbase", "BTC-USD", "BTC-USD"),
]


@pytest.mark.parametrize("exchange,symbol,name", SERIES)
@pytest.mark.parametrize("before_ms", [200, 1100, 2500])
async def test_2_a_border_of_minutes_within_a_page_loop(
    stage: Stage, exchange: str, symbol: str, name: str, before_ms: int
) -> None:
    """2. Clock crosses a minute boundary during a page loop: no forming row stored, no row missed.

    Every call takes a second, so that the border lies before the first, among them or after some pages.
    """
    now_ms = MINUTE - before_ms
    stage.play(UNLIMITED, now_ms=now_ms, journal=Ticking(stage.clock, [1000] * 40))
    start = MINUTE - 900 * MINUTE_MS
    rows: list[dict[str, Any]] = []
    following: str | None = f"/v1/candles/{exchange}/{name}/1m?start={start}&limit=400"
    while following:
        document = await stage.platform.read(following)
        rows += document["data"]
        following = document["page"]["next"]
    assert stage.clock.now_ms() > MINUTE
    assert all(row["is_closed"] for row in rows)

    stage.clock.advance(2 * MINUTE_MS)
    final = stage.truth(exchange, symbol, Interval.MIN_1, start, MINUTE)
    assert values(rows) in (columns(final), columns(final[:-1])), "none forming, none missing"
    later = await stage.read(f"{exchange}/{name}/1m", start=rows[-1]["close_time"], end=MINUTE + MINUTE_MS)
    whole = stage.truth(exchange, symbol, Interval.MIN_1, start, MINUTE + MINUTE_MS)
    assert values(rows + later["data"]) == columns(whole), "read on from there, it is whole"


@pytest.mark.parametrize("exchange,symbol,name", SERIES)
async def test_2_a_slow_way_to_the_exchange_s_clock_closes_nothing_early(
    stage: Stage, exchange: str, symbol: str, name: str
) -> None:
    """2, once more: the call for the exchange's time fails after four seconds and is made again."""
    journal = Ticking(stage.clock, [4000])
    fault = f"html,status=502,exchange={exchange},route=time,first=1"
    stage.play(UNLIMITED, fault, now_ms=MINUTE - 5000, journal=journal)
    rows = (await stage.read(f"{exchange}/{name}/1m", limit=3, include_partial="true"))["data"]
    asked_ms = stage.calls(exchange, "candles")[-1].time_ms
    assert MINUTE - 1000 < asked_ms < MINUTE
    assert [row["is_closed"] for row in rows] == [row["close_time"] <= asked_ms for row in rows]
    assert values(rows) == columns(
        stage.truth(exchange, symbol, Interval.MIN_1, rows[0]["open_time"], rows[-1]["close_time"])
    )


@pytest.mark.parametrize("exchange,symbol,name", SERIES)
async def test_2_who_asks_after_the_border_does_not_get_what_was_asked_before(
    stage: Stage, exchange: str, symbol: str, name: str
) -> None:
    """2, by two callers: one asks just before a candle closes, the other just after, for the same range."""
    slow = f"slow,seconds=0.3,exchange={exchange},route=candles,first=1"
    stage.play(UNLIMITED, slow, now_ms=MINUTE - 1500)
    asked = {"start": MINUTE - 5 * MINUTE_MS, "end": MINUTE}
    path = f"{exchange}/{name}/1m"
    first = asyncio.create_task(stage.read(path, **asked, include_partial="true"))
    while not stage.calls(exchange, "candles"):
        await asyncio.sleep(0.002)
    stage.clock.advance(3000)
    second = await stage.read(path, **asked)
    before = await first
    assert [row["is_closed"] for row in before["data"]] == [True] * 4 + [False]
    final = stage.truth(exchange, symbol, Interval.MIN_1, MINUTE - 5 * MINUTE_MS, MINUTE)
    assert values(second["data"]) == columns(final)
    assert all(row["is_closed"] for row in second["data"])


async def test_4_a_late_flat_row_is_answered_once(stage: Stage) -> None:
    """4. HL: late flat row appears 90 s after first poll: stored once."""
    stage.play(Scenario(limits=False, late_flat_ms=90_000))
    minute = next(
        candle.open_time
        for candle in stage.truth("hyperliquid", "BAMOKU", Interval.MIN_1, T0 - 200 * MINUTE_MS, T0 - 100 * MINUTE_MS)
        if candle.trades == 0
    )
    polls = {}
    for after_s in (1, 31, 61, 89, 91, 121):
        stage.play(stage.sources.scenario, now_ms=minute + MINUTE_MS + after_s * 1000)
        start, end = minute - 5 * MINUTE_MS, minute + 4 * MINUTE_MS
        document = await stage.read("hyperliquid/BAMOKU-USDC-PERP/1m", start=start, end=end)
        opens = [row["open_time"] for row in document["data"]]
        polls[after_s] = opens.count(minute)
        due = columns(stage.truth("hyperliquid", "BAMOKU", Interval.MIN_1, start, end))
        assert values(document["data"]) == [row for row in due if row[1] <= stage.clock.now_ms()]
        missing = {gap["start"]: gap["end"] for gap in document["meta"]["gaps"]}
        assert all(opens.count(start) == 0 for start in missing)
    assert polls == {1: 0, 31: 0, 61: 0, 89: 0, 91: 1, 121: 1}


async def test_13_weeks_open_when_the_exchange_says_so(stage: Stage) -> None:
    """13. Weekly candles: Monday (Binance) vs Thursday (HL): open/close times are the venue's."""
    stage.play(UNLIMITED)
    weekdays = {}
    for exchange, symbol, name in SERIES[:2]:
        rows = (await stage.read(f"{exchange}/{name}/1w", limit=60))["data"]
        assert len(rows) == 60
        weekdays[exchange] = {datetime.fromtimestamp(row["open_time"] / 1000, UTC).strftime("%A") for row in rows}
        assert all(row["close_time"] == row["open_time"] + 7 * DAY_MS for row in rows)
        assert values(rows) == columns(
            stage.truth(exchange, symbol, Interval.WEEK_1, rows[0]["open_time"], rows[-1]["close_time"])
        )
        spec = next(
            one
            for one in (await stage.platform.read("/v1/intervals", exchange=exchange))["data"]
            if one["interval"] == "1w"
        )
        assert (rows[0]["open_time"] - spec["offset_ms"]) % (7 * DAY_MS) == 0, "as the intervals' description has it"
        wrong = await stage.read(f"{exchange}/{name}/1w", start=rows[-2]["open_time"] + 1, end=rows[-1]["open_time"])
        assert wrong["data"] == []
    assert weekdays == {"binance_futures": {"Monday"}, "hyperliquid": {"Thursday"}}
    refused = await stage.ask("coinbase/BTC-USD/1w")
    assert (refused.status_code, refused.json()["code"]) == (400, "unsupported-interval")


@pytest.mark.parametrize("exchange,symbol,name", SERIES)
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_15_a_walk_goes_on_after_a_restart(
    stage: Stage, exchange: str, symbol: str, name: str, order: str
) -> None:
    """15. Restart mid back-fill: continues, no duplicate rows, no gap. For us: a cursor outlives the API process."""
    stage.play(UNLIMITED)
    start, end = T0 - T0 % MINUTE_MS - 700 * MINUTE_MS, T0 - T0 % MINUTE_MS
    rows: list[dict[str, Any]] = []
    following: str | None = f"/v1/candles/{exchange}/{name}/1m?start={start}&end={end}&limit=300&order={order}"
    while following:
        document = await stage.platform.read(following)
        rows += document["data"]
        following = document["page"]["next"]
        if len(rows) == 300:
            stage.clock.advance(7 * MINUTE_MS)
            await stage.platform.restart()
    if order == "desc":
        rows.reverse()
    assert values(rows) == columns(stage.truth(exchange, symbol, Interval.MIN_1, start, end))
