"""Every operation of the OpenAPI document with one request that is good but for who asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Request:
    """A good request, without its token."""

    path: str
    method: str = "GET"
    form: Mapping[str, str] | None = None


REQUESTS: Final[Mapping[str, Request]] = {
    "createToken": Request("/v1/token", "POST", {"grant_type": "client_credentials"}),
    "getKeys": Request("/.well-known/jwks.json"),
    "listExchanges": Request("/v1/exchanges"),
    "getExchange": Request("/v1/exchanges/coinbase"),
    "listIntervals": Request("/v1/intervals"),
    "listSymbols": Request("/v1/symbols?limit=1"),
    "getSymbol": Request("/v1/symbols/coinbase/BTC-USD"),
    "listSymbolVersions": Request("/v1/symbols/coinbase/BTC-USD/history"),
    "resolve": Request("/v1/resolve?name=BTC-USD"),
    "listEvents": Request("/v1/events?limit=1"),
    "getCoverage": Request("/v1/coverage/coinbase/BTC-USD/1d"),
    "listSyncs": Request("/v1/syncs?limit=1"),
    "getSync": Request("/v1/syncs/1"),
    "getStatus": Request("/v1/status"),
    "getLiveness": Request("/health/live"),
    "getReadiness": Request("/health/ready"),
    "listCandles": Request("/v1/candles/coinbase/BTC-USD/1h?limit=1"),
    "getLatestCandle": Request("/v1/candles/coinbase/BTC-USD/1h/latest"),
}
"""By operation id."""


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each operation of a document by its id."""
    for methods in document["paths"].values():
        for operation in methods.values():
            yield operation["operationId"], operation


def protected(document: Mapping[str, Any]) -> dict[str, Request]:
    """The operations that take a token, each with its request."""
    return {name: REQUESTS[name] for name, operation in operations(document) if operation.get("security")}
