"""Metadata and candles are served on while the database is away; what needs it says so, and all is well again after."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from marketdata.core.clock import ManualClock
from marketdata.simulator.scenario import Scenario
from marketdata.simulator.sources import simulated
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.migrate import migrate
from tests.e2e.memory.world import NOW_MS
from tests.e2e.platform import Platform, running_platform
from tests.store.test_engine import hung, processes

FROM_MEMORY = (
    "/v1/symbols?limit=3",
    "/v1/symbols?q=btc%20perp&limit=3",
    "/v1/symbols/coinbase/BTC-USD",
    "/v1/resolve?name=BTCUSDT",
    "/v1/intervals?symbol=BTC-USD",
    "/v1/exchanges",
    "/v1/status",
    "/v1/candles/coinbase/BTC-USD/1h?limit=3",
    "/v1/candles/binance_futures/BTC-USDT-PERP/1h/latest",
    "/health/ready",
)
FROM_THE_DATABASE = (
    "/v1/events?limit=3",
    "/v1/symbols/coinbase/BTC-USD/history",
    "/v1/syncs",
    f"/v1/symbols?limit=3&as_of={NOW_MS + 1}",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A database server that may be hurt: its URL and its cluster."""
    with EmbeddedPostgres(tmp_path, ("fsync=off",)).use() as url:
        migrate(url)
        yield url, tmp_path / "postgres"


async def statuses(platform: Platform, paths: tuple[str, ...], times: int) -> Counter[int]:
    answers = await asyncio.gather(*(platform.get(path) for path in paths * times))
    return Counter(answer.status_code for answer in answers)


async def check_away(platform: Platform) -> None:
    """While the database does not answer."""
    assert await statuses(platform, FROM_MEMORY, 10) == {200: 10 * len(FROM_MEMORY)}
    for answer in await asyncio.gather(*(platform.get(path) for path in FROM_THE_DATABASE)):
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable"), answer.url
        assert answer.headers["Retry-After"]
    await platform.services.refresh()
    assert (await platform.read("/health/ready"))["database"] == "unreachable"
    status = await platform.read("/v1/status")
    assert (status["database"], {one["age_s"] is None for one in status["exchanges"]}) == ("unreachable", {False})
    one = await platform.get("/v1/symbols/coinbase/BTC-USD")
    assert int(one.headers["Age"]) >= 60, "it says how old it is"
    assert await statuses(platform, FROM_MEMORY, 10) == {200: 10 * len(FROM_MEMORY)}


async def check_back(platform: Platform) -> None:
    """When it answers again."""
    async with asyncio.timeout(60):
        while (await platform.get("/v1/events?limit=3")).status_code != 200:
            await asyncio.sleep(0.1)
    await platform.services.refresh()
    assert await statuses(platform, FROM_MEMORY + FROM_THE_DATABASE, 1) == {
        200: len(FROM_MEMORY) + len(FROM_THE_DATABASE)
    }
    assert (await platform.read("/health/ready"))["database"] == "ok"


async def test_what_is_held_is_served_on(server: tuple[str, Path]) -> None:
    url, cluster = server
    clock = ManualClock(NOW_MS)
    async with running_platform(simulated(scenario=Scenario(limits=False)), clock, url) as platform:
        clock.advance(60_000)
        await check_back(platform)
        with hung(cluster):
            await check_away(platform)
        await check_back(platform)
        for process in processes(cluster)[1:]:
            with suppress(ProcessLookupError):  # the first one's end takes the others along
                os.kill(process, signal.SIGKILL)
        assert set(await statuses(platform, FROM_MEMORY, 10)) == {200}
        await check_back(platform)
