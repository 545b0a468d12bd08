"""Every operation of the OpenAPI document with one request that is good but for who asks."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

VICTIMS: Final = ("mdc_00000000victim01", "mdc_00000000victim02")
"""Clients to whom admins do what they may: to the first what can be done again, to the second what is for good."""


@dataclass(frozen=True)
class Request:
    """A good request, without its token."""

    path: str
    method: str = "GET"
    form: Mapping[str, str] | None = None
    """Of those that take one; the client's id and secret come along."""
    document: Mapping[str, object] | None = None
    """Of those that take JSON."""

    @property
    def body(self) -> tuple[bytes, bytes] | None:
        """Its media type and bytes; None: there is none."""
        if self.document is not None:
            return b"application/json", json.dumps(self.document).encode()
        if self.form is not None:
            return b"application/x-www-form-urlencoded", urlencode(self.form).encode()
        return None


REQUESTS: Final[Mapping[str, Request]] = {
    "createToken": Request("/v1/token", "POST", {"grant_type": "client_credentials"}),
    "revokeToken": Request("/v1/token/revoke", "POST", {"token": "none"}),
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
    "listClients": Request("/v1/admin/clients"),
    "createClient": Request("/v1/admin/clients", "POST", document={"name": "made"}),
    "getClient": Request(f"/v1/admin/clients/{VICTIMS[0]}"),
    "getClientUsage": Request(f"/v1/admin/clients/{VICTIMS[0]}/usage"),
    "updateClient": Request(f"/v1/admin/clients/{VICTIMS[0]}", "PATCH", document={"name": "changed"}),
    "rotateClient": Request(f"/v1/admin/clients/{VICTIMS[0]}/rotate", "POST"),
    "revokeSecret": Request(f"/v1/admin/clients/{VICTIMS[0]}/secrets/{VICTIMS[0][-8:]}/revoke", "POST"),
    "disableClient": Request(f"/v1/admin/clients/{VICTIMS[1]}/disable", "POST"),
    "listAudit": Request("/v1/admin/audit?limit=1"),
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
