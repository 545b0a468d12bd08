"""What a request is about, in words that are the same for all exchanges: what faults and the journal select by."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from marketdata.simulator.answers import Asked

type Use = Literal["listing", "candles", "time", "other"]

USES = ("listing", "candles", "time", "other")

EXCHANGES = {
    "binance_futures": "binance_futures",
    "hyperliquid": "hyperliquid",
    "coinbase": "coinbase",
    "binance": "binance_futures",
}
"""The names that an exchange is selected by: its id, or its prefix here."""


class Call(msgspec.Struct):
    """One request."""

    exchange: str
    """The exchange's id."""
    route: str
    """Its path, or Hyperliquid's `type`."""
    use: Use
    symbol: str | None = None

    def matches(self, exchange: str | None = None, route: str | None = None, symbol: str | None = None) -> bool:
        """Whether it is one of those; None is any.

        `route`: a use, or what the exchange calls it, where `*` stands for anything: `/products/*/candles`.
        """
        return (
            (exchange is None or self.exchange == EXCHANGES.get(exchange))
            and (route is None or route == self.use or fnmatchcase(self.route, route))
            and (symbol is None or symbol == self.symbol)
        )


def call_of(exchange: str, asked: Asked) -> Call:
    """What a request to one exchange is about."""
    return _READERS[exchange](asked)


def _binance(asked: Asked) -> Call:
    symbol = asked.query.get("symbol") or asked.query.get("pair")
    use = _BINANCE.get(asked.path, "other")
    return Call("binance_futures", asked.path, use, symbol and symbol.upper())


def _hyperliquid(asked: Asked) -> Call:
    try:
        wanted = msgspec.json.decode(asked.body, type=_Wanted)
    except msgspec.MsgspecError:
        return Call("hyperliquid", asked.path, "other")
    symbol = wanted.req.get("coin")
    return Call(
        "hyperliquid", wanted.type, TYPES.get(wanted.type, "other"), symbol if isinstance(symbol, str) else None
    )


def _coinbase(asked: Asked) -> Call:
    match asked.path.split("/")[1:]:
        case ["time"]:
            return Call("coinbase", asked.path, "time")
        case ["products"]:
            return Call("coinbase", asked.path, "listing")
        case ["products", symbol]:
            return Call("coinbase", asked.path, "other", symbol)
        case ["products", symbol, "candles"]:
            return Call("coinbase", asked.path, "candles", symbol)
        case _:
            return Call("coinbase", asked.path, "other")


class _Wanted(msgspec.Struct):
    type: str
    req: dict[str, object] = msgspec.field(default_factory=dict)


_BINANCE: Mapping[str, Use] = {
    "/fapi/v1/exchangeInfo": "listing",
    "/fapi/v1/klines": "candles",
    "/fapi/v1/continuousKlines": "candles",
    "/fapi/v1/time": "time",
}
TYPES: Mapping[str, Use] = {
    "meta": "listing",
    "metaAndAssetCtxs": "listing",
    "allPerpMetas": "listing",
    "perpDexs": "listing",
    "spotMeta": "listing",
    "spotMetaAndAssetCtxs": "listing",
    "candleSnapshot": "candles",
    # There is no time endpoint; the `Date` header of this, the cheapest type, is what tells.
    "allMids": "time",
}
"""Hyperliquid's, and what each is for."""
_READERS: Mapping[str, Callable[[Asked], Call]] = {
    "binance_futures": _binance,
    "hyperliquid": _hyperliquid,
    "coinbase": _coinbase,
}
