"""Two at once: of two syncers one works and the other says so; two migrations both end well."""

import asyncio

import psycopg
import pytest

from marketdata.store.migrate import downgrade, is_newest, migrate
from tests.conftest import Postgres
from tests.e2e.memory.syncer import FAILED, REFUSED, SUCCEEDED
from tests.e2e.memory.world import NOW_MS, Syncers, everything, running_syncers

PREVIOUS = "0002"


async def race(postgres: Postgres, one: Syncers, other: Syncers, exchange: str) -> tuple[int, int]:
    """Two syncs started at once on a database; how they ended."""
    url = postgres.make_database()
    ended = await asyncio.gather(*(syncers.sync(syncers.order(url, exchange)) for syncers in (one, other)))
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*), sum(runs), max(listings), max(exchanges.generation) FROM sync_runs, exchanges"
        )
        records, runs, listings, generation = row.fetchone() or (0, 0, 0, 0)
        names = connection.execute("SELECT count(*), count(DISTINCT symbol) FROM symbols").fetchone()
    statuses = (ended[0].status, ended[1].status)
    assert runs == listings == statuses.count(SUCCEEDED), statuses
    assert (generation, names is not None and names[0] == names[1] > 100) == (1, True)
    assert records <= 2
    postgres.drop_database(url)
    return statuses


async def test_of_two_syncers_one_works(postgres: Postgres) -> None:
    async with running_syncers() as one, running_syncers() as other:
        other.exchanges = one.exchanges
        outcomes = [await race(postgres, one, other, "coinbase") for _ in range(3)]
    assert all(FAILED not in statuses for statuses in outcomes), outcomes


@pytest.mark.long
async def test_50_races_of_syncers(postgres: Postgres) -> None:
    async with running_syncers() as one, running_syncers() as other:
        other.exchanges = one.exchanges
        outcomes = [await race(postgres, one, other, "coinbase") for _ in range(50)]
    refused = sum(REFUSED in statuses for statuses in outcomes)
    print(f"50 races: {refused} refused, {50 - refused} one after the other")
    assert all(FAILED not in statuses for statuses in outcomes), outcomes


def prepare(postgres: Postgres, *, is_empty: bool) -> str:
    """A database without anything, or of the version before."""
    url = postgres.make_database("template0" if is_empty else "migrated")
    if not is_empty:
        downgrade(url, PREVIOUS)
    return url


async def race_migrations(
    postgres: Postgres, one: Syncers, other: Syncers, *, is_empty: bool, kill_after_s: float | None = None
) -> tuple[int, int]:
    """Two migrations started at once, the first perhaps killed; how they ended. The schema is then the newest."""
    url = prepare(postgres, is_empty=is_empty)
    first, second = (syncers.order(url, "coinbase", is_migration=True) for syncers in (one, other))
    ended = await asyncio.gather(one.sync(first, kill_after_s), other.sync(second))
    assert ended[1].status == SUCCEEDED
    assert is_newest(url)
    assert not migrate(url)
    everything(url)  # all its tables are there
    postgres.drop_database(url)
    return ended[0].status, ended[1].status


async def test_of_two_migrations_both_end_well(postgres: Postgres) -> None:
    async with running_syncers() as one, running_syncers() as other:
        for is_empty in (True, False):
            statuses = await race_migrations(postgres, one, other, is_empty=is_empty)
            assert statuses == (SUCCEEDED, SUCCEEDED)
            killed = await race_migrations(postgres, one, other, is_empty=is_empty, kill_after_s=0.05)
            assert killed[0] in {SUCCEEDED, -9}


@pytest.mark.long
async def test_50_races_of_migrations(postgres: Postgres) -> None:
    killed = 0
    async with running_syncers() as one, running_syncers() as other:
        for number in range(50):
            kill_after_s = one.chance.uniform(0.01, 0.2) if number >= 40 else None
            statuses = await race_migrations(postgres, one, other, is_empty=number % 2 == 0, kill_after_s=kill_after_s)
            killed += statuses[0] == -9
            assert statuses[0] == SUCCEEDED or kill_after_s is not None
    print(f"50 races of migrations, {killed} with the first one killed on its way")
    assert killed > 0


async def test_syncers_at_work_see_each_other(postgres: Postgres) -> None:
    """While one holds the right to sync, another says so at once and asks nobody."""
    async with running_syncers() as one, running_syncers() as other:
        other.exchanges = "http://127.0.0.1:9"
        one.clock.set(NOW_MS)
        url = postgres.make_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(%s, hashtext('coinbase'))", (0x53594E43,))
            ended = await other.sync(other.order(url, "coinbase"))
        assert ended.status == REFUSED
        postgres.drop_database(url)
