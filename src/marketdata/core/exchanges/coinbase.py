"""Coinbase Exchange: spot books.

https://docs.cdp.coinbase.com/exchange/reference
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import msgspec

from marketdata.core.errors import UpstreamError, UpstreamRefused, UpstreamUnavailable
from marketdata.core.exchanges.adapter import (
    CandleQuery,
    ListingRequests,
    Request,
    classify_status,
    columns,
    retry_after_s,
)
from marketdata.core.exchanges.listing import ListingDraft, RowRefused
from marketdata.core.models import (
    Budget,
    Candle,
    Capabilities,
    ExchangeId,
    Interval,
    IntervalSpec,
    Kind,
    ListedInstrument,
    Listing,
    Status,
)
from marketdata.core.wire import decode, decoder, plain_json_number


class _Product(msgspec.Struct):
    id: str
    base_currency: str
    quote_currency: str
    quote_increment: str
    base_increment: str
    status: str
    min_market_funds: str | None = None
    post_only: bool = False  # flags have come over the years, and a product without one is not in that mode
    cancel_only: bool = False
    trading_disabled: bool = False
    auction_mode: bool = False


class _Candle(msgspec.Struct, array_like=True):
    time: int  # seconds
    low: Any  # JSON numbers, int or with a fraction: kept as text
    high: Any
    open: Any
    close: Any
    volume: Any  # base


class _Time(msgspec.Struct):
    iso: Annotated[datetime, msgspec.Meta(tz=True)]


_PRODUCTS = decoder(list[Any])
_CANDLES = decoder(list[_Candle])
_TIME = decoder(_Time)

_SECOND_MS = 1000
_MESSAGE_BYTES = 1000
_NO_CACHE = {"Cache-Control": "no-cache"}


class Coinbase:
    """Pure translation between the canonical model and Coinbase Exchange's REST API."""

    exchange: ClassVar[ExchangeId] = ExchangeId("coinbase")
    base_url: ClassVar[str] = "https://api.exchange.coinbase.com"
    capabilities: ClassVar[Capabilities]

    def listing_requests(self) -> ListingRequests:
        """One call gives all products, in no order."""
        yield Request("GET", "/products")

    def parse_listing(self, bodies: Sequence[bytes], known: Mapping[str, Kind]) -> Listing:  # noqa: ARG002 - all spot
        """Read `/products`."""
        draft = ListingDraft({})
        products = decode(self.exchange, _PRODUCTS, bodies[0])
        draft.read(products, "id", _Product, lambda row: _instrument(draft, row))
        return draft.finish()

    def candles_request(self, query: CandleQuery) -> Request:
        """Buckets from `start` to `end`, both inclusive, and both needed: one alone is ignored."""
        step_ms = query.interval.min_duration_ms
        last_open_ms = (query.end_ms - 1) // step_ms * step_ms
        return Request(
            "GET",
            f"/products/{quote(query.exchange_symbol, safe='')}/candles",
            params={
                "granularity": _GRANULARITY[query.interval],
                "start": _iso(query.start_ms or 0),
                "end": _iso(last_open_ms),
            },
            headers=_NO_CACHE if query.is_tail else {},  # else the newest bucket is up to five minutes old
        )

    def parse_candles(self, body: bytes, query: CandleQuery) -> list[Candle]:
        """Read `[time, low, high, open, close, volume]` rows, which come newest first."""
        step_ms = query.interval.min_duration_ms
        rows = decode(self.exchange, _CANDLES, body)
        return [
            Candle(
                open_time=row.time * _SECOND_MS,
                close_time=row.time * _SECOND_MS + step_ms,
                open=plain_json_number(row.open),
                high=plain_json_number(row.high),
                low=plain_json_number(row.low),
                close=plain_json_number(row.close),
                volume=plain_json_number(row.volume),
            )
            for row in reversed(rows)
        ]

    def time_request(self) -> Request:
        """The exchange's clock."""
        return Request("GET", "/time")

    def parse_time(self, headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG002 - the body tells
        """`iso`, which has milliseconds, as epoch ms."""
        return round(decode(self.exchange, _TIME, body).iso.timestamp() * 1000)

    def used_weight(self, headers: Mapping[str, str]) -> int | None:  # noqa: ARG002 - nothing tells
        """Its answers say nothing about what is used."""
        return None

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
        """Errors are `{"message"}` with a telling status; there are no headers about limits."""
        if status == 404 and b"NotFound" in body[:_MESSAGE_BYTES]:  # another 404 is of another server or path
            return UpstreamRefused(self.exchange, "it does not serve this product (404)")
        if status == 503 and b"maintenance" in body[:_MESSAGE_BYTES]:
            return UpstreamUnavailable(self.exchange, "says that it is under maintenance (503)", retry_after_s(headers))
        return classify_status(self.exchange, status, headers, body)


def _instrument(draft: ListingDraft, row: _Product) -> ListedInstrument:
    base, dash, quote_asset = row.id.rpartition("-")  # base_currency is wrong at times: BTCAUCTION-USD says BTC
    if not dash or quote_asset != row.quote_currency:
        raise RowRefused("its id does not end with its quote currency")
    draft.compare_base(row.id, base, row.base_currency)
    multiplied = draft.multiplied(row.id, base)
    return ListedInstrument(
        exchange_symbol=row.id,
        base=base,
        identity=f"{Kind.SPOT}|{base}|{quote_asset}",
        kind=Kind.SPOT,
        dex=None,
        base_asset=row.base_currency,
        base_multiplier=multiplied.factor if multiplied else None,
        quote_asset=quote_asset,
        settle_asset=None,
        ccxt_symbol=f"{_ccxt_code(base)}/{_ccxt_code(quote_asset)}",
        status=_status(draft, row),
        exchange_status=row.status,
        tick_size=row.quote_increment,
        step_size=row.base_increment,
        price_significant_digits=None,
        price_max_decimals=None,
        min_quantity=None,
        min_notional=row.min_market_funds,
        contract_size=None,
        listed_at=None,
        expires_at=None,
    )


def _status(draft: ListingDraft, row: _Product) -> Status:
    """The first that holds decides; limit_only still trades."""
    word = draft.status(row.status, _STATUS)
    if word in (Status.DELISTED, Status.HALTED):
        return word
    if row.cancel_only:
        return Status.CANCEL_ONLY
    if row.post_only:
        return Status.POST_ONLY
    if row.auction_mode:
        return Status.PRE_TRADING
    return Status.HALTED if row.trading_disabled else word


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms // _SECOND_MS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ccxt_code(currency: str) -> str:
    return _CCXT_CODES.get(currency, currency)


_STATUS = {
    "online": Status.TRADING,
    "offline": Status.HALTED,
    "internal": Status.UNKNOWN,
    "delisted": Status.DELISTED,
}

_CCXT_CODES = {"CGLD": "CELO"}  # commonCurrencies of ccxt 4.5's coinbaseexchange

_GRANULARITY = {
    Interval.MIN_1: 60,
    Interval.MIN_5: 300,
    Interval.MIN_15: 900,
    Interval.HOUR_1: 3600,
    Interval.HOUR_6: 21600,
    Interval.DAY_1: 86400,
}

Coinbase.capabilities = Capabilities(
    intervals=tuple(
        IntervalSpec(interval=interval, token=str(seconds), anchor="epoch", offset_ms=0)
        for interval, seconds in _GRANULARITY.items()
    ),
    rows_per_call=300,  # 301 are answered when both ends are counted; 300 keeps a page from overlapping the next
    wide_range="rejected",
    look_back_rows=None,
    omits_empty=True,
    columns=columns(volume="base"),
    budget=Budget(limit=10, window_s=1, window="bucket", burst=15),
    docs_url="https://docs.cdp.coinbase.com/exchange/reference",
)
