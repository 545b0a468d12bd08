"""The market: equal seeds make equal prices, and every interval agrees with every other, exactly."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.simulator.bars import Bar, join
from marketdata.simulator.grids import DAILY, DAY_MS, HOUR_MS, MINUTE_MS, Months, Steps
from marketdata.simulator.market import Asset, Instrument, Life, Market
from tests.simulator.test_bars import check

LISTED_MS = 1_700_000_000_000 // DAY_MS * DAY_MS + 9 * HOUR_MS + 30 * MINUTE_MS
NOW_MS = LISTED_MS + 400 * DAY_MS + 123_456
DOLLAR = Asset("USDT", 1.0, 0.0004)


def instrument(trades_a_day: int, ended_ms: int | None = None) -> Instrument:
    return Instrument(
        exchange="binance_futures",
        symbol=f"T{trades_a_day}USDT",
        base=Asset("T", 1.7, 0.05),
        quote=DOLLAR,
        price_scale=4,
        tick=1,
        size_scale=1,
        trades_a_day=trades_a_day,
        life=Life(LISTED_MS, LISTED_MS, ended_ms),
    )


BUSY, THIN = instrument(100_000), instrument(300)
MARKET = Market(7)
GRIDS = {**DAILY, "1w": Steps(7 * DAY_MS, 4 * DAY_MS), "1M": Months()}


def minutes(thing: Instrument, start_ms: int, end_ms: int, now_ms: int = NOW_MS) -> list[Bar]:
    """All minutes of a span within the life of `thing`, one by one."""
    first_ms, last_ms = max(start_ms, LISTED_MS), min(end_ms - 1, thing.last_ms(now_ms))
    return [
        MARKET.bar(thing, open_ms, open_ms + MINUTE_MS, now_ms) for open_ms in range(first_ms, last_ms + 1, MINUTE_MS)
    ]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([BUSY, THIN]),
    st.sampled_from([interval for interval in GRIDS if interval not in {"3d", "1w", "1M"}]),
    st.integers(LISTED_MS, NOW_MS),
)
def test_any_candle_is_its_minutes_joined(thing: Instrument, interval: str, moment_ms: int) -> None:
    grid = GRIDS[interval]
    index = grid.index(moment_ms)
    start_ms, end_ms = grid.open_ms(index), grid.open_ms(index + 1)
    (candle,) = MARKET.bars(thing, [start_ms, end_ms], NOW_MS)
    check(candle)
    assert candle == MARKET.bar(thing, start_ms, end_ms, NOW_MS)
    assert candle == join(minutes(thing, start_ms, end_ms))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([BUSY, THIN]), st.sampled_from(list(GRIDS)), st.integers(LISTED_MS, NOW_MS), st.integers(1, 70))
def test_many_candles_at_once_are_the_candles_one_by_one(
    thing: Instrument, interval: str, moment_ms: int, count: int
) -> None:
    grid = GRIDS[interval]
    first = grid.index(moment_ms)
    last = min(first + count, grid.index(NOW_MS))
    edges = [grid.open_ms(index) for index in range(first, last + 2)]
    together = MARKET.bars(thing, edges, NOW_MS)
    assert together == [MARKET.bar(thing, *span, NOW_MS) for span in itertools.pairwise(edges)]
    for before, after in itertools.pairwise(together):
        assert before.close == after.open


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([BUSY, THIN]), st.sampled_from(["3d", "1w", "1M"]), st.integers(LISTED_MS, NOW_MS))
def test_long_candles_are_their_hours_joined(thing: Instrument, interval: str, moment_ms: int) -> None:
    grid = GRIDS[interval]
    index = grid.index(moment_ms)
    start_ms, end_ms = grid.open_ms(index), grid.open_ms(index + 1)
    hours = range(max(start_ms, LISTED_MS // HOUR_MS * HOUR_MS), min(end_ms, NOW_MS + 1), HOUR_MS)
    made = [MARKET.bar(thing, hour, hour + HOUR_MS, NOW_MS) for hour in hours]
    assert MARKET.bar(thing, start_ms, end_ms, NOW_MS) == join(made)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(list(GRIDS)), st.integers(LISTED_MS, NOW_MS - 2 * DAY_MS), st.integers(1, DAY_MS))
def test_a_forming_candle_moves_with_the_clock_towards_what_it_becomes(
    interval: str, now_ms: int, later_ms: int
) -> None:
    grid = GRIDS[interval]
    index = grid.index(now_ms)
    span = grid.open_ms(index), grid.open_ms(index + 1)
    forming, later = (MARKET.bar(BUSY, *span, moment) for moment in (now_ms, now_ms + later_ms))
    assert forming.open == later.open
    assert forming.high <= later.high
    assert forming.low >= later.low
    assert forming.trades <= later.trades
    assert forming.size <= later.size


def test_trading_ends_in_the_middle_of_a_candle() -> None:
    ended_ms = LISTED_MS + 30 * DAY_MS + 8 * HOUR_MS
    thing = instrument(100_000, ended_ms)
    day_ms = ended_ms // DAY_MS * DAY_MS
    last = MARKET.bar(thing, day_ms, day_ms + DAY_MS, NOW_MS)
    assert last == join(minutes(thing, day_ms, ended_ms))
    assert thing.last_ms(NOW_MS) == ended_ms - 1


def test_of_a_time_outside_its_life_there_is_no_bar() -> None:
    for start_ms in (LISTED_MS - DAY_MS, NOW_MS + DAY_MS):
        with pytest.raises(ValueError, match="has not traded"):
            MARKET.bar(BUSY, start_ms, start_ms + HOUR_MS, NOW_MS)


def test_equal_seeds_make_equal_markets() -> None:
    edges = [LISTED_MS + hour * HOUR_MS for hour in range(50)]
    made = [Market(seed).bars(BUSY, edges, NOW_MS) for seed in (1, 1, 2)]
    assert made[0] == made[1]
    assert made[0] != made[2]


def test_the_first_prices_of_a_seed_never_change() -> None:
    """Saved results of users depend on it: another number here is a breaking change."""
    bar = Market(1).bar(BUSY, LISTED_MS, LISTED_MS + MINUTE_MS, NOW_MS)
    assert bar == (24030, 24032, 24017, 24019, 130, 43351, 1041569263, 21040, 505509708)


def test_thin_instruments_have_silent_minutes_and_busy_ones_none() -> None:
    day_ms = LISTED_MS // DAY_MS * DAY_MS + 10 * DAY_MS
    edges = range(day_ms, day_ms + DAY_MS + 1, MINUTE_MS)
    silent = [sum(not bar.trades for bar in MARKET.bars(thing, edges, NOW_MS)) for thing in (BUSY, THIN)]
    assert silent[0] == 0
    assert 500 < silent[1] < 1440
