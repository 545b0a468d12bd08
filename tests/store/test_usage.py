import asyncio

import psycopg
import pytest

from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.usage import Usage, add_usage, get_transaction, is_done, list_usage

HOUR = 1767225600000
LATER = HOUR + 3_600_000


@pytest.fixture
async def ids(database: Database) -> list[str]:
    async with database.transaction() as connection:
        return [(await create_client(connection, name, (), 1))[0].client_id for name in ("one", "other")]


async def test_it_adds_up_by_client_and_hour(database: Database, ids: list[str]) -> None:
    one, other = ids
    async with database.transaction() as connection:
        await add_usage(
            connection, [Usage(one, HOUR, 3, 500, 1), Usage(other, HOUR, 1, 0, 0), Usage(one, LATER, 2, 2, 2)]
        )
        await add_usage(connection, [Usage(one, HOUR, 10, 20, 30)])
        assert await list_usage(connection, one) == [Usage(one, LATER, 2, 2, 2), Usage(one, HOUR, 13, 520, 31)]
        assert await list_usage(connection, one, since_ms=LATER) == [Usage(one, LATER, 2, 2, 2)]
        assert {usage.client_id for usage in await list_usage(connection)} == {one, other}
        assert await list_usage(connection, limit=1) == [Usage(one, LATER, 2, 2, 2)]


async def test_a_client_that_is_not_there_costs_the_others_nothing(database: Database, ids: list[str]) -> None:
    async with database.transaction() as connection:
        await add_usage(connection, [Usage("mdc_nobody", HOUR, 1, 1, 1), Usage(ids[0], HOUR, 1, 1, 1)])
        assert await list_usage(connection) == [Usage(ids[0], HOUR, 1, 1, 1)]


async def test_processes_that_write_at_once(database: Database, ids: list[str]) -> None:
    async def write(order: int) -> None:
        async with database.transaction() as connection:
            await add_usage(connection, [Usage(one, HOUR, 1, 0, 0) for one in ids[::order]])

    await asyncio.gather(*(write(order) for order in (1, -1) * 20))
    async with database.transaction() as connection:
        assert [usage.requests for usage in await list_usage(connection)] == [40, 40]


async def test_what_became_of_a_transaction(database: Database, postgres_url: str) -> None:
    async with database.transaction() as connection:
        done = await get_transaction(connection)
    async with database.transaction() as connection:
        undone = await get_transaction(connection)
        await connection.rollback()
    with psycopg.connect(postgres_url) as open_still:
        row = open_still.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert row is not None
        async with database.transaction() as connection:
            assert await is_done(connection, done) is True
            assert await is_done(connection, undone) is False
            assert await is_done(connection, str(row[0])) is None
            assert await is_done(connection, "3") is True
