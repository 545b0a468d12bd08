"""Hyperliquid: main-dex perpetuals, spot pairs and the perpetuals of builder dexs (HIP-3); outcome markets are ignored.

https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import msgspec

from marketdata.core.errors import UpstreamBadData, UpstreamError, UpstreamRefused
from marketdata.core.exchanges.adapter import CandleQuery, ListingRequests, Request, classify_status, columns, date_ms
from marketdata.core.exchanges.listing import ListingDraft, RowRefused, readable
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
from marketdata.core.multipliers import Multiplied
from marketdata.core.wire import decode, decoder, refuse_repeated_keys


class _Asset(msgspec.Struct):
    name: str
    szDecimals: int
    isDelisted: bool | None = None  # absent when false


class _PerpMeta(msgspec.Struct):
    universe: list[Any]
    collateralToken: int | None = None  # a spot token's index


class _Token(msgspec.Struct):
    name: str
    index: int
    szDecimals: int


class _Pair(msgspec.Struct):
    name: str
    tokens: tuple[int, int]  # token indices, base and quote


class _SpotMeta(msgspec.Struct):
    universe: list[Any]
    tokens: list[Any]


class _Candle(msgspec.Struct):
    t: int  # ms
    T: int  # ms, the last one of the candle
    s: str
    i: str
    o: str
    c: str
    h: str
    l: str  # noqa: E741 - the exchange's own name
    v: str  # base
    n: int


_CANDLE_QUOTES = 2 * len(_Candle.__struct_fields__) + 2 * list(_Candle.__annotations__.values()).count(str)
"""About the keys and texts of a candle. Fewer cannot be, and a key more, whatever it holds, is at least two more."""

_PERP_METAS = decoder(list[_PerpMeta])
_SPOT_META = decoder(_SpotMeta)
_CANDLES = decoder(list[_Candle])

_PATH = "/info"
_INFO_WEIGHT = 20
_ROWS_PER_WEIGHT = 60
_PERP_DECIMALS = 6
_SPOT_DECIMALS = 8
_MOST_SIZE_DECIMALS = 18  # as many as a token has at most (weiDecimals)
_SIGNIFICANT_DIGITS = 5
_MAIN_DEX_COLLATERAL = "USDC"  # the only dex that may leave its collateral out
_KILO = 1000


class Hyperliquid:
    """Pure translation between the canonical model and Hyperliquid's `POST /info`."""

    exchange: ClassVar[ExchangeId] = ExchangeId("hyperliquid")
    base_url: ClassVar[str] = "https://api.hyperliquid.xyz"
    capabilities: ClassVar[Capabilities]

    def listing_requests(self) -> ListingRequests:
        """The perpetuals of all dexs, position = dex index, and the spot pairs with their tokens."""
        yield Request("POST", _PATH, json={"type": "allPerpMetas"}, weight=_INFO_WEIGHT)
        yield Request("POST", _PATH, json={"type": "spotMeta"}, weight=_INFO_WEIGHT)

    def parse_listing(self, bodies: Sequence[bytes], known: Mapping[str, Kind]) -> Listing:  # noqa: ARG002
        """Read `allPerpMetas` and `spotMeta`; tokens are joined by index, never by position."""
        draft = ListingDraft({})
        spot = decode(self.exchange, _SPOT_META, bodies[1])
        tokens = {token.index: token for token in readable(spot.tokens, _Token)}
        metas = decode(self.exchange, _PERP_METAS, bodies[0])
        for dex_index, meta in enumerate(metas):
            collateral = _collateral(meta, tokens, is_main=dex_index == 0)
            draft.read(meta.universe, "name", _Asset, partial(_perpetual, draft, collateral=collateral))
        pairs = [pair for pair in spot.universe if not (isinstance(pair, dict) and _is_outcome(pair.get("name")))]
        draft.read(pairs, "name", _Pair, partial(_spot_pair, draft, tokens=tokens))
        return draft.finish()

    def candles_request(self, query: CandleQuery) -> Request:
        """Candles that overlap the range; of a wide one the newest are kept. Cost: 20 and one per 60 rows."""
        start_ms = query.start_ms or 0
        rows = min(query.limit, -((start_ms - query.end_ms) // query.interval.min_duration_ms))
        return Request(
            "POST",
            _PATH,
            json={
                "type": "candleSnapshot",
                "req": {
                    "coin": query.exchange_symbol,
                    "interval": query.interval,
                    "startTime": start_ms,
                    "endTime": query.end_ms - 1,
                },
            },
            weight=_INFO_WEIGHT + -(-rows // _ROWS_PER_WEIGHT),
        )

    def parse_candles(self, body: bytes, query: CandleQuery) -> list[Candle]:
        """Read a `candleSnapshot`, which comes oldest first and names its coin and interval in each row."""
        candles = []
        rows = decode(self.exchange, _CANDLES, body)
        if body.count(b'"') != len(rows) * _CANDLE_QUOTES:
            refuse_repeated_keys(self.exchange, body)  # there may be unfamiliar keys, but none twice
        for row in rows:
            if row.s != query.exchange_symbol or row.i != query.interval:
                raise UpstreamBadData(self.exchange, "it is of another coin or interval than asked", row.t)
            candles.append(
                Candle(
                    open_time=row.t,
                    close_time=row.T + 1,
                    open=row.o,
                    high=row.h,
                    low=row.l,
                    close=row.c,
                    volume=row.v,
                    trades=row.n,
                )
            )
        return candles

    def time_request(self) -> Request:
        """There is no time endpoint: a cheap answer's `Date` header tells."""
        return Request("POST", _PATH, json={"type": "allMids"}, weight=2)

    def parse_time(self, headers: Mapping[str, str], body: bytes) -> int:  # noqa: ARG002 - a header tells
        """The `Date` header, epoch ms; it is cut to seconds, so up to one second early."""
        date = date_ms(headers)
        if date is None:
            raise UpstreamBadData(self.exchange, "the answer has no readable Date header")
        return date

    def used_weight(self, headers: Mapping[str, str]) -> int | None:  # noqa: ARG002 - nothing tells
        """Its answers say nothing about what is used."""
        return None

    def classify(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError | None:
        """Errors are plain text without a code; nothing tells how long to wait."""
        if status == 500 and body.strip() == b"null":  # looks like a fault and is an unknown coin
            return UpstreamRefused(self.exchange, "it does not know this coin (500 null)", is_certain=False)
        return classify_status(self.exchange, status, headers, body)


def _perpetual(draft: ListingDraft, row: _Asset, *, collateral: str | None) -> ListedInstrument:
    if collateral is None:
        raise RowRefused("its dex names no collateral token that is listed, so its quote asset is not known")
    dex, colon, coin = row.name.rpartition(":")  # the dex stands in front already: xyz:TSLA
    multiplied = _multiplied(draft, row.name, coin)
    spelling = f"{multiplied.factor}{multiplied.asset}" if multiplied and multiplied.factor > 1 else coin
    return ListedInstrument(
        exchange_symbol=row.name,
        base=f"{dex}.{spelling}" if colon else spelling,
        identity=f"{Kind.PERPETUAL}|{row.name}|{collateral}",
        kind=Kind.PERPETUAL,
        dex=dex or None,
        base_asset=multiplied.asset if multiplied else coin,
        base_multiplier=multiplied.factor if multiplied else None,
        quote_asset=collateral,
        settle_asset=collateral,
        ccxt_symbol=f"{row.name.replace(':', '-').upper()}/{collateral}:{collateral}",
        status=Status.DELISTED if row.isDelisted else Status.TRADING,
        exchange_status="isDelisted" if row.isDelisted else None,
        **_increments(row.szDecimals, _PERP_DECIMALS),
    )


def _spot_pair(draft: ListingDraft, row: _Pair, *, tokens: Mapping[int, _Token]) -> ListedInstrument:
    base, quote = (tokens.get(index) for index in row.tokens)
    if base is None or quote is None:
        raise RowRefused("one of its tokens is not listed")
    multiplied = draft.multiplied(row.name, base.name)
    return ListedInstrument(
        exchange_symbol=row.name,  # @107; only PURR/USDC is asked for by its pair
        base=base.name,
        identity="|".join((Kind.SPOT, base.name, quote.name, str(base.index), str(quote.index))),
        kind=Kind.SPOT,
        dex=None,
        base_asset=base.name,
        base_multiplier=multiplied.factor if multiplied else None,
        quote_asset=quote.name,
        settle_asset=None,
        ccxt_symbol=f"{_ccxt_code(base.name)}/{_ccxt_code(quote.name)}",
        status=Status.TRADING,
        exchange_status=None,
        **_increments(base.szDecimals, _SPOT_DECIMALS),
    )


def _multiplied(draft: ListingDraft, exchange_symbol: str, coin: str) -> Multiplied | None:
    if _KILO_COIN.match(coin):
        return Multiplied(_KILO, coin[1:])
    return draft.multiplied(exchange_symbol, coin)


def _increments(size_decimals: int, most_decimals: int) -> dict[str, Any]:
    """There is no static tick: a price has at most five digits and `most_decimals` - szDecimals decimals."""
    if not 0 <= size_decimals <= _MOST_SIZE_DECIMALS:
        raise RowRefused(f"its szDecimals is not one of 0 to {_MOST_SIZE_DECIMALS}")
    return {
        "tick_size": None,
        "step_size": f"0.{'0' * (size_decimals - 1)}1" if size_decimals else "1",
        "price_significant_digits": _SIGNIFICANT_DIGITS,
        "price_max_decimals": max(0, most_decimals - size_decimals),
        "min_quantity": None,
        "min_notional": None,
        "contract_size": None,
        "listed_at": None,
        "expires_at": None,
    }


def _collateral(meta: _PerpMeta, tokens: Mapping[int, _Token], *, is_main: bool) -> str | None:
    if meta.collateralToken is None:
        return _MAIN_DEX_COLLATERAL if is_main else None
    token = tokens.get(meta.collateralToken)
    return token.name if token else None


def _is_outcome(name: object) -> bool:
    return isinstance(name, str) and name.startswith(("#", "+"))


def _ccxt_code(token: str) -> str:
    return _CCXT_SPOT_CODES.get(token, token).upper()


_KILO_COIN = re.compile(r"k[A-Z]")

_CCXT_SPOT_CODES = {  # options.spotCurrencyMapping of ccxt 4.5's hyperliquid
    "UDZ": "2Z",
    "UBONK": "BONK",
    "UBTC": "BTC",
    "UETH": "ETH",
    "UFART": "FARTCOIN",
    "HPENGU": "PENGU",
    "UPUMP": "PUMP",
    "USOL": "SOL",
    "UUUSPX": "SPX",
    "USDT0": "USDT",
    "XAUT0": "XAUT",
    "UXPL": "XPL",
}

_UNVERIFIED = {Interval.DAY_3, Interval.MONTH_1}  # taken as the exchange sends them

Hyperliquid.capabilities = Capabilities(
    intervals=tuple(
        IntervalSpec(
            interval=interval,
            token=interval,
            anchor=None if interval in _UNVERIFIED else "epoch",
            offset_ms=None if interval in _UNVERIFIED else 0,  # weeks open on Thursday, as the epoch did
        )
        for interval in Interval
        if interval is not Interval.HOUR_6
    ),
    rows_per_call=5000,
    wide_range="newest",
    look_back_rows=5000,
    omits_empty=False,
    makes_up_prelisting=True,
    columns=columns(volume="base", trades="count"),
    budget=Budget(limit=1200, window_s=60, window="sliding"),
    docs_url="https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint",
)
