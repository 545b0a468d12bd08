"""Drives clients that others wrote; runs in their environment, not in ours, and knows nothing of this project.

One request per line on standard input, one answer per line on standard output, both JSON:
`{"client", "call", ...}` → `{"value"}`, or `{"refused"}` with the client's own words where it raises an error.
The clients are used as they come: told where the exchange is by their documented settings, and nothing else.
"""

import json
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import ccxt
from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures
from hyperliquid.info import Info

URL = sys.argv[1]
"""The simulator's base URL."""

CCXT: dict[str, Callable[[], Any]] = {
    "binanceusdm": lambda: ccxt.binanceusdm({"urls": {"api": {"fapiPublic": f"{URL}/binance/fapi/v1"}}}),
    "hyperliquid": lambda: ccxt.hyperliquid({"urls": {"api": {"public": f"{URL}/hyperliquid"}}}),
    "coinbaseexchange": lambda: ccxt.coinbaseexchange({"urls": {"api": {"public": f"{URL}/coinbase"}}}),
}


class Ccxt:
    """ccxt's client of one exchange."""

    def __init__(self, name: str) -> None:
        self._exchange = CCXT[name]()

    def markets(self) -> list[dict[str, Any]]:
        """All of them, and whether each holds its symbol or lost it to another."""
        self._exchange.load_markets(reload=True)
        held = self._exchange.markets
        markets = [market for markets in self._exchange.markets_by_id.values() for market in markets]
        return [{**market, "info": None, "held": held[market["symbol"]]["id"] == market["id"]} for market in markets]

    def candles(self, symbol: str, interval: str, since: int | None, limit: int | None, **params: Any) -> Any:
        """Rows of open time, open, high, low, close and volume."""
        return self._exchange.fetch_ohlcv(symbol, interval, since, limit, params)


class Binance:
    """Binance's own client."""

    def __init__(self) -> None:
        self._rest = DerivativesTradingUsdsFutures(ConfigurationRestAPI(base_path=f"{URL}/binance")).rest_api

    def markets(self) -> list[dict[str, Any]]:
        """The symbols of the exchange information, under the client's own names."""
        return [symbol.model_dump() for symbol in self._rest.exchange_information().data().symbols]

    def candles(self, **asked: Any) -> Any:
        """Rows of twelve."""
        return self._rest.kline_candlestick_data(**asked).data()


class Hyperliquid:
    """Hyperliquid's own client, which reads the markets when it is made; it has to be told the builder dexes."""

    def __init__(self) -> None:
        url = f"{URL}/hyperliquid"
        dexes = [dex["name"] for dex in Info(url, skip_ws=True).perp_dexs()[1:]]
        self._info = Info(url, skip_ws=True, perp_dexs=["", *dexes])

    def markets(self) -> list[dict[str, Any]]:
        """What the client knows of each coin: the decimals of a size, and the pair that a spot coin also goes by."""
        info = self._info
        pairs = {coin: name for name, coin in info.name_to_coin.items() if "/" in name}
        return [
            {"coin": coin, "sz_decimals": info.asset_to_sz_decimals[asset], "pair": pairs.get(coin)}
            for coin, asset in info.coin_to_asset.items()
        ]

    def candles(self, **asked: Any) -> Any:
        """Candles as the exchange sends them."""
        return self._info.candles_snapshot(**asked)


@cache
def client(name: str) -> Any:
    """A client by its name, made when it is first asked for."""
    if name in CCXT:
        return Ccxt(name)
    return {"binance-sdk": Binance, "hyperliquid-sdk": Hyperliquid}[name]()


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """What a client gives for one request."""
    arguments = {name: value for name, value in asked.items() if name not in {"client", "call"}}
    try:
        return {"value": getattr(client(asked["client"]), asked["call"])(**arguments)}
    except Exception as error:  # noqa: BLE001 - whatever the client raises is its answer
        return {"refused": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), default=str), flush=True)
