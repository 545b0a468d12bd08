"""What a simulator remembers of what it was asked."""

from typing import Any

import httpx2
import msgspec
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.answers import Asked
from marketdata.simulator.calls import call_of
from marketdata.simulator.controls import Controls
from marketdata.simulator.journal import Journal
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.server import running_simulator
from marketdata.simulator.sources import simulated
from tests.simulator.conftest import NOW_MS
from tests.simulator.raw import hear


def ask(journal: Journal, number: int, **headers: str) -> None:
    asked = Asked("GET", "/products/BTC-USD/candles", {"n": str(number)}, b"", 1_000 * number, headers)
    journal.open(call_of("coinbase", asked), asked)


async def test_an_entry_tells_all_of_a_request_and_its_answer() -> None:
    controls, clock = Controls(), ManualClock(NOW_MS)
    async with (
        running_simulator(simulated(scenario=Scenario(skew_ms=5_000)), clock, controls) as url,
        httpx2.AsyncClient(base_url=url, headers={"X-MBX-APIKEY": "k1", "X-Test": "yes"}) as client,
    ):
        await client.get("/binance/fapi/v1/klines", params={"symbol": "btcusdt", "interval": "1h", "limit": 101})
        clock.advance(1_000)
        body = b'{"type":"candleSnapshot","req":{"coin":"BTC","interval":"1h","startTime":0,"endTime":3600000}}'
        await client.post("/hyperliquid/info", content=body, headers={"Authorization": "Bearer x", "Cookie": "c"})
        answer = await client.get("/coinbase/nothing?a=1&b=%20")
    first, second, third = controls.journal.entries()
    assert msgspec.structs.asdict(first) | {"headers": {}} == {
        "id": 1,
        "time_ms": NOW_MS + 5_000,
        "exchange": "binance_futures",
        "route": "/fapi/v1/klines",
        "use": "candles",
        "symbol": "BTCUSDT",
        "method": "GET",
        "path": "/fapi/v1/klines",
        "query": {"symbol": "btcusdt", "interval": "1h", "limit": "101"},
        "body": "",
        "headers": {},
        "weight": 2,
        "status": 200,
        "fault": None,
        "bytes_sent": first.bytes_sent,
    }
    assert (first.headers["x-mbx-apikey"], first.headers["x-test"]) == ("(hidden)", "yes")
    assert (second.id, second.time_ms, second.route, second.symbol) == (2, NOW_MS + 6_000, "candleSnapshot", "BTC")
    assert (second.method, second.path, second.body, second.weight) == ("POST", "/info", body.decode(), 20)
    assert (second.headers["authorization"], second.headers["cookie"]) == ("(hidden)", "(hidden)")
    assert (third.status, third.use, third.query) == (404, "other", {"a": "1", "b": " "})
    assert third.bytes_sent == len(answer.content) > 0


async def test_a_refusal_is_in_it_too() -> None:
    controls = Controls()
    async with running_simulator(simulated(), ManualClock(NOW_MS), controls) as url:
        for _ in range(20):
            await hear(url, "coinbase", "candles")
    statuses = [entry.status for entry in controls.journal.entries()]
    assert statuses == [200] * 15 + [429] * 5


async def test_what_steers_is_not_in_it() -> None:
    controls = Controls()
    async with running_simulator(simulated(), ManualClock(NOW_MS), controls) as url, httpx2.AsyncClient() as client:
        await client.get(f"{url}/_control/about")
        await client.get(f"{url}/elsewhere")
    assert controls.journal.entries() == []


def test_the_oldest_are_given_up_first() -> None:
    journal = Journal(size=3)
    for number in range(5):
        ask(journal, number)
    assert [entry.id for entry in journal.entries()] == [3, 4, 5]
    assert journal.last_id == 5


def test_ids_go_on_when_it_is_cleared() -> None:
    journal = Journal()
    ask(journal, 0)
    journal.clear()
    assert journal.entries() == []
    ask(journal, 1)
    assert [entry.id for entry in journal.entries()] == [2]


@pytest.mark.parametrize(
    "wanted, ids",
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"since": 3}, [4, 5]),
        ({"since": 5}, []),
        ({"limit": 2}, [4, 5]),
        ({"since": 0, "limit": 2}, [1, 2]),
        ({"since": 1, "limit": 2}, [2, 3]),
        ({"limit": 0}, []),
        ({"exchange": "coinbase", "route": "candles", "symbol": "BTC-USD"}, [1, 2, 3, 4, 5]),
        ({"exchange": "hyperliquid"}, []),
        ({"route": "/products/*"}, [1, 2, 3, 4, 5]),
        ({"route": "listing"}, []),
        ({"symbol": "ETH-USD"}, []),
    ],
)
def test_entries_are_selected(wanted: dict[str, Any], ids: list[int]) -> None:
    journal = Journal()
    for number in range(5):
        ask(journal, number)
    assert [entry.id for entry in journal.entries(**wanted)] == ids


def test_a_long_body_is_cut() -> None:
    journal = Journal()
    asked = Asked("POST", "/info", {}, b"\xff" + "ü".encode() * 10_000, 0)
    journal.open(call_of("hyperliquid", asked), asked)
    assert journal.entries()[0].body == "\ufffd" + "ü" * 4095
