"""What clients say of the exchanges' instruments, put beside what we say, field by field."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from marketdata.core.models import Kind, Status
from tests.clients.case import EXCHANGES

type Fields = Mapping[str, Any]
type Both = tuple[Callable[[Fields], Any], Callable[[Fields], Any]]
"""How a field is read from our symbol and from the client's market."""

LISTED = "listed"


@dataclass(frozen=True)
class Difference:
    """One field of one instrument on which a client and we do not agree."""

    client: str
    field: str
    symbol: Fields
    """Ours; no more than the exchange symbol where we do not list it."""
    theirs: Any

    def __str__(self) -> str:
        return f"{self.client}: {self.field} of {self.symbol['exchange_symbol']}: {self.theirs!r}, ours: {self.symbol}"


def differences(client: str, symbols: Sequence[Fields], markets: Sequence[Fields]) -> Iterator[Difference]:
    """All of them, for one client; `symbols` are those of all exchanges."""
    ours = {symbol["exchange_symbol"]: symbol for symbol in symbols if symbol["exchange"] == EXCHANGES[client]}
    theirs = {_SYMBOLS[client](market): market for market in markets if _SYMBOLS[client](market) is not None}
    for name in sorted(ours.keys() ^ theirs.keys()):
        yield Difference(client, LISTED, ours.get(name, {"exchange_symbol": name}), theirs=name in theirs)
    for name in sorted(ours.keys() & theirs.keys()):
        for field, (our_value, their_value) in FIELDS[client].items():
            if our_value(ours[name]) != their_value(theirs[name]):
                yield Difference(client, field, ours[name], their_value(theirs[name]))


def _number(name: str) -> Callable[[Fields], float | None]:
    return lambda symbol: None if symbol[name] is None else float(symbol[name])


def _filter(kind: str, name: str) -> Callable[[Fields], Any]:
    """A field of one of Binance's filters."""
    return lambda market: next(one[name] for one in market["filters"] if one["filter_type"] == kind)


def _step(decimals: int) -> str:
    return f"{10**-decimals:.{decimals}f}"


_KINDS = {"spot": Kind.SPOT, "swap": Kind.PERPETUAL, "future": Kind.FUTURE}

_CCXT: Mapping[str, Both] = {
    "ccxt_symbol": (lambda symbol: symbol["ccxt_symbol"], lambda market: market["symbol"]),
    "reached by ccxt_symbol": (lambda _: True, lambda market: market["held"]),
    "kind": (lambda symbol: symbol["kind"], lambda market: _KINDS.get(market["type"])),
    "base_asset": (lambda symbol: symbol["base_asset"], lambda market: market["base"]),
    "quote_asset": (lambda symbol: symbol["quote_asset"], lambda market: market["quote"]),
    "settle_asset": (lambda symbol: symbol["settle_asset"], lambda market: market["settle"]),
    "trading": (lambda symbol: symbol["status"] == Status.TRADING, lambda market: market["active"]),
    "tick_size": (_number("tick_size"), lambda market: market["precision"]["price"]),
    "step_size": (_number("step_size"), lambda market: market["precision"]["amount"]),
    "min_quantity": (_number("min_quantity"), lambda market: market["limits"]["amount"]["min"]),
    "min_notional": (_number("min_notional"), lambda market: market["limits"]["cost"]["min"]),
    "contract_size": (_number("contract_size"), lambda market: market["contractSize"]),
    "listed_at": (lambda symbol: symbol["listed_at"], lambda market: market["created"]),
    "expires_at": (lambda symbol: symbol["expires_at"], lambda market: market["expiry"]),
}

_BINANCE: Mapping[str, Both] = {
    "exchange_status": (lambda symbol: symbol["exchange_status"], lambda market: market["status"]),
    "quote_asset": (lambda symbol: symbol["quote_asset"], lambda market: market["quote_asset"]),
    "settle_asset": (lambda symbol: symbol["settle_asset"], lambda market: market["margin_asset"]),
    "base_asset": (lambda symbol: symbol["base_asset"], lambda market: market["base_asset"]),
    "tick_size": (lambda symbol: symbol["tick_size"], _filter("PRICE_FILTER", "tick_size")),
    "step_size": (lambda symbol: symbol["step_size"], _filter("LOT_SIZE", "step_size")),
    "min_quantity": (lambda symbol: symbol["min_quantity"], _filter("LOT_SIZE", "min_qty")),
    "min_notional": (lambda symbol: symbol["min_notional"], _filter("MIN_NOTIONAL", "notional")),
    "listed_at": (lambda symbol: symbol["listed_at"], lambda market: market["onboard_date"]),
    "expires_at": (lambda symbol: symbol["expires_at"], lambda market: market["delivery_date"]),
}

_HYPERLIQUID: Mapping[str, Both] = {
    "step_size": (lambda symbol: symbol["step_size"], lambda market: _step(market["sz_decimals"])),
    "spot pair": (
        lambda symbol: f"{symbol['base_asset']}/{symbol['quote_asset']}" if symbol["kind"] == Kind.SPOT else None,
        lambda market: market["pair"],
    ),
}

FIELDS: Mapping[str, Mapping[str, Both]] = {
    "binanceusdm": _CCXT,
    "hyperliquid": _CCXT,
    "coinbaseexchange": _CCXT,
    "binance-sdk": _BINANCE,
    "hyperliquid-sdk": _HYPERLIQUID,
}
"""Client → what is compared."""

_SYMBOLS: Mapping[str, Callable[[Fields], str]] = {
    "binanceusdm": lambda market: market["id"],
    "hyperliquid": lambda market: market["id"] if market["spot"] else market["baseName"],
    "coinbaseexchange": lambda market: market["id"],
    "binance-sdk": lambda market: market["symbol"],
    "hyperliquid-sdk": lambda market: market["coin"],
}
"""Where a client has the exchange's own name."""
