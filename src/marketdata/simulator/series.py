"""Which candles of an instrument exist at a moment, and which of them a range selects."""

from dataclasses import dataclass
from functools import partial

from marketdata.simulator.bars import Bar
from marketdata.simulator.grids import Grid, ceiling
from marketdata.simulator.market import Instrument, Market

type Row = tuple[int, int, Bar]
"""Open, next open and bar."""


@dataclass(frozen=True, slots=True)
class Series:
    """The candles of one instrument and interval."""

    market: Market
    instrument: Instrument
    grid: Grid

    def select(self, first_ms: int, last_ms: int, limit: int, *, newest: bool, now_ms: int) -> list[Row]:
        """Those that open from `first_ms` to `last_ms`, at most `limit`, oldest first; what an outage took is missing.

        The first candle is the one that the listing falls in, the last the one that forms, or that trading ended in.
        """
        life = self.instrument.life
        end_ms = min(last_ms, self.instrument.last_ms(now_ms))
        if now_ms < life.listed_ms or first_ms > end_ms or limit < 1:
            return []
        first = max(ceiling(self.grid, max(first_ms, 0)), self.grid.index(life.listed_ms))
        last = self.grid.index(end_ms)
        if last < first:
            return []
        rows: list[Row] = []
        runs = self.market.outages.runs(self.instrument.exchange, self.grid, first, last)
        for run in reversed(runs) if newest else runs:
            room = limit - len(rows)
            made = self._made(run[-room:] if newest else run[:room], now_ms)
            rows = [*made, *rows] if newest else [*rows, *made]
            if len(rows) == limit:
                break
        return [*rows[:-3], *(row for row in map(partial(self._seen, now_ms), rows[-3:]) if row is not None)]

    def _made(self, run: range, now_ms: int) -> list[Row]:
        """The candles of a run; one alone may be cut by an outage."""
        edges = [self.grid.open_ms(index) for index in range(run.start, run.stop + 1)]
        if len(run) == 1:
            bar = self.market.lived(self.instrument, edges[0], edges[1], now_ms)
            return [] if bar is None else [(edges[0], edges[1], bar)]
        return list(zip(edges, edges[1:], self.market.bars(self.instrument, edges, now_ms), strict=False))

    def _seen(self, now_ms: int, row: Row) -> Row | None:
        """One of the last two closed candles as it was a while ago, if it is still to be corrected; else as it is."""
        open_ms, next_ms, _ = row
        seen_ms = now_ms - self.market.corrected_ms
        if not seen_ms < next_ms <= now_ms or self.grid.index(open_ms) < self.grid.index(now_ms) - 2:
            return row
        bar = self.market.lived(self.instrument, open_ms, next_ms, max(seen_ms, open_ms))
        return None if bar is None else (open_ms, next_ms, bar)
