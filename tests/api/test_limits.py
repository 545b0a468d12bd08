"""What a client may ask in a minute and at once, through HTTP; one process, whose clock stands still."""

import asyncio
import re
from collections.abc import Iterator

import httpx2
import pytest

from marketdata.api.limits import Limits
from marketdata.core.clock import SystemClock
from marketdata.core.fetch import Fetcher
from marketdata.core.limits import OwnRates
from marketdata.store.usage import Usage, list_usage
from tests.api.conftest import MARKET_NOW_MS, Api, Market, problem

HOUR_MS = 3_600_000
CANDLES = "/v1/candles/binance_futures/BTC-USDT-PERP/1m"
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("fresh")]


@pytest.fixture
def limited(market: Market) -> Iterator[Market]:
    """A client with 5 requests and 1000 candles in a minute, of which none are used."""
    before = market.services.limits
    market.services.limits = Limits(OwnRates(market.clock), market.clock, lambda _: (5, 1000), 2)
    yield market
    market.services.limits = before


def left(answer: httpx2.Response) -> tuple[int, ...]:
    """Requests and candles that are left, and for how long, by the answer's header."""
    requests, seconds, candles, again = map(int, re.findall(r"=(\d+)", answer.headers["ratelimit"]))
    assert seconds == again
    return requests, candles, seconds


async def test_every_answer_says_what_is_left(limited: Market) -> None:
    answer = await limited.get("/v1/exchanges")
    assert answer.headers["ratelimit-policy"] == '"requests";q=5;w=60, "candles";q=1000;w=60'
    assert answer.headers["ratelimit"] == '"requests";r=4;t=60, "candles";r=1000;t=60'
    limited.clock.advance(15_500)
    missing = await limited.get("/v1/symbols/binance_futures/NONE")
    assert missing.status_code == 404
    assert missing.headers["ratelimit"] == '"requests";r=3;t=45, "candles";r=1000;t=45'
    assert (
        (await limited.get(f"{CANDLES}?limit=10"))
        .headers["ratelimit"]
        .startswith('"requests";r=2;t=45, "candles";r=990')
    )
    unknown = await limited.http.get("/v1/exchanges")
    assert unknown.status_code == 401
    assert "ratelimit" not in unknown.headers


async def test_more_requests_than_that_are_refused_until_the_minute_ends(limited: Market) -> None:
    limited.clock.advance(20_000)
    for _ in range(5):
        assert (await limited.get("/v1/exchanges")).status_code == 200
    refused = await limited.get(CANDLES)
    assert problem(refused) == {
        "code": "rate-limited",
        "status": 429,
        "detail": "The requests of this minute are used up.",
        "retry_after": 40,
        "max": 0,
    }
    assert refused.headers["retry-after"] == "40"
    assert left(refused) == (0, 1000, 40)
    limited.clock.advance(39_999)
    assert (await limited.get("/v1/exchanges")).headers["retry-after"] == "1"
    limited.clock.advance(1)
    assert (await limited.get("/v1/exchanges")).status_code == 200


async def test_candles_are_reserved_and_what_is_not_served_is_given_back(limited: Market) -> None:
    assert left(await limited.get(f"{CANDLES}?limit=700")) == (4, 300, 60)
    refused = await limited.get(f"{CANDLES}?limit=301")
    document = problem(refused)
    assert (document["code"], document["max"], document["retry_after"]) == ("rate-limited", 300, 60)
    assert document["detail"] == "300 candles are left in this minute; a smaller `limit` may fit."
    one_hour = f"start={MARKET_NOW_MS - HOUR_MS}&limit=300"
    assert len((await limited.get(f"{CANDLES}?{one_hour}")).json()["data"]) == 59
    latest = await limited.get(f"{CANDLES}/latest")
    assert left(latest) == (1, 240, 60)


async def test_a_request_that_fails_costs_no_candles(limited: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Fetcher, "source", fail)
    failed = await limited.get(f"{CANDLES}?limit=700")
    assert failed.status_code == 500
    assert left(await limited.get("/v1/exchanges")) == (3, 1000, 60)


async def test_so_many_at_once_and_no_more(limited: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, go = asyncio.Semaphore(0), asyncio.Event()
    source = Fetcher.source

    async def slowly(self: Fetcher, age_s: float) -> object:
        entered.release()
        await go.wait()
        return await source(self, age_s)

    monkeypatch.setattr(Fetcher, "source", slowly)
    two = [asyncio.create_task(limited.get(f"{CANDLES}?limit=1")) for _ in range(2)]
    for _ in two:
        await entered.acquire()
    refused = await limited.get("/v1/exchanges")
    document = problem(refused)
    assert (document["code"], document["retry_after"]) == ("rate-limited", 1)
    assert "At most 2 requests" in str(document["detail"])
    assert left(refused) == (3, 998, 60)
    go.set()
    assert [(await one).status_code for one in two] == [200, 200]
    assert (await limited.get("/v1/exchanges")).status_code == 200
    assert limited.services.limits.at_once == {}


async def test_the_usual_limits_are_those_of_the_settings(market: Market) -> None:
    policy = (await market.get("/v1/exchanges")).headers["ratelimit-policy"]
    assert policy == '"requests";q=1200;w=60, "candles";q=1000000;w=60'


async def test_no_answer_takes_for_ever(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Fetcher, "source", hang)
    monkeypatch.setattr("marketdata.api.envelope.REQUEST_DEADLINE_S", 0.05)
    answer = await market.get(CANDLES)
    assert (answer.status_code, problem(answer)["code"]) == (504, "upstream-timeout")
    assert market.services.limits.at_once == {}


async def test_what_is_used_is_written_down_by_the_hour(limited: Market) -> None:
    database, limits = limited.services.database, limited.services.limits
    hour = MARKET_NOW_MS // HOUR_MS * HOUR_MS
    await limited.get(f"{CANDLES}?limit=7")
    for _ in range(6):
        await limited.get("/v1/exchanges")
    await limits.usage.write(database)
    await limits.usage.write(database)
    limited.clock.advance(HOUR_MS)
    await limited.get("/v1/exchanges")
    await limits.usage.write(database)
    async with database.transaction() as connection:
        usage = await list_usage(connection, limited.client_id)
    assert usage == [Usage(limited.client_id, hour + HOUR_MS, 1, 0, 0), Usage(limited.client_id, hour, 7, 7, 2)]


async def test_it_is_written_now_and_then_and_at_the_end(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketdata.api.limits._TICK_S", 0.01)
    monkeypatch.setattr("marketdata.api.limits._USAGE_S", 0.01)
    limits = api.services.limits
    limits.clock = SystemClock()
    keeping = asyncio.create_task(limits.keep(api.services.database))

    async def requests() -> int:
        async with api.services.database.transaction() as connection:
            return sum(usage.requests for usage in await list_usage(connection))

    await api.get("/v1/exchanges")
    async with asyncio.timeout(20):
        while await requests() != 1:
            await asyncio.sleep(0.01)
    monkeypatch.setattr("marketdata.api.limits._USAGE_S", 1e9)
    await asyncio.sleep(0.05)
    await api.get("/v1/exchanges")
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await requests() == 2
