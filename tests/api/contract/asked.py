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
from marketdata.store.usage import Usage, add_usage
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
"""What is read for the examples of an operation, by their names; `createToken` is asked apart."""

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
    (re.compile(r'("(?:access_token|kid|x|client_secret)": ?")[^"]+'), r"\1…"),
    (re.compile(r'("secret_id": ?")[^"]+'), r"\g<1>Ab3dE6gH"),
)
"""What differs from run to run, and what stands for it."""


class Asker:
    """Asks a platform as clients do."""

    def __init__(self, platform: Platform, clock: ManualClock, secret: str, client_id: str, admin_id: str) -> None:
        self.platform = platform
        self.clock = clock
        self.credentials = {"client_id": client_id, "client_secret": secret}
        self.admin_id = admin_id

    @property
    def admin(self) -> dict[str, str]:
        """The headers of an admin."""
        return {**_ID, "Authorization": f"Bearer {self.platform.services.tokens.issue(self.admin_id, ('admin',))}"}

    def bearer(self, *scopes: str) -> dict[str, str]:
        token = self.platform.services.tokens.issue(self.credentials["client_id"], scopes)
        return {"Authorization": f"Bearer {token}"}

    async def get(self, path: str, *scopes: str) -> httpx2.Response:
        return await self.platform.http.get(path, headers={**_ID, **self.bearer(*(scopes or _SCOPES))})

    async def token(self, **fields: str) -> httpx2.Response:
        return await self.platform.http.post("/v1/token", data=fields, headers=_ID)

    async def answers(self) -> dict[str, Any]:
        """An answer for each example, by operation id and name."""
        made: dict[str, Any] = {"createToken": {"token": _example(await self.token(**_FORM, **self.credentials))}}
        for operation_id, named in READ.items():
            made[operation_id] = {name: _example(await self.get(path)) for name, path in named.items()}
        return {**made, **await self._administered()}

    async def _administered(self) -> dict[str, Any]:
        """What an admin gets, from a client's making to its end."""

        async def ask(name: str, method: str, path: str = "", body: object = None) -> tuple[Any, dict[str, Any]]:
            url = f"/v1/admin/clients{path}"
            self.clock.advance(1000)  # the new client is the newest
            answer = await self.platform.http.request(method, url, headers=self.admin, json=body)
            return answer.json(), {name: _example(answer)}

        made: dict[str, Any] = {}
        asked = {"name": "my bot", "scopes": ["candles:read"], "requests_per_minute": 600}
        client, made["createClient"] = await ask("created", "POST", "", asked)
        path = f"/{client['client_id']}"
        _, made["listClients"] = await ask("clients", "GET")
        _, made["getClient"] = await ask("client", "GET", path)
        async with self.platform.database.transaction() as connection:
            await add_usage(connection, [Usage(client["client_id"], T0 - T0 % 3_600_000, 120, 60_000, 3)])
        _, made["getClientUsage"] = await ask("usage", "GET", f"{path}/usage?hours=2")
        _, made["updateClient"] = await ask("changed", "PATCH", path, {"requests_per_minute": None})
        _, made["rotateClient"] = await ask("rotated", "POST", f"{path}/rotate")
        secret_id = client["secrets"][0]["secret_id"]
        _, made["revokeSecret"] = await ask("revoked", "POST", f"{path}/secrets/{secret_id}/revoke")
        _, made["disableClient"] = await ask("disabled", "POST", f"{path}/disable")
        log = f"/v1/admin/audit?subject={client['client_id']}&limit=3"
        made["listAudit"] = {"lines": _example(await self.platform.http.get(log, headers=self.admin))}
        self.clock.set(T0)
        return made

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
            await self.token(**_FORM, **self.credentials, scope="admin"),
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
    """With a client who may read."""
    async with platform.database.transaction() as connection:
        client, secret = await create_client(connection, "example", _SCOPES, clock.now_ms() + 1)
        admin, _ = await create_client(connection, "admin", ("admin",), clock.now_ms() + 2)
    await platform.services.refresh()
    return Asker(platform, clock, secret, client.client_id, admin.client_id)


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
