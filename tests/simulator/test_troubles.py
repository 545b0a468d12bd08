"""Exchanges that are not well: each in its own bytes, told apart, and well again when told so."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.errors import (
    UpstreamBanned,
    UpstreamBlocked,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from marketdata.core.exchanges import get_adapter
from marketdata.simulator.answers import Answer, Asked
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import Sources, simulated
from marketdata.simulator.troubles import Troubled, WrongTroubleError
from marketdata.simulator.venues import Venue, venues
from tests.simulator.conftest import NOW_MS

REQUESTS: dict[str, tuple[str, str, Any]] = {
    "binance_futures": ("GET", "/binance/fapi/v1/exchangeInfo", None),
    "hyperliquid": ("POST", "/hyperliquid/info", {"type": "meta"}),
    "coinbase": ("GET", "/coinbase/products", None),
}


def asked(now_ms: int = NOW_MS) -> Asked:
    return Asked("GET", "/fapi/v1/klines", {}, b"", now_ms)


@pytest.fixture
def places(sources: Sources) -> dict[str, Venue]:
    return {venue.exchange_id: venue for venue in venues(sources)}


ALL = [(venue.exchange_id, name) for venue in venues(simulated()) for name in venue.exchange.known]


@pytest.mark.parametrize("exchange, trouble", ALL)
def test_each_trouble_has_a_name_that_the_adapter_tells_it_by(
    places: dict[str, Venue], exchange: str, trouble: str
) -> None:
    sick = places[exchange].exchange
    sick.suffer(trouble)
    answer = sick.answer(asked())
    headers = {name.lower(): value for name, value in answer.headers.items()}
    error = get_adapter(exchange).classify(answer.status, headers, answer.body)
    assert isinstance(error, UpstreamError)
    assert answer.status >= 400
    if answer.headers["Content-Type"].startswith("application/json"):
        json.loads(answer.body)
    else:
        assert b"<" in answer.body
    expected = {403: UpstreamBlocked, 451: UpstreamBlocked, 418: UpstreamBanned, 429: UpstreamRateLimited}
    if answer.status > 500:
        assert isinstance(error, UpstreamUnavailable), (answer, error)
    else:
        assert isinstance(error, expected.get(answer.status, UpstreamError)), (answer, error)


@pytest.mark.parametrize(
    "trouble, status, body",
    [
        ("unknown-error", 503, "Unknown error, please check your request or try again later."),
        ("unavailable", 503, "Service Unavailable."),
        ("internal-error", 503, "Internal error; unable to process your request. Please try again."),
        ("timeout", 408, "Timeout waiting for response from backend server."),
        ("geo-block", 451, "Service unavailable from a restricted location according to 'b. Eligibility'"),
        ("rate-limit", 429, "Too many requests; current limit is 2400 requests per minute."),
        ("ban", 418, f"IP banned until {NOW_MS + 120_000}."),
    ],
)
def test_binances_texts(places: dict[str, Venue], trouble: str, status: int, body: str) -> None:
    sick = places["binance_futures"].exchange
    sick.suffer(trouble)
    answer = sick.answer(asked())
    assert answer.status == status
    assert body in json.loads(answer.body)["msg"]


def test_what_a_page_says_costs_no_weight(places: dict[str, Venue]) -> None:
    venue = places["binance_futures"]
    for trouble, weight in (("firewall", 0), ("geo-block", 0), ("edge-error", 0), ("unavailable", 5), ("timeout", 5)):
        venue.exchange.suffer(trouble)
        charge = venue.limits.settle(asked(), venue.exchange.answer(asked()))
        assert (charge.weight, bool(charge.headers)) == (weight, bool(weight)), trouble


TOO_WIDE = (
    b'{"message":"granularity too small for the requested time range. Count of aggregations requested exceeds 300"}'
)


@pytest.mark.parametrize(
    "exchange, second, status, body",
    [
        ("binance_futures", 0, 400, b'{"code":-1121,"msg":"Invalid symbol."}'),
        ("binance_futures", 1, 400, b'{"code":-1122,"msg":"Invalid symbol status."}'),
        ("coinbase", 0, 404, b'{"message":"NotFound"}'),
        ("coinbase", 0, 400, TOO_WIDE),
        ("coinbase", 1, 400, b'{"message":"Unsupported granularity"}'),
    ],
)
def test_what_one_request_may_be_refused_with(
    places: dict[str, Venue], exchange: str, second: int, status: int, body: bytes
) -> None:
    answer = places[exchange].exchange.failing(status, asked(NOW_MS - NOW_MS % 2000 + 1000 * second))
    assert answer is not None
    assert answer.body == body
    assert answer.headers["Content-Type"].startswith("application/json")


def test_coinbases_maintenance(places: dict[str, Venue]) -> None:
    sick = places["coinbase"].exchange
    sick.suffer("maintenance")
    answer = sick.answer(asked())
    assert (answer.status, json.loads(answer.body)) == (
        503,
        {"message": "GDAX is currently under maintenance. For updates please see https://status.gdax.com/"},
    )
    assert answer.headers["Cache-Control"] == "no-store"


class Well:
    def answer(self, asked: Asked) -> Answer:
        del asked
        return Answer(200, b"{}")


def test_only_known_troubles_are_taken() -> None:
    exchange = Troubled(Well(), {"flood": lambda _: Answer(503, b"")})
    assert exchange.answer(asked()).status == 200
    exchange.suffer("flood")
    with pytest.raises(WrongTroubleError, match="flood"):
        exchange.suffer("fire")
    assert (exchange.trouble, exchange.answer(asked()).status) == ("flood", 503)
    exchange.suffer(None)
    assert exchange.answer(asked()).status == 200


def test_a_status_is_told_in_the_exchanges_own_words(places: dict[str, Venue]) -> None:
    binance = places["binance_futures"].exchange
    told = [binance.failing(503, asked(NOW_MS + 1000 * second)) for second in range(5)]
    bodies = b"".join(answer.body for answer in told if answer)
    for text in (b"Unknown error", b"Service Unavailable", b"Internal error", b"overloaded", b"<HTML>"):
        assert text in bodies
    assert binance.failing(599, asked()) is None
    answer = places["coinbase"].exchange.failing(429, asked())
    assert answer is not None
    assert answer.status == 429


@pytest.fixture
async def sick(clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    scenario = Scenario(troubles={"binance_futures": "geo-block", "coinbase": "maintenance"})
    async with (
        running_simulator(simulated(scenario=scenario), clock) as url,
        httpx2.AsyncClient(base_url=url) as client,
    ):
        yield client


async def test_a_scenario_begins_in_trouble(sick: httpx2.AsyncClient) -> None:
    statuses = {
        exchange: (await sick.request(method, path, json=body)).status_code
        for exchange, (method, path, body) in REQUESTS.items()
    }
    assert statuses == {"binance_futures": 451, "hyperliquid": 200, "coinbase": 503}


def test_a_scenario_names_known_troubles_and_exchanges() -> None:
    with pytest.raises(WrongTroubleError):
        venues(simulated(scenario=Scenario(troubles={"coinbase": "ban"})))
    with pytest.raises(KeyError):
        venues(simulated(scenario=Scenario(troubles={"kraken": "ban"})))


async def test_coinbase_wants_a_key_for_what_is_private(simulator: httpx2.AsyncClient) -> None:
    private = await simulator.get("/coinbase/accounts")
    assert (private.status_code, private.json()) == (401, {"message": "CB-ACCESS-KEY header is required"})
    other = await simulator.get("/coinbase/api/v3/brokerage/products")
    assert (other.status_code, other.content) == (401, b"Unauthorized\n")
    assert other.headers["content-type"].startswith("text/plain")
