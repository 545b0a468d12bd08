"""A range of candles as a user asks for it, put together from as many calls as the exchange needs.

Nothing is cut silently, nothing invented: what the exchange does not give is reported as a gap, a warning or an
incomplete page, and the page says where the next one begins.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from marketdata.core.errors import UnsupportedInterval, UpstreamRefused
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher
from marketdata.core.models import Candle, Capabilities, Interval, IntervalSpec
from marketdata.core.paging import Window, Windows, ceil_open, count_opens, floor_open

MAX_CALLS = 20
"""The most calls to an exchange that one page may cost."""

MAX_GAPS = 1000

_TIME_LAG_MS = 1000


class CandleRange(msgspec.Struct, frozen=True):
    """Which candles, frozen: `start_ms ≤ open_time < end_ms`, at most `limit`, times in epoch ms.

    `asc` with a start: the first `limit` from there. `desc`: the last `limit` before the end, newest first. `asc`
    without a start: the last `limit` before the end, ascending.
    """

    exchange_symbol: str
    interval: Interval
    start_ms: int | None
    end_ms: int | None
    """None: the exchange's now."""
    limit: int
    order: Literal["asc", "desc"] = "asc"
    include_partial: bool = False
    edge_ms: int | None = None
    """On a next page: where the page before ended, so that a gap between the two is seen."""


class Gap(msgspec.Struct, frozen=True):
    """Candles that the exchange does not have: `start` inclusive, `end` exclusive, epoch ms; `missing` of them."""

    start: int
    end: int
    missing: int
    reason: Literal["no-trades-or-missing", "missing"]


class CandleWarning(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reader of the candles should know; times in epoch ms."""

    code: Literal["not-served-by-exchange", "no-longer-served", "search-bounded", "gaps-truncated"]
    detail: str
    start: int | None = None
    end: int | None = None
    count: int | None = None


class CandlePage(msgspec.Struct):
    """One page of candles in the asked order."""

    candles: list[Candle]
    complete: bool
    """Whether the range, as far as this page reaches, is whole but for the reported gaps."""
    next: CandleRange | None
    """The rest of the range; None when it is exhausted."""
    gaps: list[Gap]
    warnings: list[CandleWarning]


async def get_candles(fetcher: Fetcher, asked: CandleRange) -> CandlePage:
    """Fetch one page.

    Raises UnsupportedInterval, and UpstreamError when the exchange gives no usable answer. An instrument that the
    exchange refuses to serve is an empty, incomplete page with a warning.
    """
    capabilities = fetcher.adapter.capabilities
    spec = capabilities.spec(asked.interval)
    if spec is None:
        raise UnsupportedInterval(fetcher.adapter.exchange, tuple(one.interval for one in capabilities.intervals))
    search = _Search(fetcher, spec, asked, await fetcher.now_ms())
    try:
        await search.run()
    except UpstreamRefused as refusal:
        detail = f"{fetcher.adapter.exchange} lists this instrument and does not serve its candles: {refusal.reason}"
        return CandlePage(
            [], complete=False, next=None, gaps=[], warnings=[CandleWarning("not-served-by-exchange", detail)]
        )
    return search.page()


class _Search:
    """The calls for one page, and what they brought."""

    def __init__(self, fetcher: Fetcher, spec: IntervalSpec, asked: CandleRange, now_ms: int) -> None:
        self._fetcher = fetcher
        self._capabilities: Capabilities = fetcher.adapter.capabilities
        self._windows = Windows(self._capabilities, spec.interval)
        self._spec = spec
        self._asked = asked
        self._now_ms = now_ms
        self._is_upward = asked.order == "asc" and asked.start_ms is not None
        self._end_ms = self._last_end()
        start_ms = asked.start_ms or 0
        self._start_ms = ceil_open(spec, start_ms) if start_ms < self._end_ms else self._end_ms
        self._unsure_of_forming = not asked.include_partial and floor_open(spec, now_ms) is None
        self._need = asked.limit + self._unsure_of_forming
        self._found: list[Candle] = []  # ascending
        self._calls = 0
        self._reached_ms = 0  # up to where, or down to where, the exchange was asked
        self._is_exhausted = False

    def _last_end(self) -> int:
        """The exclusive end on the grid: nothing opens after now, and a forming candle is left out if not asked for."""
        end_ms = self._now_ms if self._asked.end_ms is None else min(self._asked.end_ms, self._now_ms + 1)
        if not self._asked.include_partial:
            forming = floor_open(self._spec, self._now_ms)
            if forming is not None:
                end_ms = min(end_ms, forming)
        return ceil_open(self._spec, end_ms)

    async def run(self) -> None:
        """Ask until the page is full, the range is exhausted or the calls are spent."""
        await (self._upward() if self._is_upward else self._downward())

    async def _upward(self) -> None:
        """Collect the oldest candles of the range."""
        position = self._start_ms
        while position < self._end_ms and len(self._found) < self._need and self._calls < MAX_CALLS:
            missing = self._need - len(self._found)
            window = self._windows.above(position, self._end_ms, missing, self._calls)
            answered, inside = await self._call(window)
            self._found += inside
            position = window.end_ms
            if self._capabilities.wide_range == "oldest" and len(answered) >= window.limit:
                position = answered[-1].close_time  # it stopped at the limit: go on from its last row
        self._reached_ms = position
        self._is_exhausted = position >= self._end_ms

    async def _downward(self) -> None:
        """Collect the newest candles of the range."""
        position = self._end_ms
        while position > self._start_ms and len(self._found) < self._need and self._calls < MAX_CALLS:
            missing = self._need - len(self._found)
            window = self._windows.below(self._start_ms, position, missing, self._calls)
            answered, inside = await self._call(window)
            self._found = [candle for candle in inside if candle.open_time >= self._start_ms] + self._found
            position = self._start_ms if window.start_ms is None else window.start_ms
            if window.start_ms is None and len(answered) >= window.limit:
                position = max(self._start_ms, answered[0].open_time)
        self._reached_ms = position
        self._is_exhausted = position <= self._start_ms

    async def _call(self, window: Window) -> tuple[list[Candle], list[Candle]]:
        self._calls += 1
        return await self._fetcher.candles(
            CandleQuery(self._asked.exchange_symbol, self._spec.interval, window.start_ms, window.end_ms, window.limit)
        )

    def page(self) -> CandlePage:
        """The page that was found."""
        for candle in self._found:
            candle.is_closed = candle.close_time <= self._now_ms
        found = self._found
        if not self._asked.include_partial:
            found = [candle for candle in found if candle.is_closed]
        if self._is_upward:
            kept = found[: self._asked.limit]
            following = self._page_above(kept, is_cut=len(kept) < len(found))
        else:
            kept = found[-self._asked.limit :]
            following = self._page_below(kept, is_cut=len(kept) < len(found))
        warnings = [*self._not_served(kept), *self._search_bounded(kept)]
        gaps = self._gaps(kept)
        if len(gaps) > MAX_GAPS:
            left_out = gaps[MAX_GAPS:]
            gaps = gaps[:MAX_GAPS]
            warnings.append(
                CandleWarning(
                    "gaps-truncated",
                    f"only the first {MAX_GAPS} gaps are listed",
                    left_out[0].start,
                    left_out[-1].end,
                    len(left_out),
                )
            )
        is_complete = all(warning.code == "gaps-truncated" for warning in warnings)
        return CandlePage(kept if self._asked.order == "asc" else kept[::-1], is_complete, following, gaps, warnings)

    def _page_above(self, kept: Sequence[Candle], *, is_cut: bool) -> CandleRange | None:
        if self._is_exhausted and not is_cut:
            return None
        is_full = len(kept) == self._asked.limit
        start_ms = kept[-1].close_time if is_full else self._reached_ms
        edge_ms = kept[-1].close_time if kept else self._asked.edge_ms
        return msgspec.structs.replace(self._asked, start_ms=start_ms, end_ms=self._end_ms, edge_ms=edge_ms)

    def _page_below(self, kept: Sequence[Candle], *, is_cut: bool) -> CandleRange | None:
        if self._asked.order == "asc":
            return None  # the newest N are whole in themselves
        if self._is_exhausted and not is_cut:
            return None
        is_full = len(kept) == self._asked.limit
        end_ms = kept[0].open_time if is_full else self._reached_ms
        edge_ms = kept[0].open_time if kept else self._asked.edge_ms
        return msgspec.structs.replace(self._asked, end_ms=end_ms, edge_ms=edge_ms)

    def _not_served(self, kept: Sequence[Candle]) -> list[CandleWarning]:
        """Whether an exchange that forgets has forgotten a part of what was asked for.

        Its answer tells: it begins later than asked and holds all that such an exchange keeps, or it is empty though
        the range reaches back to what none keeps.
        """
        look_back = self._capabilities.look_back_rows
        if look_back is None or (len(kept) == self._asked.limit and not self._is_upward):
            return []
        if kept:
            first_ms = kept[0].open_time
            # the exchange's time is known to a second: at the border of a candle it may be of the next one already
            is_all_it_keeps = count_opens(self._spec, first_ms, self._now_ms + _TIME_LAG_MS) >= look_back
        else:
            first_ms = min(self._end_ms, self._now_ms - look_back * self._spec.interval.min_duration_ms)
            is_all_it_keeps = self._is_exhausted
        if first_ms <= self._start_ms or not is_all_it_keeps:
            return []
        detail = f"{self._fetcher.adapter.exchange} keeps about the newest {look_back} candles of an interval"
        return [
            CandleWarning(
                "no-longer-served", f"{detail}; older ones it no longer serves", self._asked.start_ms, first_ms
            )
        ]

    def _search_bounded(self, kept: Sequence[Candle]) -> list[CandleWarning]:
        is_newest = self._asked.order == "asc" and not self._is_upward
        if not is_newest or self._is_exhausted or len(kept) >= self._asked.limit:
            return []
        detail = f"{MAX_CALLS} calls to the exchange found fewer candles than asked; older ones were not looked for"
        return [CandleWarning("search-bounded", detail, end=self._reached_ms)]

    def _gaps(self, kept: Sequence[Candle]) -> list[Gap]:
        """Between the first and the last candle served, and towards the page before; joined, ascending."""
        edge_ms = self._asked.edge_ms
        is_upward = self._asked.order == "asc"
        gaps = []
        previous_close = edge_ms if is_upward else None
        for candle in kept:
            if previous_close is not None and candle.open_time > previous_close:
                gaps.append(self._gap(previous_close, candle.open_time))
            previous_close = candle.close_time
        if kept and not is_upward and edge_ms is not None and previous_close is not None and edge_ms > previous_close:
            gaps.append(self._gap(previous_close, edge_ms))
        return gaps

    def _gap(self, start_ms: int, end_ms: int) -> Gap:
        reason: Literal["no-trades-or-missing", "missing"] = (
            "no-trades-or-missing" if self._capabilities.omits_empty else "missing"
        )
        return Gap(start_ms, end_ms, count_opens(self._spec, start_ms, end_ms), reason)
