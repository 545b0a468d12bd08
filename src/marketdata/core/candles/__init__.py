"""A range of candles as a user asks for it, put together from as many calls as the exchange needs.

Nothing is cut silently, nothing invented: what the exchange does not give is reported as a gap, a warning or an
incomplete page, and the page says where the next one begins.
"""

import asyncio

from marketdata.core.candles.answer import CandlePage, CandleRange, CandleWarning, Gap
from marketdata.core.candles.page import MAX_GAPS, to_page
from marketdata.core.candles.search import CHANGING_MS, MAX_CALLS, Search
from marketdata.core.errors import UnsupportedInterval, UpstreamRefused, UpstreamTimeout
from marketdata.core.fetch import Fetcher
from marketdata.core.models import ExchangeId

__all__ = [
    "CHANGING_MS",
    "DEADLINE_S",
    "MAX_CALLS",
    "MAX_GAPS",
    "CandlePage",
    "CandleRange",
    "CandleWarning",
    "Gap",
    "get_candles",
]

DEADLINE_S = 10.0
"""The longest that one page may take, however many calls it costs."""


async def get_candles(fetcher: Fetcher, asked: CandleRange) -> CandlePage:
    """Fetch one page.

    Raises UnsupportedInterval, and UpstreamError when the exchange gives no usable answer in time. An instrument that
    the exchange refuses to serve is an empty, incomplete page with a warning.
    """
    capabilities = fetcher.adapter.capabilities
    spec = capabilities.spec(asked.interval)
    if spec is None:
        raise UnsupportedInterval(fetcher.adapter.exchange, tuple(one.interval for one in capabilities.intervals))
    try:
        async with asyncio.timeout(DEADLINE_S):
            search = Search(fetcher, spec, asked, await fetcher.now_ms())
            try:
                await search.run()
            except UpstreamRefused as refusal:
                return _refused(fetcher.adapter.exchange, refusal)
    except TimeoutError as error:
        raise UpstreamTimeout(fetcher.adapter.exchange, DEADLINE_S) from error
    return to_page(search)


def _refused(exchange: ExchangeId, refusal: UpstreamRefused) -> CandlePage:
    detail = f"{exchange} lists this instrument and does not serve its candles: {refusal.reason}"
    return CandlePage(
        [], complete=False, next=None, gaps=[], warnings=[CandleWarning("not-served-by-exchange", detail)]
    )
