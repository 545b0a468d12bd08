"""Binance USD-M futures: perpetuals, TradFi perpetuals and dated futures.

https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from marketdata.core.errors import UpstreamBanned, UpstreamError, UpstreamGarbled, UpstreamRefused, UpstreamUnavailable
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
    DAY_MS,
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
from marketdata.core.multipliers import BINANCE_FUTURES
from marketdata.core.naming import yymmdd
from marketdata.core.wire import decode, decoder

_Ms = Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)]  # ms before the year 10000, which has no dates


class _Symbol(msgspec.Struct):
    symbol: str
    pair: str
    contractType: str
    deliveryDate: _Ms
    onboardDate: _Ms
    status: str
    baseAsset: str
    quoteAsset: str
    marginAsset: str
    filters: list[dict[str, Any]]


class _ExchangeInfo(msgspec.Struct):
    symbols: list[Any]


class _Kline(msgspec.Struct, array_like=True):
    openTime: int  # ms
    open: str
    high: str
    low: str
    close: str
    volume: str  # base
    closeTime: int  # ms, the last one of the candle
    quoteVolume: str
    trades: int
    takerBuyVolume: str  # base
    takerBuyQuoteVolume: str


class _Time(msgspec.Struct):
    serverTime: _Ms


class _Error(msgspec.Struct):
    code: int
    msg: str


_EXCHANGE_INFO = decoder(_ExchangeInfo)
_KLINES = decoder(list[_Kline])
_TIME = decoder(_Time)
_ERROR = decoder(_Error)


class BinanceFutures:
    """Pure translation between the canonical model and Binance's `fapi`."""

    exchange: ClassVar[ExchangeId] = ExchangeId("binance_futures")
    base_url: ClassVar[str] = "https://fapi.binance.com"
    capabilities: ClassVar[Capabilities]

    def listing_requests(self) -> ListingRequests:
        """One call gives the whole catalogue."""
        yield Request("GET", "/fapi/v1/exchangeInfo")

    def parse_listing(self, bodies: Sequence[bytes], known: Mapping[str, Kind]) -> Listing:
        """Read `exchangeInfo`."""
        draft = ListingDraft(BINANCE_FUTURES)
        info = decode(self.exchange, _EXCHANGE_INFO, bodies[0])
        draft.read(info.symbols, "symbol", _Symbol, lambda row: _instrument(draft, row, known.get(row.symbol)))
        return draft.finish()

    def candles_request(self, query: CandleQuery) -> Request:
        """Klines are chosen by open time, both ends inclusive; a wide range gives its first `limit` rows."""
        start = {} if query.start_ms is None else {"startTime": query.start_ms}
        return Request(
            "GET",
            "/fapi/v1/klines",
            params={
                "symbol": query.exchange_symbol,
                "interval": query.interval,
                **start,
                "endTime": query.end_ms - 1,
                "limit": query.limit,
            },
            weight=_klines_weight(query.limit),
        )

    def parse_candles(self, body: bytes, query: CandleQuery) -> list[Candle]:  # noqa: ARG002 - rows name no symbol
        """Read klines, which come oldest first; the twelfth slot is junk."""
        return [
            Candle(
                open_time=row.openTime,
                close_time=row.closeTime + 1,
                open=row.open,
                high=row.high,
                low=row.low,
                close=row.close,
                volume=row.volume,
                quote_volume=row.quoteVolume,
                trades=row.trades,
                taker_buy_volume=row.takerBuyVolume,
                taker_buy_quote_volume=row.takerBuyQuoteVolume,
            )
            for row in decode(self.exchange, _KLINES, body)
        ]

    def time_request(self) -> Request:
        """The only clock to trust: the documentation warns of `exchangeInfo`'s serverTime."""
        return Request("GET", "/fapi/v1/time")

    def parse_time(self, headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG002 - the body tells
        """`serverTime`, epoch ms."""
        return decode(self.exchange, _TIME, body).serverTime

    def used_weight(self, headers: Mapping[str, str]) -> int | None:
        """`X-MBX-USED-WEIGHT-1M`: of the present UTC minute, by everyone at this address, COIN-M included."""
        used = headers.get("x-mbx-used-weight-1m", "")
        return int(used) if used.isdecimal() and len(used) < 10 else None

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
        """Errors are `{"code", "msg"}`, with status 200 too; the layers in front of the API answer HTML."""
        if status == 200 and not body[:9].lstrip().startswith(b"{"):
            return None
        try:
            error = decode(self.exchange, _ERROR, body)
        except UpstreamGarbled:
            error = _Error(code=0, msg="")
        if until := _BANNED_UNTIL.search(error.msg):  # with status 429 at times
            return UpstreamBanned(self.exchange, int(until[1]), retry_after_s(headers))
        if error.code == -1003 and status != 418:
            return classify_status(self.exchange, 429, headers)  # Retry-After is not promised here
        if error.code in _REFUSALS:
            return UpstreamRefused(self.exchange, f"{_REFUSALS[error.code]} ({error.code})")
        if status == 200 and error.code:
            return UpstreamUnavailable(self.exchange, f"answered with its error {error.code}")
        return classify_status(self.exchange, status, headers, body)


def _instrument(draft: ListingDraft, row: _Symbol, known: Kind | None) -> ListedInstrument:
    kind = _kind(draft, row, known)
    base = row.pair.removesuffix(row.quoteAsset)  # baseAsset is wrong at times: CRVUSDT once said TRB
    if not base or (base == row.pair and base != row.baseAsset):  # IDOL stands alone as a pair
        raise RowRefused("its pair is not its base and its quote asset")
    if row.marginAsset == row.baseAsset:  # klines answer such a symbol, too, with volumes that mean something else
        raise RowRefused("its margin is its base: it is of the coin-margined market")
    draft.compare_base(row.symbol, base, row.baseAsset)
    multiplied = draft.multiplied(row.symbol, base)
    own_asset = BINANCE_FUTURES.get(row.baseAsset)
    filters = {str(one.get("filterType")): one for one in row.filters}  # in any order, and new ones appear
    expires_at = row.deliveryDate if kind is Kind.FUTURE else None  # rewritten for perpetuals that will be delisted
    return ListedInstrument(
        exchange_symbol=row.symbol,
        base=f"{multiplied.factor}{multiplied.asset}" if multiplied and multiplied.factor > 1 else base,
        identity="|".join((kind, base, row.quoteAsset, row.marginAsset, str(expires_at))),
        kind=kind,
        dex=None,
        base_asset=own_asset.asset if own_asset else row.baseAsset,
        base_multiplier=multiplied.factor if multiplied else None,
        quote_asset=row.quoteAsset,
        settle_asset=row.marginAsset,
        ccxt_symbol=_ccxt_symbol(row),
        status=draft.status(row.status, _STATUS),
        exchange_status=row.status,
        tick_size=_published(filters, "PRICE_FILTER", "tickSize"),  # pricePrecision is not the tick
        step_size=_published(filters, "LOT_SIZE", "stepSize"),
        price_significant_digits=None,
        price_max_decimals=None,
        min_quantity=_published(filters, "LOT_SIZE", "minQty"),
        min_notional=_published(filters, "MIN_NOTIONAL", "notional") if "MIN_NOTIONAL" in filters else None,
        contract_size=None,
        listed_at=row.onboardDate,
        expires_at=expires_at,
    )


def _kind(draft: ListingDraft, row: _Symbol, known: Kind | None) -> Kind:
    word = row.contractType.replace("_", " ")  # PERPETUAL DELIVERING is seen with a space and with a line
    if word in _KIND:
        return _KIND[word]
    draft.unknown_word("contractType", row.contractType)
    if _DATED.search(row.symbol):
        return Kind.FUTURE
    if row.deliveryDate >= 4_102_444_800_000:  # 2100-01-01
        return Kind.PERPETUAL
    if known is not None:
        return known
    raise RowRefused("its contractType does not tell whether it is a perpetual or a future, and nothing else does")


def _published(filters: Mapping[str, Mapping[str, Any]], filter_type: str, field: str) -> str:
    value = filters.get(filter_type, {}).get(field)
    if not isinstance(value, str):
        raise RowRefused(f"it has no {filter_type} with a {field}")
    return value


def _ccxt_symbol(row: _Symbol) -> str:
    """As ccxt 4.5 does: what has neither the word nor the delivery date of a perpetual is dated."""
    is_perpetual = row.contractType == "PERPETUAL" or row.deliveryDate == 4_133_404_800_000  # 2100-12-25
    expiry = "" if is_perpetual else f"-{yymmdd(row.deliveryDate)}"
    return f"{row.baseAsset}/{row.quoteAsset}:{row.marginAsset}{expiry}"


def _klines_weight(limit: int) -> int:
    """As measured, not as documented: 100 and 500 belong to the cheaper band."""
    return next((weight for most, weight in ((100, 1), (500, 2), (1000, 5)) if limit <= most), 10)


_BANNED_UNTIL = re.compile(r"banned until (\d{13})")
_DATED = re.compile(r"_\d{6}$")

_REFUSALS = {-1121: "it does not know this symbol", -1122: "it no longer serves this symbol"}

_KIND = {
    "PERPETUAL": Kind.PERPETUAL,
    "TRADIFI PERPETUAL": Kind.PERPETUAL,
    "PERPETUAL DELIVERING": Kind.PERPETUAL,
    **{
        f"{which} {length}{delivering}": Kind.FUTURE
        for which in ("CURRENT", "NEXT")
        for length in ("QUARTER", "MONTH")
        for delivering in ("", " DELIVERING")
    },
}

_STATUS = {
    "TRADING": Status.TRADING,
    "PENDING_TRADING": Status.PRE_TRADING,
    "PRE_SETTLE": Status.SETTLING,
    "SETTLING": Status.SETTLING,
    "PRE_DELIVERING": Status.SETTLING,
    "DELIVERING": Status.SETTLING,
    "DELIVERED": Status.DELISTED,
    "CLOSE": Status.DELISTED,
    "TRADING_HALT": Status.HALTED,
    "CANCEL_ONLY": Status.CANCEL_ONLY,
    "TRADING_CANCEL_ONLY": Status.CANCEL_ONLY,
}

_ALIGNMENT: dict[Interval, tuple[Any, int | None]] = {
    Interval.DAY_3: (None, None),  # verified nowhere
    Interval.WEEK_1: ("epoch", 4 * DAY_MS),  # Monday; 1970-01-01 was a Thursday
    Interval.MONTH_1: ("month", 0),
}

BinanceFutures.capabilities = Capabilities(
    intervals=tuple(
        IntervalSpec(interval=interval, token=interval, anchor=anchor, offset_ms=offset_ms)
        for interval in Interval
        for anchor, offset_ms in [_ALIGNMENT.get(interval, ("epoch", 0))]
    ),
    rows_per_call=1500,
    rows_per_page=500,  # the most candles for a weight: 250, against 150 of a call for 1500
    wide_range="oldest",
    look_back_rows=None,
    omits_empty=False,
    columns=columns(
        volume="base",
        quote_volume="quote",
        trades="count",
        taker_buy_volume="base",
        taker_buy_quote_volume="quote",
    ),
    budget=Budget(limit=2400, window_s=60, window="fixed"),
    docs_url="https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info",
)
