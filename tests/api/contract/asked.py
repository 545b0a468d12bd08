"""The running product is asked for one answer of each operation and for each error; the OpenAPI document shows them."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx2
import pytest

from marketdata.api.app import create_app
from marketdata.api.problems import Problem
from marketdata.api.settings import ApiSettings
from marketdata.core.clock import ManualClock
from marketdata.core.fetch import Fetcher
from marketdata.core.models import ExchangeId
from marketdata.simulator.controls import Controls
from marketdata.simulator.faults import Faults
from marketdata.simulator.scenario import Scenario
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.scopes import SCOPES
from tests.built_in import ADAPTERS
from tests.e2e.markets import market
from tests.e2e.platform import PATIENCE_S, Platform, serving

SEED: Final = 7
T0: Final = 1767225690_000
"""2026-01-01T00:01:30Z"""

REQUEST_ID: Final = "5d1c7c1e-6c1c-4f0c-a4ef-0f6f5a0b7c11"
_ID: Final = {"X-Request-ID": REQUEST_ID}
_FORM: Final = {"grant_type": "client_credentials"}
_CANDLES: Final = "/v1/candles/binance_futures/BTC-USDT-PERP/1h"
_CLIENTS: Final = "/v1/admin/clients"
_SCOPES: Final = ("metadata:read", "candles:read")

READ: Final[Mapping[str, Mapping[str, str]]] = {
    "getKeys": {"keys": "/.well-known/jwks.json"},
    "listExchanges": {"exchanges": "/v1/exchanges"},
    "getExchange": {"exchange": "/v1/exchanges/coinbase"},
    "listIntervals": {"intervals": "/v1/intervals?exchange=coinbase"},
    "listSymbols": {"first page": "/v1/symbols?base=BTC&limit=2", "search": "/v1/symbols?q=btc%20perp&limit=1"},
    "getSymbol": {
        "perpetual": "/v1/symbols/binance_futures/BTC-USDT-PERP",
        "spot": "/v1/symbols/coinbase/BTC-USD",
    },
    "listSymbolVersions": {"versions": "/v1/symbols/coinbase/BTC-USD/history"},
    "resolve": {"found": "/v1/resolve?name=BTC/USDT:USDT", "nothing": "/v1/resolve?name=BTC-USTD-PERP"},
    "listEvents": {"events": "/v1/events?exchange=coinbase&limit=2"},
    "getCoverage": {"coverage": "/v1/coverage/coinbase/BTC-USD/1d"},
    "listSyncs": {"syncs": "/v1/syncs?exchange=coinbase&limit=1"},
    "getSync": {"sync": "/v1/syncs/1"},
    "getStatus": {"status": "/v1/status"},
    "getLiveness": {"live": "/health/live"},
    "getReadiness": {"ready": "/health/ready"},
    "listCandles": {
        "json": f"{_CANDLES}?start=2025-12-31T22:00:00Z&limit=2",
        "csv": f"{_CANDLES}?start=2025-12-31T22:00:00Z&limit=2&format=csv",
        "ndjson": f"{_CANDLES}?start=2025-12-31T22:00:00Z&limit=2&format=ndjson",
        "ccxt": f"{_CANDLES}?start=2025-12-31T22:00:00Z&limit=2&format=ccxt",
    },
    "getLatestCandle": {
        "json": f"{_CANDLES}/latest",
        "forming": f"{_CANDLES}/latest?include_partial=true&time_format=iso",
        "csv": f"{_CANDLES}/latest?format=csv",
        "ndjson": f"{_CANDLES}/latest?format=ndjson",
        "ccxt": f"{_CANDLES}/latest?format=ccxt",
    },
}
"""What is read for the examples of an operation, by their names; those about tokens and clients are asked apart."""

_REFUSED: Final[Mapping[str, str]] = {
    "invalid-parameter": f"{_CANDLES}?limit=0",
    "unknown-parameter": f"{_CANDLES}?startTime=1767225600000",
    "naive-timestamp": f"{_CANDLES}?start=2026-01-01T00:00:00",
    "invalid-range": f"{_CANDLES}?start=1767229200000&end=1767225600000",
    "limit-too-large": f"{_CANDLES}?limit=10000",
    "unsupported-interval": "/v1/candles/coinbase/BTC-USD/4h",
    "bad-cursor": f"{_CANDLES}?cursor=changed",
    "unknown-exchange": "/v1/exchanges/binance",
    "unknown-symbol": "/v1/candles/binance_futures/BTC-USTD-PERP/1h",
    "as-of-before-history": "/v1/symbols?as_of=2025-01-01T00:00:00Z",
    "not-found": "/v1/symbol/binance_futures/BTC-USDT-PERP",
    "unsupported-format": f"{_CANDLES}?format=xml",
}
"""What a client who may read asks in vain, by the code of the refusal."""

_TROUBLES: Final[Mapping[str, str]] = {
    "upstream-banned": "ban",
    "upstream-blocked": "firewall",
    "upstream-rate-limited": "rate-limit",
    "upstream-unavailable": "unavailable",
}
_FAULTS: Final[Mapping[str, str]] = {
    "upstream-bad-data": "html,exchange=binance_futures,route=candles",
    "upstream-error": "status,status=405,exchange=binance_futures,route=candles",
    "upstream-timeout": "silence,exchange=binance_futures,route=candles",
}

_CHANGING: Final = (
    (re.compile(r"cursor=[\w-]+"), "cursor=…"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://127.0.0.1:9000"),
    (re.compile(r"mdc_[0-9a-f]{16}"), "mdc_0123456789abcdef"),
    (re.compile(r'("(?:access_token|client_secret|kid|x)": ?")[^"]+'), r"\1…"),
    (re.compile(r'("(?:secret_id|subject)": ?")[0-9A-Za-z_-]{8}(?:[0-9A-Za-z_-]{35})?"'), r'\1K0lETkxz"'),
)
"""What differs from run to run, and what stands for it."""


class Asker:
    """Asks a platform as clients do."""

    def __init__(self, platform: Platform, clock: ManualClock, secret: str, client_id: str) -> None:
        self.platform = platform
        self.clock = clock
        self.credentials = {"client_id": client_id, "client_secret": secret}

    def bearer(self, *scopes: str) -> dict[str, str]:
        token = self.platform.services.tokens.issue(self.credentials["client_id"], scopes)
        return {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, *scopes: str) -> httpx2.Response:
        return await self.platform.http.get(path, headers={**_ID, **self.bearer(*(scopes or _SCOPES))})

    async def token(self, **fields: str) -> httpx2.Response:
        return await self.platform.http.post("/v1/token", data=fields, headers=_ID)

    async def answers(self) -> dict[str, Any]:
        """An answer for each example, by operation id and name."""
        given = await self.token(**_FORM, **self.credentials)
        made: dict[str, Any] = {"createToken": {"token": _example(given)}}
        for operation_id, named in READ.items():
            made[operation_id] = {name: _example(await self.get(path)) for name, path in named.items()}
        ended = await self.post("/v1/token/revoke", data={"token": given.json()["access_token"], **self.credentials})
        assert (ended.status_code, ended.content) == (200, b"")
        return made | await self._clients()

    async def _clients(self) -> dict[str, Any]:
        """The life of a client, as an admin makes it."""
        made = await self.post(_CLIENTS, json={"name": "charts", "scopes": ["metadata:read", "candles:read"]})
        self.clock.advance(60_000)
        one = f"{_CLIENTS}/{made.json()['client_id']}"
        secret = f"{one}/secrets/{made.json()['secrets'][0]['secret_id']}"
        given = {
            "createClient": made,
            "getClient": await self.get(one, "admin"),
            "updateClient": await self.post(one, method="PATCH", json={"candles_per_minute": 100_000}),
            "rotateClient": await self.post(f"{one}/rotate", json={}),
            "revokeSecret": await self.post(f"{secret}/revoke"),
            "disableClient": await self.post(f"{one}/disable"),
            "listClients": await self.get(_CLIENTS, "admin"),
            "listAudit": await self.get(f"/v1/admin/audit?subject={made.json()['client_id']}&limit=3", "admin"),
        }
        self.clock.set(T0)
        return {operation_id: {"example": _example(answer)} for operation_id, answer in given.items()}

    async def post(self, path: str, *, method: str = "POST", **body: Any) -> httpx2.Response:
        headers = {**_ID, **({} if path.startswith("/v1/token") else self.bearer("admin"))}
        return await self.platform.http.request(method, path, headers=headers, **body)

    async def problems(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """A problem document for each code."""
        given = [await self.get(path) for path in _REFUSED.values()]
        given += await self._refused_access()
        given += await self._refused_requests()
        given += await self._failed_exchanges()
        given += await self._failed_platform(monkeypatch)
        made = {}
        for answer in given:
            assert answer.headers["content-type"] == "application/problem+json", answer.text
            document = _steady(answer.text)
            made[document["code"]] = {
                name: value for name, value in document.items() if name not in {"error", "error_description"}
            }
        return dict(sorted(made.items()))

    async def _refused_access(self) -> list[httpx2.Response]:
        http, late = self.platform.http, self.bearer(*_SCOPES)
        given = [
            await http.get(_CANDLES, headers=_ID),
            await http.get(_CANDLES, headers={**_ID, "Authorization": "Bearer made-up"}),
            await self.get(_CANDLES, "metadata:read"),
            await self.token(**_FORM, **{**self.credentials, "client_secret": "made-up"}),
            await self.token(**_FORM, **self.credentials, scope="everything"),
            await self.token(**{**_FORM, "grant_type": "password"}, **self.credentials),
        ]
        self.clock.advance(931_000)
        given.append(await http.get(_CANDLES, headers={**_ID, **late}))
        self.clock.set(T0)
        return given

    async def _refused_requests(self) -> list[httpx2.Response]:
        http = self.platform.http
        return [
            await http.post("/v1/token", json=_FORM, headers=_ID),
            await http.post("/v1/token", data={**_FORM, "scope": "x" * 70_000}, headers=_ID),
            await http.post("/v1/exchanges", headers={**_ID, **self.bearer(*_SCOPES)}),
        ]

    async def _failed_exchanges(self) -> list[httpx2.Response]:
        given = []
        for trouble in _TROUBLES.values():
            self._stage(Scenario(limits=False, troubles={"binance_futures": trouble}))
            given.append(await self.get(_CANDLES))
        for code, fault in _FAULTS.items():
            self._stage(Scenario(limits=False), fault, deadline_s=0.3 if code == "upstream-timeout" else PATIENCE_S)
            given.append(await self.get(_CANDLES))
        self._stage(Scenario(limits=False))
        return given

    def _stage(self, scenario: Scenario, *faults: str, deadline_s: float = PATIENCE_S) -> None:
        platform = self.platform
        platform.stage(market(SEED, scenario), Controls(Faults(faults, SEED)))
        binance = ExchangeId("binance_futures")
        platform.fetchers[binance] = Fetcher(
            ADAPTERS[binance], platform.upstream, self.clock, f"{platform.simulator}/binance", deadline_s=deadline_s
        )

    async def _failed_platform(self, monkeypatch: pytest.MonkeyPatch) -> list[httpx2.Response]:
        given = []
        nowhere = Database("postgresql://nobody@127.0.0.1:9/nothing")
        new = create_app(nowhere, self.platform.fetchers, self.clock, ApiSettings())
        async with serving(new) as url, httpx2.AsyncClient(base_url=url, trust_env=False) as http:
            given.append(await http.get("/health/ready", headers=_ID))
            given.append(await http.get(_CANDLES, headers={**_ID, **self.bearer(*_SCOPES)}))
        await nowhere.dispose()

        def refuse(*_: object) -> None:
            raise Problem("rate-limited", "You asked for more than your share; wait, then go on.", retry_after=5)

        def break_down(*_: object) -> None:
            raise ZeroDivisionError

        for fail in (refuse, break_down):
            with monkeypatch.context() as patched:
                patched.setattr(self.platform.services.catalogue, "check_exchange", fail)
                given.append(await self.get("/v1/exchanges/coinbase"))
        return given


async def make_asker(platform: Platform, clock: ManualClock) -> Asker:
    """With a client who may do all."""
    async with platform.database.transaction() as connection:
        client, secret = await create_client(connection, "operations", tuple(SCOPES), clock.now_ms() - 1000)
    await platform.services.refresh()
    return Asker(platform, clock, secret, client.client_id)


def _example(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 201}, answer.text
    media_type = answer.headers["content-type"].partition(";")[0]
    value = _steady(answer.text) if media_type == "application/json" else answer.text
    return {"media_type": media_type, "value": value}


def _steady(text: str) -> Any:
    """A document, with what differs from run to run replaced."""
    for changing, instead in _CHANGING:
        text = changing.sub(instead, text)
    return json.loads(text)
