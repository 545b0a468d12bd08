"""Paging over a server that chooses rows as Kraken does: from `since` to now, whatever end is meant."""

import asyncio
import time
from typing import Literal

from kraken_server import KEPT, is_missing, running_server
from marketdata.core.budget import ExchangeBudget
from marketdata.core.candles import CandleRange, get_candles
from marketdata.core.clock import SystemClock
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import Budget, ExchangeId, Interval

DAY_S = 86_400
AMPLE = Budget(limit=1000, window_s=1, window="bucket")
"""Kraken's own would take minutes for all of these pages."""


async def collect(
    url: str, limit: int, order: Literal["asc", "desc"], start_s: int, end_s: int
) -> tuple[list[int], int]:
    """The opening times of a range of days, page by page, and how many the gaps say are missing."""
    asked: CandleRange | None = CandleRange(
        "BTC/USD", Interval.DAY_1, start_s * 1000, end_s * 1000, limit=limit, order=order
    )
    opens, missing = [], 0
    clock = SystemClock()
    async with open_http() as http:
        budget = ExchangeBudget(ExchangeId("kraken"), AMPLE, clock)
        fetcher = Fetcher(get_adapter("kraken"), http, clock, url, budget=budget)
        while asked is not None:
            page = await get_candles(fetcher, asked)
            opens += [candle.open_time // 1000 for candle in page.candles]
            missing += sum(gap.missing for gap in page.gaps)
            assert page.complete
            asked = page.next
    return opens, missing


def test_pages_join_without_a_hole_or_a_double() -> None:
    today = int(time.time()) // DAY_S
    days = [day * DAY_S for day in range(today - KEPT + 10, today - 5)]
    served = [day for day in days if not is_missing(day, DAY_S)]
    inner = len(range(served[0], served[-1] + DAY_S, DAY_S)) - len(served)
    with running_server() as kraken:
        for limit in (50, 333, 5000):
            for order in ("asc", "desc"):
                opens, missing = asyncio.run(collect(kraken.url, limit, order, days[0], days[-1] + DAY_S))
                assert (opens if order == "asc" else opens[::-1], missing) == (served, inner)
