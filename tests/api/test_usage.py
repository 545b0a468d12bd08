"""What is counted reaches the database once, whatever becomes of it meanwhile."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from marketdata.api.usage import UsageBook
from marketdata.core.clock import ManualClock
from marketdata.core.errors import DatabaseUnavailable
from marketdata.store.clients import create_client
from marketdata.store.engine import Database
from marketdata.store.usage import Usage, list_usage

HOUR_MS = 3_600_000
BEGIN_MS = 1767225600000


class Breaking(Database):
    """A database that is lost at a chosen moment of the next transaction."""

    breaks: str | None = None

    @asynccontextmanager
    async def transaction(
        self, deadline_s: float | None = None, *, of_one_instant: bool = False
    ) -> AsyncIterator[AsyncConnection]:
        how, self.breaks = self.breaks, None
        if how == "away":
            raise DatabaseUnavailable(how)
        async with super().transaction(deadline_s, of_one_instant=of_one_instant) as connection:
            yield connection
            if how == "before the commit":
                raise DatabaseUnavailable(how)
        if how == "after the commit":
            raise DatabaseUnavailable(how)


@pytest.fixture
async def breaking(postgres_url: str) -> AsyncIterator[Breaking]:
    database = Breaking(postgres_url)
    yield database
    await database.dispose()


@pytest.fixture
async def client_id(breaking: Breaking) -> str:
    async with breaking.transaction() as connection:
        return (await create_client(connection, "test", (), 1))[0].client_id


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN_MS)


@pytest.fixture
def book(clock: ManualClock) -> UsageBook:
    return UsageBook(clock)


def count(book: UsageBook, client_id: str, requests: int) -> None:
    counts = book.of(client_id)
    counts.requests += requests
    counts.candles += 10 * requests
    counts.limited += 1


async def stored(database: Database) -> list[Usage]:
    async with database.transaction() as connection:
        return await list_usage(connection)


@pytest.mark.parametrize("how", [None, "away", "before the commit", "after the commit"])
async def test_nothing_is_lost_or_counted_twice(
    breaking: Breaking, book: UsageBook, client_id: str, clock: ManualClock, how: str | None
) -> None:
    count(book, client_id, 3)
    breaking.breaks = how
    await book.write(breaking)
    count(book, client_id, 4)
    clock.advance(10_000)
    await book.write(breaking)
    await book.write(breaking)
    assert await stored(breaking) == [Usage(client_id, BEGIN_MS, 7, 70, 2)]


@pytest.mark.parametrize("how", ["away", "before the commit", "after the commit"])
async def test_what_is_written_later_counts_for_its_own_hour(
    breaking: Breaking, book: UsageBook, client_id: str, clock: ManualClock, how: str
) -> None:
    count(book, client_id, 3)
    breaking.breaks = how
    await book.write(breaking)
    clock.advance(HOUR_MS)
    count(book, client_id, 4)
    for _ in range(2):
        breaking.breaks = "away"
        await book.write(breaking)
    await book.write(breaking)
    assert await stored(breaking) == [
        Usage(client_id, BEGIN_MS + HOUR_MS, 4, 40, 1),
        Usage(client_id, BEGIN_MS, 3, 30, 1),
    ]


async def test_as_long_as_nobody_knows_whether_it_was_written_nothing_else_is(
    breaking: Breaking, book: UsageBook, client_id: str, postgres_url: str
) -> None:
    count(book, client_id, 3)
    with psycopg.connect(postgres_url) as open_still:
        row = open_still.execute("SELECT pg_current_xact_id()::text").fetchone()
        assert row is not None
        breaking.breaks = "before the commit"
        await book.write(breaking)
        assert book._doubtful is not None
        book._doubtful = (row[0], book._doubtful[1])
        count(book, client_id, 4)
        await book.write(breaking)
        assert await stored(breaking) == []
        open_still.rollback()
    await book.write(breaking)
    assert await stored(breaking) == [Usage(client_id, BEGIN_MS, 7, 70, 2)]


async def test_nothing_is_asked_when_nothing_was_counted(breaking: Breaking, book: UsageBook) -> None:
    breaking.breaks = "away"
    await book.write(breaking)
    assert breaking.breaks == "away"


async def test_many_clients_are_written_in_several_statements(
    breaking: Breaking, book: UsageBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marketdata.api.usage._MOST_AT_ONCE", 2)
    async with breaking.transaction() as connection:
        clients = [(await create_client(connection, "test", (), 1))[0].client_id for _ in range(5)]
    for client_id in clients:
        count(book, client_id, 1)
    await book.write(breaking)
    assert sorted(usage.client_id for usage in await stored(breaking)) == sorted(clients)
