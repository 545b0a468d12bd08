"""What is asked and answered: a range of candles and a page of it."""

from typing import Literal

import msgspec

from marketdata.core.models import Candle, Interval


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
    include_prelisting: bool = False
    edge_ms: int | None = None
    """On a next page: where the page before ended, so that a gap between the two is seen."""
    is_next: bool = False
    """Whether it is a next page: its end is not later than the exchange's time was for the page before."""


class Gap(msgspec.Struct, frozen=True):
    """Candles that the exchange does not have: `start` inclusive, `end` exclusive, epoch ms; `missing` of them."""

    start: int
    end: int
    missing: int
    reason: Literal["no-trades-or-missing", "missing"]


class CandleWarning(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a reader of the candles should know; times in epoch ms."""

    code: Literal[
        "not-served-by-exchange", "no-longer-served", "search-bounded", "gaps-truncated", "prelisting-omitted"
    ]
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
    calls: int = 0
    """How many calls to the exchange it took."""
    joined_calls: int = 0
    """How many of them others had under way already."""
