"""What a range of candles may cost is known before anything is asked of an exchange."""

import random
from typing import Any, Final

import pytest

from marketdata.core.clock import ManualClock
from tests.e2e.front_door.conftest import T0, Door
from tests.e2e.front_door.raw import Answer, RawClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST_CALLS: Final = 20
MOST_BYTES: Final = 2 * 1024 * 1024
PLACES: Final = {
    "binance_futures": "binance_futures/BTC-USDT-PERP",
    "hyperliquid": "hyperliquid/BTC-USDC-PERP",
    "coinbase": "coinbase/BTC-USD",
}
REFUSED: Final = {
    "limit=2147483648": "limit-too-large",
    "limit=9223372036854775808": "limit-too-large",
    "limit=5001": "limit-too-large",
    "limit=0": "invalid-parameter",
    "limit=-1": "invalid-parameter",
    "limit=1.5": "invalid-parameter",
    "limit=1e3": "invalid-parameter",
    "limit=0x10": "invalid-parameter",
    "limit=%D9%A3": "invalid-parameter",
    "limit=10&limit=20": "invalid-parameter",
    "start=2&end=1": "invalid-range",
    "start=1767225600000&end=1767225600000": "invalid-range",
    "start=-1": "invalid-parameter",
    "start=1767225600": "invalid-parameter",
    "start=1767225600.5": "invalid-parameter",
    "start=253402300800000": "invalid-parameter",
    "start=99999999999999999999": "invalid-parameter",
    "end=0000-00-00T00:00:00Z": "invalid-parameter",
    "end=10000-01-01T00:00:00Z": "invalid-parameter",
    "end=2026-02-30T00:00:00Z": "invalid-parameter",
    "end=2026-01-01": "naive-timestamp",
    "startTime=0": "unknown-parameter",
    "&".join(f"x{number}=1" for number in range(200)): "invalid-request",
}


async def asks(client: RawClient, door: Door, path: str) -> Answer:
    """Half a minute after the one before, so that the exchanges' budgets are whole."""
    assert isinstance(door.platform.clock, ManualClock)
    door.platform.clock.advance(30_000)
    return await client.ask(f"/v1/candles/{path}", ((b"Authorization", _bearer(door).encode()),))


def _bearer(door: Door) -> str:
    return f"Bearer {door.platform.services.tokens.issue(door.forge.client_id, ('candles:read',))}"


def calls(door: Door) -> int:
    return door.platform.controls.journal.last_id


@pytest.mark.parametrize("exchange", PLACES)
async def test_the_widest_range_costs_no_more_than_twenty_calls(door: Door, exchange: str) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        for query in (
            f"start=0&end={T0}",
            f"start=0&end={T0}&order=desc",
            f"start=0&end={T0}&limit=5000",
            "limit=5000",
        ):
            before = calls(door)
            answer = await asks(client, door, f"{PLACES[exchange]}/1m?{query}")
            assert answer.status == 200, answer.body
            assert calls(door) - before <= MOST_CALLS + 1, query  # one more for the first traded day, once
            assert len(answer.body) <= MOST_BYTES, query


@pytest.mark.parametrize("exchange", PLACES)
async def test_what_cannot_be_is_refused_before_the_exchange_is_asked(door: Door, exchange: str) -> None:
    async with RawClient(str(door.http.base_url)) as client:
        for query, code in REFUSED.items():
            before = calls(door)
            answer = await asks(client, door, f"{PLACES[exchange]}/1m?{query}")
            problem: Any = answer.json()
            assert (answer.status, problem["code"]) == (400, code), query
            assert calls(door) == before, query


async def test_a_head_is_the_get_without_its_body(door: Door) -> None:
    path = f"{PLACES['coinbase']}/1h?start=1767139200000&end=1767225600000"
    got = await door.http.get(f"/v1/candles/{path}", headers={"Authorization": _bearer(door)})
    head = await door.http.head(f"/v1/candles/{path}", headers={"Authorization": _bearer(door)})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.long
async def test_ten_thousand_ranges(door: Door) -> None:
    chance = random.Random(1)
    async with RawClient(str(door.http.base_url)) as client:
        for _ in range(10_000):
            start = chance.randrange(T0)
            end = start + chance.choice((1, 60_000, 3_600_000, 10**9, 10**12))
            path = f"{chance.choice(list(PLACES.values()))}/{chance.choice(('1m', '1h', '1d'))}"
            before = calls(door)
            answer = await asks(client, door, f"{path}?start={start}&end={end}&limit={chance.randint(1, 300)}")
            assert answer.status == 200, answer.body
            assert calls(door) - before <= MOST_CALLS + 1
            assert len(answer.body) <= MOST_BYTES
