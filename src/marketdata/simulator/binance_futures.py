"""Binance USD-M futures as a simulated exchange: the public market data of https://fapi.binance.com.

https://developers.binance.com/docs/derivatives/usds-margined-futures
"""

from collections.abc import Mapping
from typing import Protocol

from marketdata.simulator.answers import Answer, Asked, Rows, SymbolClosedError, SymbolUnknownError, joined, json_body
from marketdata.simulator.grids import DAILY

_INTERVALS = frozenset({*DAILY, "1w", "1M"})
_CONTINUOUS = frozenset({"PERPETUAL", "CURRENT_QUARTER", "NEXT_QUARTER", "TRADIFI_PERPETUAL"})
_DEFAULT_LIMIT, _MOST_ROWS = 500, 1500
_FOREVER_MS = 1 << 62

UNKNOWN_SYMBOL = (-1121, "Invalid symbol.")
CLOSED_SYMBOL = (-1122, "Invalid symbol status.")

HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "Server": "Bengine",
    "x-response-time": "0ms",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Allow-Headers": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE, OPTIONS",
    "Access-Control-Allow-Origin": "*",
    "Content-Security-Policy": "default-src 'self'",
    "cache-control": "no-cache, no-store, must-revalidate",
    "expires": "0",
    "pragma": "no-cache",
    "strict-transport-security": "max-age=31536000; includeSubdomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "x-xss-protection": "1; mode=block",
    "X-Cache": "Miss from cloudfront",
    "X-Amz-Cf-Pop": "HIO50-C1",
    "Via": "1.1 simulated.cloudfront.net (CloudFront)",
}
NOTHING_HERE = Answer(404, b"<html><body><h2>404 Not found</h2></body></html>", {"Content-Type": "text/html"})


class BinanceSource(Protocol):
    """Where the data come from: the simulated market or recordings."""

    def exchange_info(self, now_ms: int) -> bytes:
        """The body of exchangeInfo."""
        ...

    def symbol_of(self, pair: str, contract_type: str, now_ms: int) -> str:
        """The contract that is of that type in a pair now. Raises SymbolUnknownError."""
        ...

    def klines(self, symbol: str, interval: str, now_ms: int) -> Rows:
        """The candles of a contract. Raises SymbolUnknownError and SymbolClosedError."""
        ...


class _RefusedError(Exception):
    """A request that the exchange refuses, by its code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BinanceFutures:
    """The exchange's HTTP side."""

    def __init__(self, source: BinanceSource) -> None:
        """Answers from `source`."""
        self._source = source

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request."""
        try:
            body = self._body(asked)
        except _RefusedError as refused:
            return Answer(400, json_body({"code": refused.code, "msg": refused.message}), HEADERS)
        return NOTHING_HERE if body is None else Answer(200, body, HEADERS)

    def _body(self, asked: Asked) -> bytes | None:
        """The body of a good answer; None where there is nothing at this path."""
        match asked.method, asked.path:
            case "GET", "/fapi/v1/ping":
                return b"{}"
            case "GET", "/fapi/v1/time":
                return json_body({"serverTime": asked.now_ms})
            case "GET", "/fapi/v1/exchangeInfo":
                return self._source.exchange_info(asked.now_ms)
            case "GET", "/fapi/v1/klines":
                return self._klines(_symbol(asked.query, "symbol"), asked.query, asked.now_ms)
            case "GET", "/fapi/v1/continuousKlines":
                return self._klines(self._continuous(asked.query, asked.now_ms), asked.query, asked.now_ms)
            case _:
                return None

    def _continuous(self, query: Mapping[str, str], now_ms: int) -> str:
        """The contract that a pair and a contract type mean."""
        pair, contract_type = _symbol(query, "pair"), _mandatory(query, "contractType")
        if contract_type not in _CONTINUOUS:
            raise _RefusedError(-1130, "Data sent for parameter 'contractType' is not valid.")
        try:
            return self._source.symbol_of(pair, contract_type, now_ms)
        except SymbolUnknownError:
            raise _RefusedError(-4144, "Invalid pair.") from None

    def _klines(self, symbol: str, query: Mapping[str, str], now_ms: int) -> bytes:
        """Filters by open time, both ends included; of too many rows the first, without a start the last."""
        interval = _mandatory(query, "interval")
        start_ms, end_ms = _whole(query, "startTime"), _whole(query, "endTime")
        limit = _limit(query)
        if interval not in _INTERVALS:
            raise _RefusedError(-1120, "Invalid interval.")
        if start_ms is not None and end_ms is not None and start_ms > end_ms:
            raise _RefusedError(-1023, "Start time is greater than end time.")
        try:
            rows = self._source.klines(symbol, interval, now_ms)
        except SymbolUnknownError:
            raise _RefusedError(*UNKNOWN_SYMBOL) from None
        except SymbolClosedError:
            raise _RefusedError(*CLOSED_SYMBOL) from None
        last_ms = _FOREVER_MS if end_ms is None else end_ms
        return joined(rows(start_ms or 0, last_ms, limit, newest=start_ms is None))


def _symbol(query: Mapping[str, str], name: str) -> str:
    """A symbol or pair, in any case of its letters."""
    symbol = _mandatory(query, name).upper()
    if not all(letter.isalnum() or letter in "_-." for letter in symbol):
        raise _RefusedError(-1100, _illegal(name, "^[A-Z0-9-_.]{1,20}$"))
    return symbol


def _mandatory(query: Mapping[str, str], name: str) -> str:
    value = query.get(name)
    if not value:
        raise _RefusedError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return value


def _whole(query: Mapping[str, str], name: str) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise _RefusedError(-1100, _illegal(name, "^[0-9]{1,20}$"))
    return int(value)


def _limit(query: Mapping[str, str]) -> int:
    value = query.get("limit", str(_DEFAULT_LIMIT))
    if not value.removeprefix("-").isdigit() or not value.isascii():
        raise _RefusedError(-1100, _illegal("limit", "^[0-9]{1,20}$"))
    if not 0 < int(value) <= _MOST_ROWS:
        raise _RefusedError(-1130, "Data sent for parameter 'limit' is not valid.")
    return int(value)


def _illegal(name: str, legal: str) -> str:
    return f"Illegal characters found in parameter '{name}'; legal range is '{legal}'."
