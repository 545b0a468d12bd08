"""Planned changes of listings, steered from outside."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.server import running_simulator
from tests.simulator.conftest import NOW_MS
from tests.simulator.test_listing_changes import FROM_MS, HOUR_MS, served


@pytest.fixture
async def exchanges(clock: ManualClock) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a simulator whose changes are the test's."""
    async with running_simulator(served(), clock) as url, httpx2.AsyncClient(base_url=url) as client:
        yield client


async def test_changes_come_by_the_clock_and_go_when_they_are_taken_back(
    exchanges: httpx2.AsyncClient, clock: ManualClock
) -> None:
    planned: list[dict[str, Any]] = [
        {"exchange": "coinbase", "symbol": "BTC-USD", "change": "rename", "to": "XBT-USD", "from": "2026-03-15T13:00Z"},
        {"exchange": "binance", "symbol": "BTCUSDT", "change": "absent", "from": FROM_MS, "until": None},
        {"exchange": "hyperliquid", "symbol": "ETH", "change": "rename", "to": "ETHER", "from": FROM_MS},
    ]
    assert (await exchanges.post("/_control/listings", json=planned)).status_code == 200
    assert (await exchanges.get("/_control/listings")).json() == {
        "changes": [
            {**planned[0], "from": 1_773_579_600_000},
            {"exchange": "binance_futures", "symbol": "BTCUSDT", "change": "absent", "from": FROM_MS},
            planned[2],
        ]
    }

    async def statuses() -> list[int]:
        paths = ["XBT-USD", "BTC-USD", "XBT-USD/candles?granularity=60", "BTC-USD/candles?granularity=60"]
        found = [await exchanges.get(f"/coinbase/products/{path}") for path in paths]
        found.append(await exchanges.get("/binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h&limit=3"))
        for coin in ("ETHER", "ETH"):
            wanted = {"coin": coin, "interval": "1h", "startTime": NOW_MS}
            found.append(await exchanges.post("/hyperliquid/info", json={"type": "candleSnapshot", "req": wanted}))
            assert all(row["s"] == coin for row in found[-1].json() or [])
        return [answer.status_code for answer in found]

    before = [404, 200, 404, 200, 200, 500, 200]
    assert await statuses() == before
    clock.advance(HOUR_MS)
    assert await statuses() == [200, 404, 200, 404, 400, 200, 500]
    refused = await exchanges.get("/binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h")
    assert refused.json() == {"code": -1121, "msg": "Invalid symbol."}
    clock.advance(-HOUR_MS)
    assert await statuses() == before
    clock.advance(24 * HOUR_MS)
    assert (await exchanges.delete("/_control/listings")).json() == {"changes": []}
    assert await statuses() == before


async def test_a_closed_contract_has_no_candles(exchanges: httpx2.AsyncClient) -> None:
    closed = {"exchange": "binance", "symbol": "BTCUSDT", "change": "status", "to": "CLOSE", "from": NOW_MS}
    await exchanges.post("/_control/listings", json=closed)
    answer = await exchanges.get("/binance/fapi/v1/klines?symbol=BTCUSDT&interval=1h")
    assert answer.json() == {"code": -1122, "msg": "Invalid symbol status."}
