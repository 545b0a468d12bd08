"""The candle requests of the matrix: the same question to a client and to our API."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from marketdata.core.models import Interval
from tests.clients.clients import Refused

EXCHANGES = {
    "binanceusdm": "binance_futures",
    "hyperliquid": "hyperliquid",
    "coinbaseexchange": "coinbase",
    "binance-sdk": "binance_futures",
    "hyperliquid-sdk": "hyperliquid",
}
"""Client → the exchange that it asks; ccxt's have their own names for exchanges."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question: candles with `start ≤ open time < end`, at most `limit`; times in epoch ms."""

    client: str
    call: str
    exchange_symbol: str
    interval: str
    start: int | None = None
    end: int | None = None
    limit: int | None = None
    rows: int
    """How many the client answers at most where nobody says a limit: the limit that we are asked with."""
    paginate: bool = False
    page: int | None = None
    """Of how many rows are the pages that the client is asked for, one after the other."""
    prelisting: bool = False
    """Whether we are asked for Hyperliquid's made-up candles, too."""
    form: str | None = None
    """The `format` that we are asked for."""
    before_ms: int | None = None
    """How long before the client was asked the same already."""
    empty: bool = False
    """Whether there is nothing to be had."""
    refused: tuple[str, str] | None = None
    """The exchange's words and our code, where both refuse."""
    explained: str | None = None
    """Which of the explained differences it shows; None: the answers are equal."""

    @property
    def exchange(self) -> str:
        """Ours, which has the same data."""
        return EXCHANGES[self.client]

    @property
    def name(self) -> str:
        """What no other case is called."""
        return f"{self.client}: {self.call}: {self.exchange_symbol} {self.interval}"

    def pages(self) -> Iterator["Case"]:
        """The questions to the client: one, or one for each page."""
        if self.page is None or self.start is None or self.end is None:
            yield self
            return
        step_ms = Interval(self.interval).min_duration_ms * self.page
        for start in range(self.start, self.end, step_ms):
            yield replace(self, start=start, end=min(start + step_ms, self.end), page=None)

    def ours(self) -> dict[str, object]:
        """The parameters of the request to our API."""
        asked = {"start": self.start, "end": self.end, "limit": self.limit or self.rows, "format": self.form}
        return {**asked, "include_partial": "true", "include_prelisting": "true" if self.prelisting else None}

    def theirs(self, ccxt_symbol: str | None) -> dict[str, object]:
        """The arguments of the call to the client; ccxt is asked by the name that we say it has."""
        return _ARGUMENTS[self.client](self) if self.client in _ARGUMENTS else _ccxt(self, ccxt_symbol)

    def ours_as_theirs(self, row: Any) -> list[Any]:
        """One of our candles as the client gives it: ccxt's are floats, the exchanges' own clients pass on the text."""
        if self.form == "ccxt":
            return list(row)
        return _ROWS.get(self.client, _floats)(row)

    def theirs_as_rows(self, answer: Any) -> list[list[Any]] | Refused:
        """The client's answer as rows."""
        if isinstance(answer, Refused):
            return answer
        if self.client == "hyperliquid-sdk":
            return [[row[key] for key in _HYPERLIQUID] for row in answer]
        return [row[:11] for row in answer]  # Binance's twelfth means nothing


def _ccxt(case: Case, ccxt_symbol: str | None) -> dict[str, object]:
    asked = {"symbol": ccxt_symbol, "interval": case.interval, "since": case.start, "limit": case.limit}
    until = {} if case.end is None else {"until": case.end - 1}
    return {**asked, **until, **({"paginate": True} if case.paginate else {})}


def _binance(case: Case) -> dict[str, object]:
    asked = {
        "symbol": case.exchange_symbol,
        "interval": case.interval,
        "start_time": case.start,
        "end_time": None if case.end is None else case.end - 1,
        "limit": case.limit,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _hyperliquid(case: Case) -> dict[str, object]:
    assert case.end is not None
    return {
        "name": case.exchange_symbol,
        "interval": case.interval,
        "startTime": case.start or 0,
        "endTime": case.end - 1,
    }


_ARGUMENTS: dict[str, Callable[[Case], dict[str, object]]] = {"binance-sdk": _binance, "hyperliquid-sdk": _hyperliquid}


def _floats(row: Mapping[str, Any]) -> list[Any]:
    return [row["open_time"], *(float(row[name]) for name in ("open", "high", "low", "close", "volume"))]


def _kline(row: Mapping[str, Any]) -> list[Any]:
    prices = [row[name] for name in ("open", "high", "low", "close", "volume")]
    takers = [row[name] for name in ("quote_volume", "trades", "taker_buy_volume", "taker_buy_quote_volume")]
    return [row["open_time"], *prices, row["close_time"] - 1, *takers]


def _snapshot(row: Mapping[str, Any]) -> list[Any]:
    return [row["open_time"], row["close_time"] - 1] + [
        row[name] for name in ("open", "close", "high", "low", "volume", "trades")
    ]


_HYPERLIQUID = ("t", "T", "o", "c", "h", "l", "v", "n")
_ROWS: dict[str, Callable[[Mapping[str, Any]], list[Any]]] = {"binance-sdk": _kline, "hyperliquid-sdk": _snapshot}
