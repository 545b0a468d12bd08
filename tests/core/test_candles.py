"""Ranges against a series held in memory that chooses rows as each exchange does, page borders included.

The same is asked of the whole product, over sockets, in tests/e2e.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

import httpx2
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketdata.core.candles import MAX_CALLS, CandlePage, CandleRange, get_candles
from marketdata.core.clock import ManualClock
from marketdata.core.errors import (
    UnsupportedInterval,
    UpstreamBadData,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamTimeout,
)
from marketdata.core.exchanges import get_adapter
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher
from marketdata.core.models import DAY_MS, MINUTE_MS, Candle, Interval
from marketdata.core.validate import check_candles

T0 = 1767225600000
NOW = T0 + 9_000 * MINUTE_MS + 12_345
EXCHANGES = ["binance_futures", "hyperliquid", "coinbase"]


def series(present: Sequence[bool], first_ms: int = T0, step_ms: int = MINUTE_MS) -> list[Candle]:
    """A candle for each True; the last one forms."""
    return [
        Candle(
            open_time=first_ms + index * step_ms,
            close_time=first_ms + (index + 1) * step_ms,
            open="1",
            high="1",
            low="1",
            close="1",
            volume="1",
            trades=1,
        )
        for index, is_there in enumerate(present)
        if is_there
    ]


class SeriesFetcher(Fetcher):
    """A Fetcher whose exchange is a list of candles."""

    def __init__(self, exchange: str, rows: list[Candle], now_ms: int = NOW) -> None:
        super().__init__(get_adapter(exchange), httpx2.AsyncClient(), ManualClock(now_ms))
        self.rows = rows
        self.calls: list[CandleQuery] = []
        self.time_ms = now_ms
        self.traded_ms: int | None = None

    async def now_ms(self) -> int:
        return self.time_ms

    async def first_traded_ms(self, exchange_symbol: str, now_ms: int) -> int | None:
        if self.traded_ms is not None:
            return self.traded_ms
        return await super().first_traded_ms(exchange_symbol, now_ms)

    async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        self.calls.append(query)
        wide = self.adapter.capabilities.wide_range
        start_ms = query.start_ms or 0
        rows = [msgspec.structs.replace(row) for row in self.rows if start_ms <= row.open_time < query.end_ms]
        if wide == "rejected":
            assert query.end_ms - start_ms <= 300 * query.interval.max_duration_ms
        elif wide == "newest":
            rows = [row for row in rows if row.open_time >= self.rows[-5000:][0].open_time]
        else:
            rows = rows[-query.limit :] if query.start_ms is None else rows[: query.limit]
        spec = self.adapter.capabilities.spec(query.interval)
        assert spec is not None
        check_candles(self.adapter.exchange, spec, rows)
        for row in rows:
            row.is_closed = row.close_time <= now_ms
        return rows, rows


def walk(fetcher: SeriesFetcher, asked: CandleRange) -> list[CandlePage]:
    async def pages() -> list[CandlePage]:
        found = [await get_candles(fetcher, asked)]
        while found[-1].next is not None:
            assert len(found) < 500, "the pages never end"
            found.append(await get_candles(fetcher, found[-1].next))
        return found

    return asyncio.run(pages())


def opens(pages: Sequence[CandlePage]) -> list[int]:
    return [candle.open_time for page in pages for candle in page.candles]


def ask(
    limit: int,
    start_ms: int | None = None,
    end_ms: int | None = None,
    order: Literal["asc", "desc"] = "asc",
    *,
    include_partial: bool = False,
) -> CandleRange:
    return CandleRange("X", Interval.MIN_1, start_ms, end_ms, limit, order, include_partial)


RUNS = st.lists(st.tuples(st.integers(1, 2500), st.integers(0, 700)), min_size=1, max_size=5)
BOUND = st.one_of(st.none(), st.integers(T0 - 400 * MINUTE_MS, NOW + 100 * MINUTE_MS))


@settings(max_examples=150, deadline=None)
@given(
    exchange=st.sampled_from(EXCHANGES),
    runs=RUNS,
    start_ms=BOUND,
    end_ms=BOUND,
    limit=st.one_of(st.integers(60, 5000), st.sampled_from([299, 300, 301, 499, 500, 501, 1499, 1500, 1501, 5000])),
    order=st.sampled_from(["asc", "desc"]),
    include_partial=st.booleans(),
)
def test_all_pages_together_are_the_half_open_slice(
    exchange: str,
    runs: list[tuple[int, int]],
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
    order: Literal["asc", "desc"],
    include_partial: bool,  # noqa: FBT001 - hypothesis names it
) -> None:
    if exchange == "coinbase" and order == "desc":
        start_ms = start_ms or T0  # without one the walk goes back to 1970, twenty calls a page
    present = [is_there for there, away in runs for is_there in [True] * there + [False] * away][:9001]
    rows = series(present)
    fetcher = SeriesFetcher(exchange, rows)
    served = rows[-5000:] if exchange == "hyperliquid" else rows
    expected = [
        row.open_time
        for row in served
        if (start_ms or 0) <= row.open_time < (NOW if end_ms is None else end_ms)
        and (include_partial or row.close_time <= NOW)
    ]
    pages = walk(fetcher, ask(limit, start_ms, end_ms, order, include_partial=include_partial))
    assert all(len(page.candles) <= limit for page in pages)
    if order == "desc":
        assert opens(pages) == expected[::-1]
    elif start_ms is not None:
        assert opens(pages) == expected
    else:
        newest = expected[-limit:]
        assert len(pages) == 1
        if any(warning.code == "search-bounded" for warning in pages[0].warnings):
            assert newest[len(newest) - len(opens(pages)) :] == opens(pages)
        else:
            assert opens(pages) == newest
    if start_ms is not None:
        missing = sum(gap.missing for page in pages for gap in page.gaps)
        span = (max(expected) - min(expected)) // MINUTE_MS + 1 if expected else 0
        assert missing == span - len(expected)


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize("limit", [1, 500, 1000, 1500])
def test_nothing_more_is_asked_than_is_needed(exchange: str, limit: int) -> None:
    fetcher = SeriesFetcher(exchange, series([True] * 9001))
    asyncio.run(get_candles(fetcher, ask(limit, T0 + 5000 * MINUTE_MS)))
    pages = -(-limit // {"binance_futures": 500, "hyperliquid": 5000, "coinbase": 300}[exchange])
    assert len(fetcher.calls) == pages
    fetcher.calls.clear()
    asyncio.run(get_candles(fetcher, ask(limit)))
    assert len(fetcher.calls) == pages


def test_the_forming_candle_comes_only_when_asked_for() -> None:
    fetcher = SeriesFetcher("binance_futures", series([True] * 9001))
    page = asyncio.run(get_candles(fetcher, ask(2)))
    assert [candle.is_closed for candle in page.candles] == [True, True]
    page = asyncio.run(get_candles(fetcher, ask(2, include_partial=True)))
    assert [candle.is_closed for candle in page.candles] == [True, False]
    assert page.candles[1].open_time == T0 + 9000 * MINUTE_MS


def test_closed_is_judged_by_time_and_never_by_position() -> None:
    fetcher = SeriesFetcher("binance_futures", series([True] * 8000))  # it stopped trading long ago
    page = asyncio.run(get_candles(fetcher, ask(1)))
    assert page.candles[0].open_time == T0 + 7999 * MINUTE_MS
    assert page.candles[0].is_closed


def test_what_an_exchange_has_forgotten_is_said() -> None:
    fetcher = SeriesFetcher("hyperliquid", series([True] * 9001))
    page = asyncio.run(get_candles(fetcher, ask(10, T0)))
    oldest = T0 + 4001 * MINUTE_MS
    assert page.candles[0].open_time == oldest
    assert not page.complete
    assert [(warning.code, warning.start, warning.end) for warning in page.warnings] == [
        ("no-longer-served", T0, oldest)
    ]
    page = asyncio.run(get_candles(fetcher, ask(10, T0, T0 + 100 * MINUTE_MS)))
    assert (page.candles, page.complete, page.next) == ([], False, None)
    assert page.warnings[0].code == "no-longer-served"


def test_what_is_forgotten_is_said_although_the_exchange_s_time_is_cut_to_seconds() -> None:
    border = T0 + 9_000 * MINUTE_MS
    fetcher = SeriesFetcher("hyperliquid", series([True] * 9001), now_ms=border - 1)  # it has the next minute already
    page = asyncio.run(get_candles(fetcher, ask(10, T0)))
    assert [warning.code for warning in page.warnings] == ["no-longer-served"]


@pytest.mark.parametrize("start_ms", [None, T0])
def test_nothing_at_all_of_what_reaches_back_too_far_is_not_a_whole_answer(start_ms: int | None) -> None:
    fetcher = SeriesFetcher("hyperliquid", series([True]), now_ms=T0 + 5002 * MINUTE_MS)
    fetcher.rows = []
    page = asyncio.run(get_candles(fetcher, ask(1, start_ms)))
    assert (page.candles, page.complete) == ([], False)
    assert [(warning.code, warning.end) for warning in page.warnings] == [("no-longer-served", T0 + 2 * MINUTE_MS)]


def test_a_start_at_the_end_of_time_is_an_empty_range() -> None:
    fetcher = SeriesFetcher("binance_futures", [])
    asked = CandleRange("X", Interval.MONTH_1, 253_402_300_799_999, None, 10)
    assert asyncio.run(get_candles(fetcher, asked)).candles == []
    assert asyncio.run(get_candles(fetcher, msgspec.structs.replace(asked, order="desc"))).candles == []
    assert fetcher.calls == []


def test_a_young_instrument_has_lost_nothing() -> None:
    fetcher = SeriesFetcher("hyperliquid", series([True] * 1001, first_ms=T0 + 8000 * MINUTE_MS))
    fetcher.traded_ms = (T0 + 8000 * MINUTE_MS) // DAY_MS * DAY_MS
    page = asyncio.run(get_candles(fetcher, ask(10, T0)))
    assert page.candles[0].open_time == T0 + 8000 * MINUTE_MS
    assert page.complete
    assert page.warnings == []


@pytest.mark.parametrize("missing,is_lost", [(0, True), (50, True), (51, False)])
def test_the_oldest_that_is_kept_may_be_missing(missing: int, is_lost: bool) -> None:  # noqa: FBT001
    kept = series([True] * (5000 - missing), first_ms=(NOW // MINUTE_MS - 4999 + missing) * MINUTE_MS)
    fetcher = SeriesFetcher("hyperliquid", kept)
    fetcher.traded_ms = kept[0].open_time // DAY_MS * DAY_MS  # it may be young
    page = asyncio.run(get_candles(fetcher, ask(5000, T0)))
    assert page.complete is not is_lost


def test_an_outage_at_the_far_end_of_what_is_kept_hides_no_loss() -> None:
    kept = series([True] * 3000, first_ms=(NOW // MINUTE_MS - 2999) * MINUTE_MS)
    fetcher = SeriesFetcher("hyperliquid", kept)
    fetcher.traded_ms = T0 - 100 * DAY_MS
    page = asyncio.run(get_candles(fetcher, ask(5000, T0)))
    assert not page.complete
    assert [(one.code, one.start, one.end) for one in page.warnings] == [("no-longer-served", T0, kept[0].open_time)]


def test_a_search_for_the_newest_is_bounded_and_says_so() -> None:
    fetcher = SeriesFetcher("coinbase", series([True] * 10))
    page = asyncio.run(get_candles(fetcher, ask(1)))
    assert len(fetcher.calls) == MAX_CALLS
    assert (page.candles, page.complete, page.next) == ([], False, None)
    assert [warning.code for warning in page.warnings] == ["search-bounded"]


def test_a_page_that_spent_its_calls_ends_early_and_goes_on() -> None:
    fetcher = SeriesFetcher("coinbase", series([False] * 7000 + [True] * 2000))
    first, second = walk(fetcher, ask(5000, T0))
    assert first.candles == []
    assert first.complete
    assert len(second.candles) == 2000


def test_gaps_are_reported_across_the_border_of_two_pages() -> None:
    rows = series([True] * 10 + [False] * 5 + [True] * 10)
    orders: tuple[Literal["asc", "desc"], ...] = ("asc", "desc")
    for order in orders:
        pages = walk(SeriesFetcher("binance_futures", rows), ask(10, T0, T0 + 25 * MINUTE_MS, order))
        gaps = [gap for page in pages for gap in page.gaps]
        assert [(gap.start, gap.end, gap.missing, gap.reason) for gap in gaps] == [
            (T0 + 10 * MINUTE_MS, T0 + 15 * MINUTE_MS, 5, "missing")
        ]


def test_at_most_a_thousand_gaps_are_listed_and_the_rest_is_counted() -> None:
    fetcher = SeriesFetcher("coinbase", series([True, False] * 2000))
    page = asyncio.run(get_candles(fetcher, ask(1500, T0)))
    assert len(page.gaps) == 1000
    assert page.gaps[0].reason == "no-trades-or-missing"
    assert [(warning.code, warning.count) for warning in page.warnings] == [("gaps-truncated", 499)]
    assert page.complete


def test_the_end_of_a_first_page_is_frozen() -> None:
    fetcher = SeriesFetcher("binance_futures", series([True] * 9001))
    first = asyncio.run(get_candles(fetcher, ask(10, NOW - 15 * MINUTE_MS)))
    fetcher.time_ms += 30 * MINUTE_MS
    fetcher.rows = series([True] * 9031)
    assert first.next is not None
    second = asyncio.run(get_candles(fetcher, first.next))
    assert second.candles[-1].open_time == T0 + 8999 * MINUTE_MS
    assert second.next is None


@pytest.mark.parametrize("end_ms", [None, NOW + DAY_MS])
@pytest.mark.parametrize("behind_ms", [1, 2_000, 9_999])
def test_a_next_page_is_not_cut_by_a_clock_that_is_behind(end_ms: int | None, behind_ms: int) -> None:
    rows = series([True] * 9001)
    fetcher = SeriesFetcher("binance_futures", rows, now_ms=T0 + 9000 * MINUTE_MS)  # the last one has just closed
    first = asyncio.run(get_candles(fetcher, ask(600, T0 + 8000 * MINUTE_MS, end_ms)))
    assert first.next is not None
    fetcher.time_ms -= behind_ms  # another process answers, whose idea of the time is older
    second = asyncio.run(get_candles(fetcher, first.next))
    assert (second.candles[-1].open_time, second.candles[-1].is_closed) == (T0 + 8999 * MINUTE_MS, True)
    fetcher.time_ms -= DAY_MS  # that is no small difference: somebody has set the clock
    assert asyncio.run(get_candles(fetcher, first.next)).candles == []


@pytest.mark.parametrize("behind_ms, count", [(1_500, 3001), (12_000, 3000)])
def test_a_forming_candle_that_was_promised_is_not_cut_by_a_clock_that_is_behind(behind_ms: int, count: int) -> None:
    five_ms = 5 * MINUTE_MS
    rows = series([True] * 3001, step_ms=five_ms)
    fetcher = SeriesFetcher("binance_futures", rows, now_ms=T0 + 3000 * five_ms + 1_000)  # the last one has just opened
    asked = CandleRange("X", Interval.MIN_5, T0, None, 2000, include_partial=True)
    first = asyncio.run(get_candles(fetcher, asked))
    assert first.next is not None
    fetcher.time_ms -= behind_ms
    second = asyncio.run(get_candles(fetcher, first.next))
    assert len(first.candles) + len(second.candles) == count
    assert not second.candles[-1].is_closed


def test_an_instrument_that_is_refused_is_an_empty_incomplete_page() -> None:
    class Refusing(SeriesFetcher):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:  # noqa: ARG002
            self.calls.append(query)
            raise UpstreamRefused(self.adapter.exchange, "it no longer serves this symbol (-1122)")

    page = asyncio.run(get_candles(Refusing("binance_futures", []), ask(10)))
    assert (page.candles, page.complete, page.next) == ([], False, None)
    assert [warning.code for warning in page.warnings] == ["not-served-by-exchange"]


@pytest.mark.parametrize("limit, refused", [(1000, "in the same breath"), (2000, "later")])
def test_one_refused_part_of_several_is_no_refused_instrument(limit: int, refused: str) -> None:
    class Moody(SeriesFetcher):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            if (not self.calls and refused == "in the same breath") or len(self.calls) > 10:
                self.calls.append(query)
                raise UpstreamRefused(self.adapter.exchange, "it no longer serves this symbol (-1122)")
            return await super().candles(query, now_ms)

    rows = series(
        [True, *[False] * 349, True, *[False] * 4650, *[True] * 2000]
    )  # so sparse that one batch does not fill the page
    with pytest.raises(UpstreamBadData, match="refuses others"):
        walk(Moody("coinbase", rows), ask(limit, T0))


@pytest.mark.parametrize("first_ms", [T0, T0 - DAY_MS])
def test_candles_that_came_are_not_lost_when_the_first_traded_day_is_refused(first_ms: int) -> None:
    class Moody(SeriesFetcher):
        async def first_traded_ms(self, exchange_symbol: str, now_ms: int) -> int | None:  # noqa: ARG002
            raise UpstreamRefused(self.adapter.exchange, "it does not know this coin (500 null)")

    rows = series([True] * 9000)
    rows[0].trades = 0
    with pytest.raises(UpstreamBadData, match="refuses others"):
        walk(Moody("hyperliquid", rows[:3000], now_ms=T0 + 3000 * MINUTE_MS), ask(3000, first_ms))


def test_a_page_of_several_calls_is_refused_before_any_when_there_is_no_room_for_all() -> None:
    fetcher = SeriesFetcher("coinbase", series([True] * 9001))
    asyncio.run(fetcher.budget.spend(7))
    (page,) = walk(fetcher, ask(4999))  # 17 calls: they would be sent within the time that one may wait
    assert (len(page.candles), len(fetcher.calls)) == (4999, 17)
    fetcher = SeriesFetcher("coinbase", series([True] * 9001))
    asyncio.run(fetcher.budget.spend(12))
    with pytest.raises(UpstreamRateLimited) as caught:
        walk(fetcher, ask(4999))
    assert (caught.value.retry_after_s, fetcher.calls) == (3, [])


def test_an_interval_that_the_exchange_lacks_is_refused_before_any_call() -> None:
    fetcher = SeriesFetcher("coinbase", [])
    with pytest.raises(UnsupportedInterval) as caught:
        asyncio.run(get_candles(fetcher, msgspec.structs.replace(ask(10), interval=Interval.WEEK_1)))
    assert caught.value.supported == ("1m", "5m", "15m", "1h", "6h", "1d")
    assert fetcher.calls == []


def test_a_range_in_the_future_costs_no_call() -> None:
    fetcher = SeriesFetcher("binance_futures", series([True] * 9001))
    page = asyncio.run(get_candles(fetcher, ask(10, NOW + MINUTE_MS, NOW + 9 * MINUTE_MS)))
    assert (page.candles, page.complete, page.next, fetcher.calls) == ([], True, None, [])


def test_a_clock_that_is_refused_is_no_lost_instrument() -> None:
    class Timeless(SeriesFetcher):
        async def now_ms(self) -> int:
            raise UpstreamRefused(self.adapter.exchange, "it does not know this coin (500 null)")

    with pytest.raises(UpstreamRefused):
        asyncio.run(get_candles(Timeless("hyperliquid", []), ask(10)))


@pytest.mark.parametrize("exchange", ["binance_futures", "hyperliquid"])
def test_an_unverified_alignment_takes_the_exchange_s_times(exchange: str) -> None:
    step = Interval.DAY_3.min_duration_ms
    phase = T0 + 86_400_000
    rows = series([True] * 40, first_ms=phase, step_ms=step)
    now_ms = rows[-1].open_time + 1000
    fetcher = SeriesFetcher(exchange, rows, now_ms)
    asked = CandleRange("X", Interval.DAY_3, None, None, 5)
    page = asyncio.run(get_candles(fetcher, asked))
    assert [candle.open_time for candle in page.candles] == [row.open_time for row in rows[-6:-1]]
    page = asyncio.run(get_candles(fetcher, msgspec.structs.replace(asked, include_partial=True)))
    assert [candle.is_closed for candle in page.candles] == [True] * 4 + [False]
    page = asyncio.run(get_candles(fetcher, msgspec.structs.replace(asked, start_ms=phase + 1)))
    assert page.candles[0].open_time == phase + step


def fabricated(made_up: int, real: int, *, traded_first: int = 0, first_ms: int = T0) -> list[Candle]:
    """Daily rows: some made up, then real ones, of which the first few may be without trades after the first day."""
    rows = series([True] * (made_up + real), first_ms=first_ms, step_ms=DAY_MS)
    for row in [*rows[:made_up], *rows[made_up + 1 : made_up + traded_first]]:
        row.trades = 0
    return rows


@pytest.mark.parametrize("start_day", [0, 3, 5, None])
@pytest.mark.parametrize("limit", [1, 4, 30, 500])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_what_was_made_up_before_the_first_traded_day_is_left_out(
    start_day: int | None, limit: int, order: Literal["asc", "desc"]
) -> None:
    rows = fabricated(5, 20, traded_first=3)
    fetcher = SeriesFetcher("hyperliquid", rows, now_ms=T0 + 25 * DAY_MS)
    start_ms = None if start_day is None else T0 + start_day * DAY_MS
    pages = walk(fetcher, CandleRange("X", Interval.DAY_1, start_ms, None, limit, order))
    expected = [row.open_time for row in rows[5:]]
    if order == "desc":
        expected.reverse()
    elif start_day is None:
        expected = expected[-limit:]
    assert opens(pages) == expected
    assert all(page.complete for page in pages)
    omitted = [warning for page in pages for warning in page.warnings]
    assert {warning.code for warning in omitted} <= {"prelisting-omitted"}
    reaches_back = start_day in {0, 3} or (start_day is None and (order == "desc" or limit > 20))
    assert bool(omitted) == reaches_back
    if start_day is not None and reaches_back and order == "asc":
        assert sum(warning.count or 0 for warning in omitted) == 5 - start_day
        assert omitted[0].start == start_ms


def test_made_up_candles_come_when_asked_for() -> None:
    rows = fabricated(5, 20)
    fetcher = SeriesFetcher("hyperliquid", rows, now_ms=T0 + 25 * DAY_MS)
    asked = CandleRange("X", Interval.DAY_1, T0, None, 500, include_prelisting=True)
    assert opens(walk(fetcher, asked)) == [row.open_time for row in rows]
    assert len(fetcher.calls) == 1


def test_the_first_day_is_only_asked_for_where_a_page_begins_without_trades() -> None:
    fetcher = SeriesFetcher("hyperliquid", fabricated(5, 20), now_ms=T0 + 25 * DAY_MS)
    walk(fetcher, CandleRange("X", Interval.DAY_1, T0 + 5 * DAY_MS, None, 500))
    assert len(fetcher.calls) == 1


def test_what_never_traded_has_no_candles() -> None:
    fetcher = SeriesFetcher("hyperliquid", fabricated(25, 0), now_ms=T0 + 25 * DAY_MS)
    (page,) = walk(fetcher, CandleRange("X", Interval.DAY_1, T0, None, 500))
    assert page.candles == []
    assert [(warning.code, warning.count) for warning in page.warnings] == [("prelisting-omitted", 25)]


def test_a_longer_candle_that_holds_the_first_traded_day_stays() -> None:
    days = fabricated(5, 20, first_ms=1_767_225_600_000)

    class Weekly(SeriesFetcher):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            if query.interval is Interval.DAY_1:
                return await super().candles(query, now_ms)
            monday = T0 - 3 * DAY_MS  # a made-up week without trades that the first traded day begins in
            row = series([True, True], monday - (monday - 0) % (7 * DAY_MS), 7 * DAY_MS)
            row[0].trades = 0
            for one in row:
                one.is_closed = True
            return row, [one for one in row if (query.start_ms or 0) <= one.open_time < query.end_ms]

    fetcher = Weekly("hyperliquid", days, now_ms=T0 + 25 * DAY_MS)
    page = asyncio.run(get_candles(fetcher, CandleRange("X", Interval.WEEK_1, None, None, 2)))
    assert [candle.close_time > T0 + 5 * DAY_MS for candle in page.candles] == [True] * len(page.candles)
    assert page.candles


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_the_tail_is_told_from_what_no_longer_changes(exchange: str) -> None:
    fetcher = SeriesFetcher(exchange, series([True] * 9000))
    walk(fetcher, ask(10))
    assert fetcher.calls[-1].is_tail
    walk(fetcher, ask(10, end_ms=NOW - 11 * MINUTE_MS))
    assert not fetcher.calls[-1].is_tail


def test_many_pages_are_asked_for_side_by_side() -> None:
    class Slow(SeriesFetcher):
        at_once = most = 0

        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            await asyncio.sleep(0)
            self.at_once -= 1
            return await super().candles(query, now_ms)

    for exchange, most in (("binance_futures", 10), ("coinbase", 17), ("hyperliquid", 1)):
        fetcher = Slow(exchange, series([True] * 9001))
        (page,) = walk(fetcher, ask(4999))
        assert len(page.candles) == 4999
        assert fetcher.most == len(fetcher.calls) == most


class Breaking(SeriesFetcher):
    """Its answers break off: of each but every third only a part comes, from its beginning."""

    whole = 3
    part = 0.6

    async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
        answered, _ = await super().candles(query, now_ms)
        if len(self.calls) % self.whole:
            answered = answered[: max(1, int(len(answered) * self.part))]
        return answered, answered


@pytest.mark.parametrize("exchange", ["binance_futures", "hyperliquid"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [30, 600, 1700])
def test_answers_that_break_off_are_asked_for_their_rest(
    exchange: str, order: Literal["asc", "desc"], limit: int
) -> None:
    fetcher = Breaking(exchange, series([True] * 9000))
    pages = walk(fetcher, ask(limit, T0 + 4500 * MINUTE_MS, T0 + 7000 * MINUTE_MS, order))
    found = sorted(opens(pages))
    assert found == [T0 + minute * MINUTE_MS for minute in range(4500, 7000)]


def test_the_newest_of_an_answer_that_breaks_off_are_asked_for_too() -> None:
    fetcher = Breaking("binance_futures", series([True] * 9000))
    (page,) = walk(fetcher, ask(100, end_ms=T0 + 5000 * MINUTE_MS))
    assert opens([page]) == [T0 + minute * MINUTE_MS for minute in range(4900, 5000)]


def test_what_breaks_off_again_and_again_is_no_answer() -> None:
    fetcher = Breaking("binance_futures", series([True] * 9000))
    fetcher.whole, fetcher.part = 1000, 0  # one row at a time
    with pytest.raises(UpstreamBadData, match="break off"):
        walk(fetcher, ask(100, end_ms=T0 + 5000 * MINUTE_MS))
    assert len(fetcher.calls) == MAX_CALLS


@pytest.mark.parametrize("exchange", ["binance_futures", "hyperliquid"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_candles_that_came_are_not_lost_when_their_rest_is_refused(
    exchange: str, order: Literal["asc", "desc"]
) -> None:
    class Moody(Breaking):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            if self.calls:
                raise UpstreamRefused(self.adapter.exchange, "it no longer serves this symbol (-1122)")
            return await super().candles(query, now_ms)

    fetcher = Moody(exchange, series([True] * 9000))
    with pytest.raises(UpstreamBadData, match="refuses others"):
        walk(fetcher, ask(150, T0 + 4000 * MINUTE_MS, T0 + 4150 * MINUTE_MS, order))


@pytest.mark.parametrize("exchange, calls", [("binance_futures", 2), ("hyperliquid", 2), ("coinbase", 1)])
def test_where_an_instrument_ends_costs_one_call_more_but_not_at_the_tail(exchange: str, calls: int) -> None:
    ended = SeriesFetcher(exchange, series([True] * 100))
    (page,) = walk(ended, ask(200, T0, T0 + 150 * MINUTE_MS))
    assert (len(page.candles), page.complete, len(ended.calls)) == (100, True, calls)
    late = SeriesFetcher(exchange, series([True] * 8995))
    (page,) = walk(late, ask(200, T0 + 8900 * MINUTE_MS))
    assert (len(page.candles), page.complete, len(late.calls)) == (95, True, 1)


def test_an_exchange_on_probation_is_asked_one_thing_at_a_time() -> None:
    class Suspect(SeriesFetcher):
        at_once = most = 0

        @property
        def is_on_probation(self) -> bool:
            return len(self.calls) < 3  # then it is known to be back

        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            assert self.at_once == 1 or len(self.calls) >= 3
            await asyncio.sleep(0)
            self.at_once -= 1
            return await super().candles(query, now_ms)

    fetcher = Suspect("coinbase", series([True] * 9001))
    (page,) = walk(fetcher, ask(4999))
    assert (len(page.candles), len(fetcher.calls), fetcher.most) == (4999, 17, 14)


def test_two_calls_are_a_page_of_several_too() -> None:
    fetcher = SeriesFetcher("binance_futures", series([True] * 9001))
    asyncio.run(fetcher.budget.spend(fetcher.budget.limit - 3))
    with pytest.raises(UpstreamRateLimited):
        walk(fetcher, ask(1000))
    assert fetcher.calls == []
    walk(fetcher, ask(500))


def test_without_a_grid_those_who_ask_in_the_same_minute_ask_the_same() -> None:
    rows = series([True] * 30, step_ms=3 * DAY_MS)
    now_ms = T0 + 80 * DAY_MS
    asked = []
    for later_ms in (0, 1, 59_999):
        fetcher = SeriesFetcher("hyperliquid", rows, now_ms=now_ms + later_ms)
        walk(fetcher, CandleRange("X", Interval.DAY_3, None, None, 5))
        asked.append(fetcher.calls)
    assert asked[0] == asked[1] == asked[2]


def test_candles_of_several_calls_that_overlap_where_there_is_no_grid_are_refused() -> None:
    rows = series([True] * 5000, step_ms=3 * DAY_MS, first_ms=0)
    for row in rows[:500]:  # the first call's: each call is sound in itself
        row.open_time += DAY_MS
        row.close_time += DAY_MS

    class Careless(SeriesFetcher):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:  # noqa: ARG002
            found = [row for row in self.rows if (query.start_ms or 0) <= row.open_time < query.end_ms]
            found = found[-query.limit :] if query.start_ms is None else found[: query.limit]
            return found, found

    fetcher = Careless("binance_futures", rows, now_ms=rows[-1].close_time)
    with pytest.raises(UpstreamBadData, match="overlap"):
        walk(fetcher, CandleRange("X", Interval.DAY_3, 0, None, 5000))


async def test_one_page_has_a_deadline_however_many_calls_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(SeriesFetcher):
        async def candles(self, query: CandleQuery, now_ms: int) -> tuple[list[Candle], list[Candle]]:
            await asyncio.sleep(30)
            return await super().candles(query, now_ms)

    monkeypatch.setattr("marketdata.core.candles.DEADLINE_S", 0.05)
    with pytest.raises(UpstreamTimeout):
        await get_candles(Hanging("coinbase", []), ask(5000))
