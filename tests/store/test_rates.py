"""The shared limits in a real database, with several processes' views of them in one loop."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from marketdata.core.clock import SystemClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.core.limits import Limiter
from marketdata.core.limits.limiter import BUSY_S
from marketdata.store.clients import create_client
from marketdata.store.embedded import EmbeddedPostgres
from marketdata.store.engine import Database
from marketdata.store.migrate import migrate
from marketdata.store.rates import SharedRates, open_rates
from tests.store.test_engine import at_most, hung, processes

CLOCK = SystemClock()
LIMIT = 1200

Pools = Callable[[], Awaitable[SharedRates]]


async def make_client(url: str) -> str:
    database = Database(url)
    async with database.transaction() as connection:
        client, _ = await create_client(connection, "test", (), 1)
    await database.dispose()
    return client.client_id


@pytest.fixture
async def client_id(postgres_url: str) -> str:
    return await make_client(postgres_url)


@pytest.fixture
async def pools(postgres_url: str) -> AsyncIterator[Pools]:
    """Makes one more process of the installation."""
    async with AsyncExitStack() as opened:
        yield lambda: opened.enter_async_context(open_rates(postgres_url, CLOCK))


class Door:
    """One client at one process."""

    def __init__(self, pool: SharedRates, client_id: str) -> None:
        self.pool = pool
        self.limiter = Limiter(pool, CLOCK, lambda _: (LIMIT, 10**6))
        self.meter = self.limiter.meter(client_id)
        self.admitted = 0

    async def ask(self, amount: int = 1) -> float | None:
        wait_s = await self.limiter.take(self.meter, self.meter.requests, amount)
        if wait_s is None:
            self.admitted += amount
        return wait_s

    async def ask_for_all(self) -> float:
        """Ask until it is told that the minute is used up; gives how long it is."""
        while True:
            wait_s = await self.ask()
            if wait_s is not None and wait_s != BUSY_S:
                return wait_s
            if wait_s is not None:
                await asyncio.sleep(0.05)


async def until(condition: Callable[[], bool], patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def room(seconds: float) -> None:
    """Return within a minute that goes on for so long."""
    left_s = 60 - time.time() % 60
    if left_s < seconds:
        await asyncio.sleep(left_s + 0.1)


def granted(url: str) -> int:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT granted FROM rate_windows WHERE kind = 'requests'").fetchall()
    return sum(row[0] for row in rows)


async def test_processes_never_let_in_more_than_the_limit(pools: Pools, client_id: str, postgres_url: str) -> None:
    doors = [Door(await pools(), client_id) for _ in range(4)]
    await room(8)
    waits = await asyncio.gather(*(door.ask_for_all() for door in doors for _ in range(5)))
    assert sum(door.admitted for door in doors) == LIMIT
    assert all(door.admitted > 0 for door in doors)
    assert granted(postgres_url) >= LIMIT
    left_s = 60 - time.time() % 60
    assert all(left_s - 0.5 < wait_s < 60 for wait_s in waits)


async def test_the_minute_ends_when_the_database_says_so(pools: Pools, client_id: str) -> None:
    door = Door(await pools(), client_id)
    await room(3)
    assert await door.ask() is None
    ends_in_s = door.meter.ends_at - CLOCK.monotonic()
    assert ends_in_s == pytest.approx(60 - time.time() % 60, abs=0.5)
    assert ends_in_s <= 60 - time.time() % 60 + 0.005


async def test_processes_are_counted_while_they_live(
    pools: Pools, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.store.rates._PRESENCE_LOOKS", 2)
    monkeypatch.setattr("marketdata.store.rates.LOOK_S", 0.1)
    one = await pools()
    async with open_rates(postgres_url, CLOCK) as other:
        await until(lambda: one.processes == 2)
        assert other.processes == 2
    await until(lambda: one.processes == 1)


async def test_what_others_take_is_seen(pools: Pools, client_id: str) -> None:
    one, other = Door(await pools(), client_id), await pools()
    await room(5)
    assert other.minute(client_id).taken == {}
    assert await one.ask() is None
    await until(lambda: other.minute(client_id).taken.get("requests") == LIMIT // 32)
    assert other.minute(client_id).is_seen
    assert other.minute("nobody").taken == {}


async def test_a_client_that_is_not_there(pools: Pools) -> None:
    pool = await pools()
    assert (await pool.take("nobody", {"requests": 1})).taken == {}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that may be hurt."""
    folder = tmp_path_factory.mktemp("hurt")
    with EmbeddedPostgres(folder, ["fsync=off"]).use() as url:
        migrate(url)
        yield url, folder / "postgres"


class TestWithoutTheDatabase:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("marketdata.store.rates.LEASE_DEADLINE_S", 0.5)

    async def test_a_server_that_hangs_costs_a_caller_little_and_then_there_are_shares(
        self, server: tuple[str, Path]
    ) -> None:
        url, cluster = server
        client_id = await make_client(url)
        async with open_rates(url, CLOCK) as one, open_rates(url, CLOCK) as other:
            await until(lambda: one.processes == other.processes == 2)
            doors = [Door(one, client_id), Door(other, client_id)]
            await room(15)
            assert await doors[0].ask() is None
            with hung(cluster):
                with at_most(5):
                    await doors[1].ask()
                await asyncio.gather(*(door.ask_for_all() for door in doors))
                assert LIMIT * 0.85 <= sum(door.admitted for door in doors) <= LIMIT
                assert min(door.admitted for door in doors) >= LIMIT * 0.4
            await until(lambda: one.is_reachable and other.is_reachable)
            assert not one.can_lease
            for door in doors:
                await door.limiter.tick()
            taken = granted(url)
            await until(lambda: one.can_lease and other.can_lease)
            await asyncio.gather(*(door.ask_for_all() for door in doors))
            assert taken == pytest.approx(sum(door.admitted for door in doors), abs=LIMIT * 0.15)
            assert sum(door.admitted for door in doors) <= LIMIT

    async def test_a_connection_that_ends_for_one_alone_changes_nothing(self, server: tuple[str, Path]) -> None:
        async with open_rates(server[0], CLOCK) as pool:
            with psycopg.connect(server[0], autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'marketdata' AND pid <> pg_backend_pid()"
                )
            await until(lambda: not pool.can_lease)
            assert not pool.is_alone
            await until(lambda: pool.can_lease)

    async def test_a_server_that_is_killed_and_comes_back(self, server: tuple[str, Path]) -> None:
        client_id = await make_client(server[0])
        async with open_rates(server[0], CLOCK) as pool:
            door = Door(pool, client_id)
            await room(15)
            assert await door.ask(30) is None
            os.kill(processes(server[1])[0], signal.SIGKILL)
            await until(lambda: not pool.can_lease)
            await until(lambda: pool.can_lease)
            await door.ask_for_all()
            assert door.admitted == LIMIT

    async def test_a_service_starts_without_the_server(self, tmp_path: Path) -> None:
        async with open_rates(f"postgresql://someone@/nothing?host={tmp_path}", CLOCK) as pool:
            assert pool.is_alone
            door = Door(pool, "c")
            assert await door.ask_for_all() > 30
            assert door.admitted == LIMIT
            with pytest.raises(DatabaseUnavailable):
                await pool.take("c", {"requests": 1})
