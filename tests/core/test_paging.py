from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import ExchangeAdapter
from marketdata.core.models import DAY_MS, Interval, IntervalSpec
from marketdata.core.paging import Windows, ceil_open, count_opens, floor_open, is_aligned, next_open
from tests.built_in import ADAPTERS

SPECS = [spec for adapter in ADAPTERS.values() for spec in adapter.capabilities.intervals]
ALIGNED = [spec for spec in SPECS if spec.anchor]
TIMES = st.integers(0, 4_102_444_800_000)
MONDAY_MS = 1717977600000  # 2024-06-10


@given(st.sampled_from(ALIGNED), TIMES)
def test_a_time_lies_in_exactly_one_candle(spec: IntervalSpec, time_ms: int) -> None:
    opened = floor_open(spec, time_ms)
    assert opened is not None
    assert opened <= time_ms < next_open(spec, opened)
    assert is_aligned(spec, opened)
    assert floor_open(spec, next_open(spec, opened)) == next_open(spec, opened)


@given(st.sampled_from(ALIGNED), TIMES)
def test_rounding_up_gives_the_first_open_at_or_after(spec: IntervalSpec, time_ms: int) -> None:
    opened = ceil_open(spec, time_ms)
    assert opened >= time_ms
    assert floor_open(spec, opened) == opened == ceil_open(spec, opened)
    before = floor_open(spec, opened - 1)
    assert before is not None
    assert before < time_ms
    assert [is_aligned(spec, one) for one in (opened - 1, opened, opened + 1)] == [False, True, False]
    assert count_opens(spec, opened, next_open(spec, next_open(spec, opened))) == 2


def test_weeks_open_on_monday_at_binance_and_on_thursday_at_hyperliquid() -> None:
    monday = get_adapter("binance_futures").capabilities.spec(Interval.WEEK_1)
    thursday = get_adapter("hyperliquid").capabilities.spec(Interval.WEEK_1)
    assert monday is not None
    assert thursday is not None
    assert floor_open(monday, MONDAY_MS + 5 * DAY_MS) == MONDAY_MS
    assert floor_open(thursday, MONDAY_MS + 5 * DAY_MS) == MONDAY_MS + 3 * DAY_MS


def test_months_are_the_calendar_s() -> None:
    month = get_adapter("binance_futures").capabilities.spec(Interval.MONTH_1)
    assert month is not None
    february = int(datetime(2024, 2, 1, tzinfo=UTC).timestamp()) * 1000
    assert floor_open(month, february + 28 * DAY_MS) == february
    assert next_open(month, february) - february == 29 * DAY_MS
    assert count_opens(month, february, next_open(month, february)) == 1


def test_every_month_opens_on_its_first_day() -> None:
    month = get_adapter("binance_futures").capabilities.spec(Interval.MONTH_1)
    assert month is not None
    opens = [datetime(year, number, 1, tzinfo=UTC) for year in range(1970, 2100) for number in range(1, 13)]
    opens_ms = [int(opened.timestamp()) * 1000 for opened in opens]
    for number, (opened_ms, next_ms) in enumerate(pairwise(opens_ms)):
        assert floor_open(month, opened_ms) == floor_open(month, next_ms - 1) == opened_ms
        assert next_open(month, opened_ms) == next_ms
        assert count_opens(month, 0, opened_ms) == number


def test_a_part_of_a_candle_counts_as_one() -> None:
    minute = get_adapter("coinbase").capabilities.spec(Interval.MIN_1)
    assert minute is not None
    assert [count_opens(minute, 60_000, end_ms) for end_ms in (60_000, 60_001, 120_000, 120_001)] == [0, 1, 1, 2]


def test_where_wide_ranges_are_rejected_each_call_asks_for_a_full_one_of_its_own() -> None:
    windows = Windows(get_adapter("coinbase").capabilities, Interval.MIN_1)
    minute_ms = Interval.MIN_1.min_duration_ms
    (one,) = windows.above(0, 10**12, 10, 0)
    assert (one.start_ms, one.end_ms) == (0, 300 * minute_ms)
    two = windows.below(0, 10**12, 301, 0)
    assert [(window.end_ms - (window.start_ms or 0)) // minute_ms for window in two] == [300, 300]


def test_an_unverified_alignment_takes_every_time_as_it_is() -> None:
    spec = IntervalSpec(interval=Interval.DAY_3, token="3d", anchor=None, offset_ms=None)
    assert floor_open(spec, 12345) is None
    assert ceil_open(spec, 12345) == 12345
    assert is_aligned(spec, 12345)


@given(
    st.sampled_from(list(ADAPTERS.values())),
    st.integers(0, 10**12),
    st.integers(1, 10**11),
    st.integers(1, 5001),
    st.sampled_from(["up", "down"]),
)
def test_windows_cover_a_range_without_overlap(
    adapter: ExchangeAdapter, start: int, span: int, need: int, direction: str
) -> None:
    upward = direction == "up"
    capabilities = adapter.capabilities
    if capabilities.wide_range == "oldest":
        return
    windows = Windows(capabilities, Interval.MIN_1)
    low, high, calls = start, start + span, 0
    while low < high and calls < 50:
        side_by_side = windows.above(low, high, need, calls) if upward else windows.below(low, high, need, calls)
        assert len(side_by_side) <= -(-need // capabilities.rows_per_call)
        for window in side_by_side:
            assert window.start_ms is not None
            assert low <= window.start_ms < window.end_ms <= high
            if capabilities.wide_range == "rejected":
                assert window.end_ms - window.start_ms <= capabilities.rows_per_call * Interval.MIN_1.min_duration_ms
            if upward:
                assert window.start_ms == low
                low = window.end_ms
            else:
                assert window.end_ms == high
                high = window.start_ms
            calls += 1
    assert calls <= 3 or capabilities.wide_range == "rejected"


@pytest.mark.parametrize("need,limits", [(1, [1]), (500, [500]), (501, [500, 1]), (1900, [500, 500, 500, 400])])
def test_an_exchange_that_keeps_the_oldest_finds_its_first_candle_itself(need: int, limits: list[int]) -> None:
    windows = Windows(get_adapter("binance_futures").capabilities, Interval.MIN_1)
    minute_ms = Interval.MIN_1.min_duration_ms
    first, *others = windows.above(0, 10**12, need, 0)
    assert (first.start_ms, first.end_ms) == (0, 10**12)
    assert [first.limit, *(page.limit for page in others)] == limits
    starts_ms = [500 * minute_ms * page for page in range(1, len(limits))]
    assert [page.start_ms for page in others] == starts_ms
    assert [page.end_ms - (page.start_ms or 0) for page in others] == [limit * minute_ms for limit in limits[1:]]
    newest, *older = windows.below(0, 10**12, need, 0)
    assert (newest.start_ms, newest.end_ms) == (None, 10**12)
    assert [page.end_ms for page in older] == [10**12 - start_ms for start_ms in starts_ms]
    assert [newest.limit, *(page.limit for page in older)] == limits


def test_no_more_is_asked_side_by_side_than_the_range_holds() -> None:
    windows = Windows(get_adapter("binance_futures").capabilities, Interval.MIN_1)
    minute_ms = Interval.MIN_1.min_duration_ms
    assert len(windows.above(0, 500 * minute_ms, 5000, 0)) == 1
    first, second = windows.above(0, 501 * minute_ms, 5000, 0)
    assert (
        (second.start_ms, second.end_ms)
        == (500 * minute_ms, 501 * minute_ms)
        == (first.end_ms - minute_ms, first.end_ms)
    )
    assert len(windows.below(0, 500 * minute_ms, 5000, 0)) == 1
    assert len(windows.below(0, 501 * minute_ms, 5000, 0)) == 2


def test_an_exchange_that_keeps_the_newest_is_asked_for_more_and_more_and_then_for_the_rest() -> None:
    windows = Windows(get_adapter("hyperliquid").capabilities, Interval.MIN_1)
    minute_ms = Interval.MIN_1.min_duration_ms
    start_ms = 7 * minute_ms
    rows = [[window.end_ms // minute_ms for window in windows.above(start_ms, 10**12, 10, calls)] for calls in (0, 1)]
    assert rows == [[17], [47]]
    assert windows.above(start_ms, 10**12, 4000, 1)[0].end_ms == 5007 * minute_ms
    assert windows.above(0, 10**12, 10, 0)[0].end_ms == 10**12
    for calls in (2, 3):
        assert windows.above(0, 10**12, 10, calls)[0].end_ms == 10**12
        assert windows.below(0, 10**12, 10, calls)[0].start_ms == 0
    assert windows.below(0, 10**12, 10, 0)[0].start_ms == 10**12 - 10 * minute_ms
