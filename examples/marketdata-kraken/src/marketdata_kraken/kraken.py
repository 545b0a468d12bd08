"""Kraken: spot pairs of its international order books, under the names that it shows (`assetVersion=1`).

https://docs.kraken.com/api-reference/market-data/get-ohlc-data
"""

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import msgspec

from marketdata.core.errors import (
    UpstreamBadData,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRefused,
    UpstreamUnavailable,
)
from marketdata.core.exchanges.adapter import CandleQuery, ListingRequests, Request, classify_status, columns
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
from marketdata.core.wire import decode, decoder, refuse_repeated_keys

_SECOND_MS = 1000
_INTERNATIONAL = "international"


class _Pair(msgspec.Struct):
    aclass_base: str
    base: str
    aclass_quote: str
    quote: str
    status: str
    pair_decimals: int
    execution_venue: str = _INTERNATIONAL  # absent in answers of 2025, when there was no other
    ordermin: str | None = None  # base
    costmin: str | None = None  # quote
    tick_size: str | None = None


class _Listed(msgspec.Struct):
    name: str
    pair: _Pair


class _AssetPairs(msgspec.Struct):
    result: dict[str, Any]


class _Row(msgspec.Struct, array_like=True):
    time: int  # seconds
    open: str
    high: str
    low: str
    close: str
    vwap: str  # not published by us; stands before the volume
    volume: str  # base
    count: int


class _Ohlc(msgspec.Struct):
    result: dict[str, list[_Row] | int]  # the pair's rows, and `last`, the newest committed row's time


class _UnixTime(msgspec.Struct):
    unixtime: int  # seconds


class _Time(msgspec.Struct):
    result: _UnixTime


class _Errors(msgspec.Struct):
    error: list[str]


_ASSET_PAIRS = decoder(_AssetPairs)
_OHLC = decoder(_Ohlc)
_TIME = decoder(_Time)
_ERRORS = decoder(_Errors)

_NO_ERROR = b'{"error":[],'
_DISPLAY_NAMES = {"assetVersion": 1}  # BTC/USD; without it Bitcoin is XXBT, and pairs are XXBTZUSD beside XBTUSDT


class Kraken:
    """Pure translation between the canonical model and Kraken's public REST API."""

    exchange: ClassVar[ExchangeId] = ExchangeId("kraken")
    base_url: ClassVar[str] = "https://api.kraken.com"
    capabilities: ClassVar[Capabilities]

    def listing_requests(self) -> ListingRequests:
        """One call gives all pairs that can be traded; those that no longer can are left out."""
        yield Request("GET", "/0/public/AssetPairs", params=_DISPLAY_NAMES)

    def parse_listing(self, bodies: Sequence[bytes], known: Mapping[str, Kind]) -> Listing:  # noqa: ARG002 - all spot
        """Read `AssetPairs`, an object whose keys are the pairs' names."""
        draft = ListingDraft({})
        pairs = decode(self.exchange, _ASSET_PAIRS, bodies[0]).result
        rows = ({"name": name, "pair": pair} for name, pair in pairs.items())
        draft.read(rows, "name", _Listed, lambda row: _instrument(draft, row.name, row.pair))
        return draft.finish()

    def candles_request(self, query: CandleQuery) -> Request:
        """Rows that open after `since`, up to now: there is no end, and the forming one always comes along."""
        since = max(0, (query.start_ms or 0) // _SECOND_MS - 1)  # exclusive
        return Request(
            "GET",
            "/0/public/OHLC",
            params={
                "pair": query.exchange_symbol,
                "interval": _MINUTES[query.interval],
                "since": since,
                **_DISPLAY_NAMES,
            },
        )

    def parse_candles(self, body: bytes, query: CandleQuery) -> list[Candle]:
        """Read `OHLC` rows, which come oldest first under the pair's name."""
        result = decode(self.exchange, _OHLC, body).result
        if body.count(b'":') != len(result) + 2:
            refuse_repeated_keys(self.exchange, body)  # there may be unfamiliar keys, but none twice
        rows = result.get(query.exchange_symbol)
        if not isinstance(rows, list) or result.keys() - {query.exchange_symbol, "last"}:
            raise UpstreamBadData(self.exchange, "it is of another pair than asked")
        step_ms = query.interval.min_duration_ms
        return [
            Candle(
                open_time=row.time * _SECOND_MS,
                close_time=row.time * _SECOND_MS + step_ms,
                open=row.open,
                high=row.high,
                low=row.low,
                close=row.close,
                volume=row.volume,
                trades=row.count,
            )
            for row in rows
        ]

    def time_request(self) -> Request:
        """The exchange's clock."""
        return Request("GET", "/0/public/Time")

    def parse_time(self, headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG002 - the body tells
        """`unixtime` as epoch ms; it is cut to seconds, so up to one second early."""
        return decode(self.exchange, _TIME, body).result.unixtime * _SECOND_MS

    def used_weight(self, headers: Mapping[str, str]) -> int | None:  # noqa: ARG002 - nothing tells
        """Its answers say nothing about what is used."""
        return None

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
        """Errors are words in `error`, with status 200; another status is one of the servers in front of the API."""
        if status != 200 or body.startswith(_NO_ERROR):
            return classify_status(self.exchange, status, headers)
        try:
            words = _ERRORS.decode(body).error
        except msgspec.DecodeError:
            return None  # reading it says what is wrong
        error = next((word for word in words if not word.startswith("W")), None)  # W is a warning beside a result
        if error is None:
            return None
        if error in _REFUSALS:
            return UpstreamRefused(self.exchange, f"{_REFUSALS[error]} ({error})")
        if error in _LIMITS:
            return UpstreamRateLimited(self.exchange, None)  # nothing says how long; "a few seconds"
        throttled = _THROTTLED.fullmatch(error)
        if throttled:
            return UpstreamRateLimited(self.exchange, _seconds_until(int(throttled[1]), headers))
        if error.startswith(_TROUBLES):
            return UpstreamUnavailable(self.exchange, "says that its service is in trouble")
        return UpstreamError(self.exchange, "answered with an error that has no better name")


def _instrument(draft: ListingDraft, name: str, row: _Pair) -> ListedInstrument:
    if {row.aclass_base, row.aclass_quote} != {"currency"}:
        raise RowRefused("it is not a pair of currencies, and is asked for in another way")
    if row.execution_venue != _INTERNATIONAL:
        raise RowRefused("its order book is another venue's")
    base, slash, quote = name.rpartition("/")
    if not slash or quote != row.quote:  # dark pools were called XBT/USD.d
        raise RowRefused("its name does not end with its quote asset")
    draft.compare_base(name, base, row.base)
    multiplied = draft.multiplied(name, base)
    return ListedInstrument(
        exchange_symbol=name,
        base=base,
        identity=f"{Kind.SPOT}|{base}|{quote}",
        kind=Kind.SPOT,
        dex=None,
        base_asset=row.base,
        base_multiplier=multiplied.factor if multiplied else None,
        quote_asset=quote,
        settle_asset=None,
        ccxt_symbol=None if {base, quote} & _CCXT_RENAMES else name,
        status=draft.status(row.status, _STATUS),
        exchange_status=row.status,
        tick_size=row.tick_size,
        step_size=None,  # published as a number of decimals only: `lot_decimals`
        price_significant_digits=None,
        price_max_decimals=row.pair_decimals,
        min_quantity=row.ordermin,
        min_notional=row.costmin,
        contract_size=None,
        listed_at=None,
        expires_at=None,
    )


def _seconds_until(time_s: int, headers: Mapping[str, str]) -> float | None:
    """By the answer's own `Date`; None without a readable one."""
    try:
        return max(0.0, time_s - parsedate_to_datetime(headers["date"]).timestamp())
    except (KeyError, ValueError):
        return None


_THROTTLED = re.compile(r"EService: ?Throttled: ?(\d{10})")

_REFUSALS = {"EQuery:Unknown asset pair": "it does not know this pair"}

_LIMITS = {"EGeneral:Too many requests", "EAPI:Rate limit exceeded"}

_TROUBLES = ("EService:", "EGeneral:Internal error")

_STATUS = {
    "online": Status.TRADING,
    "limit_only": Status.TRADING,  # market orders are refused
    "post_only": Status.POST_ONLY,
    "cancel_only": Status.CANCEL_ONLY,
    "reduce_only": Status.UNKNOWN,  # margin positions can be closed; nothing says what else
}

_CCXT_RENAMES = {"FEE", "KFEE", "LUNA", "LUNA2", "LUNC", "REP", "REPV1", "REPV2", "UST", "USTC"}
"""Where commonCurrencies of ccxt 4.5's kraken exchanges names, which of them Kraken shows has not been seen."""

_MINUTES = {
    Interval.MIN_1: 1,
    Interval.MIN_5: 5,
    Interval.MIN_15: 15,
    Interval.MIN_30: 30,
    Interval.HOUR_1: 60,
    Interval.HOUR_4: 240,
    Interval.DAY_1: 1440,
    Interval.WEEK_1: 10080,
}

Kraken.capabilities = Capabilities(
    intervals=tuple(
        # all on one grid from the epoch: a week opens on Thursday, as the epoch did
        IntervalSpec(interval=interval, token=str(minutes), anchor="epoch", offset_ms=0)
        for interval, minutes in _MINUTES.items()
    ),
    rows_per_call=721,  # 720 and the forming one
    wide_range="newest",
    look_back_rows=720,
    omits_empty=False,  # a row without trades repeats the last price, with volume, vwap and count 0
    columns=columns(volume="base", trades="count"),
    budget=Budget(limit=1, window_s=1, window="bucket", burst=10),
    docs_url="https://docs.kraken.com/api-reference/market-data/get-ohlc-data",
)
