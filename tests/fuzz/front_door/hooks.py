"""What schemathesis is told about this API: who asks, which values exist, what is no finding, and what it counted.

Runs in schemathesis's own environment, so it knows nothing of the product but its HTTP. Values are chosen by what was
generated, so that a failing case can be repeated and made smaller.
"""

import atexit
import itertools
import json
import os
import random
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
import schemathesis
from hypothesis import strategies as st

_KNOWN: dict[str, Any] = json.loads(os.environ["FRONT_DOOR"])
_COUNTS = Path(_KNOWN["counts"])
_URL = _KNOWN["url"]
_CLIENT = (_KNOWN["client_id"], _KNOWN["client_secret"])
_BEGAN_MS = int(time.time() * 1000)
_DAY_MS = 86_400_000
_FIRST_TIME = 10**11
"""The smallest whole number that `since` takes for a time."""

ALLOWED_REFUSALS = {"invalid-range", "naive-timestamp", "unsupported-interval", "bad-cursor"}
"""Of a request that its schema allows: what a schema cannot say."""

_COUNTED: Counter[str] = Counter()
_ADDRESSES = itertools.count()
_CURSORS: list[tuple[str, str]] = []
_MOST_CURSORS = 500
_SCOPES = ("metadata:read", "candles:read", "admin")
_WORDS = ("btc", "btc perp", "usdt", "eth usd", "sol", "perp hyperliquid", "1000", "spot", "doge", "cbse")
_NAMES = ("BTC/USDT:USDT", "BTC-USDT-PERP", "BTCUSDT", "coinbase:BTC-USD", "BTC-USD", "kPEPE", "nobody-knows")


def _token() -> str:
    answer = requests.post(f"{_URL}/v1/token", data={"grant_type": "client_credentials"}, auth=_CLIENT, timeout=10)
    return str(answer.json()["access_token"])


_TOKEN = _token()


def _make_client() -> str:
    """A client to whom admins do what they may, so that none does it to the one who asks."""
    answer = requests.post(
        f"{_URL}/v1/admin/clients",
        json={"name": "victim", "scopes": ["metadata:read"]},
        headers={"Authorization": f"Bearer {_TOKEN}"},
        timeout=10,
    )
    return str(answer.json()["client_id"])


def _get(path: str) -> Any:
    return requests.get(_URL + path, headers={"Authorization": f"Bearer {_TOKEN}"}, timeout=60).json()


def _instruments() -> list[tuple[str, str, tuple[str, ...]]]:
    """One of each exchange, in both spellings, with the intervals that it offers.

    The coverage of each is asked for once, for the simulator takes seconds to make all days that there ever were.
    """
    found = []
    for exchange in _get("/v1/exchanges")["data"]:
        intervals = tuple(one["interval"] for one in exchange["intervals"])
        for symbol in _get(f"/v1/symbols?exchange={exchange['exchange']}&q=btc&status=trading&limit=1")["data"]:
            for interval in intervals:
                _get(f"/v1/coverage/{exchange['exchange']}/{quote(symbol['symbol'], safe='')}/{interval}")
            found += [(exchange["exchange"], symbol[name], intervals) for name in ("symbol", "exchange_symbol")]
    return found


_INSTRUMENTS = _instruments()
_VICTIM, _DOOMED = _make_client(), _make_client()
_SECRET_ID = _get(f"/v1/admin/clients/{_VICTIM}")["secrets"][0]["secret_id"]


@schemathesis.auth().skip_for(path_regex="^/v1/token")
class Bearer:
    """A good token on every request; the token endpoints take client id and secret instead."""

    def get(self, case: Any, context: Any) -> str:  # noqa: ARG002 - schemathesis calls it so
        return _token()

    def set(self, case: Any, data: str, context: Any) -> None:  # noqa: ARG002 - likewise
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:  # noqa: ARG001 - likewise
    """Every request may name itself: so that operations without parameters can be asked in many ways, too."""
    parameter = {"name": "X-Request-ID", "in": "header", "required": False, "schema": {"type": "string"}}
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [*operation.get("parameters", ()), parameter]


@schemathesis.hook
def map_case(context: Any, case: Any) -> Any:  # noqa: ARG001 - likewise
    """A good request keeps the rules that a schema cannot say, and mostly speaks of what exists."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    chance = random.Random(repr((case.path_parameters, case.query, case.headers, case.body)))
    if case.query:
        case.query = _sound(dict(case.query), chance)
    if isinstance(case.body, dict) and "/admin/" in case.operation.path:
        case.body = _sound_body(dict(case.body), chance)
    if chance.random() < 0.15:
        return case
    exchange, symbol, intervals = chance.choice(_INSTRUMENTS)
    path = {
        "exchange": exchange,
        "symbol": quote(symbol, safe=""),
        "interval": chance.choice(intervals),
        "run": str(chance.randint(1, 3)),
        "client_id": _VICTIM,
        "secret_id": _SECRET_ID,
    }
    case.path_parameters = {name: path.get(name, value) for name, value in (case.path_parameters or {}).items()}
    if case.query:
        case.query = _existing(dict(case.query), case.operation.path, chance, exchange, symbol)
    if case.operation.path.startswith("/v1/token") and isinstance(case.body, dict):
        case.body |= {"client_id": _CLIENT[0], "client_secret": _CLIENT[1]}
        if chance.random() < 0.5:
            case.body.pop("scope", None)
        elif "grant_type" in case.body:
            case.body["scope"] = " ".join(chance.sample(_SCOPES, chance.randint(1, len(_SCOPES))))
    return case


def _sound(query: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The query without what only together, or only now, is wrong."""
    if query.get("format") == "ccxt":
        query.pop("numbers", None)
        query.pop("time_format", None)
    if "as_of" in query:
        query["as_of"] = str(_BEGAN_MS)
    if str(query.get("since", "")).isdigit() and int(query["since"]) < _FIRST_TIME:
        query["since"] = str(chance.randint(0, 1))
    if "symbol" in query:
        query.setdefault("exchange", chance.choice(_INSTRUMENTS)[0])
    return query


def _sound_body(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The body with a name that can be read and an end that is to come."""
    if "name" in body:
        body["name"] = f"client {chance.randrange(10**6)}"
    if body.get("expires_at") is not None:
        body["expires_at"] = _BEGAN_MS + chance.randrange(1, 400) * _DAY_MS
    return body


def _existing(query: dict[str, Any], path: str, chance: random.Random, exchange: str, symbol: str) -> dict[str, Any]:
    """The query with names, times and cursors that there are."""
    if query.pop("cursor", None) is not None:
        cursors = [cursor for of, cursor in _CURSORS if of == path]
        if cursors:
            return {"cursor": chance.choice(cursors)}
    end = _BEGAN_MS - chance.randrange(30 * _DAY_MS)
    instead = {
        "exchange": exchange,
        "symbol": symbol,
        "name": chance.choice((*_NAMES, symbol)),
        "q": chance.choice(_WORDS),
        "updated_since": str(end),
        "since": str(chance.choice((end, 0, 1))),
        "start": str(end - chance.randrange(1, 20 * _DAY_MS)),
        "end": str(end),
        "max_age": chance.choice(("3600", "86400")),
        "actor": chance.choice((_CLIENT[0], "operator")),
        "subject": chance.choice((_VICTIM, _DOOMED)),
    }
    if "candles" in path and chance.random() < 0.9:
        instead["limit"] = str(chance.randint(1, 50))  # large pages are the simulator's work more than ours
    return {name: instead.get(name, value) for name, value in query.items()}


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


schemathesis.openapi.format("date-time", st.integers(0, int(_BEGAN_MS / 1000)).map(_moment))  # no date before 1970


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:  # noqa: ARG001 - likewise
    """Each request comes from elsewhere, so that wrong secrets slow no other; and nobody locks out who asks."""
    number = next(_ADDRESSES)
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    case.headers = {**(case.headers or {}), "X-Forwarded-For": address}
    client_id = (case.path_parameters or {}).get("client_id")
    if case.operation.path.endswith("/disable") and client_id in {_CLIENT[0], _VICTIM}:
        case.path_parameters = {**case.path_parameters, "client_id": _DOOMED}
    elif case.method.upper() != "GET" and client_id in {_CLIENT[0], _DOOMED}:
        case.path_parameters = {**case.path_parameters, "client_id": _VICTIM}


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:  # noqa: ARG001 - likewise
    """A good request may end with one of ALLOWED_REFUSALS."""
    if type(failure).__name__ != "RejectedPositiveData":
        return True
    return response.json().get("code") not in ALLOWED_REFUSALS


@schemathesis.check
def counted(ctx: Any, response: Any, case: Any) -> None:  # noqa: ARG001 - likewise
    """No check: counts the case, and keeps the cursor that it was given."""
    operation = f"{case.operation.method.upper()} {case.operation.path}"
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    _COUNTED[f"{operation} {'positive' if is_positive else 'negative'} {response.status_code}"] += 1
    links = response.headers.get("link", ())
    if is_positive and links and len(_CURSORS) < _MOST_CURSORS:
        _CURSORS.append((case.operation.path, links[0].partition("cursor=")[2].partition(">")[0]))


@atexit.register
def save() -> None:
    """Leave the counts to who started schemathesis."""
    _COUNTS.write_text(json.dumps(_COUNTED), encoding="utf-8")
