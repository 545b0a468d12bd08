"""The rows that Hyperliquid has of the time before a coin's first trade there.

Seen in captures of 2026-07 on seven coins: real-looking prices, not flat, without volume and trades; 893 to 999 days of
them before the first traded one, at all intervals.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from marketdata.simulator.bars import Bar
from marketdata.simulator.grids import DAY_MS, Grid
from marketdata.simulator.market import Instrument, Life, Market
from marketdata.simulator.series import Series


@dataclass(frozen=True, slots=True)
class Prelisted:
    """An instrument, and the same had it been traded for longer: where the prices before its listing come from."""

    instrument: Instrument
    longer: Instrument

    @classmethod
    def of(cls, instrument: Instrument, days: int) -> "Prelisted":
        """With so many days of made-up rows."""
        if not days:
            return cls(instrument, instrument)
        life = instrument.life
        begins_ms = life.listed_ms - life.listed_ms % DAY_MS - days * DAY_MS
        return cls(instrument, replace(instrument, life=Life(life.announced_ms, begins_ms, life.ended_ms)))

    def bar(self, market: Market, start_ms: int, end_ms: int, now_ms: int) -> Bar:
        """What the exchange says of one span. Raises ValueError when that is nothing at all."""
        return self._told(market, start_ms, end_ms, market.bar(self.longer, start_ms, end_ms, now_ms))

    def select(
        self, market: Market, grid: Grid, first_ms: int, last_ms: int, limit: int, *, newest: bool, now_ms: int
    ) -> Sequence[tuple[int, int, Bar]]:
        """As `Series.select`, with the made-up rows; none before the listing itself."""
        listed_ms = self.instrument.life.listed_ms
        if now_ms < listed_ms:
            return []
        rows = Series(market, self.longer, grid).select(first_ms, last_ms, limit, newest=newest, now_ms=now_ms)
        if not rows or rows[0][0] >= listed_ms:
            return rows
        return [(open_ms, next_ms, self._told(market, open_ms, next_ms, bar)) for open_ms, next_ms, bar in rows]

    def _told(self, market: Market, start_ms: int, end_ms: int, bar: Bar) -> Bar:
        """The prices of `bar`, and what was traded of it since the listing."""
        listed_ms = self.instrument.life.listed_ms
        if start_ms >= listed_ms:
            return bar
        before = bar if end_ms <= listed_ms else market.lived(self.longer, start_ms, listed_ms, listed_ms)
        if before is None:
            return bar
        return Bar(*bar[:4], *(max(whole - part, 0) for whole, part in zip(bar[4:], before[4:], strict=True)))
