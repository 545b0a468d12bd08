"""Any candle request, drawn: where its borders are and what is near them."""

from typing import Literal, NamedTuple

from hypothesis import strategies as st

from marketdata.core.exchanges import get_adapter
from marketdata.core.models import HOUR_MS, Interval

SYMBOLS = {
    # a usual one, a multiplied one, a dated one, one that begins to trade, one that settles, one that is closed
    "binance_futures": ["BTCUSDT", "1000SHIBUSDT", "BTCUSDT_260626", "PAMOUSDT", "BTCBUSD", "ETHBUSD"],
    # the last five have made-up rows: of 921 days, of some days of trading, and one begins to trade
    "hyperliquid": ["kPEPE", "@107", "xyz:TSLA", "BTC", "KIT", "RIJEKI", "BAMOKU", "FUPELA"],
    # a usual one, a thin one, one that begins to trade, one that ends
    "coinbase": ["BTC-USD", "DOGE-USD", "ATOM-GBP", "GOD-USD", "BUM-USD"],
}
"""Of the market of seed 7 around 2026-06-01, by exchange symbol."""


class Asked(NamedTuple):
    """One request for candles; times are epoch ms."""

    exchange: str
    symbol: str
    interval: Interval
    start: int | None
    end: int | None
    limit: int
    order: Literal["asc", "desc"]
    include_partial: bool
    include_prelisting: bool

    @property
    def is_upward(self) -> bool:
        """Whether it collects from its start on; else from its end back."""
        return self.order == "asc" and self.start is not None

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/v1/candles/{self.exchange}/{self.symbol.replace('/', '%2F')}/{self.interval}"

    @property
    def params(self) -> dict[str, object]:
        """The query."""
        return {
            "start": self.start,
            "end": self.end,
            "limit": self.limit,
            "order": self.order,
            "include_partial": "true" if self.include_partial else None,
            "include_prelisting": "true" if self.include_prelisting else None,
        }


@st.composite
def requests(draw: st.DrawFn, now_ms: int) -> Asked:
    """One, asked at about `now_ms`."""
    exchange = draw(st.sampled_from(sorted(SYMBOLS)))
    symbol = draw(st.sampled_from(SYMBOLS[exchange]))
    interval = draw(st.sampled_from([spec.interval for spec in get_adapter(exchange).capabilities.intervals]))
    step = interval.min_duration_ms
    rows = draw(st.sampled_from([3, 40, 310, 1510] if step <= 2 * HOUR_MS else [3, 40, 310]))
    back = draw(st.integers(-5, rows))
    begins = now_ms - back * step
    start = draw(st.one_of(st.none(), st.just(begins), st.integers(begins - step, begins)))
    end = draw(st.one_of(st.none(), st.integers(begins, begins + draw(st.integers(1, rows)) * step)))
    if start is not None and (end if end is not None else now_ms) <= start:
        end = start + step
    if start is None:
        limit = draw(st.integers(1, rows) | st.sampled_from([1, 2, 300, 301, 500]))
    else:
        limit = draw(st.integers(1, rows) | st.sampled_from([1, 299, 300, 301, 500, 1000, 1499, 1500, 1501, 5000]))
    order: Literal["asc", "desc"] = draw(st.sampled_from(["asc", "desc"]))
    return Asked(
        exchange,
        symbol,
        interval,
        start,
        end,
        limit,
        order,
        include_partial=draw(st.booleans()),
        include_prelisting=draw(st.booleans()),
    )
