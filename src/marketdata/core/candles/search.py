"""The calls to an exchange that one page of candles costs."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from marketdata.core.candles.answer import CandleRange
from marketdata.core.errors import UpstreamBadData, UpstreamRefused
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher
from marketdata.core.models import DAY_MS, MINUTE_MS, Candle, ExchangeId, IntervalSpec
from marketdata.core.paging import Window, Windows, ceil_open, count_opens, floor_open
from marketdata.core.validate import check_candles

MAX_CALLS = 20
"""The most calls to an exchange that one page may cost."""

_TIME_LAG_MS = 1000
"""An exchange's time may be known to a second only: at a border it may be of the next candle already."""

_TIMES_DIFFER_MS = 10_000
"""How much one process's idea of an exchange's time may be behind another's: twice what it takes to be told."""

_MISSING_PART = 100
"""Of the oldest rows a hundredth may be missing: rather say that some are lost than that all are there."""

CHANGING_MS = 10 * MINUTE_MS
"""Candles as young as that may still be late or corrected, or stand in a cache as they were (Coinbase's: 5 minutes)."""


class Search:
    """The calls for one page, and what they brought."""

    def __init__(
        self, fetcher: Fetcher, spec: IntervalSpec, asked: CandleRange, now_ms: int, most_calls: int = MAX_CALLS
    ) -> None:
        """`now_ms`: the exchange's time; `most_calls`: how many it may make."""
        self.fetcher = fetcher
        self.spec = spec
        self.asked = asked
        self.now_ms = now_ms + _behind_ms(spec, asked, now_ms)
        self.is_upward = asked.order == "asc" and asked.start_ms is not None
        self.end_ms = self._last_end()
        start_ms = asked.start_ms or 0
        self.start_ms = ceil_open(spec, start_ms) if start_ms < self.end_ms else self.end_ms
        self._capabilities = fetcher.adapter.capabilities
        self._windows = Windows(self._capabilities, spec.interval)
        is_forming_unsure = not asked.include_partial and floor_open(spec, now_ms) is None
        self._need = asked.limit + is_forming_unsure
        self.found: list[Candle] = []  # ascending
        self.made_up: list[Candle] = []  # left out, ascending
        self.calls = 0
        self.joined_calls = 0
        self._most_calls = most_calls
        self.is_first_lost = False
        """Whether the exchange no longer serves what was before the first candle that was found."""
        self.reached_ms = 0  # up to where, or down to where, the exchange was asked
        self.is_exhausted = False

    def _last_end(self) -> int:
        """The exclusive end on the grid: nothing opens after now, and a forming candle is left out if not asked for.

        Without a grid it is the next full minute, so that those who ask at nearly the same time ask the same.
        """
        newest_ms = -(-(self.now_ms + 1) // MINUTE_MS) * MINUTE_MS
        end_ms = newest_ms if self.asked.end_ms is None else min(self.asked.end_ms, newest_ms)
        if not self.asked.include_partial:
            forming = floor_open(self.spec, self.now_ms)
            if forming is not None:
                end_ms = min(end_ms, forming)
        return ceil_open(self.spec, end_ms)

    async def run(self) -> None:
        """Ask until the page is full, the range is exhausted or the calls are spent; then what the exchange lost."""
        await self.collect()
        await self._look_for_lost()

    async def collect(self) -> None:
        """Ask until the page is full, the range is exhausted or the calls are spent."""
        await (self._upward() if self.is_upward else self._downward())
        if self.spec.anchor is None:  # no grid keeps the candles of several calls from overlapping
            check_candles(self.fetcher.adapter.exchange, self.spec, self.found)

    async def _look_for_lost(self) -> None:
        """Tell what an exchange has forgotten from what never was.

        An answer that reaches back as far as it keeps any has lost the older ones. One that does not, although the
        range does, may be a young instrument's, or the oldest rows are missing: the first traded day knows.
        """
        kept_rows = self._capabilities.look_back_rows
        if kept_rows is None or not (self.found or self.made_up):
            return
        first_ms = (self.made_up or self.found)[0].open_time
        reaches_back = count_opens(self.spec, first_ms, self.now_ms + _TIME_LAG_MS)
        self.is_first_lost = reaches_back >= kept_rows - kept_rows // _MISSING_PART
        horizon_ms = self.now_ms - kept_rows * self.spec.interval.min_duration_ms
        is_in_doubt = self.start_ms < min(first_ms, horizon_ms) and (self.is_upward or self.is_exhausted)
        if is_in_doubt and not self.is_first_lost and not self.made_up and self._capabilities.makes_up_prelisting:
            traded_ms = await self._first_traded_ms()
            self.is_first_lost = traded_ms is not None and traded_ms + DAY_MS <= first_ms

    async def _upward(self) -> None:
        """Collect the oldest candles of the range."""
        position = self.start_ms
        while position < self.end_ms and len(self.found) < self._need and self.calls < self._most_calls:
            windows = self._windows.above(position, self.end_ms, self._need - len(self.found), self.calls)
            runs = [self.found]
            for window, answered, inside in await self._ask(windows):
                rest = await self._rest(window, answered)
                runs += [inside, rest or []]
                if rest is None:
                    position = max(position, answered[-1].close_time)
                    break
                last = rest or answered
                position = max(position, last[-1].close_time if self._is_cut(window, last) else window.end_ms)
            self.found = await self._real(_joined(runs))
        self.reached_ms = position
        self.is_exhausted = position >= self.end_ms

    async def _downward(self) -> None:
        """Collect the newest candles of the range."""
        position = self.end_ms
        while position > self.start_ms and len(self.found) < self._need and self.calls < self._most_calls:
            windows = self._windows.below(self.start_ms, position, self._need - len(self.found), self.calls)
            runs = [self.found]
            for window, answered, inside in await self._ask(windows):
                rest = await self._rest(window, answered)
                if rest is None:
                    self._check_progress(position)
                    break
                is_cut = self._is_cut(window, answered) or rest
                reached_ms = answered[0].open_time if is_cut else window.start_ms
                position = min(position, max(self.start_ms, reached_ms or self.start_ms))
                runs += [[candle for candle in inside if candle.open_time >= self.start_ms], rest]
            self.found = await self._real(_joined(runs))
            if self.made_up:
                position = self.start_ms  # nothing before them is real
        self.reached_ms = position
        self.is_exhausted = position <= self.start_ms

    def _is_cut(self, window: Window, answered: Sequence[Candle]) -> bool:
        """Whether the answer may have stopped at its limit: it is whole only as far as it reaches."""
        return self._capabilities.wide_range == "oldest" and len(answered) >= window.limit

    def _breaks_off(self, window: Window, answered: Sequence[Candle]) -> bool:
        """Whether rows are missing at the end of an answer that has room for them, of an exchange that has them all.

        The instrument may have ended there, or the exchange was off, or the answer is not whole. What is younger may be
        late, and is not worth another call.
        """
        if not answered or self._capabilities.omits_empty or self._is_cut(window, answered):
            return False
        return answered[-1].close_time < min(window.end_ms, self.now_ms - CHANGING_MS)

    def _check_progress(self, position: int) -> None:
        """Refuse what would be the same page again and again: all calls were spent on its newest candles."""
        if position == self.end_ms:
            raise UpstreamBadData(self.fetcher.adapter.exchange, "its answers break off again and again")

    async def _rest(self, window: Window, answered: Sequence[Candle]) -> list[Candle] | None:
        """The candles at the end of a window whose answer broke off, mostly none; None: no call is left to look."""
        rest: list[Candle] = []
        while self._breaks_off(window, rest or answered):
            if self.calls == self._most_calls:
                return None
            start_ms = (rest or answered)[-1].close_time
            try:
                ((_, _, inside),) = await self._ask([replace(window, start_ms=max(self.start_ms, start_ms))])
            except UpstreamRefused as refusal:
                raise contradiction(self.fetcher.adapter.exchange) from refusal
            if not inside:
                break
            rest += inside
        return rest

    async def _ask(self, windows: Sequence[Window]) -> list[tuple[Window, list[Candle], list[Candle]]]:
        """Make calls side by side, as many as are left: what each asked, all that came, and what lies inside.

        Of an exchange on probation only the first, else those beside it are refused and their failure ends it, too.
        """
        windows = windows[: 1 if self.fetcher.is_on_probation else self._most_calls - self.calls]
        self.calls += len(windows)
        queries = [self._query(window) for window in windows]
        if len(queries) > 1:
            self.fetcher.check_room(queries, self.now_ms)
        try:
            async with asyncio.TaskGroup() as tasks:
                calls = [tasks.create_task(self._call(query)) for query in queries]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        answers, refusals = [], []
        for window, call in zip(windows, calls, strict=True):
            result = call.result()
            if isinstance(result, UpstreamRefused):
                refusals.append(result)
            else:
                answers.append((window, *result))
        if refusals:
            if self.found or self.made_up or any(answered for _, answered, _ in answers):
                raise contradiction(self.fetcher.adapter.exchange) from refusals[0]
            raise refusals[0]
        return answers

    async def _call(self, query: CandleQuery) -> tuple[list[Candle], list[Candle]] | UpstreamRefused:
        """One call; a refusal is a result, too: it says little before the others have answered."""
        self.joined_calls += self.fetcher.is_under_way(query, self.now_ms)
        try:
            return await self.fetcher.candles(query, self.now_ms)
        except UpstreamRefused as refusal:
            return refusal

    async def _first_traded_ms(self) -> int | None:
        """The same as the fetcher's, of an instrument that has candles."""
        try:
            return await self.fetcher.first_traded_ms(self.asked.exchange_symbol, self.now_ms)
        except UpstreamRefused as refusal:
            raise contradiction(self.fetcher.adapter.exchange) from refusal

    def _query(self, window: Window) -> CandleQuery:
        return CandleQuery(
            self.asked.exchange_symbol,
            self.spec.interval,
            window.start_ms,
            window.end_ms,
            window.limit,
            is_tail=window.end_ms > self.now_ms - CHANGING_MS,
        )

    async def _real(self, candles: list[Candle]) -> list[Candle]:
        """Leave out what was made up for the time before the instrument's first traded day.

        One page does not tell it from real candles without trades; only where it begins with one is there a question.
        """
        if self.asked.include_prelisting or not self._capabilities.makes_up_prelisting:
            return candles
        if not candles or candles[0].trades:
            return candles
        first_ms = await self._first_traded_ms()
        if first_ms is None:  # as far as known; a candle with trades knows better
            first_ms = next((candle.open_time for candle in candles if candle.trades), self.end_ms)
        real = [candle for candle in candles if candle.close_time > first_ms]
        self.made_up += candles[: len(candles) - len(real)]
        return real


def contradiction(exchange: ExchangeId) -> UpstreamBadData:
    """What a refusal is after candles of the same instrument."""
    return UpstreamBadData(exchange, "it serves some candles of this instrument and refuses others")


def _behind_ms(spec: IntervalSpec, asked: CandleRange, now_ms: int) -> int:
    """How much `now_ms` is behind the time by which the end of a next page was cut, by another process maybe.

    That end is where the candle begins that was forming then, or ends if it was asked for; without a grid it is the
    full minute after that time. A long way behind is a clock that was set.
    """
    if not asked.is_next or asked.end_ms is None:
        return 0
    opened_ms = floor_open(spec, asked.end_ms - 1)
    if opened_ms is None:
        opened_ms = asked.end_ms - MINUTE_MS
    elif not asked.include_partial:
        opened_ms = asked.end_ms
    behind_ms = opened_ms - now_ms
    return behind_ms if 0 < behind_ms < _TIMES_DIFFER_MS else 0


def _joined(runs: Sequence[list[Candle]]) -> list[Candle]:
    """Ascending, each candle once: calls side by side overlap where an exchange went on to its limit."""
    filled = [run for run in runs if run]
    if len(filled) <= 1:
        return filled[0] if filled else []
    return [candle for _, candle in sorted({candle.open_time: candle for run in filled for candle in run}.items())]
