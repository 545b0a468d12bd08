"""What candle answers say about their age and for how long they hold."""

from typing import Final

from marketdata.api.delivery import REVALIDATE, SETTLED
from marketdata.core.candles import CHANGING_MS, CandlePage, CandleRange
from marketdata.core.models import Capabilities
from marketdata.core.paging import next_open

_NAME: Final = "marketdata"

HIT: Final = f"{_NAME}; hit"
"""`Cache-Status` (RFC 9211) of what was in memory."""


def candle_caching(capabilities: Capabilities, asked: CandleRange, found: CandlePage, now_ms: int) -> dict[str, str]:
    """The headers about caching. Candles are not kept here yet: the exchange was asked, by this request or another."""
    headers = {
        "Cache-Control": SETTLED if found.complete and _is_settled(capabilities, asked, now_ms) else REVALIDATE,
        "Vary": "Accept",
    }
    if found.calls:
        collapsed = "; collapsed" if found.joined_calls == found.calls else ""
        headers |= {"Age": "0", "Cache-Status": f"{_NAME}; fwd=miss{collapsed}"}
    return headers


def _is_settled(capabilities: Capabilities, asked: CandleRange, now_ms: int) -> bool:
    """Whether the end was named, and every candle that opens before it closed long enough ago to be final."""
    spec, settled_ms = capabilities.spec(asked.interval), now_ms - CHANGING_MS
    if spec is None or asked.end_ms is None or asked.end_ms > settled_ms:
        return False
    return next_open(spec, asked.end_ms) <= settled_ms
