"""Which candles of an instrument exist at a moment, and which of them a range selects."""

from dataclasses import dataclass

from marketdata.simulator.bars import Bar
from marketdata.simulator.grids import Grid, ceiling
from marketdata.simulator.market import Instrument, Market


@dataclass(frozen=True, slots=True)
class Series:
    """The candles of one instrument and interval."""

    market: Market
    instrument: Instrument
    grid: Grid

    def select(
        self, first_ms: int, last_ms: int, limit: int, *, newest: bool, now_ms: int
    ) -> list[tuple[int, int, Bar]]:
        """Open, next open and bar of those that open from `first_ms` to `last_ms`, at most `limit`, oldest first.

        The first candle is the one that the listing falls in, the last the one that forms, or that trading ended in.
        """
        life = self.instrument.life
        end_ms = min(last_ms, self.instrument.last_ms(now_ms))
        if end_ms < life.listed_ms or first_ms > end_ms or limit < 1:
            return []
        first = max(ceiling(self.grid, max(first_ms, 0)), self.grid.index(life.listed_ms))
        last = self.grid.index(end_ms)
        if last - first >= limit:
            first, last = (last - limit + 1, last) if newest else (first, first + limit - 1)
        if last < first:
            return []
        edges = [self.grid.open_ms(index) for index in range(first, last + 2)]
        bars = self.market.bars(self.instrument, edges, now_ms)
        return list(zip(edges, edges[1:], bars, strict=False))
