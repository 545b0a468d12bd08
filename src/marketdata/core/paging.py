"""The grid of open times, and how a range is cut into calls that one exchange answers whole.

Pure arithmetic on epoch milliseconds. A grid exists only where the alignment of an interval is verified; without one
the times that the exchange sends are taken as they are.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from marketdata.core.models import Capabilities, Interval, IntervalSpec

_MONTHS_PER_YEAR = 12
_CALLS_BEFORE_THE_REST = 2


def _month_index(time_ms: int) -> int:
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return moment.year * _MONTHS_PER_YEAR + moment.month - 1


def _month_open(index: int) -> int:
    year, month = divmod(index, _MONTHS_PER_YEAR)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


def floor_open(spec: IntervalSpec, time_ms: int) -> int | None:
    """The open time of the candle that holds `time_ms`; None where the alignment is not verified."""
    if spec.anchor == "month":
        return _month_open(_month_index(time_ms))
    if spec.anchor is None or spec.offset_ms is None:
        return None
    return time_ms - (time_ms - spec.offset_ms) % spec.interval.min_duration_ms


def next_open(spec: IntervalSpec, open_ms: int) -> int:
    """When the candle that opens at `open_ms` ends, where the exchange does not say so itself."""
    if spec.interval is Interval.MONTH_1:
        return _month_open(_month_index(open_ms) + 1)
    return open_ms + spec.interval.min_duration_ms


def ceil_open(spec: IntervalSpec, time_ms: int) -> int:
    """The first open time at or after `time_ms`; `time_ms` itself where the alignment is not verified."""
    floor = floor_open(spec, time_ms)
    if floor is None or floor == time_ms:
        return time_ms
    return next_open(spec, floor)


def is_aligned(spec: IntervalSpec, open_ms: int) -> bool:
    """Whether a candle may open then; True where the alignment is not verified."""
    floor = floor_open(spec, open_ms)
    return floor is None or floor == open_ms


def count_opens(spec: IntervalSpec, start_ms: int, end_ms: int) -> int:
    """How many candles lie between two open times: `start_ms` inclusive, `end_ms` exclusive."""
    if spec.interval is Interval.MONTH_1:
        return _month_index(end_ms) - _month_index(start_ms)
    return -((start_ms - end_ms) // spec.interval.min_duration_ms)


@dataclass(frozen=True, slots=True)
class Window:
    """What one call asks: `start_ms ≤ open_time < end_ms`, at most `limit` rows; start None: no lower bound."""

    start_ms: int | None
    end_ms: int
    limit: int


@dataclass(frozen=True, slots=True)
class Windows:
    """How the calls for one range are cut, by what the exchange does with a range that is too wide."""

    capabilities: Capabilities
    interval: Interval

    def above(self, start_ms: int, end_ms: int, need: int, calls: int) -> list[Window]:
        """The next calls, to be made side by side, for the oldest `need` candles of a range.

        `calls` before them were not enough. An exchange that keeps the oldest rows of a wide range is asked for all of
        it, so that it finds the first candle by itself, and at the same time for the pages that follow if none is
        missing. One that keeps the newest is asked for as much as is needed, then for more, then for all the rest: what
        it keeps at all fits into one answer. A range from the epoch is the rest at once: nothing was traded then. One
        that rejects wide ranges is asked page by page.
        """
        rows = self._rows
        if self.capabilities.wide_range == "newest":
            if calls < _CALLS_BEFORE_THE_REST and start_ms > 0:
                end_ms = min(end_ms, start_ms + self._span_ms(need, calls))
            return [Window(start_ms, end_ms, rows)]
        pages = []
        while start_ms < end_ms and need > 0:
            page = Window(start_ms, min(end_ms, start_ms + self._page_ms(need)), self._page_rows(need))
            pages.append(page)
            start_ms, need = page.end_ms, need - rows
        if self.capabilities.wide_range == "oldest":
            pages[0] = replace(pages[0], end_ms=end_ms)
        return pages

    def below(self, start_ms: int, end_ms: int, need: int, calls: int) -> list[Window]:
        """The next calls, to be made side by side, for the newest `need` candles: the counterpart of `above`."""
        rows = self._rows
        if self.capabilities.wide_range == "newest":
            if calls < _CALLS_BEFORE_THE_REST:
                start_ms = max(start_ms, end_ms - self._span_ms(need, calls))
            return [Window(start_ms, end_ms, rows)]
        pages = []
        while start_ms < end_ms and need > 0:
            opens_ms = max(start_ms, end_ms - self._page_ms(need))
            pages.append(Window(opens_ms, end_ms, self._page_rows(need)))
            end_ms, need = opens_ms, need - rows
        if self.capabilities.wide_range == "oldest":
            pages[0] = replace(pages[0], start_ms=None)
        return pages

    @property
    def _rows(self) -> int:
        return self.capabilities.rows_per_page or self.capabilities.rows_per_call

    def _page_rows(self, need: int) -> int:
        """A full page where empty buckets have no row, as there are fewer rows than buckets; else what is needed."""
        return self._rows if self.capabilities.wide_range == "rejected" else min(need, self._rows)

    def _page_ms(self, need: int) -> int:
        return self._page_rows(need) * self.interval.min_duration_ms

    def _span_ms(self, need: int, calls: int) -> int:
        """How much to ask of an exchange that keeps the newest rows: a wide answer costs more."""
        rows: int = min(need * 4**calls, self._rows)
        return rows * self.interval.min_duration_ms
