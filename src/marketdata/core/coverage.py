"""From when until when an exchange serves the candles of an instrument, found by a few calls.

How depends on what the exchange does with a range that is too wide (`wide_range` of its capabilities): one that keeps
the oldest rows names the first candle itself, one that keeps the newest gives all that it has in one answer, and one
that rejects it is asked for window after window.
"""

import asyncio
from collections.abc import Sequence
from typing import Literal

import msgspec

from marketdata.core.candles import DEADLINE_S, MAX_CALLS, CandleRange
from marketdata.core.candles.search import Search, contradiction
from marketdata.core.errors import UnsupportedInterval, UpstreamRefused, UpstreamTimeout
from marketdata.core.exchanges.adapter import CandleQuery
from marketdata.core.fetch import Fetcher
from marketdata.core.models import Candle, Interval, IntervalSpec
from marketdata.core.paging import ceil_open, count_opens

CoverageMethod = Literal["first-row", "kept-rows", "bisection", "search-bounded", "refused", "replaced"]
"""How a coverage was found.

`first-row`: the exchange named the first candle itself. `kept-rows`: it gave all that it keeps. `bisection`: in windows
of its longest interval; as many candles of that interval as one call returns are known to be missing before the first,
but candles before a longer rest would not be found. `search-bounded`: the calls were spent before that; what is null is
not known. `refused`: it lists the instrument and does not serve it. `replaced`: its symbol is another instrument's now.
"""

_NEWEST_WINDOWS = MAX_CALLS // 2
"""In so many windows the last candle is looked for; the other calls are for the first one, and to look closer."""


class Coverage(msgspec.Struct, frozen=True):
    """The first and the last closed candle that an exchange serves; both None: it serves none."""

    first_open_time: int | None
    """Epoch ms."""
    last_open_time: int | None
    """Epoch ms."""
    method: CoverageMethod
    calls: int
    """How many requests for candles that took, without one for the first traded day, which is remembered."""

    @property
    def is_exact(self) -> bool:
        """Whether no other candle can have been missed, as far as the exchange's answers are true."""
        return self.method not in {"bisection", "search-bounded"}


async def find_coverage(fetcher: Fetcher, exchange_symbol: str, interval: Interval) -> Coverage:
    """Ask the exchange, at most MAX_CALLS times and for at most DEADLINE_S.

    What was made up for the time before the first traded day does not count. Raises UnsupportedInterval, and
    UpstreamError when the exchange gives no usable answer in time; that it refuses the instrument is an answer.
    """
    adapter = fetcher.adapter
    spec = adapter.capabilities.spec(interval)
    if spec is None:
        raise UnsupportedInterval(adapter.exchange, tuple(one.interval for one in adapter.capabilities.intervals))
    try:
        async with asyncio.timeout(DEADLINE_S):
            return await _Probes(fetcher, exchange_symbol, spec, await fetcher.now_ms()).run()
    except TimeoutError as error:
        raise UpstreamTimeout(adapter.exchange, DEADLINE_S) from error


class _CallsSpentError(Exception):
    """All calls are made, and something is still to be looked for."""


class _Probes:
    """The calls for one instrument and interval, and what they showed."""

    def __init__(self, fetcher: Fetcher, exchange_symbol: str, spec: IntervalSpec, now_ms: int) -> None:
        """`now_ms`: the exchange's time."""
        self._fetcher = fetcher
        self._capabilities = fetcher.adapter.capabilities
        self._exchange_symbol = exchange_symbol
        self._spec = spec
        self._now_ms = now_ms
        self._calls = 0
        self._has_rows = False
        self._first: Candle | None = None
        self._last: Candle | None = None

    async def run(self) -> Coverage:
        """Ask, and say what there is."""
        method: CoverageMethod
        try:
            match self._capabilities.wide_range:
                case "oldest":
                    method = "first-row"
                    await self._ask_for_first()
                case "newest":
                    method = "kept-rows"
                    await self._ask_for_all()
                case "rejected":
                    method = "bisection"
                    await self._bisect()
        except UpstreamRefused:
            method = "refused"
        except _CallsSpentError:
            method = "search-bounded"
        first, last = (None if candle is None else candle.open_time for candle in (self._first, self._last))
        return Coverage(first, last, method, self._calls)

    async def _ask_for_first(self) -> None:
        """For the oldest candle of all time, and for the newest."""
        self._first = next(iter(await self._search(self._range(self._spec, 0))), None)
        if self._first is not None:
            newest = msgspec.structs.replace(self._range(self._spec, self._first.open_time), order="desc")
            self._last = [self._first, *await self._search(newest)][-1]

    async def _ask_for_all(self) -> None:
        """For all time: the answer is what it keeps."""
        kept = await self._search(self._range(self._spec, 0))
        if kept:
            self._first, self._last = kept[0], kept[-1]

    async def _bisect(self) -> None:
        """In windows of the longest interval, counted back from now, and then inside the candles found there.

        The newest window with any candle holds the last one. From there on back in strides that double, until there is
        a window without, and between the two by halves, until both are neighbours: the first candle is in the one, and
        the other shows that there is none right before it.
        """
        longest, *finer = self._steps()
        end_ms = ceil_open(longest, self._now_ms + 1)
        span_ms = self._capabilities.rows_per_call * longest.interval.min_duration_ms

        async def window(number: int) -> list[Candle]:
            window_end_ms = end_ms - number * span_ms
            if window_end_ms <= 0:
                return []
            return await self._rows(longest, max(0, window_end_ms - span_ms), window_end_ms)

        self._check_room(longest, end_ms, 2 + 2 * len(finer))
        traded = 0
        while not (rows := await window(traded)):
            traded += 1
            if traded == _NEWEST_WINDOWS:
                raise _CallsSpentError
        self._last = await self._edge(rows, finer, newest=True)
        if self._last is None:
            return  # nothing but the candle that forms
        untraded, stride = None, 1
        while untraded is None or untraded - traded > 1:
            number = traded + stride if untraded is None else (traded + untraded) // 2
            stride *= 2
            if older := await window(number):
                traded, rows = number, older
            else:
                untraded = number
        self._first = await self._edge(rows, finer, newest=False)

    def _steps(self) -> list[IntervalSpec]:
        """The longest interval whose candles consist of whole ones of the asked one, and the way from it down to that.

        The candles of a step that lie in one of the step before it fit into one call, as far as there is such a step.
        """
        specs = [spec for spec in self._capabilities.intervals if _consists_of(spec, self._spec)]
        steps = [max(specs, key=_duration_ms, default=self._spec)]
        while (above := steps[-1]) is not self._spec:
            least_ms = -(-_duration_ms(above) // self._capabilities.rows_per_call)
            fitting = [one for one in specs if least_ms <= _duration_ms(one) < _duration_ms(above)]
            nested = [one for one in fitting if _consists_of(above, one)]
            steps.append(min(nested, key=_duration_ms, default=self._spec))
        return steps

    def _check_room(self, spec: IntervalSpec, end_ms: int, calls: int) -> None:
        """Refuse before the first call when there is no room for so many, which are needed in any case."""
        rows = self._capabilities.rows_per_call
        start_ms = end_ms - rows * spec.interval.min_duration_ms
        query = CandleQuery(self._exchange_symbol, spec.interval, start_ms, end_ms, rows)
        self._fetcher.check_room([query] * calls, self._now_ms)

    async def _edge(self, rows: Sequence[Candle], finer: Sequence[IntervalSpec], *, newest: bool) -> Candle | None:
        """The first or the last candle of the asked interval inside `rows`; None: none of them has closed yet.

        `finer`: the steps from the interval of `rows` down to the asked one.
        """
        if not finer:
            closed = [row for row in rows if row.is_closed]
            return closed[-1 if newest else 0] if closed else None
        for row in reversed(rows) if newest else rows:
            inside = await self._rows(finer[0], row.open_time, row.close_time)
            found = await self._edge(inside, finer[1:], newest=newest)
            if found is not None:
                return found
        return None

    async def _rows(self, spec: IntervalSpec, start_ms: int, end_ms: int) -> list[Candle]:
        """All candles of a range, the forming one too: there may be shorter ones in it that have closed."""
        limit = max(1, count_opens(spec, start_ms, end_ms))
        asked = self._range(spec, start_ms, end_ms)
        return await self._search(msgspec.structs.replace(asked, limit=limit, include_partial=True))

    def _range(self, spec: IntervalSpec, start_ms: int, end_ms: int | None = None) -> CandleRange:
        return CandleRange(self._exchange_symbol, spec.interval, start_ms, end_ms, limit=1)

    async def _search(self, asked: CandleRange) -> list[Candle]:
        """What a search for a page finds, ascending, closed candles only if those are asked for."""
        spec = self._capabilities.spec(asked.interval) or self._spec
        search = Search(self._fetcher, spec, asked, self._now_ms, MAX_CALLS - self._calls)
        try:
            await search.collect()
        except UpstreamRefused as refusal:
            if self._has_rows:
                raise contradiction(self._fetcher.adapter.exchange) from refusal
            raise
        finally:
            self._calls += search.calls
        self._has_rows = self._has_rows or bool(search.found or search.made_up)
        found = [candle for candle in search.found if candle.is_closed or asked.include_partial]
        if len(found) < asked.limit and not search.is_exhausted:
            raise _CallsSpentError
        return found


def _consists_of(longer: IntervalSpec, shorter: IntervalSpec) -> bool:
    """Whether each candle of the one is some whole ones of the other, on grids that are verified."""
    if longer.anchor != "epoch" or shorter.anchor != "epoch" or longer.offset_ms is None or shorter.offset_ms is None:
        return False
    step_ms = _duration_ms(shorter)
    return _duration_ms(longer) % step_ms == 0 and (longer.offset_ms - shorter.offset_ms) % step_ms == 0


def _duration_ms(spec: IntervalSpec) -> int:
    return spec.interval.min_duration_ms
