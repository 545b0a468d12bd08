"""Where the candles of an interval open: a grid, whose lines are numbered."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


class Grid(Protocol):
    """The opens of one interval, numbered without a hole."""

    def index(self, at_ms: int) -> int:
        """The number of the candle that `at_ms` is in."""
        ...

    def open_ms(self, index: int) -> int:
        """When candle `index` opens."""
        ...


@dataclass(frozen=True, slots=True)
class Steps:
    """Candles of one length, opening at `offset_ms` + n × `step_ms` since 1970."""

    step_ms: int
    offset_ms: int = 0

    def index(self, at_ms: int) -> int:
        """The number of the candle that `at_ms` is in."""
        return (at_ms - self.offset_ms) // self.step_ms

    def open_ms(self, index: int) -> int:
        """When candle `index` opens."""
        return self.offset_ms + index * self.step_ms


class Months:
    """Calendar months, UTC."""

    def index(self, at_ms: int) -> int:
        """The number of the month that `at_ms` is in."""
        day = datetime.fromtimestamp(at_ms / 1000, UTC)
        return day.year * 12 + day.month - 1

    def open_ms(self, index: int) -> int:
        """When month `index` begins."""
        year, month = divmod(index, 12)
        return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000


def ceiling(grid: Grid, at_ms: int) -> int:
    """The number of the first candle that opens at `at_ms` or later."""
    index = grid.index(at_ms)
    return index if grid.open_ms(index) == at_ms else index + 1


MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480}
DAILY: dict[str, Grid] = {
    **{token: Steps(minutes * MINUTE_MS) for token, minutes in MINUTES.items()},
    "12h": Steps(12 * HOUR_MS),
    "1d": Steps(DAY_MS),
    "3d": Steps(3 * DAY_MS),
}
"""The grids on which Binance and Hyperliquid agree."""
