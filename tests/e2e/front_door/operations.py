"""Every operation of the OpenAPI document with one request that is good but for who asks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Request:
    """A good request, without its token; a client that it names may be none."""

    path: str
    method: str = "GET"
    form: Mapping[str, str] | None = None
    json: bytes | None = None


REQUESTS: Final[Mapping[str, Request]] = {
    "createToken": Request("/v1/token", "POST", {"grant_type": "client_credentials"}),
    "revokeToken": Request("/v1/token/revoke", "POST", {"token": "made-up"}),
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
    "listClients": Request("/v1/admin/clients"),
    "createClient": Request("/v1/admin/clients", "POST", json=b'{"name": "new"}'),
    "getClient": Request("/v1/admin/clients/mdc_0000000000000000"),
    "updateClient": Request("/v1/admin/clients/mdc_0000000000000000", "PATCH", json=b'{"name": "other"}'),
    "disableClient": Request("/v1/admin/clients/mdc_0000000000000000/disable", "POST"),
    "rotateClient": Request("/v1/admin/clients/mdc_0000000000000000/rotate", "POST", json=b"{}"),
    "revokeSecret": Request("/v1/admin/clients/mdc_0000000000000000/secrets/00000000/revoke", "POST"),
    "listAudit": Request("/v1/admin/audit?limit=1"),
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
