"""The loop: its rhythm, its patience with failures, and that one exchange's failure is its own."""

import asyncio
import random
from contextlib import suppress
from typing import override

import pytest

from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.exchanges import get_adapter
from marketdata.core.fetch import Fetcher, open_http
from marketdata.core.models import ExchangeId
from marketdata.store.engine import Database
from marketdata.store.syncs import last_runs, list_runs
from marketdata.syncer.loop import keep_syncing, wait_s
from tests.syncer.conftest import NOW_MS

INTERVAL_S = 100.0


class PacedClock(ManualClock):
    """Notes how long everyone sleeps; nobody wakes up from the last sleep."""

    def __init__(self, sleeps: int) -> None:
        super().__init__(NOW_MS)
        self.slept: list[float] = []
        self.done = asyncio.Event()
        self._sleeps = sleeps

    @override
    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) >= self._sleeps:
            self.done.set()
            await asyncio.Event().wait()
        await super().sleep(seconds)


async def run(database: Database, clock: PacedClock, urls: dict[str, str], seed: int = 1) -> None:
    async with open_http() as http:
        fetchers = [Fetcher(get_adapter(one), http, clock, url) for one, url in urls.items()]
        syncing = asyncio.create_task(keep_syncing(database, fetchers, clock, INTERVAL_S, random.Random(seed)))
        async with asyncio.timeout(30):
            await clock.done.wait()
            await all_tried(database, urls)
        syncing.cancel()
        with suppress(asyncio.CancelledError):
            await syncing


async def all_tried(database: Database, urls: dict[str, str]) -> None:
    """Return when each was synced once, or when the database cannot be asked."""
    with suppress(DatabaseUnavailable):
        runs: set[ExchangeId] = set()
        while len(runs) < len(urls):
            async with database.transaction() as connection:
                runs = set(await last_runs(connection))


@pytest.mark.parametrize(
    "failures, seconds", [(0, 300), (1, 5), (2, 10), (3, 20), (6, 160), (7, 300), (8, 300), (10_000, 300)]
)
def test_failures_are_tried_again_sooner_at_first(failures: int, seconds: float) -> None:
    assert wait_s(failures, 300) == seconds


def test_no_wait_is_longer_than_the_interval() -> None:
    assert wait_s(1, 2.0) == 2.0


async def test_syncs_come_in_the_interval_give_or_take(database: Database, simulator_url: str) -> None:
    clock = PacedClock(4)
    await run(database, clock, {"coinbase": f"{simulator_url}/coinbase"})
    assert all(0.9 * INTERVAL_S <= slept <= 1.1 * INTERVAL_S for slept in clock.slept)
    assert len(set(clock.slept)) == 4
    async with database.transaction() as connection:
        assert sum(one.runs for one in await list_runs(connection, limit=10) if one.outcome == "succeeded") == 4


async def test_one_exchange_fails_and_the_other_does_not(database: Database, simulator_url: str) -> None:
    clock = PacedClock(8)
    await run(database, clock, {"coinbase": f"{simulator_url}/coinbase", "hyperliquid": "http://127.0.0.1:9"})
    async with database.transaction() as connection:
        newest = await last_runs(connection)
    assert {exchange: one.outcome for exchange, one in newest.items()} == {
        "coinbase": "succeeded",
        "hyperliquid": "failed",
    }
    assert min(clock.slept) <= 1.1 * 5
    assert max(clock.slept) >= 0.9 * INTERVAL_S


async def test_a_database_that_is_away_does_not_end_the_loop(
    simulator_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = PacedClock(3)
    database = Database("postgresql://nobody@127.0.0.1:9/nothing", deadline_s=1)
    await run(database, clock, {"coinbase": f"{simulator_url}/coinbase"})
    assert [round(slept / 5) for slept in clock.slept] == [1, 2, 4]
    assert "coinbase not synced: the database is not available" in caplog.text
